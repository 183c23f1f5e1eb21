r"""Upper limit of the error on a target of unknown class priors, by a linear programme."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.optimize import linprog

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import counts, probability
from ncbounds.numerics.binomial import binomial_lower, binomial_upper
from ncbounds.numerics.rounding import EPS, FloatArray, down, up

# Levels between which one that refutes is sought, and bisections of its logarithm.
_LEVELS, _STEPS = (1e-12, 0.999), 14
#: Part of delta for the laws of predictions inside the classes.
SHARE = 0.7


@dataclass(frozen=True)
class LabelShift:
    """What source and target say of the target error if laws inside classes are the same.

    Attributes
    ----------
    value
        Upper limit of the target error, rounded up; nan if refuted, or if the solver gave no
        multipliers that prove one.
    refuted
        Whether the assumption is refuted at level delta.
    """

    value: float
    refuted: bool


def label_shift(
    confusion: ArrayLike, target_predictions: ArrayLike, delta: float, share: float = SHARE
) -> LabelShift:
    r"""Upper limit of a target's error from labelled source rows and its own predictions.

    The largest :math:`1 - \sum_c z_{cc}` over class priors :math:`\pi` and joint laws z >= 0 of
    class and prediction with

    .. math::
        \sum_j z_{cj} = \pi_c,\quad \sum_c \pi_c = 1,\quad
        L_{cj} \pi_c \le z_{cj} \le U_{cj} \pi_c,\quad
        L^q_j \le \sum_c z_{cj} \le U^q_j ,

    exact limits [L, U] of each :math:`N_{cj}/n_c` at :math:`\sigma\delta/2CJ` a side ([0, 1] for a
    class without rows) and of each target share at :math:`(1 - \sigma)\delta/2J` a side.

    Parameters
    ----------
    confusion
        (C, J) source rows of class c predicted as j; J >= C, and columns from C on (a tie as a
        prediction of its own) are never right.
    target_predictions
        (J,) target rows predicted as j, at least one.
    delta
        In (0, 1).
    share
        :math:`\sigma` in (0, 1), fixed beforehand.

    Returns
    -------
    LabelShift
        If the law of predictions inside each class is the same on the target, then with
        probability at least ``1 - delta`` the value is not below the target's error and the
        assumption is not refuted. **The assumption cannot be checked fully**: a class that the
        classifier gets worse at may look like a shift of priors.

    Raises
    ------
    InvalidArgument
        Impossible counts, delta or share.

    Notes
    -----
    Source rows are independent draws given their class, target rows independent draws. Under the
    assumption :math:`z_{cj} = \pi_c P(j \mid c)` at the true priors is feasible unless one of
    2CJ + 2J limits fails.

    The value does not rest on the solver. For min c'x, A x <= b, E x = e and 0 <= x <= 1, any
    multipliers y >= 0 and nu prove
    :math:`\min \ge -y'b - \nu'e + \sum_i \min(0, (c + A'y + E'\nu)_i)`; 1 minus it is returned. If
    the same expression is above 0 for c = 0, no x is feasible: the assumption is refuted.

    References
    ----------
    Lipton, Wang and Smola, arXiv:1802.03916 (label shift).
    """
    table, seen, delta, sigma = _checked(confusion, target_predictions, delta, share)
    programme = _programme(table, seen, delta, sigma)
    gain = np.zeros(programme.upper.shape[1])
    classes = table.shape[0]
    gain[classes + np.arange(classes) * (table.shape[1] + 1)] = 1.0
    proven = programme.least(gain)
    if proven is not None:
        return LabelShift(min(1.0, max(0.0, float(up(1.0 - proven)))), refuted=False)
    return LabelShift(math.nan, refuted=programme.is_infeasible())


def _checked(
    confusion: ArrayLike, target_predictions: ArrayLike, delta: float, share: float
) -> tuple[FloatArray, FloatArray, float, float]:
    table, seen = counts("confusion", confusion), counts("target_predictions", target_predictions)
    if table.ndim != 2 or not 1 <= table.shape[0] <= table.shape[1]:
        raise InvalidArgument(
            f"confusion has shape {table.shape}; needed: (classes, predictions), one class or "
            "more and a prediction for each"
        )
    if seen.shape != table.shape[1:] or not seen.sum() > 0:
        raise InvalidArgument(
            f"target_predictions is {target_predictions!r}; needed: {table.shape[1]} counts, one "
            "for each prediction, of one row or more"
        )
    return table, seen, probability("delta", delta), probability("share", share)


def shifted_priors(
    confusion: ArrayLike, target_predictions: ArrayLike, delta: float, share: float = SHARE
) -> FloatArray:
    r"""Ranges of the target's class priors in the programme of :func:`label_shift`.

    Parameters
    ----------
    confusion, target_predictions, delta, share
        As there.

    Returns
    -------
    ndarray
        (C, 2), lower and upper ends, rounded outward; they hold together with the value there, with
        the same probability and under the same assumption. nan where the solver gave no
        multipliers.

    Raises
    ------
    InvalidArgument
        As there.
    """
    table, seen, delta, sigma = _checked(confusion, target_predictions, delta, share)
    programme = _programme(table, seen, delta, sigma)
    out = np.full((len(table), 2), np.nan)
    for c in range(len(table)):
        cost = np.zeros(programme.upper.shape[1])
        for end, sign in ((0, 1.0), (1, -1.0)):
            cost[c] = sign
            proven = programme.least(cost)
            if proven is not None:
                out[c, end] = min(1.0, max(0.0, sign * proven))
    return out


def refuting_level(
    confusion: ArrayLike, target_predictions: ArrayLike, share: float = SHARE
) -> float:
    """Least delta found at which :func:`label_shift` refutes its assumption; 1 if none was.

    Limits narrow as delta grows, and so what is refuted at one level is at larger ones. Found by
    bisection; at the level returned the assumption has been refuted.

    Parameters
    ----------
    confusion, target_predictions, share
        As there.

    Raises
    ------
    InvalidArgument
        As there.
    """
    table, seen, _, sigma = _checked(confusion, target_predictions, 0.5, share)

    def refuted(ln_level: float) -> bool:
        level = math.exp(ln_level)
        return _programme(table, seen, level, sigma).is_infeasible()

    high, low = math.log(_LEVELS[1]), math.log(_LEVELS[0])
    if not refuted(high):
        return 1.0
    if refuted(low):
        return _LEVELS[0]
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if refuted(middle) else (middle, high)
    return math.exp(high)


@dataclass(frozen=True)
class _Programme:
    """``upper x <= 0`` or ``bound``, ``equal x = right``, ``0 <= x <= 1``; x is (pi, z)."""

    upper: sparse.csr_array
    bound: FloatArray
    equal: sparse.csr_array
    right: FloatArray

    def least(self, cost: FloatArray) -> float | None:
        """Proven lower end of the least cost, or None if the solver finds no solution."""
        found = _multipliers(cost, self.upper, self.bound, self.equal, self.right, (0.0, 1.0))
        return None if found is None else self.dual(cost, *found)

    def is_infeasible(self) -> bool:
        """Whether multipliers prove it: those of the least total violation of all constraints."""
        rows, (equal, size) = self.upper.shape[0], self.equal.shape
        one, ones = sparse.eye_array(equal), sparse.eye_array(rows)
        found = _multipliers(
            np.concatenate([np.zeros(size), np.ones(rows + 2 * equal)]),
            sparse.hstack([self.upper, -ones, sparse.csr_array((rows, 2 * equal))]),
            self.bound,
            sparse.hstack([self.equal, sparse.csr_array((equal, rows)), one, -one]),
            self.right,
            [(0.0, 1.0)] * size + [(0.0, math.inf)] * (rows + 2 * equal),
        )
        return found is not None and self.dual(np.zeros(size), *found) > 0

    def dual(self, cost: FloatArray, y: FloatArray, nu: FloatArray) -> float:
        """Lower end of the least cost that the multipliers prove, rounded down."""
        y = np.maximum(y, 0.0)
        reduced = cost + self.upper.T @ y + self.equal.T @ nu
        sizes = np.abs(cost) + abs(self.upper).T @ y + abs(self.equal).T @ np.abs(nu)
        terms = len(cost) + len(y) + len(nu) + 8.0
        value = -(y @ self.bound) - nu @ self.right + np.minimum(0.0, reduced).sum()
        # what sums of so many terms may be off by
        size = y @ np.abs(self.bound) + np.abs(nu) @ np.abs(self.right) + sizes.sum()
        return float(value - EPS * terms * size)


def _multipliers(
    cost: FloatArray, upper: Any, bound: FloatArray, equal: Any, right: FloatArray, box: Any
) -> tuple[FloatArray, FloatArray] | None:
    """Multipliers of inequalities and equations at the optimum, or None."""
    solve: Any = linprog  # the stubs of scipy know no sparse constraints
    answer = solve(cost, A_ub=upper, b_ub=bound, A_eq=equal, b_eq=right, bounds=box, method="highs")
    if answer.status != 0:
        return None
    return -answer.ineqlin.marginals, -answer.eqlin.marginals


def _programme(table: FloatArray, seen: FloatArray, delta: float, share: float) -> _Programme:
    classes, predictions = table.shape
    each = float(down(share * delta / (2.0 * classes * predictions), 4))
    rest = float(down((1.0 - share) * delta / (2.0 * predictions), 4))
    n = np.broadcast_to(table.sum(axis=1, keepdims=True), table.shape)
    low, high = binomial_lower(table, n, each).ravel(), binomial_upper(table, n, each).ravel()
    total = np.full(seen.shape, seen.sum())
    low_q, high_q = binomial_lower(seen, total, rest), binomial_upper(seen, total, rest)
    cells = sparse.eye_array(classes * predictions, format="csr")
    prior = sparse.kron(sparse.eye_array(classes), np.ones((predictions, 1)), format="csr")
    column = sparse.kron(np.ones((1, classes)), sparse.eye_array(predictions), format="csr")
    none = sparse.csr_array((predictions, classes))
    upper = sparse.vstack(
        [
            sparse.hstack([sparse.diags_array(low) @ prior, -cells]),
            sparse.hstack([-(sparse.diags_array(high) @ prior), cells]),
            sparse.hstack([none, -column]),
            sparse.hstack([none, column]),
        ]
    )
    row = sparse.kron(sparse.eye_array(classes), np.ones((1, predictions)), format="csr")
    one = np.concatenate([np.ones(classes), np.zeros(classes * predictions)])[None]
    equal = sparse.vstack([sparse.hstack([-sparse.eye_array(classes), row]), sparse.csr_array(one)])
    return _Programme(
        upper=sparse.csr_array(upper),
        bound=np.concatenate([np.zeros(2 * len(low)), -low_q, high_q]),
        equal=sparse.csr_array(equal),
        right=np.concatenate([np.zeros(classes), [1.0]]),
    )
