"""Errors counted on the test sample, with exact intervals."""

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import binomial_interval, down, weighted_error_upper
from ncbounds.numerics.binomial import side_of_level
from ncbounds.results import Measured

LEVEL = 0.95


def counted_error(
    test: Sample, wrong: NDArray[np.bool_], weights: Floats | None = None
) -> Measured:
    """Share of ``wrong`` rows of ``test``, shape (n,), with its exact two-sided 95 % interval.

    With ``weights`` that differ from the sample's class frequencies, per-class errors are weighted
    and the ends are those of :func:`~ncbounds.numerics.weighted_error_upper` at 2.5 % each.
    """
    classes = test.classes if weights is None else max(test.classes, len(weights))
    counts = np.pad(test.counts, (0, classes - test.classes))
    weights = None if weights is None else np.pad(weights, (0, classes - len(weights)))
    if weights is None or np.allclose(weights, counts / test.n, rtol=0.0, atol=1e-12):
        k = int(wrong.sum())
        low, high = binomial_interval(k, test.n, LEVEL)
        return Measured(k / test.n, float(low), float(high))
    per_class = np.bincount(test.labels[wrong], minlength=classes)
    if (counts[weights > 0] == 0).any():
        return Measured(np.nan, 0.0, 1.0, ("a class with weight has no test point",))
    # each end is a limit of the average of its own, at half of what is left
    half = side_of_level(LEVEL)
    total = weights / weights.sum()
    high = weighted_error_upper(per_class, counts, total, half)
    low = float(down(1.0 - weighted_error_upper(counts - per_class, counts, total, half)))
    error = float(weights @ (per_class / np.maximum(counts, 1)))
    return Measured(error, max(0.0, low), high, ("test error re-weighted to the sample",))
