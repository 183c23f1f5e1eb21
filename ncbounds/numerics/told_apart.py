r"""Whether a classifier separates two classes better than a constant does: Fisher's exact test."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import counts
from ncbounds.numerics.rounding import EPS


def told_apart_p(errors: ArrayLike, n: ArrayLike) -> float:
    r"""One-sided p-value of "class c and class j are not told apart", rounded up.

    With x the points of c that are right,

    .. math:: P(\mathrm{Hyp}(n_c + n_j,\ x + k_j,\ n_c) \ge x) .

    Parameters
    ----------
    errors
        (2,) points of c whose logit of c is not above that of j, and points of j whose logit of j
        is below that of c or equal to it.
    n
        (2,) points of each. The pair is fixed beforehand.

    Returns
    -------
    float
        The two are told apart at delta if it is at most delta; 1 where a class has no points. A
        large value proves nothing.

    Raises
    ------
    InvalidArgument
        Not two classes, or impossible counts.

    Notes
    -----
    "Right for c" and "wrong for j" are one event up to ties, "the logit of c is above"; a head
    with equal rows decides it without looking, so P(err | c) + P(err | j) >= 1, and the count of c
    right is stochastically at most what it is at equality. There, given x + k_j, it is
    hypergeometric: exact given the counts.

    References
    ----------
    Fisher, J. Roy. Statist. Soc. 98 (1935) 39-82.
    """
    k, m = counts("errors", errors), counts("n", n)
    if k.shape != (2,) or m.shape != (2,) or not np.all(k <= m):
        raise InvalidArgument(f"errors is {errors!r} of {n!r}; needed: two counts, 0 to n")
    if not np.all(m > 0):
        return 1.0
    right, marked = m[0] - k[0], m[0] - k[0] + k[1]
    i = np.arange(right, min(marked, m[0]) + 1.0)
    if right <= max(0.0, marked - m[1]):
        return 1.0
    parts = [_ln_ways(m[0], i), _ln_ways(m[1], marked - i), -_ln_ways(m.sum(), marked)]
    size = 3.0 * float(special.gammaln(m.sum() + 1.0)) + len(i)
    total = math.fsum(np.exp(sum(parts)))
    return min(1.0, total * (1.0 + 16.0 * EPS * (size + 4.0)))


def _ln_ways(n: Any, k: Any) -> Any:
    """Logarithm of "n choose k"."""
    return special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0)
