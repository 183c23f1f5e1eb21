r"""Upper limit of a mean from several partitions of one sample into independent blocks."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import probability, reals
from ncbounds.numerics.rounding import EPS, FloatArray, up

# Stakes c fall from 1 by this ratio; the largest has this weight, because it alone is best without
# errors, and the others share the rest. All fixed beforehand, whatever delta and the losses.
_RATIO, _FIRST = 1.5, 0.7
# The best stake for losses of the largest variance, at delta = .05, is about sqrt(6 / blocks).
_REACH, _FEWEST = 6.0, 3
_TOLERANCE = 1e-11


def partition_upper(losses: ArrayLike, delta: float) -> float:
    r"""Upper confidence limit of the mean of block losses in [0, 1], rounded up.

    With losses :math:`U_{\pi b}` of the blocks b of partition :math:`\pi`, the smallest p from
    their mean on at which

    .. math::
        E(p) = \operatorname{mean}_\pi \sum_j w_j
            \prod_b \Big[ 1 + c_j \frac{p - U_{\pi b}}{1 - p} \Big] \ge \frac1\delta ,

    for stakes :math:`c_j \in (0, 1]` and weights :math:`w_j` that depend on the number of blocks
    alone (Notes); 1 where there is none.

    Parameters
    ----------
    losses
        (partitions, blocks), 0 or more and themselves rounded up; above 1 they count as 1.
    delta
        Failure probability in (0, 1).

    Returns
    -------
    float
        With probability at least ``1 - delta`` it is not below the mean of a block's loss.

    Raises
    ------
    InvalidArgument
        Losses that are no such matrix, negative or nan, or delta outside (0, 1).

    Notes
    -----
    Within one partition the losses are independent with mean :math:`\mu`; between partitions
    nothing is assumed, and how the sample is cut does not depend on it. For :math:`\mu < 1` every
    factor at :math:`p = \mu` is at least :math:`1 - c_j \ge 0` and has mean 1, so a product over
    independent blocks has mean 1, and so have the weighted sum over stakes and the mean over
    partitions, whatever their dependence: :math:`E(\mu)` is nonnegative with mean 1, and
    :math:`P(E(\mu) \ge 1/\delta) \le \delta` (Markov). Every factor grows with p, because
    :math:`(p - U)/(1 - p) = (1 - U)/(1 - p) - 1` does: where :math:`E(\mu) < 1/\delta` the limit is
    not below :math:`\mu`. For :math:`\mu = 1` all losses are 1, no factor exceeds 1, and the limit
    is 1.

    Each logarithm is concave in U, so a product is at least
    :math:`e^{B\,\mathrm{kl}(\bar U \| p)}` at :math:`c = (p - \bar U)/p`: up to the price of the
    weights the limit is below that of the relative entropy, and it uses that losses between 0 and 1
    vary less than 0 and 1 do.

    References
    ----------
    Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, Journal of the
    Royal Statistical Society B 86 (2024) 1-27; Vovk and Wang, E-values: calibration, combination
    and applications, Annals of Statistics 49 (2021) 1736-1754 (the mean of e-values is one).
    """
    u = reals("losses", losses)
    if u.ndim != 2 or u.size == 0 or not np.all(u >= 0):
        raise InvalidArgument(
            f"losses have shape {u.shape}; needed: (partitions, blocks), one of each or more, "
            "of numbers from 0 on"
        )
    u = np.minimum(u, 1.0)
    target = float(up(-math.log(probability("delta", delta)), 2))
    gains, where = np.unique(1.0 - u, return_inverse=True)
    where = where.reshape(u.shape)
    bets = (gains, where, *_stakes(u.shape[1]))
    low = min(1.0, float(up(u.mean(), u.size.bit_length() + 8)))
    high = 1.0 - 2.0**-53
    if low >= high or _ln_e_value(high, *bets) < target:
        return 1.0
    if _ln_e_value(low, *bets) >= target:
        return low
    while high - low > _TOLERANCE * min(high, 1.0 - high):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        if _ln_e_value(middle, *bets) < target:
            low = middle
        else:
            high = middle
    return high


def _stakes(blocks: int) -> tuple[FloatArray, FloatArray]:
    """Stakes and the logarithms of their weights, rounded down."""
    least = min(1.0, math.sqrt(_REACH / blocks))
    count = max(_FEWEST, 1 + math.ceil(-math.log(least) / math.log(_RATIO)))
    weights = np.full(count, (1.0 - _FIRST) / (count - 1))
    weights[0] = _FIRST
    return _RATIO ** -np.arange(count, dtype=np.float64), np.log(weights * (1.0 - 8.0 * EPS))


def _ln_e_value(
    p: float, gains: FloatArray, where: NDArray[np.intp], stakes: FloatArray, ln_weights: FloatArray
) -> float:
    """Logarithm of E(p), rounded down; ``gains[where]`` is ``1 - losses``."""
    partitions, blocks = where.shape
    c = stakes[:, None]
    with np.errstate(divide="ignore"):
        # 1 + c (p - U)/(1 - p) without cancellation
        ln_factor = np.log((1.0 - c) + c * (gains / (1.0 - p)))
    largest = np.where(np.isfinite(ln_factor), np.abs(ln_factor), 0.0).max(axis=1)
    # every factor is off by 4 ulps, its logarithm by one more, the sum by one for each term
    lost = EPS * blocks * (4.0 + (blocks + 4.0) * largest)
    logs = ln_factor[:, where].sum(axis=2) + (ln_weights - lost)[:, None]
    top = float(logs.max())
    if top == -math.inf:
        return top
    value: float = top + math.log(float(np.exp(logs - top).sum()) / partitions)
    return float(value - EPS * (8.0 * abs(value) + 8.0 * abs(top) + logs.size + 8.0))
