r"""Adding up bounds that hold class by class.

A bound :math:`p_c \ge P(\mathrm{err} \mid c)` for every class gives, for any class probabilities
:math:`\pi` and the sample's own frequencies :math:`\hat\pi`,

.. math::
    \sum_c \pi_c P(\mathrm{err} \mid c)
    \le \sum_c \hat\pi_c p_c
        + \mathrm{TV}(\pi, \hat\pi) \, (\max_c p_c - \min_c p_c) .

Proof: both :math:`\pi` and :math:`\hat\pi` add up to 1, so
:math:`\sum_c (\pi_c - \hat\pi_c) p_c = \sum_c (\pi_c - \hat\pi_c)(p_c - \min p)`; dropping the
negative terms leaves at most :math:`(\max p - \min p) \sum_c (\pi_c - \hat\pi_c)_+`, and the last
sum is the total variation distance. It holds for every :math:`p`, also one that depends on the
sample.

Where class counts were fixed by design, the error weighted by :math:`\hat\pi` is the target and
the second term is absent. Otherwise the distance is bounded with probability
:math:`1 - \delta/10`: :math:`E \|\hat\pi - \pi\|_1 \le \sqrt{(C-1)/n}` (Cauchy and Schwarz on the
binomial variances) and McDiarmid's inequality with differences 2/n. The class
bounds share the rest, :math:`0.9\,\delta`.
"""

import math

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.numerics import up

#: Share of delta that pays for random class frequencies.
FREQUENCY_SHARE = 0.1


def class_delta(delta: float, classes: int, stratified: bool) -> float:
    """Failure probability of each class bound when ``classes`` of them are added up.

    Parameters
    ----------
    delta : float
        Of the whole row.
    classes : int
        All labels that the law can produce.
    stratified : bool
        Whether class counts were fixed by design.
    """
    return (delta if stratified else (1.0 - FREQUENCY_SHARE) * delta) / classes


def class_frequency_distance(classes: int, n: int, delta: float) -> float:
    """Bound the total variation distance of class frequencies from class probabilities.

    ``min(1, (sqrt((C-1)/n) + sqrt(2 ln(1/delta_w)/n)) / 2)`` at ``delta_w = delta/10``, rounded up.
    """
    mean = math.sqrt((classes - 1) / n)
    spread = math.sqrt(2.0 * -math.log(FREQUENCY_SHARE * delta) / n)
    return min(1.0, float(up(0.5 * (mean + spread), 8)))


def class_weighted(
    p_c: Floats, counts: Ints, n: int, delta: float, stratified: bool
) -> tuple[float, dict[str, float]]:
    """Bound the pooled error by per-class bounds, rounded up.

    Parameters
    ----------
    p_c : array of shape (C,)
        Bounds on ``P(err | c)``, jointly valid at ``C * class_delta(...)``; 1 for a class with too
        few points. Values above 1 count as 1.
    counts : integer array of shape (C,)
        Points per class; they add up to n.
    n : int
    delta : float
        Of the whole row, of which the class bounds used their part.
    stratified : bool
        Whether class counts were fixed by design; the value then bounds the error weighted by
        ``counts / n``.

    Returns
    -------
    value : float
    terms : dict
        ``"weighted classes"`` and ``"class frequencies"``; they add up to the value.
    """
    p = np.minimum(1.0, p_c)
    weighted = float(up(math.fsum(counts * p) / n, 2))
    spread = float(p.max() - p.min())
    frequencies = 0.0
    if not stratified and spread > 0:
        frequencies = float(up(class_frequency_distance(len(p), n, delta) * spread, 2))
    value = float(up(weighted + frequencies))
    return value, {"weighted classes": weighted, "class frequencies": frequencies}
