"""How far head and features are from the least norms that reach their loss."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ncbounds.arrays import Bools
from ncbounds.bounds.bound import bound
from ncbounds.bounds.view import Outcome, View
from ncbounds.evidence.loss import assumed_loss, declared_loss
from ncbounds.geometry.efficiency import Efficiency
from ncbounds.geometry.efficiency import collapse_efficiency as efficiency
from ncbounds.geometry.label_sets import distinct_sets
from ncbounds.geometry.least_budget import CLOSE


@bound(
    family="collapse",
    kind="measure",
    larger_is_better=True,
    role="fit",
    target="saved",
    requires=("head",),
    confused_with=(
        "A sign of a small error: it compares norms with the training loss, and networks of one "
        "error have efficiencies far apart."
    ),
    several_labels=True,
    references=("zhu2021", "li2017", "li2024"),
)
def collapse_efficiency(view: View, delta: float) -> Outcome:
    r"""Share of the norms of a network that its training loss needs at least.

    .. math::
        \eta = \frac{\min \{ \|W'\|_F \|H'\|_F : \mathrm{loss}(W', H', b') \le L \}}
        {\|\tilde W\|_F \|\tilde H\|_F} ,

    the minimum over all heads and all features, one per point and of any width, and L the
    network's own mean loss on the sample. No head and features whose norms multiply to less than
    :math:`\eta` times those of this network reach its loss. It is 1 exactly if the network is
    optimal at its norms: collapsed onto the arrangement that is best for these class counts. The
    value is the lower end of a bracket; the upper end, and what the rest went to, stand in the
    reasons and in ``details``:

    .. math::
        \eta \ge \frac{g - L}{\sigma \|\tilde W\|_F \|\tilde H\|_F}
        = \underbrace{\frac{\|M\|_F}{\|\tilde H\|_F}}_{\text{within}}
        \cdot \underbrace{\frac{G}{\sigma \|\tilde W\|_F \|M\|_F}}_{\text{alignment}}
        \cdot \underbrace{\Big(1 - \frac{D}{G}\Big)}_{\text{outputs}} ,

    with g and :math:`\sigma` height and slope of the best tangent of the loss that was found, M the
    group mean of each point, G the part of the slope that the means use, and D the divergence of
    the points' own responses from the tangent's. *Within* is collapse of the points onto their
    means, *alignment* that of means and head, *outputs* how well the logits are spent.

    Where points may have several labels, C counts labels and the targets are sets of them: of the
    loss ``pick-all-label``, which needs a label on every point, or ``binary``.

    Shapes: features (n, d), labels (n,) or indicators (n, C), weight (C, d).

    Role: ``fit``, the points that the loss was trained on.

    Assumptions: none, and no error is bounded: networks of one error have efficiencies far apart.
    The loss is the one that the evidence declares, else the cross-entropy, or of several labels the
    binary loss, of ranked ones pick-all-label. A focal loss is measured by the largest mean
    cross-entropy that it allows. A bias that the architecture has counts as free, and features are
    then centred by their mean; head rows are centred for losses of the softmax. Compare networks at
    equal loss, on the same rows.

    Source: optima of free features are from Zhu et al. 2021 [1]_ , norms of factors as a nuclear
    norm from Li, Zhu and Tang 2017 [2]_ , sets of labels from Li et al. 2024 [3]_ . The bracket and
    its factors are proved in :func:`ncbounds.geometry.collapse_efficiency`.

    When vacuous: it is a measure; 0 if the loss needs no features, and undefined for one target,
    norms of zero, logits that are not finite, or a loss at its infimum. With many classes the
    solver stops at its time limit, and the bracket is as wide as it is then; it is valid all the
    same. With fewer than C - 1 features it may be out of reach of 1.

    Notes
    -----
    Within its bracket invariant to relabelling, to rotations, to a scale that passes from head to
    features, to a common row of the head (softmax), and to a translation (free bias).
    """
    del delta
    sample, head = view.sample, view.head
    loss = view.loss or assumed_loss(view.decision)
    found = efficiency(sample, head, loss)
    details: dict[str, Any] = {
        "upper": found.upper,
        "within": found.within,
        "alignment": found.alignment,
        "outputs": found.outputs,
        "loss": str(declared_loss(loss)),
        "declared": view.loss is not None,
        "mean loss": found.loss,
        "budget": found.budget,
        "free bias": head.has_bias,
        **(_classes(view) if sample.indicators is None else _sets(view, sample.indicators)),
    }
    return Outcome(
        value=found.lower,
        n=sample.n,
        reasons=(*found.reasons, *_said(found, details)),
        details=details,
    )


def _classes(view: View) -> dict[str, Any]:
    counts = view.sample.counts[: view.head.classes]
    present = counts[counts > 0]
    return {
        "points per class": [int(present.min()), int(present.max())],
        "absent": _names(view, counts == 0),
    }


def _sets(view: View, indicators: Bools) -> dict[str, Any]:
    counts = np.bincount(distinct_sets(indicators)[1])
    with_label = np.count_nonzero(indicators, axis=0)
    return {
        "distinct sets": len(counts),
        "points per set": [int(counts.min()), int(counts.max())],
        "absent": _names(view, with_label == 0),
        "always there": _names(view, with_label == len(indicators)),
    }


def _names(view: View, which: Bools) -> list[str]:
    return [view.decision.name(int(c)) for c in np.flatnonzero(which)]


def _said(found: Efficiency, details: dict[str, Any]) -> Iterator[str]:
    """What the value rests on, in words."""
    assumed = "" if details["declared"] else ", assumed since none was declared"
    yield f"loss {details['loss']}{assumed}; {'a' if details['free bias'] else 'no'} free bias"
    if np.isfinite(found.upper) and found.upper > 0:
        still = " (bracket still open)" if found.upper > CLOSE * found.lower else ""
        yield f"at most {found.upper:.4f}{still}"
    if np.isfinite(found.within):
        parts = f"within {found.within:.4f} x alignment {found.alignment:.4f}"
        yield f"{parts} x outputs {found.outputs:.4f}"
    sets = details.get("distinct sets")
    least, most = details["points per set" if sets else "points per class"]
    if sets:
        yield f"{sets} distinct sets of labels, of {least} to {most} points"
    elif least < most:
        yield f"classes of {least} to {most} points"
    what = "labels" if sets else "classes"
    if absent := details["absent"]:
        yield f"{what} without points: {', '.join(absent)}"
    if always := details.get("always there"):
        yield f"labels of every point: {', '.join(always)}"
