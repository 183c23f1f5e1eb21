"""Deviation terms of margin bounds that use Rademacher averages or transport, rounded up."""

from __future__ import annotations

import math

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import not_negative, positive, probability, whole
from ncbounds.numerics.rounding import up


def head_rademacher_slack(
    n: int,
    sum_sq: float,
    radius: float,
    gamma: float,
    delta: float,
    *,
    class_factor: float,
    level: int = 0,
) -> float:
    """Complexity and deviation of the ramp loss over all linear heads of bounded norm.

    ``4 radius sqrt(class_factor sum_sq) / (gamma n) + 3 sqrt(ln((k+1)(k+2)/delta) / (2n))``.

    Parameters
    ----------
    n
        Number of points.
    sum_sq
        Sum of the squared feature norms.
    radius
        Frobenius norm bound of the (centred) head.
    gamma
        Margin, positive.
    delta
        Failure probability in (0, 1).
    class_factor
        C, or C - 1 for centred heads.
    level
        Index k of the margin on its geometric grid.

    Raises
    ------
    InvalidArgument
        A number outside its range, nan or infinite.
    """
    n, level = whole("n", n, 1), whole("level", level)
    gamma, delta = positive("gamma", gamma), probability("delta", delta)
    norms = math.sqrt(positive("class_factor", class_factor))
    norms *= math.sqrt(not_negative("sum_sq", sum_sq))
    complexity = 4.0 * (not_negative("radius", radius) * norms) / gamma / n
    deviation = 3.0 * math.sqrt(math.log((level + 1) * (level + 2) / delta) / (2.0 * n))
    return float(up(complexity + deviation, 12))


def transport_slack(w1: float, n: int, delta: float, diameter: float) -> float:
    """Upper limit of the distance W1 between a law and its empirical law, from two halves.

    ``w1 + diameter sqrt((ln(1/delta)/2) [2 k (1/n + 1/k)^2 + (n - 2k)/n^2])``, ``k`` the size of
    each half.

    Parameters
    ----------
    w1
        Transport cost between two disjoint random halves of ``floor(n/2)`` points each.
    n
        Number of points, 2 or more.
    delta
        Failure probability in (0, 1).
    diameter
        A-priori diameter of the space.

    Raises
    ------
    InvalidArgument
        A number outside its range, nan or infinite.
    """
    n = whole("n", n, 2)
    return transport_slack_of_halves(w1, n, n // 2, delta, diameter)


def transport_slack_of_halves(w1: float, n: int, k: int, delta: float, diameter: float) -> float:
    """:func:`transport_slack` for halves of k points each, ``2 k <= n``."""
    n, k, delta = whole("n", n, 2), whole("k", k, 1), probability("delta", delta)
    w1, diameter = not_negative("w1", w1), not_negative("diameter", diameter)
    if k > n // 2:
        raise InvalidArgument(f"k is {k} of n = {n}; needed: halves of at most n/2 points")
    differences = 2.0 * k * (1.0 / n + 1.0 / k) ** 2 + (n - 2 * k) / (n * n)
    deviation = diameter * math.sqrt(-0.5 * math.log(delta) * differences)
    return float(up(w1 + deviation, 12))
