"""Tight two-moment bounds of all classes of a sample."""

import sys
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.distribution._margin_moments import MarginMoments
from ncbounds.numerics import two_moment_bound


class Effort(NamedTuple):
    """When to stop: at a relative gap between upper and lower value, or after so many steps."""

    gap: float
    iterations: int


#: For at most so many classes; a bound is valid wherever it stops.
FULL_CLASSES, FULL = 20, Effort(1e-6, 500)
#: For covariances of at most so high a rank, however many classes there are; and for the others.
SMALL_RANK, SMALL = 200, Effort(1e-3, 12)
LEAST = Effort(1e-3, 2)
#: A bar is shown for more classes than this.
MANY = 200


def effort(
    classes: int, points: int, gap: float | None = None, iterations: int | None = None
) -> Effort:
    """When to stop for a class of so many points; what is given wins, a gap takes all steps."""
    usual = SMALL if min(classes, points) <= SMALL_RANK else LEAST
    if classes <= FULL_CLASSES:
        usual = FULL
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
    for c in progress(np.flatnonzero(moments.usable).tolist()):
        points = int(moments.counts[c])
        stop = effort(moments.classes, points, gap, iterations)
        found = two_moment_bound(
            moments.means[c],
            moments.covariance(c),
            tol=stop.gap,
            max_iter=stop.iterations,
            rank=min(moments.rivals, dim, points - 1),
        )
        upper[c], lower[c], steps[c] = found.value, found.lower, found.iterations
    return upper, lower, steps


def progress(classes: list[int]) -> Iterable[int]:
    """The same classes, with a bar on a terminal where there are many of them."""
    if len(classes) <= MANY or not sys.stderr.isatty():
        return classes
    from rich.console import Console
    from rich.progress import track

    return track(classes, "two-moment bounds", console=Console(stderr=True), transient=True)
