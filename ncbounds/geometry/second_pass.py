"""The second pass over a sample's features, made once for all measures and bounds."""

from weakref import WeakKeyDictionary

from ncbounds.evidence.sample import Sample
from ncbounds.statistics.pair_moments import PairwiseMoments, pairwise_moments

_KEPT: WeakKeyDictionary[Sample, PairwiseMoments] = WeakKeyDictionary()


def second_pass(sample: Sample) -> PairwiseMoments:
    """Moments of all pairs of classes of ``sample``, kept as long as the sample is.

    Raises
    ------
    InvalidSample
        If a feature is not finite.
    """
    kept = _KEPT.get(sample)
    if kept is None:
        kept = pairwise_moments(sample.features, sample.labels, sample.moments)
        _KEPT[sample] = kept
    return kept
