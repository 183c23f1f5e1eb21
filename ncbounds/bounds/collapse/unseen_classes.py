"""Few-shot error on new classes, from classes that the features were never fitted on."""

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.bound import bound
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.unmeasured import UnseenClasses
from ncbounds.numerics import partition_upper, probability_up
from ncbounds.statistics.nearest import strictly_nearer
from ncbounds.statistics.rows import as_rows

#: Classes per task, shots per class, replicates and seed; fixed a priori.
WAYS = 5
SHOTS = 5
REPLICATES = 200
SEED = 75


@bound(
    family="collapse",
    kind="conditional",
    role="holdout",
    target="unseen-classes",
    requires=("fit",),
    optional=("head_sample",),
    also_fit=False,
    variants=({"k": WAYS, "m": SHOTS},),
    assumptions=("the classes are independent draws from a population of classes",),
    confused_with=(
        "The few-shot error on the classes of this sample: it speaks about new classes from the "
        "population that these were drawn from, if they were drawn. Points add nothing; classes "
        "do."
    ),
    references=("hoeffding1963", "waudbysmith2024", "vovk2021", "galanti2022"),
    decreasing_in=("delta",),
    invariant_to=("rotation", "translation", "feature scale", "head scale"),
    restated="its value depends on the loss of every task",
    formula=partition_upper,
)
def unseen_classes(view: View, delta: float, k: int = WAYS, m: int = SHOTS) -> Outcome:
    r"""Bound the k-way m-shot error of nearest class mean on classes from the same population.

    Of the held-out classes, l have at least m + 1 points and no point in the ``fit`` or ``head``
    sample. A replicate permutes them and cuts them into :math:`\lfloor l/k \rfloor` disjoint
    groups; a group's loss is the average over its k classes of the share of non-shot points that
    are not strictly nearest to their own class's mean of m shots among the k means. With the losses
    :math:`U_{\pi g}` of a fixed number of seeded replicates :math:`\pi`, with probability at least
    :math:`1-\delta` the error is at most the p from the mean loss on at which

    .. math::
        \operatorname{mean}_\pi \sum_j w_j
            \prod_g \Big[ 1 + c_j \frac{p - U_{\pi g}}{1 - p} \Big] = \frac1\delta ,

    with stakes :math:`c_j` and weights :math:`w_j` fixed beforehand:
    :func:`~ncbounds.numerics.partition_upper`.

    Shapes: features (n, d), labels (n,), which may exceed the head's outputs. The head is not read.

    Role: ``holdout``, restricted to classes that the features were not fitted on; the ``fit``
    labels say which these are. Data that a backbone was pretrained on counts as ``fit``.

    Assumptions: the classes are independent draws from a population of classes, and how many points
    a class has says nothing else about it. A fixed benchmark's list of classes is no such draw, so
    the row is conditional at best. The unit of the draw is the class: points add nothing to n.

    Source: averages over permutations are from Hoeffding 1963 [1]_ , section 5; products of bets
    from Waudby-Smith and Ramdas 2024 [2]_ ; that averages of e-values are e-values, whatever their
    dependence, from Vovk and Wang 2021 [3]_ . The question is that of Galanti, György and Hutter
    2022 [4]_ , whose bound pays for the complexity of the features instead of holding classes out.

    When vacuous: for few classes; at no errors it is above
    :math:`1-\delta^{1/\lfloor l/k \rfloor}`, and 1 for fewer than k classes.

    Notes
    -----
    Given the classes, a group's loss is unbiased for the error of a task on them, and disjoint
    groups of one replicate are independent. So at p = err < 1 every factor is nonnegative and has
    mean 1, and so have the products, their sum over stakes and the mean over replicates. By
    Markov's inequality that mean reaches :math:`1/\delta` with probability at most :math:`\delta`,
    and it grows with p, so otherwise the p above is not below err; for err = 1 the value is 1.
    """
    sample, claim = view.sample, UnseenClasses(k, m)
    if view.fit is None:
        return Outcome(
            value=np.nan, n=0, reasons=("the fit sample itself holds no unseen classes",)
        )
    seen = np.zeros(len(sample.counts), dtype=bool)
    for used in (view.fit, view.head_sample):
        if used is not None:
            known = used.counts[: len(seen)]
            seen[: len(known)] |= known > 0
    new = np.flatnonzero(~seen & (sample.counts > 0))
    usable = new[sample.counts[new] >= m + 1]
    groups = len(usable) // k
    details = {"unseen classes": len(new), "with enough points": len(usable), "groups": groups}
    if groups == 0:
        reason = f"{len(usable)} unseen classes with {m + 1} points, one task needs {k}"
        return Outcome(value=1.0, n=0, reasons=(reason,), details=details, claim=claim)
    rows = as_rows(sample.features)
    centre = rows.take(np.flatnonzero(sample.labels == usable[0])).mean(axis=0)
    centre = np.nan_to_num(centre, nan=0.0, posinf=0.0, neginf=0.0)
    points = [rows.take(np.flatnonzero(sample.labels == c)) - centre for c in usable]
    rng = np.random.default_rng(SEED)
    losses = np.empty((REPLICATES, groups))
    for row in losses:
        order = rng.permutation(len(usable))[: groups * k].reshape(groups, k)
        row[:] = [_task_loss([points[c] for c in group], m, rng) for group in order]
    # a mean of k quotients
    losses = np.where(losses > 0, probability_up(losses, k + 4), 0.0)
    mean = float(probability_up(losses.mean(), 16)) if losses.any() else 0.0
    value = partition_upper(losses, delta)
    return Outcome(
        value=value,
        n=groups,
        terms={"empirical": mean, "confidence": value - mean},
        reasons=(f"{len(usable)} classes that are in neither fit nor head",),
        details=details,
        claim=claim,
    )


def _task_loss(points: list[Floats], m: int, rng: np.random.Generator) -> float:
    """Average over the task's classes of the share of missed non-shot points."""
    shots = [rng.choice(len(x), m, replace=False) for x in points]
    sizes = np.array([len(x) for x in points])
    own = np.repeat(np.arange(len(points)), sizes)
    with np.errstate(invalid="ignore", over="ignore"):
        means = np.stack([x[s].mean(axis=0) for x, s in zip(points, shots, strict=True)])
        missed = _missed(np.concatenate(points), means, own)
    starts = np.cumsum(sizes) - sizes
    missed[np.concatenate([start + s for start, s in zip(starts, shots, strict=True)])] = False
    return float(np.mean(np.bincount(own[missed], minlength=len(points)) / (sizes - m)))


def _missed(points: Floats, means: Floats, own: Ints) -> NDArray[np.bool_]:
    """Which points (n, d) are not strictly nearest to the mean of their own class, (n,)."""
    square = np.einsum("ij,ij->i", means, means)
    # squared distance up to the point's own norm, which all means share
    score = square - 2.0 * (points @ means.T)
    mine = np.take_along_axis(score, own[:, None], axis=1)[:, 0]
    np.put_along_axis(score, own[:, None], np.inf, axis=1)
    size = np.einsum("ij,ij->i", points, points) + square.max()
    return ~strictly_nearer(mine, score.min(axis=1), size)
