"""A certificate for few-shot nearest class mean from disjoint blocks of held-out points."""

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.bound import bound
from ncbounds.bounds.collapse._blocks import blocks_formula, blocks_restated
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.averages import Weighted
from ncbounds.claims.few_shot import FewShot
from ncbounds.numerics import probability_up
from ncbounds.statistics.nearest import not_nearest

#: Seeded partitions whose mean is taken; fixed, since any number is valid.
PARTITIONS = 20
SEED = 71
#: Numbers held at a time: blocks are processed in slices of about this size.
CHUNK = 4_000_000


@bound(
    family="collapse",
    kind="certificate",
    role="head",
    target="few-shot",
    requires=(),
    variants=({"m": 5}, {"m": 1}),
    references=("hoeffding1963",),
    decreasing_in=("delta",),
    invariant_to=("rotation", "translation", "feature scale", "head scale"),
    restated=blocks_restated,
    formula=blocks_formula,
)
def ncm_blocks(view: View, delta: float, m: int) -> Outcome:
    r"""Bound the m-shot error of nearest class mean by disjoint blocks of m shots and a query.

    Let :math:`B = \lfloor \min_c n_c / (m+1) \rfloor`. A partition permutes every class and cuts it
    into B disjoint blocks, each with m shots and one query of every class; a block's loss is the
    share of its C queries that are not strictly nearest to their own class's mean of m shots. With
    :math:`\bar U` the mean loss over all blocks of a fixed number of seeded partitions, with
    probability at least :math:`1-\delta`

    .. math::
        \mathrm{err}_m \le \max\{p \ge \bar U : \mathrm{kl}(\bar U \| p) \le \ln(1/\delta)/B\} .

    Shapes: features (n, d), labels (n,). The head is not read.

    Role: ``head`` or ``holdout``, because the features must not depend on the sample.

    Assumptions: none beyond the draw; given the labels, the points of each class are independent
    draws from it, for samples drawn at random as for those drawn class by class. The error is the
    uniform average over classes; m is finite and every m is a row of its own.

    Source: Hoeffding 1963 [1]_ , Theorem 1 in its first form and section 5 on averages over
    permutations.

    When vacuous: for few points in the smallest class; at no errors it is
    :math:`1-\delta^{1/B}`, and undefined for B = 0.

    Notes
    -----
    The moment generating function of the mean over partitions is at most the average of those of
    single partitions, by convexity; each of these is a mean of B independent variables in [0, 1].
    So the number of partitions costs nothing.
    """
    sample = view.sample
    classes = len(sample.counts)
    blocks = int(sample.counts.min()) // (m + 1)
    claim = Weighted(np.full(classes, 1.0 / classes), FewShot(m))
    if blocks == 0:
        smallest = int(sample.counts.min())
        return Outcome(
            value=np.nan,
            n=0,
            reasons=(f"a class has {smallest} points, {m} shots and a query need {m + 1}",),
            claim=claim,
        )
    mean = _mean_loss(view, m, blocks)
    value = blocks_formula(mean, blocks, delta)
    return Outcome(
        value=value,
        n=blocks,
        terms={"empirical": mean, "confidence": value - mean},
        details={"blocks": blocks, "partitions": PARTITIONS},
        claim=claim,
    )


def _mean_loss(view: View, m: int, blocks: int) -> float:
    f = np.asarray(view.sample.features, dtype=np.float64)
    classes = len(view.sample.counts)
    # the rule ignores a common shift; taking it out keeps squared distances accurate
    f = f - np.nan_to_num(f.mean(axis=0), nan=0.0, posinf=0.0, neginf=0.0)
    members = [np.flatnonzero(view.sample.labels == c) for c in range(classes)]
    rng = np.random.default_rng(SEED)
    step = max(1, CHUNK // (classes * (classes + (m + 1) * f.shape[1])))
    wrong = 0
    for _ in range(PARTITIONS):
        picked = np.stack([rng.permutation(rows)[: blocks * (m + 1)] for rows in members])
        picked = picked.reshape(classes, blocks, m + 1)
        for start in range(0, blocks, step):
            wrong += _wrong(f, picked[:, start : start + step])
    return float(probability_up(wrong / (PARTITIONS * blocks * classes))) if wrong else 0.0


def _wrong(f: Floats, picked: Ints) -> int:
    """Count queries that are not strictly nearest; ``picked`` has shape (C, blocks, m + 1)."""
    points = f[picked.transpose(1, 0, 2)]
    return int(not_nearest(points[:, :, -1], points[:, :, :-1].mean(axis=2)).sum())
