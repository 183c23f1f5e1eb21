"""Tight two-moment bounds of all classes of a sample."""

import sys
from collections.abc import Iterable

import numpy as np

from ncbounds.bounds.distribution._margin_moments import MarginMoments
from ncbounds.linear_head import Floats, Ints
from ncbounds.numerics import two_moment_bound

#: Classes at most, relative gap between upper and lower value at which to stop, iterations at
#: most; beyond all of them :data:`MANY`. A bound is valid wherever it stops.
EFFORT = ((20, 1e-6, 500), (200, 1e-3, 20))
MANY = (1e-3, 2)


def effort(
    classes: int, gap: float | None = None, iterations: int | None = None
) -> tuple[float, int]:
    """Relative gap at which to stop, and iterations at most, for each of so many classes.

    What is given wins; with a gap alone the iterations are those of few classes.
    """
    usual = next((tuple(rest) for most, *rest in EFFORT if classes <= most), MANY)
    patience = usual[1] if gap is None else EFFORT[0][2]
    return (
        usual[0] if gap is None else gap,
        int(patience if iterations is None else iterations),
    )


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
    tol, most = effort(moments.classes, gap, iterations)
    for c in progress(np.flatnonzero((moments.distances > 0).all(axis=1)).tolist()):
        rank = min(moments.rivals, dim, int(moments.counts[c]) - 1)
        found = two_moment_bound(
            moments.means[c], moments.covariance(c), tol=tol, max_iter=most, rank=rank
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
