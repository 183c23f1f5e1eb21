"""Rows and points that stand in two roles."""

from itertools import combinations

import numpy as np

from ncbounds.errors import OverlapError
from ncbounds.evidence.roles import Role
from ncbounds.evidence.sample import Sample

#: Share of distinct points from which on equal points in two roles are taken for the same rows.
MOSTLY_DISTINCT = 0.95


def check_rows(samples: dict[Role, Sample]) -> None:
    """Raise OverlapError if one source row, or most points, stand in two roles."""
    for (one, a), (other, b) in combinations(samples.items(), 2):
        if a.rows is None or b.rows is None:
            _check_arrays(one, a, other, b)
            continue
        both = np.intersect1d(a.rows, b.rows)
        if len(both):
            raise OverlapError(
                f"{len(both)} rows have two roles, {one!r} and {other!r} (row {both[0]} is one); "
                "give every row one role, e.g. fit = '0:4000', holdout = '4000:8000'"
            )


def _check_arrays(one: str, a: Sample, other: str, b: Sample) -> None:
    """Without row ids, notice that most points of one role stand in another as well.

    A law with few distinct features repeats them by chance; so a sample whose points repeat within
    itself is left alone.
    """
    first, second = a.distinct_points, b.distinct_points
    if min(len(first) / max(a.n, 1), len(second) / max(b.n, 1)) < MOSTLY_DISTINCT:
        return
    both = len(np.intersect1d(first, second, assume_unique=True))
    if both > 0.5 * min(len(first), len(second)):
        raise OverlapError(
            f"{both} points have two roles, {one!r} and {other!r}: their features are equal; "
            "split the data, or pass rows= ids if these are different rows"
        )
