"""Tight two-moment bounds of all classes of a sample."""

import sys
from collections.abc import Iterable

import numpy as np

from ncbounds.bounds.distribution._margin_moments import MarginMoments
from ncbounds.linear_head import Floats, Ints
from ncbounds.numerics import two_moment_bound

#: With more classes than this the iteration stops early, after two steps; still a valid bound.
MANY_CLASSES = 200
FEW_ITERATIONS = 2
ITERATIONS = 500
GAP = 1e-6


def steps(classes: int) -> int:
    """Iterations at most for each of so many classes."""
    return ITERATIONS if classes <= MANY_CLASSES else FEW_ITERATIONS


def tight(moments: MarginMoments, dim: int) -> tuple[Floats, Floats, Ints]:
    """Upper values, certified lower values and iterations of every class, (classes,) each.

    Parameters
    ----------
    moments : MarginMoments
    dim : int
        Dimension of the features, which limits the rank of the covariances.
    """
    upper, lower = np.ones(moments.classes), np.ones(moments.classes)
    iterations = np.zeros(moments.classes, dtype=np.int64)
    most = steps(moments.classes)
    for c in progress(np.flatnonzero((moments.distances > 0).all(axis=1)).tolist()):
        rank = min(moments.rivals, dim, int(moments.counts[c]) - 1)
        found = two_moment_bound(
            moments.means[c], moments.covariance(c), tol=GAP, max_iter=most, rank=rank
        )
        upper[c], lower[c], iterations[c] = found.value, found.lower, found.iterations
    return upper, lower, iterations


def progress(classes: list[int]) -> Iterable[int]:
    """The same classes, with a bar on a terminal where there are many of them."""
    if len(classes) <= MANY_CLASSES or not sys.stderr.isatty():
        return classes
    from rich.console import Console
    from rich.progress import track

    return track(classes, "two-moment bounds", console=Console(stderr=True), transient=True)
