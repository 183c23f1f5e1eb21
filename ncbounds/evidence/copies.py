r"""Points that stand more than once: inside a sample, or in two roles.

Two rows are the same point if their features are equal once rounded to float32, or their inputs
are equal where these were hashed. A law without atoms never repeats a point, so that repeats are
copies; a law with atoms (dead features, counts, few distinct rows) repeats points by itself.

Where the repeats of a sample of n points are declared to be those of such a law, the points that it
shares with N other points of the law have to fit to its own repeats. Of an atom of mass q,

.. math::
    P(\text{once in the one, and in the other}) &\le n q (1-q)^{n-1} \cdot N q , \\
    P(\text{more than once in the one}) &\ge \tbinom n2 q^2 (1-q)^{n-2} ,

so that **points which stand once in the one sample and also in the other are, on average, at most
2N/(n-1) times as many as points which stand in it more than once**, whatever the law. Where points
repeat rarely both counts are Poisson, and given their sum the first is binomial; it is taken for
more than chance where that tail is below :data:`LEVEL`, in either direction.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from ncbounds.errors import OverlapError
from ncbounds.evidence.roles import APART, Role
from ncbounds.evidence.sample import Sample

#: Share of a sample's points that may repeat, or stand in another role by chance, before that has
#: to be declared.
TOLERATED = 0.01
#: Tail below which points in two roles are not explained by the repeats inside one of them.
LEVEL = 1e-6

COPIED = "copies of points that are counted already"
#: Samples that some rows read together, and that have to be independent then.
READ_TOGETHER: dict[Role, tuple[Role, ...]] = {
    "unlabelled": ("holdout",),
    "target": ("holdout",),
}

Marks = NDArray[np.bool_]


class Shared(NamedTuple):
    """What two samples have in common.

    ``rows`` marks the rows of the first sample, boolean of shape (n,), whose point stands in the
    second; ``chance`` says whether repeats inside the samples explain as many.
    """

    rows: Marks
    chance: bool


_shared: WeakKeyDictionary[Sample, WeakKeyDictionary[Sample, Shared]] = WeakKeyDictionary()
_again: WeakKeyDictionary[Sample, Marks] = WeakKeyDictionary()


def repeated(sample: Sample) -> Marks:
    """Rows, boolean of shape (n,), whose point stands in an earlier row of the sample."""
    if sample not in _again:
        found = np.zeros(sample.n, dtype=np.bool_)
        for keys in (sample.points, sample.input_hashes):
            if keys is not None:
                later = np.ones(sample.n, dtype=np.bool_)
                later[np.unique(keys, return_index=True)[1]] = False
                found |= later
        _again[sample] = found
    return _again[sample]


def shared(one: Sample, other: Sample) -> Shared:
    """Compare two samples; computed once for each pair and kept."""
    kept = _shared.setdefault(one, WeakKeyDictionary())
    if other not in kept:
        rows = np.zeros(one.n, dtype=np.bool_)
        if one.points is not None and other.points is not None:
            rows |= np.isin(one.points, other.points)
        if one.input_hashes is not None and other.input_hashes is not None:
            rows |= np.isin(one.input_hashes, other.input_hashes)
        chance = not rows.any() or (_explained(one, other) and _explained(other, one))
        kept[other] = Shared(rows, chance)
    return kept[other]


def _explained(one: Sample, other: Sample) -> bool:
    """Whether points that stand once in ``one`` and also in ``other`` are as few as chance has."""
    if one.points is None or other.points is None:
        return False
    points, counts = np.unique(one.points, return_counts=True)
    alone = int(np.isin(points[counts == 1], other.points).sum())
    several = int((counts > 1).sum())
    share = 2 * other.n / (2 * other.n + max(one.n - 1, 1))
    return bool(bdtrc(alone - 1, alone + several, share) >= LEVEL)


def check_rows(samples: Mapping[Role, Sample]) -> None:
    """Raise OverlapError if one source row has two roles."""
    for (one, a), (other, b) in combinations(samples.items(), 2):
        if a.rows is None or b.rows is None:
            continue
        both = np.intersect1d(a.rows, b.rows)
        if len(both):
            raise OverlapError(
                f"{len(both)} rows have two roles, {one!r} and {other!r} (row {both[0]} is one); "
                "give every row one role, e.g. fit = '0:4000', holdout = '4000:8000'"
            )


def declared_copies(samples: Mapping[Role, Sample]) -> dict[Role, Marks]:
    """Rows to leave out, boolean of shape (n,), where repeated points are declared to be copies.

    Each point then counts once, in the first role that has it of those that have to be apart.
    """
    out: dict[Role, Marks] = {}
    for role, sample in samples.items():
        if sample.draw.repeats != "copies":
            continue
        again = repeated(sample)
        for other in (*APART[role], *READ_TOGETHER.get(role, ())):
            if other in samples:
                again = again | shared(sample, samples[other]).rows
        if again.any():
            out[role] = again
    return out
