"""Ideal arrangements of class vectors that collapsed classifiers are compared with."""

from typing import NamedTuple

import numpy as np
import scipy.linalg as sla

from ncbounds.arrays import Floats
from ncbounds.errors import InvalidSample


def simplex_etf(classes: int, dim: int) -> Floats:
    """Simplex equiangular tight frame: C unit vectors of R^d at cosines -1/(C-1).

    Parameters
    ----------
    classes : int
        C >= 2.
    dim : int
        d >= C - 1; coordinates from C - 1 on are zero.

    Returns
    -------
    array of shape (C, d)
        The same vectors every time.

    Raises
    ------
    InvalidSample
        If C < 2 or d < C - 1, where no such frame exists.
    """
    if classes < 2 or dim < classes - 1:
        raise InvalidSample(
            f"a simplex frame of C >= 2 vectors needs d >= C - 1, found C={classes}, d={dim}"
        )
    # Columns of Helmert's matrix: an orthonormal basis of the vectors that sum to zero.
    basis = sla.helmert(classes).T
    frame = np.zeros((classes, dim))
    frame[:, : classes - 1] = basis * np.sqrt(classes / (classes - 1))
    return frame


class SeliGrams(NamedTuple):
    """Gram matrices (C, C) of head rows, of class means, and of head rows with class means."""

    head: Floats
    means: Floats
    products: Floats


def seli_grams(counts: object) -> SeliGrams:
    """Geometry that unconstrained features take under imbalance, up to scale.

    Parameters
    ----------
    counts : integer array of shape (C,)
        Training points per class, all positive. Equal counts give the simplex frame.

    Notes
    -----
    With the centred one-hot matrix ``Z = (I - 11'/C) Y = V L U'`` the optimum has
    ``W W' = V L V'``, ``H'H = U L U'`` and ``W H = Z``; the columns of H are equal within classes.

    References
    ----------
    C. Thrampoulidis, G. R. Kini, V. Vakilian and T. Behnia, "Imbalance trouble: revisiting
    neural-collapse geometry", NeurIPS 2022, arXiv:2208.05512.
    """
    n = np.asarray(counts, dtype=np.float64)
    if n.ndim != 1 or len(n) < 2 or not (n > 0).all():
        raise InvalidSample(f"counts need to be positive for at least 2 classes, found {counts}")
    classes = len(n)
    centring = np.eye(classes) - 1 / classes
    values, vectors = sla.eigh(centring @ (n[:, None] * centring))
    values, vectors = values[1:], vectors[:, 1:]  # rank C - 1; the smallest eigenvalue is zero
    head = (vectors * np.sqrt(values)) @ vectors.T
    inverse = (vectors / np.sqrt(values)) @ vectors.T
    return SeliGrams(head, centring @ inverse @ centring, centring)
