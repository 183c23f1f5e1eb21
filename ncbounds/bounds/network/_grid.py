"""The grid that data-dependent constants are rounded to, and what a grid point costs.

A bound that is uniform over a class needs the class fixed beforehand; norms and margins are read
off the trained network. Each is therefore rounded outward to ``2^(k/4)`` with a whole number k, and
the union over all k is paid: weights ``1 / (2 (|k|+1) (|k|+2))`` sum to 3/4.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

#: Points per octave, and the least index of a norm: smaller ones are raised to 2^-20.
PER_OCTAVE = 4
LEAST_INDEX = -20 * PER_OCTAVE


class GridPoint(NamedTuple):
    """A rounded constant and its index k."""

    k: int
    value: float

    @property
    def price(self) -> float:
        """Nats that the union over indices costs."""
        return price(self.k)


def price(index: int) -> float:
    """``ln(2 (|k|+1) (|k|+2))``."""
    return math.log(2.0 * (abs(index) + 1) * (abs(index) + 2))


def grid_value(index: int) -> float:
    """``2^(k/4)``."""
    return float(2.0 ** (index / PER_OCTAVE))


def rounded_up(norm: float) -> GridPoint:
    """Smallest grid point that is no smaller than a norm.

    Raises
    ------
    ArithmeticError
        If the norm is not finite.
    """
    if not math.isfinite(norm):
        raise ArithmeticError(f"a norm is {norm}")
    if norm <= grid_value(LEAST_INDEX):
        return GridPoint(LEAST_INDEX, grid_value(LEAST_INDEX))
    index = math.ceil(PER_OCTAVE * math.log2(norm)) - 1
    while grid_value(index) < norm:
        index += 1
    return GridPoint(index, grid_value(index))


def all_rounded_up(norms: Iterable[float]) -> list[GridPoint]:
    """Round several norms up."""
    return [rounded_up(float(norm)) for norm in norms]


def total_price(points: Iterable[GridPoint]) -> float:
    """Sum of prices."""
    return math.fsum(point.price for point in points)


def margin_indices(largest: float, per_octave: int = PER_OCTAVE) -> range:
    """Indices of margins that are worth trying, from 2^-30 to 4 times the largest margin."""
    if not (math.isfinite(largest) and largest > 0):
        return range(0)
    top = math.ceil(per_octave * math.log2(largest))
    return range(top - 30 * per_octave, top + 2 * per_octave + 1)
