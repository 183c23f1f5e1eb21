"""Tight two-moment bounds of all classes of a sample."""

import sys
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ncbounds.bounds.distribution._margin_moments import MarginMoments
from ncbounds.linear_head import Floats, Ints
from ncbounds.numerics import two_moment_bound


class Effort(NamedTuple):
    """When to stop: at a relative gap between upper and lower value, or after so many steps."""

    gap: float
    iterations: int


#: For at most so many classes; a bound is valid wherever it stops.
FULL = Effort(1e-6, 500)
EFFORT = ((20, FULL), (200, Effort(1e-3, 20)))
LEAST = Effort(1e-3, 2)


def effort(classes: int, gap: float | None = None, iterations: int | None = None) -> Effort:
    """When to stop with so many classes; what is given wins, a gap alone takes all steps."""
    usual = next((chosen for most, chosen in EFFORT if classes <= most), LEAST)
    if gap is not None:
        usual = Effort(gap, FULL.iterations)
    return usual if iterations is None else usual._replace(iterations=iterations)


def tight(
    moments: MarginMoments, dim: int, gap: float | None = None, iterations: int | None = None
) -> tuple[Floats, Floats, Ints]:
    """Upper values, certified lower values and iterations of every class, (classes,) each.

    Parameters
    ----------
    moments : MarginMoments
    dim : int
        Dimension of the features, which limits the rank of the covariances.
    gap, iterations : optional
        When to stop; see :func:`effort`.
    """
    upper, lower = np.ones(moments.classes), np.ones(moments.classes)
    steps = np.zeros(moments.classes, dtype=np.int64)
    stop = effort(moments.classes, gap, iterations)
    for c in progress(np.flatnonzero(moments.usable).tolist()):
        rank = min(moments.rivals, dim, int(moments.counts[c]) - 1)
        found = two_moment_bound(
            moments.means[c],
            moments.covariance(c),
            tol=stop.gap,
            max_iter=stop.iterations,
            rank=rank,
        )
        upper[c], lower[c], steps[c] = found.value, found.lower, found.iterations
    return upper, lower, steps


def progress(classes: list[int]) -> Iterable[int]:
    """The same classes, with a bar on a terminal where there are many of them."""
    if len(classes) <= EFFORT[-1][0] or not sys.stderr.isatty():
        return classes
    from rich.console import Console
    from rich.progress import track

    return track(classes, "two-moment bounds", console=Console(stderr=True), transient=True)
