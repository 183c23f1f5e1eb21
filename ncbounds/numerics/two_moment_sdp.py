"""The textbook semidefinite program of the two-moment bound, solved by cvxpy: an oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg

from ncbounds.numerics.rounding import FloatArray


def solve(d: FloatArray, corr: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Minimise ``E q(y)`` over quadratics with ``q >= 0`` and ``q >= 1`` on every half-space.

    Parameters
    ----------
    d
        (k,) standardised means, positive.
    corr
        (k, k) correlation matrix, positive definite.

    Returns
    -------
    value : float
        The solver's objective; it may lie below the true optimum by the solver's tolerance.
    centre, shape : ndarray
        (k,) and (k, k): the ellipsoid of the optimal quadratic, from which a valid bound follows.

    References
    ----------
    Vandenberghe, Boyd and Comanor, Generalized Chebyshev bounds via semidefinite programming,
    SIAM Review 49 (2007) 52-64.
    """
    import cvxpy

    cp: Any = cvxpy

    k = len(d)
    rows = linalg.cholesky(corr, lower=True)
    quadratic = cp.Variable((k + 1, k + 1), PSD=True)
    multipliers = cp.Variable(k, nonneg=True)
    unit = np.zeros((k + 1, k + 1))
    unit[k, k] = 1.0
    constraints = []
    for j in range(k):
        half_space = np.zeros((k + 1, k + 1))
        half_space[:k, k] = half_space[k, :k] = 0.5 * rows[j]
        half_space[k, k] = -d[j]
        constraints.append(quadratic - unit - multipliers[j] * half_space >> 0)
    problem = cp.Problem(cp.Minimize(cp.trace(quadratic)), constraints)
    problem.solve(solver=cp.CLARABEL)
    solution = np.asarray(quadratic.value)
    hessian = 0.5 * (solution[:k, :k] + solution[:k, :k].T)
    hessian += 1e-12 * max(1.0, float(np.trace(hessian))) * np.eye(k)
    inverse = linalg.inv(hessian)
    centre = -inverse @ solution[:k, k]
    return float(problem.value), rows @ centre, rows @ inverse @ rows.T
