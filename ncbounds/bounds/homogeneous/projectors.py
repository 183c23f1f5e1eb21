"""Where the posterior of the Gaussian certificate has less noise than the prior."""

from dataclasses import dataclass

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.homogeneous.rays import Rays


@dataclass(frozen=True)
class Projector:
    """An orthogonal projector of ``psi``-space.

    Attributes
    ----------
    name : {"all", "rows and constant", "rows"}
        The identity; the span of the weights' rows and the constant coordinate; the row space of
        V, which lies in that span.
    rank : int
    """

    name: str
    rank: int


def projectors(rays: Rays) -> list[Projector]:
    """Projectors worth trying; the identity is the first."""
    rank = rays.basis.shape[1]
    found = [Projector("all", rays.dim)]
    if rays.constant and rank + 1 < rays.dim:
        found.append(Projector("rows and constant", rank + 1))
    if 0 < rank < rays.dim:
        found.append(Projector("rows", rank))
    return found


def projected(rays: Rays, projector: Projector, kappa: float, index: Ints, z: Floats) -> Floats:
    """``||Pi psi||^2`` of rows ``index``, shape (m,).

    With a constant coordinate the row space of V is what is orthogonal to ``(-x, kappa)`` within
    the span of the weights' rows and the constant, where ``bias = weight @ x``. For any other x,
    such as one of least squares, this still is an orthogonal projector of the same rank.

    Parameters
    ----------
    rays : Rays
    projector : Projector
    kappa : float
    index : integer array of shape (m,)
    z : array of shape (m, r)
        :meth:`Rays.coordinates` of these rows; not read for the identity.
    """
    whole = rays.squares[index] + kappa * kappa
    if projector.name == "all":
        return whole
    inside = np.einsum("ij,ij->i", z, z) + kappa * kappa
    if projector.name == "rows" and rays.constant:
        along = np.square(kappa * kappa - z @ rays.tilt)
        inside = np.maximum(inside - along / (kappa * kappa + rays.tilt @ rays.tilt), 0.0)
    return np.asarray(np.minimum(inside, whole))
