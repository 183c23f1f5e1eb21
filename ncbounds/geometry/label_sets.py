"""Points with sets of labels: the distinct sets, and the means of the points of each."""

from dataclasses import replace

import numpy as np

from ncbounds.arrays import Bools, Floats, Ints
from ncbounds.errors import InvalidSample
from ncbounds.evidence.sample import Sample
from ncbounds.statistics.rows import as_rows, blocks_of
from ncbounds.statistics.shifted_sums import ShiftedSums

#: Numbers in an array with a row for each set.
LARGEST = 1 << 27


def distinct_sets(indicators: Bools) -> tuple[Bools, Ints]:
    """Distinct rows of indicators (n, L), as booleans (T, L), and which of them each row is, (n,).

    They are in ascending order, the first label counting most.
    """
    packed = np.packbits(indicators, axis=1)  # an eighth of what sorting whole rows would take
    distinct, group = np.unique(packed, axis=0, return_inverse=True)
    found = np.unpackbits(distinct, axis=1, count=indicators.shape[1]).astype(np.bool_)
    return found, group.reshape(-1).astype(np.int64)


def means_of_groups(features: object, group: Ints, groups: int) -> tuple[Ints, Floats, float]:
    """Counts (T,) and feature means (T, d) of groups 0..T-1, and the scatter about their means.

    One pass over blocks of the features (n, d), in memory of order T d; the mean of an empty group
    is nan.

    Raises
    ------
    InvalidSample
        If a feature is not finite.
    """
    rows = as_rows(features)
    n, dim = rows.shape
    sums = ShiftedSums(groups, dim, scatter=False)
    for part in blocks_of(n, dim):
        block = np.empty((part.stop - part.start, dim))
        block = rows.read(part.start, part.stop, block)
        if not np.isfinite(block).all():
            raise InvalidSample(
                "features hold NaN or infinite values, and means of them do not exist; find the "
                "rows with ~numpy.isfinite(features).all(axis=1)"
            )
        sums.add(block, group[part])
    found = sums.centred()
    return found.rows, found.mean, float(found.trace.sum())


def single_label_points(sample: Sample) -> Sample:
    """Points of a sample of several labels that have exactly one, as a sample of classes.

    Their features are read from ``sample`` when they are needed.

    Raises
    ------
    InvalidSample
        If the sample has one label a point.
    """
    if sample.indicators is None:
        raise InvalidSample("the sample has one label a point already")
    index = np.flatnonzero(sample.indicators.sum(axis=1) == 1)
    labels = sample.indicators[index].argmax(axis=1).astype(np.int64)
    return replace(sample.part(index), indicators=None, labels=labels)
