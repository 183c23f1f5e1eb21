"""A certificate for few-shot nearest class mean from disjoint blocks of held-out points."""

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.bound import bound
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.averages import Weighted
from ncbounds.claims.few_shot import FewShot
from ncbounds.numerics import partition_upper, probability_up
from ncbounds.statistics.nearest import not_nearest
from ncbounds.statistics.rows import Rows, as_rows, finite_mean, members_of

#: Seeded partitions whose mean is taken: so many unless they read more numbers than that. Any
#: number is valid that the values have no say in.
PARTITIONS, FEWEST_PARTITIONS, NUMBERS = 20, 4, 150_000_000
SEED = 71
#: Numbers held at a time: blocks are processed in slices of about this size.
CHUNK = 500_000


@bound(
    family="collapse",
    kind="certificate",
    role="head",
    target="few-shot",
    requires=(),
    variants=({"m": 5}, {"m": 1}),
    answers=("per",),
    confused_with=(
        "The error of nearest class mean from all points, or from one set of shots: it bounds the "
        "average over sets of m shots, with classes counting alike."
    ),
    references=("hoeffding1963", "waudbysmith2024", "vovk2021"),
    decreasing_in=("delta",),
    invariant_to=("rotation", "translation", "feature scale", "head scale"),
    restated="its value depends on the loss of every block",
    formula=partition_upper,
)
def ncm_blocks(view: View, delta: float, m: int, per: str = "balanced") -> Outcome:
    r"""Bound the m-shot error of nearest class mean by disjoint blocks of m shots and a query.

    Let :math:`B = \lfloor \min_c n_c / (m+1) \rfloor`. A partition permutes every class and cuts it
    into B disjoint blocks, each with m shots and one query of every class; a block's loss is the
    share of its C queries that are not strictly nearest to their own class's mean of m shots. With
    the losses :math:`U_{\pi b}` of some seeded partitions :math:`\pi` (20, fewer beyond 150 million
    numbers in all of them, at least 4), with
    probability at least :math:`1-\delta` the error is at most the p from the mean loss on at which

    .. math::
        \operatorname{mean}_\pi \sum_j w_j
            \prod_{b=1}^{B} \Big[ 1 + c_j \frac{p - U_{\pi b}}{1 - p} \Big] = \frac1\delta ,

    with stakes :math:`c_j` and weights :math:`w_j` fixed beforehand:
    :func:`~ncbounds.numerics.partition_upper`.

    Shapes: features (n, d), labels (n,). The head is not read.

    Role: ``head`` or ``holdout``, because the features must not depend on the sample.

    Assumptions: none beyond the draw; given the labels, the points of each class are independent
    draws from it, for samples drawn at random as for those drawn class by class. The error is the
    uniform average over classes, or another one that is asked for; m is finite and every m is a row
    of its own.

    Source: averages over permutations are from Hoeffding 1963 [1]_ , section 5; products of bets
    from Waudby-Smith and Ramdas 2024 [2]_ ; that averages of e-values are e-values, whatever their
    dependence, from Vovk and Wang 2021 [3]_ .

    When vacuous: for few points in the smallest class; at no errors it is between
    :math:`1-\delta^{1/B}` and :math:`1-(0.7\,\delta)^{1/B}`, and undefined for B = 0.

    Notes
    -----
    Given the labels, the blocks of one partition have no point in common, so their losses are
    independent, and each has the mean err, because its shots and queries are draws from their
    classes. At p = err < 1 a factor is at least :math:`1 - c_j \ge 0` and has mean 1; a product of
    independent factors has mean 1, and so have the sum over stakes and the mean over partitions.
    By Markov's inequality that mean reaches :math:`1/\delta` with probability at most
    :math:`\delta`, and it grows with p, so otherwise the p above is not below err. For err = 1 all
    losses are 1 and the value is 1. The number of partitions costs nothing. Unlike an inequality
    for sums of 0 and 1, this uses that a block's loss, a mean over C queries, varies less.
    """
    sample = view.sample
    classes = len(sample.counts)
    blocks = int(sample.counts.min()) // (m + 1)
    # how much each class counts, in units of 1/C; it is balanced anyway
    each = np.ones(classes)
    claim = Weighted(each / classes, FewShot(m))
    if per != "balanced":
        claim = Weighted(view.class_weights(per), FewShot(m), per)
        each = classes * claim.weights
    if blocks == 0:
        smallest = int(sample.counts.min())
        return Outcome(
            value=np.nan,
            n=0,
            reasons=(f"a class has {smallest} points, {m} shots and a query need {m + 1}",),
            claim=claim,
        )
    losses = _block_losses(view, m, blocks, each)
    mean = float(probability_up(losses.mean(), 16)) if losses.any() else 0.0
    value = partition_upper(losses, delta)
    return Outcome(
        value=value,
        n=blocks,
        terms={"empirical": mean, "confidence": value - mean},
        details={"blocks": blocks, "partitions": len(losses)},
        claim=claim,
    )


def partitions(n: int, dim: int) -> int:
    """Partitions of a sample of n points, by its size alone."""
    return max(FEWEST_PARTITIONS, min(PARTITIONS, NUMBERS // (n * dim)))


def _block_losses(view: View, m: int, blocks: int, each: Floats) -> Floats:
    """Loss of every block of every partition, rounded up: shape (partitions, blocks)."""
    rows, labels = as_rows(view.sample.features), view.sample.labels
    classes, dim = len(view.sample.counts), rows.shape[1]
    # the rule ignores a common shift; taking it out keeps squared distances accurate
    centre = finite_mean(rows)
    members = members_of(labels, classes)
    rng = np.random.default_rng(SEED)
    step = max(1, CHUNK // (classes * (classes + (m + 1) * dim)))
    wrong = np.empty((partitions(*rows.shape), blocks))
    for row in wrong:
        picked = np.stack([rng.permutation(index)[: blocks * (m + 1)] for index in members])
        picked = picked.reshape(classes, blocks, m + 1)
        for start in range(0, blocks, step):
            row[start : start + step] = _wrong(rows, centre, picked[:, start : start + step], each)
    ulps = 1 if (each == 1).all() else classes + 4  # whole numbers add up exactly
    losses: Floats = np.where(wrong > 0, probability_up(wrong / classes, ulps), 0.0)
    return losses


def _wrong(rows: Rows, centre: Floats, picked: Ints, each: Floats) -> Floats:
    """Add up ``each`` (C,) of the missed queries of a block; ``picked`` is (C, blocks, m + 1)."""
    shape = (picked.shape[1], picked.shape[0], picked.shape[2], len(centre))
    points = rows.take(picked.transpose(1, 0, 2).ravel())
    with np.errstate(invalid="ignore", over="ignore"):
        points -= centre
        points = points.reshape(shape)
        means = points[:, :, 0] if shape[2] == 2 else points[:, :, :-1].mean(axis=2)
        missed = not_nearest(points[:, :, -1], means)
    return np.asarray(missed @ each)
