"""Mean and variance of the few-shot gap from class moments, and the inequalities on them.

For a query z of class i and m-shot class means of classes i and j, the gap is
``Z = ||z - mean_j||^2 - ||z - mean_i||^2``; nearest class mean prefers j, or ties, iff ``Z <= 0``.
Arrays over ordered pairs have shape (C, C), entry [i, j] for query class i and rival j; their
diagonals carry no meaning.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.averages import Weighted, WorstClass
from ncbounds.claims.claim import Claim
from ncbounds.evidence.asked import WORST
from ncbounds.evidence.decision import Decision
from ncbounds.evidence.sample import Sample
from ncbounds.geometry.second_pass import second_pass
from ncbounds.statistics.pair_moments import PairwiseMoments
from ncbounds.statistics.unbiased import PairEstimates, estimate

Moments = Literal["corrected", "plug-in"]

#: Reason of every row that puts estimates into a statement about population moments.
ESTIMATED = "moments estimated"
#: Most pairs of classes that a row names.
NAMED_PAIRS = 5


def pair_moments(sample: Sample, moments: Moments) -> PairEstimates:
    """Moments of all pairs of classes of ``sample``: bias-corrected, or those of the points.

    The second pass over the features is kept as long as the sample is, since several rows read it.

    Raises
    ------
    InvalidSample
        If a feature is not finite.
    """
    kept = second_pass(sample)
    return estimate(kept) if moments == "corrected" else empirical(kept)


def over_classes(
    view: View,
    per: str,
    per_class: Floats,
    claim: Claim,
    *,
    own: Floats | None = None,
    reasons: tuple[str, ...] = (),
    details: Mapping[str, Any] | None = None,
) -> Outcome:
    """Outcome of a row that has a value for every class, shape (C,): their average, or the largest.

    ``own`` are the class weights of the row where nothing else is asked, by default the sample's
    frequencies.
    """
    found = {"per class": per_class, **(details or {})}
    if per == WORST:
        worst = int(np.argmax(per_class))  # nan, if there is one
        return Outcome(
            value=float(per_class[worst]),
            n=view.sample.n,
            reasons=reasons,
            details=found,
            claim=WorstClass(worst, len(per_class), claim),
        )
    weights = view.sample.counts / view.sample.n if own is None else own
    if per != "sample":
        weights = view.class_weights(per)
    return Outcome(
        value=float(weights @ per_class),
        n=view.sample.n,
        reasons=reasons,
        details=found,
        claim=Weighted(weights, claim, "" if per == "sample" else per),
    )


def empirical(moments: PairwiseMoments) -> PairEstimates:
    """Moments of the law that puts mass 1/n_c on each point of class c: biased, as published."""
    n = np.where(moments.count > 0, moments.count, np.nan).astype(np.float64)
    shrink = (n - 1.0) / n
    variance = moments.variance * shrink
    products = moments.trace_products * np.outer(shrink, shrink)
    own = moments.spread * shrink[:, None]
    # kap_c has the factor n/((n-1)(n-2)), the mean over the points 1/n
    kap_shrink = shrink * (n - 2.0) / n
    few = np.flatnonzero(~(moments.count >= 3))
    return PairEstimates(
        variance=variance,
        variance_squared=variance**2,
        trace_of_square=np.diag(products),
        fourth=moments.fourth * shrink,
        trace_products=products,
        dist2=moments.dist2,
        own=own,
        rival=own.T,
        rival_skew=-moments.skew.T * kap_shrink[None, :],
        usable=moments.count >= 3,
        reasons=(
            *moments.reasons,
            *((f"{len(few)} classes have fewer than 3 points",) if len(few) else ()),
        ),
    )


def gap_mean(p: PairEstimates, m: float) -> Floats:
    """``E Z = ||D||^2 + (v_j - v_i)/m``, shape (C, C); m may be infinite."""
    mean: Floats = p.dist2 + (p.variance[None, :] - p.variance[:, None]) / m
    return mean


def gap_variance(p: PairEstimates, m: float) -> Floats:
    """``Var Z`` for independent query and shots, shape (C, C); exact for every m >= 1.

    The squared distance of a mean of m shots from its expectation has the variance
    ``[M4 - v^2 + 2 (m-1) tr Sigma^2] / m^3``; of all covariances between the parts of Z one is not
    zero, ``4 D' kap_j / m^2`` with ``kap = E (z - mu) ||z - mu||^2``.
    """
    square = p.trace_of_square
    spread = (p.fourth - p.variance_squared) / m**3 + 2.0 * square * (1.0 / m**2 - 1.0 / m**3)
    variance: Floats = (
        4.0 * p.own
        + (4.0 / m) * (p.rival + square[:, None] + p.trace_products)
        + spread[:, None]
        + spread[None, :]
        + (4.0 / m**2) * p.rival_skew
    )
    return variance


def cantelli(mean: Floats, variance: Floats) -> Floats:
    """Largest ``P(Z <= 0)`` for that mean and variance: ``Var/(Var + mean^2)``, 1 if mean <= 0.

    A negative variance, which an estimate can be, gives 1; nan stays nan.
    """
    ratio = gap_in_deviations(mean, variance)
    with np.errstate(over="ignore"):
        tail = np.where(mean > 0, 1.0 / (1.0 + ratio**2), 1.0)
    tail = np.where(variance < 0, 1.0, tail)
    return np.where(np.isnan(ratio), np.nan, tail)


def gap_in_deviations(mean: Floats, variance: Floats) -> Floats:
    """``mean / sqrt(variance)``; without spread ``inf``, or ``-inf`` for mean <= 0; nan stays."""
    deviation = np.sqrt(np.maximum(variance, 0.0))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(deviation > 0, mean / deviation, np.where(mean > 0, np.inf, -np.inf))
    return np.where(np.isnan(mean) | np.isnan(variance), np.nan, ratio)


def without_separation(pairs: Floats, p: PairEstimates) -> Floats:
    """``pairs`` with 1 wherever the squared distance of the two class means came out <= 0."""
    return np.where(p.dist2 <= 0, 1.0, pairs)


def class_union(pairs: Floats) -> Floats:
    """``min(1, sum_{j != i} pairs_ij)`` per class i, shape (C,); nan stays nan."""
    each: Floats = np.minimum(1.0, off_diagonal(pairs).sum(axis=1))
    return each


def off_diagonal(pairs: Floats) -> Floats:
    """Entries [i, j != i] of a (C, C) array, shape (C, C - 1)."""
    c = len(pairs)
    keep: NDArray[np.bool_] = ~np.eye(c, dtype=bool)
    return pairs[keep].reshape(c, c - 1)


def pair_reasons(p: PairEstimates, decision: Decision) -> tuple[str, ...]:
    """What the estimates had to do without, in words for the table."""
    lost = (p.dist2 <= 0) & ~np.eye(len(p.dist2), dtype=bool)
    pairs = [(int(i), int(j)) for i, j in np.argwhere(lost) if i < j]
    if not pairs:
        return p.reasons
    named = ", ".join(f"{decision.name(i)}-{decision.name(j)}" for i, j in pairs[:NAMED_PAIRS])
    more = ", ..." if len(pairs) > NAMED_PAIRS else ""
    return (*p.reasons, f"{len(pairs)} pairs of classes are not separated: {named}{more}")
