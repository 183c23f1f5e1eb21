"""Errors counted on the test sample, with exact intervals."""

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import binomial_interval
from ncbounds.results import Measured

LEVEL = 0.95


def counted_error(
    test: Sample, wrong: NDArray[np.bool_], weights: Floats | None = None
) -> Measured:
    """Share of ``wrong`` rows of ``test``, shape (n,), with its exact two-sided 95 % interval.

    With ``weights`` that differ from the sample's class frequencies, per-class errors are weighted
    and the interval is the weighted sum of per-class intervals, each at 5 % / C.
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
    ends = [
        binomial_interval(int(k), int(n), 1 - (1 - LEVEL) / classes) if n else (0.0, 1.0)
        for k, n in zip(per_class, counts, strict=True)
    ]
    low, high = weights @ np.asarray(ends, dtype=np.float64)
    error = float(weights @ (per_class / np.maximum(counts, 1)))
    return Measured(error, float(low), float(high), ("test error re-weighted to the sample",))
