r"""Limit of the difference of two error rates by exact tails of the trinomial law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import finite, probability
from ncbounds.numerics.binomial import binomial_lower, binomial_upper
from ncbounds.numerics.pairs import checked_pairs, on_distinct, unwrapped
from ncbounds.numerics.rounding import EPS, FloatArray, down, up

# Part of delta for the share of rows on which the two differ.
_BETA = 1.0 / 50.0
# Cells of that share that are tried before a difference counts as possible, and their least width.
_MOST_CELLS, _LEAST_WIDTH = 4000, 1e-9
# Where the search for the limit stops, in standard errors of the difference.
_TOLERANCE = 0.003
# A sum over this many standard deviations and counts more; the mass outside is added.
_REACH, _MORE = 7.0, 15.0
# Tails are raised by these, more than binomial probabilities are off by.
_RELATIVE, _ABSOLUTE, _ULPS = 1e-9, 1e-12, 256.0
_CHUNK = 1 << 19
# Raises the largest count of a cell past the rounding of its root, and of ties with it.
_SLACK = 1e-9
# Values of s for a guess of the limit; parts into which a cell is cut.
_GUESSES, _PARTS = 17, 4


def paired_lower(b: ArrayLike, c: ArrayLike, n: ArrayLike, delta: ArrayLike) -> Any:
    r"""Lower limit of error(B) - error(A) from rows that both classified, rounded down.

    With :math:`m = b + c`, z the upper :math:`\delta`-quantile of the normal law,
    :math:`c_0 = \max(1, z^2/4)`, :math:`\beta = \delta/50` and the exact limits
    :math:`[s^-, s^+]` of m of n at :math:`\beta/2` each, rows are ordered by

    .. math:: T(c, b) = c - b + z \sqrt{b + c + c_0},

    and the limit is minus

    .. math::
        \min\big(s^+, \sup\{\theta : P_{s,\theta}(T \le t) \ge \delta - \beta
        \text{ for some } s \in [\max(s^-, |\theta|), s^+]\}\big),

    t the value observed, :math:`(s + \theta)/2` the probability that only A errs and
    :math:`(s - \theta)/2` that only B does.

    Parameters
    ----------
    b, c
        Counts of rows on which only B and only A errs, ``b + c <= n``. Scalars or arrays.
    n
        Rows, independent draws of one law; classifiers and pair fixed beforehand.
    delta
        In (0, 1/2].

    Returns
    -------
    float or ndarray
        With probability at least ``1 - delta`` it is not above error(B) - error(A). It is about
        .003 standard errors below the limit stated.

    Raises
    ------
    InvalidArgument
        Impossible counts, or delta outside (0, 1/2].

    Notes
    -----
    The true s lies outside :math:`[s^-, s^+]` with probability at most :math:`\beta`. At the true
    :math:`(s, \theta)`, :math:`P(T \le t)` is a p-value, below :math:`\delta - \beta` with
    probability at most that. Else :math:`\theta` is in the set, and :math:`\theta \le s \le s^+`.
    z and :math:`c_0` choose an order only; nothing is approximated.

    T rises with c and, because :math:`c_0 \ge z^2/4`, falls with b. So :math:`P(T \le t)` falls
    with P(only A errs) and rises with P(only B errs), and the supremum over s falls with
    :math:`\theta` (an s below :math:`|\theta|`, which a larger negative :math:`\theta` admits, has
    less of both than :math:`s = |\theta|` had of B alone). Hence bisection, and hence one
    evaluation at the corner :math:`((s_0 + \theta)/2, (s_1 - \theta)/2)` bounds a whole cell
    :math:`[s_0, s_1]`: cells are halved until all are refuted or the middle of one is not. The end
    returned has been refuted. Rounding of thresholds enlarges the set :math:`T \le t` only.

    Milliseconds to a second a pair; :func:`~ncbounds.numerics.paired_lower_two_step` screens many.
    Not for class counts fixed by design: :func:`~ncbounds.numerics.paired_lower_stratified`.

    References
    ----------
    Buehler, J. Amer. Statist. Assoc. 52 (1957) 482-493 (limits by an order); Berger and Boos,
    J. Amer. Statist. Assoc. 89 (1994) 1012-1016 (the nuisance parameter).
    """
    only_b, only_a, rows, d = checked_pairs(b, c, n, delta)
    if not np.all(d <= 0.5):
        raise InvalidArgument(f"delta is {delta!r}; a paired limit needs 0 < delta <= 1/2")
    limits = on_distinct(_lower, only_b, only_a, rows, d)
    return unwrapped(limits, b, c, n, delta)


def paired_upper_beyond(known: float, b: float, c: float, n: float, delta: float) -> float:
    """Upper limit of error(A) - error(B), or ``known`` where that limit is not above it."""
    return _Pair.of(b, c, n, delta).upper(known)


def _lower(b: FloatArray, c: FloatArray, n: FloatArray, delta: FloatArray) -> FloatArray:
    cases = np.stack([b, c, n, delta], axis=1).tolist()
    return np.array([-_Pair.of(*case).upper() for case in cases])


def paired_at_least(b: int, c: int, n: int, gap: float, delta: float) -> bool:
    """Whether the rows show that error(B) - error(A) is at least ``gap``.

    One evaluation where :func:`~ncbounds.numerics.paired_lower` needs a dozen; true only if the
    limit stated there is at least ``gap``. A probe that errs at most eps more often than the
    saved network: B the saved network, A the probe, ``gap = -eps``.

    Parameters
    ----------
    b, c, n, delta
        As there, scalars.
    gap
        Fixed beforehand.

    Raises
    ------
    InvalidArgument
        Impossible counts, a gap that is not finite, or delta outside (0, 1/2].
    """
    if probability("delta", delta) > 0.5:
        raise InvalidArgument(f"delta is {delta!r}; a paired limit needs 0 < delta <= 1/2")
    only_b, only_a, rows, d = (float(x[0]) for x in checked_pairs(b, c, n, delta))
    return _Pair.of(only_b, only_a, rows, d).refutes(-finite("gap", gap))


@dataclass(frozen=True)
class _Pair:
    """An observation and the limits of s; ``theta`` is error(A) - error(B)."""

    difference: float
    differ: float
    n: float
    z: float
    c0: float
    t: float
    s_low: float
    s_high: float
    level: float

    @classmethod
    def of(cls, b: float, c: float, n: float, delta: float) -> _Pair:
        z = -float(special.ndtri(delta))
        c0 = max(1.0, z * z / 4.0)
        beta = _BETA * delta
        return cls(
            difference=c - b,
            differ=b + c,
            n=n,
            z=z,
            c0=c0,
            t=c - b + z * math.sqrt(b + c + c0),
            s_low=binomial_lower(b + c, n, beta / 2.0),
            s_high=binomial_upper(b + c, n, beta / 2.0),
            level=float(down(delta - beta, 2)),
        )

    def upper(self, known: float = -1.0) -> float:
        """Upper limit of theta, or ``known`` where the limit is below it."""
        if self.n == 0:
            return 1.0
        if known > -1.0 and self.refutes(known):
            return known
        step = _TOLERANCE * math.sqrt(self.differ + 1.0) / self.n
        low, high = max(known, self.difference / self.n), self.s_high
        while high - low > 0.25 * step:  # a guess, from some values of s
            middle = 0.5 * (low + high)
            if self.seems_possible(middle):
                low = middle
            else:
                high = middle
        high += 0.75 * step  # nearer to it a refutation would take many cells
        while high < self.s_high and not self.refutes(high):
            high, step = high + step, 2.0 * step
        return min(high, self.s_high)

    def seems_possible(self, theta: float) -> bool:
        """Whether ``theta`` is possible at one of a few values of s."""
        start = max(self.s_low, abs(theta))
        s = np.linspace(start, max(start, self.s_high), _GUESSES)
        return bool(np.any(self.tail((s + theta) / 2.0, (s - theta) / 2.0) >= self.level))

    def refutes(self, theta: float) -> bool:
        """Whether every difference from ``theta`` on is refuted."""
        start = max(self.s_low, abs(theta))
        if start > self.s_high:
            return theta > 0
        left, right = np.array([start]), np.array([self.s_high])
        tried = 0
        while True:
            corner = self.tail((left + theta) / 2.0, (right - theta) / 2.0)
            left, right = left[corner >= self.level], right[corner >= self.level]
            tried += len(corner)
            if not len(left):
                return True
            middle = 0.5 * (left + right)
            possible = self.tail((middle + theta) / 2.0, (middle - theta) / 2.0) >= self.level
            if possible.any() or tried > _MOST_CELLS or np.any(right - left < _LEAST_WIDTH):
                return False
            ends = left + (right - left) * (np.arange(_PARTS + 1)[:, None] / _PARTS)
            ends[-1] = right
            left, right = ends[:-1].ravel(order="F"), ends[1:].ravel(order="F")

    def tail(self, only_a: FloatArray, only_b: FloatArray) -> FloatArray:
        """P(T <= t) at each pair of probabilities, from above."""
        p = np.clip(np.asarray(down(only_a)), 0.0, 1.0)
        s = np.clip(p + np.asarray(up(only_b)), 0.0, 1.0)
        reach = _REACH * np.sqrt(self.n * s * (1.0 - s)) + _MORE
        first = np.maximum(0.0, np.floor(self.n * s - reach))
        last = np.minimum(self.n, np.ceil(self.n * s + reach))
        size = max(1, int(_CHUNK // (np.max(last) - np.min(first) + 1)))
        parts = [slice(i, i + size) for i in range(0, len(p), size)]
        sums = [self._sum(p[i], s[i], np.min(first[i]), np.max(last[i])) for i in parts]
        # logarithms of binomial coefficients are off by some ulps of n ln n
        off = _ULPS * EPS * self.n * math.log(self.n + 2.0)
        return np.minimum(1.0, np.concatenate(sums) * (1.0 + _RELATIVE + off) + _ABSOLUTE + off)

    def _sum(self, p: FloatArray, s: FloatArray, first: float, last: float) -> FloatArray:
        """The tail by the number m of rows on which the two differ; all m outside are added."""
        m, n = np.arange(first, last + 1.0), self.n
        slack = _SLACK + 16.0 * EPS * n
        k = np.floor((m + self.t - self.z * np.sqrt(m + self.c0)) / 2.0 + slack)
        weight = _binomial_pmf(m, n, s[:, None])
        rate = np.where(s > 0, p / np.where(s > 0, s, 1.0), 0.0)[:, None]
        some = (k >= 0) & (k < m)
        below = _binomial_cdfs(k[some], m[some], rate)
        total = np.sum(weight[:, some] * below, axis=1) + np.sum(weight[:, k >= m], axis=1)
        if first > 0:
            total = total + special.betaincc(first, n - first + 1.0, s)
        if last < n:
            total = total + special.betainc(last + 1.0, n - last, s)
        return np.asarray(total)


def _binomial_pmf(k: FloatArray, n: Any, p: FloatArray) -> FloatArray:
    ln_ways = special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0)
    ln_p = special.xlogy(k, p) + special.xlog1py(n - k, -p)
    return np.asarray(np.exp(ln_ways + ln_p))


def _binomial_cdfs(k: FloatArray, m: FloatArray, p: FloatArray) -> FloatArray:
    """P(Bin(m, p) <= k) for consecutive m with k the same or one more each time.

    By ``F(k; m + 1) = F(k; m) - p f(k; m)`` and ``F(k + 1; m) = F(k; m) + f(k + 1; m)``: a hundred
    times cheaper than as many incomplete beta functions.
    """
    if not len(m):
        return np.zeros((len(p), 0))
    moves = np.empty((len(p), len(m)))
    moves[:, :1] = special.betaincc(k[0] + 1.0, m[0] - k[0], p)
    moves[:, 1:] = -p * _binomial_pmf(k[:-1], m[:-1], p)
    rises = 1 + np.flatnonzero(np.diff(k) > 0)
    moves[:, rises] += _binomial_pmf(k[rises], m[rises], p)
    return np.clip(np.cumsum(moves, axis=1), 0.0, 1.0)
