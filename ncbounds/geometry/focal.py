r"""The focal loss as a function of the cross-entropy c of a point, ``c (1 - exp(-c))^gamma``.

It is no convex loss of the logits: its second derivative in c has the sign of
``h(c) = 2 - c - e^-c (2 - gamma c)``, with ``h(0) = 0`` and ``h'(c) = -1 + e^-c (2 + gamma -
gamma c)``, which is ``1 + gamma`` at 0, falls below -1 and then rises to it. So h is positive up to
one point and negative beyond: the loss is convex, then concave, and its slope, which tends to 1, is
above 1 from where it first is. The loss therefore lies above its :func:`envelope`: itself up to
there, the tangent from there on, a convex and increasing function of the cross-entropy. By Jensen's
inequality points of mean focal loss L have a mean cross-entropy of at most
:func:`cross_entropy_of` L, whatever is known of the cross-entropy then holds.

T.-Y. Lin, P. Goyal, R. Girshick, K. He and P. Dollar, arXiv:1708.02002.
"""

import math

import numpy as np
from scipy import optimize

from ncbounds.arrays import Floats
from ncbounds.geometry.free_features import ROUNDING, Task
from ncbounds.geometry.least_budget import Bracket

#: Logits are made larger by no more than this to reach a focal loss, to this relative precision.
_LARGEST = 1e6
_CLOSE = 1e-9


def focal(c: Floats | float, gamma: float) -> Floats:
    """Focal loss of points of cross-entropy ``c``, in nats."""
    return np.asarray(c * (-np.expm1(-np.asarray(c))) ** gamma)


def _slope(c: float, gamma: float) -> float:
    u = -math.expm1(-c)
    return float(u ** (gamma - 1) * (u + gamma * c * math.exp(-c)))


def _end(gamma: float) -> float:
    """Where the slope first is 1, rounded down: any earlier tangent is a lower limit as well."""
    if gamma == 0:
        return math.inf
    end = optimize.brentq(lambda c: _slope(c, gamma) - 1, 1e-9, 2 + math.log1p(gamma))
    return float(end) * (1 - 1e-9)


def envelope(c: float, gamma: float) -> float:
    """Largest convex function of the cross-entropy that is at most the focal loss, at ``c``."""
    end = _end(gamma)
    if c <= end:
        return float(focal(c, gamma))
    return float(focal(end, gamma)) + _slope(end, gamma) * (c - end)


def cross_entropy_of(loss: float, gamma: float) -> float:
    """Largest mean cross-entropy of points of this mean focal loss, rounded up.

    Parameters
    ----------
    loss : float
        Mean focal loss, at least 0.
    gamma : float
        At least 0; for 0 the two are one.
    """
    if not (loss > 0 and gamma > 0 and math.isfinite(loss)):
        return loss
    end = _end(gamma)
    most = float(focal(end, gamma))
    if loss >= most:
        return (end + (loss - most) / _slope(end, gamma)) * (1 + ROUNDING)
    wanted = math.log(loss)

    def above(x: float) -> float:  # in logarithms: losses are as small as one wants
        c = math.exp(x)
        return x + gamma * math.log(-math.expm1(-c)) - wanted

    root = optimize.brentq(above, wanted / (1 + gamma) - 1, math.log(end), xtol=1e-15, rtol=1e-14)
    return math.exp(root) * (1 + 100 * ROUNDING)


def scaled(task: Task, found: Bracket, loss: float, gamma: float) -> Bracket:
    """Bracket whose logits, one row per group, are scaled until they have a focal loss.

    The upper end is infinite where a row does not favour its own class.
    """

    def missed(scale: float) -> bool:
        c = task.loss.tangent(scale * found.logits, task.target)[0]
        return task.mean(focal(c, gamma)) > loss

    low = high = 1.0
    while missed(high):
        low, high = high, 2 * high
        if high > _LARGEST:
            return found._replace(upper=math.inf)
    while high - low > _CLOSE * high:
        middle = (low + high) / 2
        low, high = (middle, high) if missed(middle) else (low, middle)
    return found._replace(upper=high * found.upper, logits=high * found.logits)
