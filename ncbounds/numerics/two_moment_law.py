"""A two-moment bound and the law that attains it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from ncbounds.numerics.ellipsoid import fit
from ncbounds.numerics.ellipsoid_dense import Dense
from ncbounds.numerics.ellipsoid_factored import CovarianceFactor
from ncbounds.numerics.rounding import FloatArray


@dataclass(frozen=True)
class TwoMomentBound:
    """A two-moment bound with the numbers that certify it.

    Attributes
    ----------
    value
        Certified upper bound, rounded up; at most 1 unless the centre was fixed at the mean.
    lower
        Certified lower value: some law with these moments (of a matrix ``S + eps I``) errs this
        often. The truth lies between.
    iterations
        Eigendecompositions used; 0 where a closed form applied.
    mean, moments
        The mean (k,) and the covariance, in the form in which it was given.
    solver_value
        Objective reported by the semidefinite solver, not certified; nan for other methods.
    """

    value: float
    lower: float
    iterations: int
    mean: FloatArray
    moments: FloatArray | CovarianceFactor
    solver_value: float = math.nan

    @property
    def cov(self) -> FloatArray:
        """Covariance of the margins, shape (k, k)."""
        return matrix(self.moments)

    @property
    def gap(self) -> float:
        """Relative distance of ``lower`` from ``value``."""
        return 0.0 if self.value == 0 else (self.value - self.lower) / self.value

    def worst_case(self) -> tuple[FloatArray, FloatArray]:
        """Law with these moments that attains the bound up to the solver's tolerance.

        Returns
        -------
        atoms : ndarray
            (k+1, k) margins. Atom j < k lies on the boundary ``margin_j = 0`` to the solver's
            tolerance, the last one inside the cell.
        masses : ndarray
            (k+1,) probabilities.

        Raises
        ------
        ValueError
            If a mean is not positive or no coordinate varies: then no such law exists.
        """
        cov = self.cov
        keep = np.diag(cov) > 0
        if not np.all(self.mean > 0) or not keep.any():
            raise ValueError("needed for a worst case: positive means and some variance")
        form = Dense.of(self.mean[keep], cov[np.ix_(keep, keep)])
        best = fit(form, 1e-10, 1000, centred=False).shape
        x, mass = _law(best.centre, best.shape, best.weights)
        atoms = np.tile(self.mean, (len(mass), 1))
        atoms[:, keep] -= form.sd * x
        if keep.all():
            return atoms, mass
        # Constant margins have atoms of no mass, so that there are k + 1 in any case.
        still = int(np.sum(~keep))
        order = np.concatenate([np.nonzero(keep)[0], np.nonzero(~keep)[0], [len(keep)]])
        wide = np.vstack([atoms[:-1], np.tile(self.mean, (still, 1)), atoms[-1:]])
        full = np.concatenate([mass[:-1], np.zeros(still), mass[-1:]])
        return wide[np.argsort(order)], full[np.argsort(order)]


def matrix(cov: FloatArray | CovarianceFactor) -> FloatArray:
    """The (k, k) covariance, however it was given."""
    return cov.matrix if isinstance(cov, CovarianceFactor) else cov


def _law(v: FloatArray, shape: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Law with mean 0 and covariance R made of the columns of G, where ``G D G = R + vv'``.

    Atoms ``v + G e_j / h_j`` of mass ``D_jj h_j^2`` and the rest at v have the right second moment
    about v for any h, and mean 0 if ``G D h = -v``. The masses sum to ``v'(R + vv')^-1 v < 1``.
    """
    h = -linalg.solve(shape, v, assume_a="sym", check_finite=False) / weights
    if not np.all(h != 0):
        raise ValueError("the centre is the mean; needed: a law with some error mass")
    mass = weights * h * h
    atoms = np.vstack([v + shape.T / h[:, None], v])
    return atoms, np.append(mass, max(0.0, 1.0 - float(mass.sum())))
