"""What certificates share that average losses over disjoint, independent blocks."""

import math

from ncbounds.bounds.restate import NotExplicit
from ncbounds.numerics import kl_upper, up
from ncbounds.results import BoundResult


def blocks_formula(loss: float, blocks: int, delta: float) -> float:
    """Largest p with ``blocks kl(loss || p) <= ln(1/delta)``, rounded up.

    Parameters
    ----------
    loss : float in [0, 1]
        Mean loss, possibly over several partitions into blocks.
    blocks : int
        Disjoint blocks of one partition.
    delta : float in (0, 1)
    """
    return float(kl_upper(loss, up(-math.log(delta) / blocks, 4)))


def blocks_restated(row: BoundResult, n: int, delta: float) -> float:
    """Value at another delta; the number of blocks is not a number of points."""
    if n != row.n:
        raise NotExplicit("its n counts blocks or tasks, not points")
    if "empirical" not in row.terms:
        raise NotExplicit("there are too few classes or points for one block")
    return blocks_formula(row.terms["empirical"], n, delta)
