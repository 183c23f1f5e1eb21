r"""Lower limit of the mean error of several classifiers from their votes, without labels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import probability, reals, whole
from ncbounds.numerics.binomial import binomial_lower
from ncbounds.numerics.kl import kl_upper
from ncbounds.numerics.rounding import down, up


def votes_lower(shares: ArrayLike, candidates: int, delta: float) -> float:
    r"""Lower limit of the mean error rate of K classifiers on unlabelled rows, rounded down.

    With :math:`x_i` = 1 - (share of the largest vote), clipped at :math:`M = 1 - 1/K`: for K = 2
    half the exact lower limit of the number of :math:`x_i > 0`, else

    .. math:: M \big(1 - \overline{\mathrm{kl}}(1 - \bar x/M,\ \ln(1/\delta)/m)\big) .

    Parameters
    ----------
    shares
        (m,) for each row the number of classifiers that vote for its most frequent class, divided
        by K. One whose largest logits tie votes for nothing. Independent draws of the target that
        none of the classifiers used.
    candidates
        K, 2 or more, all fixed beforehand.
    delta
        In (0, 1).

    Returns
    -------
    float
        Not above the mean error rate of the K with probability at least ``1 - delta``; it says
        nothing of any one of them. 0 for no rows.

    Raises
    ------
    InvalidArgument
        Shares that are no vector in [0, 1] (of 2 classifiers: 0, .5 or 1), or K below 2.

    Notes
    -----
    Whatever the label of a row is, at most the largest vote are right: the mean error rate is at
    least the mean of x, clipped or not. For K = 2 the clipped x is 0 or 1/2. Else x/M lies in
    [0, 1] and the Chernoff limit of a mean holds.
    """
    best, total = reals("shares", shares), whole("candidates", candidates, 2)
    delta = probability("delta", delta)
    if best.ndim != 1 or not (np.all(best >= 0) and np.all(best <= 1)):
        raise InvalidArgument(f"shares is {shares!r}; needed: a vector of numbers from 0 to 1")
    rows = len(best)
    if rows == 0:
        return 0.0
    if total == 2:
        if not np.all(np.isin(best, (0.0, 0.5, 1.0))):
            raise InvalidArgument(f"shares is {shares!r}; needed of 2 candidates: 0, 0.5 or 1")
        return max(0.0, float(down(binomial_lower(int(np.sum(best < 1)), rows, delta) / 2.0)))
    most = 1.0 - 1.0 / total
    dissent = np.minimum(1.0 - best, most).sum() / (rows * most)
    agreed = min(1.0, max(0.0, float(up(1.0 - float(down(dissent, rows.bit_length() + 8))))))
    budget = float(up(-math.log(delta) / rows, 3))
    return max(0.0, float(down(most * (1.0 - kl_upper(agreed, budget)), 4)))
