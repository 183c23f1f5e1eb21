r"""Upper limits of a weighted sum of class error rates, and its largest value near the weights."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import counts, not_negative, probability, reals
from ncbounds.numerics.binomial import binomial_upper, stratified_upper
from ncbounds.numerics.kl import kl_upper
from ncbounds.numerics.rounding import EPS, FloatArray, down, up

#: Part of delta for the caps of the single classes.
SHARE = 0.1

# Grid of lambda in units of the least and largest n_c / w_c, its points and its refinements.
_LOW, _HIGH, _POINTS, _ROUNDS = 0.01, 20.0, 41, 6
_BISECTIONS = 60
_RELATIVE, _ABSOLUTE = 1e-9, 1e-12
# Weights may miss a sum of 1 by this, and proportions to the class counts by that.
_SUM_OFF, _PROPORTION_OFF = 1e-9, 1e-12
# Up to here the exact limit holds for rows of different rates.
_HOEFFDING = 0.25


def weighted_error_upper(
    errors: ArrayLike, counts: ArrayLike, weights: ArrayLike, delta: float
) -> float:
    r"""Upper limit of :math:`\sum_c w_c r_c` for class error rates :math:`r_c`, rounded up.

    Classes of weight 0 are dropped; a class without points counts as its weight. Of the C left:
    several, with weights in proportion to their counts n_c: the exact binomial limit of all their
    points (delta at most 1/4). C at most 2:
    :math:`\sum_c w_c\, \overline p(k_c, n_c, \delta/C)`. Else :func:`weighted_chernoff_upper`.

    Parameters
    ----------
    errors, counts
        (C,) errors and points of each class, ``0 <= errors <= counts``. Given the class, points
        are independent draws; how the class counts came about does not matter.
    weights
        (C,) 0 or more, of sum 1, fixed beforehand: the class priors asked about.
    delta
        In (0, 1).

    Returns
    -------
    float
        Not below the sum with probability at least ``1 - delta``.

    Raises
    ------
    InvalidArgument
        Impossible counts, weights or delta.

    Notes
    -----
    Which form is used depends on counts and weights alone, so none is chosen by the errors. In
    proportion: :math:`\sum w_c r_c \le \max_c (w_c n / n_c W) \, W \bar r` with W the weights left
    and :math:`\bar r` the mean rate of the n points, which are independent but not alike:
    Hoeffding's rule. Two classes: a union over both limits.
    """
    k, n, w, d, missing = _present(errors, counts, weights, delta)
    if len(k) == 0:
        return min(1.0, float(up(missing)))
    ratio = w * n.sum() / n
    top = float(up(ratio.max(), 4))
    pooled = len(k) > 1 and d <= _HOEFFDING
    if pooled and ratio.max() <= ratio.min() * (1.0 + _PROPORTION_OFF):
        value = float(up(top * stratified_upper(int(k.sum()), int(n.sum()), d)))
    elif len(k) <= 2:
        value = _sum_up(w, binomial_upper(k, n, float(down(d / len(k)))))
    else:
        value = weighted_chernoff_upper(k, n, w / w.sum(), d) * float(up(w.sum(), len(w) + 2))
    return min(1.0, float(up(value + missing, 4)))


def weighted_chernoff_upper(
    errors: ArrayLike,
    counts: ArrayLike,
    weights: ArrayLike,
    delta: float,
    share: float = SHARE,
) -> float:
    r"""The capped Chernoff form of :func:`weighted_error_upper`, for any number of classes.

    With :math:`s_c = w_c/n_c`, :math:`t = \sum s_c k_c`, :math:`a_c = 1 - e^{-\lambda s_c}`, caps
    U_c (exact limits at :math:`\sigma\delta/C`; 1 for :math:`\sigma = 0`) and

    .. math:: g(r) = \lambda t + \sum_c n_c \ln(1 - a_c r_c) - \ln((1 - \sigma)\delta) ,

    the least over :math:`\lambda > 0` of :math:`\max\{w'r : 0 \le r \le U,\ g(r) \ge 0\}`, as the
    value of the dual :math:`w'r + g(r)/\nu`, :math:`r_c = [1/a_c - 1/(\nu s_c)]_0^{U_c}`.

    Parameters
    ----------
    errors, counts, weights, delta
        As there.
    share
        :math:`\sigma` in [0, 1), fixed beforehand.

    Returns
    -------
    float

    Raises
    ------
    InvalidArgument
        Impossible counts, weights, delta or share.

    Notes
    -----
    Markov: :math:`P_r(\sum s_c k_c \le t) \le e^{\lambda t} \prod_c (1 - a_c r_c)^{n_c}` for each
    :math:`\lambda`, so every rate vector that some :math:`\lambda` refutes has an exact p-value
    below :math:`(1-\sigma)\delta`: :math:`\lambda` may depend on the errors. The true rates are
    below all caps but for :math:`\sigma\delta`, and are not refuted but for the rest. g is concave,
    and r maximises the Lagrangian for each :math:`\nu > 0`, so every dual value is an upper end.

    References
    ----------
    Chernoff, Ann. Math. Statist. 23 (1952) 493-507; Berger and Boos, J. Amer. Statist. Assoc. 89
    (1994) 1012-1016 (the caps).
    """
    k, n, w, d, missing = _present(errors, counts, weights, delta)
    sigma = not_negative("share", share)
    if sigma >= 1:
        raise InvalidArgument(f"share is {share!r}; needed: 0 <= share < 1")
    if len(k) == 0:
        return min(1.0, float(up(missing)))
    caps = np.ones(len(k))
    if sigma > 0:
        caps = np.asarray(binomial_upper(k, n, float(down(sigma * d / len(k), 2))))
    ln_delta = float(down(math.log(float(down((1.0 - sigma) * d, 3)))))
    ln_low, ln_high = math.log(_LOW * float(np.min(n / w))), math.log(_HIGH * float(np.max(n / w)))
    best = _sum_up(w, caps)
    for _ in range(_ROUNDS):
        grid = np.linspace(ln_low, ln_high, _POINTS)
        values = _dual(np.exp(grid), k, n, w, caps, ln_delta)
        i = int(np.argmin(values))
        best = min(best, float(values[i]))
        ln_low, ln_high = grid[max(0, i - 1)], grid[min(_POINTS - 1, i + 1)]
    return min(1.0, float(up(best + missing, 2)))


def weighted_kl_upper(
    errors: ArrayLike, counts: ArrayLike, weights: ArrayLike, delta: float
) -> float:
    r"""The relative-entropy form of :func:`weighted_error_upper`, rounded up.

    .. math:: \overline{\mathrm{kl}}\big(\sum w_c k_c / n_c,\ \ln(1/\delta)/N\big),
        \quad N = \min_c n_c / w_c .

    Larger than the Chernoff form without caps; parameters and errors are those of
    :func:`weighted_error_upper`. A class without points counts as its weight.

    Notes
    -----
    For x of rate r and u <= 1, :math:`E e^{-\lambda u x} \le (1 - r(1 - e^{-\lambda}))^u`
    (Jensen). With :math:`u_c = N w_c / n_c` the product over all points has exponents of sum N, and
    by concavity in r it is at most :math:`(1 - p(1 - e^{-\lambda}))^N` at :math:`p = \sum w_c r_c`:
    the bound of a binomial mean of N.
    """
    k, n, w, d, missing = _present(errors, counts, weights, delta)
    if len(k) == 0:
        return min(1.0, float(up(missing)))
    total = float(w.sum())
    rate = min(1.0, float(up(np.sum(w * k / n) / total, len(w) + 4)))
    budget = float(up(-math.log(d) / float(np.min(n * total / w)), len(w) + 6))
    return min(1.0, float(up(kl_upper(rate, budget) * total + missing, len(w) + 4)))


def prior_ball(limits: ArrayLike, priors: ArrayLike, rho: float) -> float:
    r"""Largest :math:`\sum_c v_c U_c` over priors v with :math:`\frac12 \|v - w\|_1 \le \rho`.

    Parameters
    ----------
    limits
        (C,) jointly valid upper limits U_c of the class error rates, one for every class that
        there may be; 1 for one without points.
    priors
        (C,) the priors w, of sum 1.
    rho
        Radius in total variation, 0 or more; 1 and above: all priors.

    Returns
    -------
    float
        Rounded up. Holds for all radii at once, with the probability of the limits.

    Raises
    ------
    InvalidArgument
        Other shapes, a limit outside [0, 1], priors that are none, or a negative radius.

    Notes
    -----
    A linear programme: weight rho moves from the classes of smallest limits to the largest, at
    most all that they have.
    """
    u, w = reals("limits", limits), _weights("priors", priors)
    if u.shape != w.shape or not (np.all(u >= 0) and np.all(u <= 1)):
        raise InvalidArgument(f"limits is {limits!r}; needed: numbers in [0, 1], one per class")
    left = min(1.0, not_negative("rho", rho))
    order = np.argsort(u)
    value, top = float(u @ w), float(u[order[-1]])
    for c in order[:-1]:
        moved = min(left, float(w[c]))
        value += moved * (top - float(u[c]))
        left -= moved
    return float(up(value, 4 * len(u) + 4)) if value > 0 else 0.0


def _dual(
    lam: FloatArray, k: FloatArray, n: FloatArray, w: FloatArray, caps: FloatArray, ln_delta: float
) -> FloatArray:
    """Dual value at the best nu found for each lambda, rounded up."""
    s = w / n
    a = -np.expm1(-lam[:, None] * s)
    fixed = lam * np.sum(s * k) - ln_delta

    def rates(nu: FloatArray) -> FloatArray:
        return np.asarray(np.clip(1.0 / a - 1.0 / (nu[:, None] * s), 0.0, caps))

    def slack(r: FloatArray) -> FloatArray:
        return np.asarray(fixed + np.sum(n * np.log1p(-np.minimum(a * r, 1.0 - EPS)), axis=1))

    # below the first nu all rates are 0, above the second all are at their caps
    low = np.log(np.min(a / s, axis=1))
    high = np.log(np.max(a / (s * np.maximum(1.0 - a * caps, EPS)), axis=1)) + 1.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        possible = slack(rates(np.exp(middle))) >= 0
        low, high = np.where(possible, middle, low), np.where(possible, high, middle)
    nu = np.exp(high)
    r = rates(nu)
    value = r @ w + slack(r) / nu
    return np.asarray(value * (1.0 + _RELATIVE) + _ABSOLUTE)


def _present(
    errors: ArrayLike, points: ArrayLike, weights: ArrayLike, delta: float
) -> tuple[FloatArray, FloatArray, FloatArray, float, float]:
    """Errors, points, weights of the classes left, delta, and the weight without points."""
    k, n, w = counts("errors", errors), counts("counts", points), _weights("weights", weights)
    if not k.shape == n.shape == w.shape:
        raise InvalidArgument(
            f"errors {k.shape}, counts {n.shape}, weights {w.shape}; needed: one per class in each"
        )
    if not np.all(k <= n):
        raise InvalidArgument(f"errors is {errors!r} of {points!r}; needed: errors at most counts")
    missing = float(w[n == 0].sum())
    some = (w > 0) & (n > 0)
    return k[some], n[some], w[some], probability("delta", delta), missing


def _weights(name: str, value: ArrayLike) -> FloatArray:
    w: FloatArray = reals(name, value)
    if w.ndim != 1 or not np.all(w >= 0) or not abs(float(w.sum()) - 1.0) <= _SUM_OFF:
        raise InvalidArgument(f"{name} is {value!r}; needed: numbers from 0 on, of sum 1")
    return w


def _sum_up(w: FloatArray, limits: FloatArray) -> float:
    return float(up(w @ limits, len(w) + 2))
