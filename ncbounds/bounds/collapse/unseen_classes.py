"""Few-shot error on new classes, from classes that the features were never fitted on."""

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.collapse._blocks import blocks_formula, blocks_restated
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.unmeasured import UnseenClasses
from ncbounds.numerics import up
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
    references=("hoeffding1963", "galanti2022"),
    decreasing_in=("delta",),
    invariant_to=("rotation", "translation", "feature scale", "head scale"),
    restated=blocks_restated,
    formula=blocks_formula,
)
def unseen_classes(view: View, delta: float, k: int = WAYS, m: int = SHOTS) -> Outcome:
    r"""Bound the k-way m-shot error of nearest class mean on classes from the same population.

    Of the held-out classes, l have at least m + 1 points and no point in the ``fit`` or ``head``
    sample. A replicate permutes them and cuts them into :math:`\lfloor l/k \rfloor` disjoint
    groups; a group's loss is the average over its k classes of the share of non-shot points that
    are not strictly nearest to their own class's mean of m shots among the k means. With
    :math:`\bar U` the mean over groups and a fixed number of seeded replicates, with probability
    at least :math:`1-\delta`

    .. math::
        \mathrm{err} \le \max\{p \ge \bar U :
            \mathrm{kl}(\bar U \| p) \le \ln(1/\delta) / \lfloor l/k \rfloor\} .

    Shapes: features (n, d), labels (n,), which may exceed the head's outputs. The head is not read.

    Role: ``holdout``, restricted to classes that the features were not fitted on; the ``fit``
    labels say which these are. Data that a backbone was pretrained on counts as ``fit``.

    Assumptions: the classes are independent draws from a population of classes, and how many points
    a class has says nothing else about it. A fixed benchmark's list of classes is no such draw, so
    the row is conditional at best. The unit of the draw is the class: points add nothing to n.

    Source: Hoeffding 1963 [1]_ , Theorem 1 in its first form and section 5 on averages over
    permutations. The question is that of Galanti, György and Hutter 2022 [2]_ , whose bound pays
    for the complexity of the features instead of holding classes out.

    When vacuous: for few classes; at no errors it is :math:`1-\delta^{1/\lfloor l/k \rfloor}`, and
    1 for fewer than k classes.

    Notes
    -----
    Given the classes, a group's loss is unbiased for the error of a task on them, and disjoint
    groups are independent; the moment generating function of the mean over replicates is at most
    the average of those of single ones.
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
    total = 0.0
    for _ in range(REPLICATES):
        order = rng.permutation(len(usable))[: groups * k].reshape(groups, k)
        total += sum(_task_loss([points[c] for c in group], m, rng) for group in order)
    mean = min(1.0, float(up(total / (REPLICATES * groups), 8))) if total > 0 else 0.0
    value = blocks_formula(mean, groups, delta)
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
    with np.errstate(invalid="ignore", over="ignore"):
        means = np.stack([x[s].mean(axis=0) for x, s in zip(points, shots, strict=True)])
        square = np.einsum("ij,ij->i", means, means)
        shares = [
            _missed(np.delete(x, s, axis=0), means, square, c)
            for c, (x, s) in enumerate(zip(points, shots, strict=True))
        ]
    return float(np.mean(shares))


def _missed(queries: Floats, means: Floats, square: Floats, own: int) -> float:
    # squared distance up to the query's own norm, which all means share
    score = square - 2.0 * (queries @ means.T)
    mine = score[:, own].copy()
    score[:, own] = np.inf
    size = np.einsum("ij,ij->i", queries, queries) + square.max()
    return float(np.mean(~strictly_nearer(mine, score.min(axis=1), size)))
