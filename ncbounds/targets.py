"""Measured error on the test sample, for each target that a row can speak about."""

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import InvalidSample
from ncbounds.evidence import Evidence
from ncbounds.linear_head import Floats, Ints, LinearHead
from ncbounds.numerics import binomial_interval, kl_interval
from ncbounds.results import Measured
from ncbounds.samples.sample import Sample

#: Draws, queries per draw (over all classes) and seed of the measured few-shot error.
FEW_SHOT_DRAWS = 100
FEW_SHOT_QUERIES = 2000
FEW_SHOT_SEED = 20_220_518
LEVEL = 0.95

_DRAWS: WeakKeyDictionary[Sample, dict[int, Floats]] = WeakKeyDictionary()


def measured_error(
    evidence: Evidence,
    target: str,
    *,
    head: LinearHead | None = None,
    weights: Floats | None = None,
    params: "dict[str, Any] | None" = None,
    label_noise: float = 0.0,
) -> Measured | None:
    """Measure on ``evidence.test`` the error that a row speaks about; None without a test sample.

    Parameters
    ----------
    evidence : Evidence
    target : str
        One of :data:`ncbounds.results.Target`.
    head : LinearHead, optional
        The classifier of the row, if not the saved one.
    weights : array of shape (C,), optional
        Class weights of the error; by default the test sample's own frequencies.
    params : dict, optional
        The row's parameters (``m`` for few-shot).
    label_noise : float
        Noise rate of the sample that the bound read; another rate on test makes the row
        incomparable, which is said in the reasons.
    """
    test = evidence.test
    if test is None or test.n == 0:
        return None
    reasons: tuple[str, ...] = ()
    if abs(test.label_noise - label_noise) > 1e-12:
        reasons = (
            f"not comparable: label noise {label_noise:g} in the bound's sample, "
            f"{test.label_noise:g} in test",
        )
    if target == "few-shot":
        shots = (params or {}).get("m")
        if not isinstance(shots, int):
            raise InvalidSample(f"a few-shot row needs a finite number of shots m, found {shots}")
        found = few_shot_error(test, shots, weights)
    elif target == "unseen-classes":
        return None
    elif target == "compressed":
        predicted = None if evidence.code_word is None else evidence.code_word.on("test")
        if predicted is None:
            return None
        found = counted_error(test, predicted != test.labels, weights)
    else:
        found = head_error(test, evidence.head if head is None else head, weights)
    return Measured(found.error, found.low, found.high, (*found.reasons, *reasons))


def head_error(test: Sample, head: LinearHead, weights: Floats | None = None) -> Measured:
    """Error of a linear head on ``test``, with its interval as in :func:`counted_error`."""
    return counted_error(test, ~(test.margins(head) > 0), weights)


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


def few_shot_error(test: Sample, shots: int, weights: Floats | None = None) -> Measured:
    """Mean error of nearest class mean from ``shots`` points per class, over seeded draws.

    Every draw takes its shots, and then its queries, from a fresh permutation of each class of
    ``test``. The interval is the two-sided kl interval for the number of disjoint blocks that the
    sample holds; the spread over draws understates the uncertainty, since draws share points.
    """
    w = test.counts / test.n if weights is None else np.asarray(weights, dtype=np.float64)
    if len(w) != test.classes:
        return Measured(
            np.nan, 0.0, 1.0, (f"the row has {len(w)} classes, the test sample {test.classes}",)
        )
    smallest = int(test.counts.min())
    if smallest < shots + 1:
        return Measured(np.nan, 0.0, 1.0, (f"a class has {smallest} test points",))
    errors = _few_shot_draws(test, shots) @ w
    mean, blocks = float(errors.mean()), smallest // (shots + 1)
    low, high = kl_interval(mean, blocks, LEVEL)
    spread = errors.std(ddof=1) / np.sqrt(FEW_SHOT_DRAWS)
    reason = f"{FEW_SHOT_DRAWS} draws (s.e. {spread:.1g}), interval for {blocks} blocks"
    return Measured(mean, float(low), float(high), (reason,))


def _few_shot_draws(test: Sample, shots: int) -> Floats:
    """Per-class errors of each draw, shape (draws, classes); computed once per sample and kept."""
    kept = _DRAWS.setdefault(test, {})
    if shots not in kept:
        f = np.asarray(test.features, dtype=np.float64)
        finite = np.isfinite(f).all(axis=1)
        f = f - f[finite].mean(axis=0) if finite.any() else f
        members = [np.flatnonzero(test.labels == c) for c in range(test.classes)]
        queries = max(FEW_SHOT_QUERIES // test.classes, 20)
        rng = np.random.default_rng(FEW_SHOT_SEED)
        kept[shots] = np.stack(
            [_one_draw(f, members, shots, queries, rng) for _ in range(FEW_SHOT_DRAWS)]
        )
    return kept[shots]


def _one_draw(
    f: Floats, members: list[Ints], shots: int, queries: int, rng: np.random.Generator
) -> Floats:
    drawn = [rng.permutation(m)[: shots + queries] for m in members]
    # a non-finite query is an error; a non-finite shot spoils its class mean, so the whole draw
    with np.errstate(invalid="ignore", over="ignore"):
        return _class_errors(f, drawn, shots)


def _class_errors(f: Floats, drawn: list[Ints], shots: int) -> Floats:
    means = np.stack([f[d[:shots]].mean(axis=0) for d in drawn])
    asked = f[np.concatenate([d[shots:] for d in drawn])]
    truth = np.repeat(np.arange(len(drawn)), [len(d) - shots for d in drawn])
    # ||f - mean||^2 up to the point's own norm, which all classes share
    distance = np.einsum("ij,ij->i", means, means) - 2.0 * (asked @ means.T)
    rows = np.arange(len(truth))
    own = distance[rows, truth]
    distance[rows, truth] = np.inf
    # a tie is an error, and a gap below rounding counts as one
    wrong = ~(own < distance.min(axis=1) - 1e-12 * np.einsum("ij,ij->i", asked, asked))
    counts = np.bincount(truth, minlength=len(drawn))
    misses = np.bincount(truth, weights=wrong, minlength=len(drawn))
    shares: Floats = misses / np.maximum(counts, 1)
    return shares
