"""Distances to the decision boundary in units of the features' spread."""

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.kept import Kept
from ncbounds.bounds.margin.margin_quantiles import quantile
from ncbounds.bounds.view import Outcome, View
from ncbounds.errors import InvalidSample
from ncbounds.evidence.sample import Sample
from ncbounds.statistics.rows import blocks_of

#: Quartiles, and the fences 1.5 interquartile ranges outside.
STATISTICS = ("Q1", "Q2", "Q3", "lower fence", "upper fence")


def normalized_margin_formula(distances: Floats, variance: float) -> dict[str, float]:
    """Quartiles and fences of distances in units of the features' spread, by name.

    Parameters
    ----------
    distances : array of shape (n,)
        Signed distances of the features to the decision boundary.
    variance : float
        Total variance of the features.
    """
    scaled = distances / np.sqrt(variance)
    low, middle, high = (quantile(scaled, p) for p in (25, 50, 75))
    fence = 1.5 * (high - low)
    return dict(zip(STATISTICS, (low, middle, high, low - fence, high + fence), strict=True))


@bound(
    family="margin",
    kind="measure",
    larger_is_better=True,
    role="any",
    target="saved",
    requires=("head",),
    variants=tuple({"statistic": s} for s in ("Q2", "Q1", "Q3", "lower fence", "upper fence")),
    confused_with=(
        "Robustness to changed inputs: distances are those of features to the boundaries between "
        "classes, not of inputs."
    ),
    references=("jiang2019",),
    invariant_to=(
        "relabelling",
        "rotation",
        "translation",
        "feature scale",
        "head scale",
        "common row",
    ),
    formula=normalized_margin_formula,
)
def normalized_margin(view: View, delta: float, statistic: str) -> Outcome:
    r"""Divide margins by the norm of the weight difference and by the features' spread.

    .. math::
        \frac{m_i}{\|w_{y_i} - w_j\| \sqrt{\operatorname{tr} \Sigma}} , \qquad
        j = \arg\max_{j \ne y_i} s_j ,

    is the signed distance of a feature to the boundary with its best rival, in units of the root
    of the total variance of the features; reported are its quartiles Q1, Q2, Q3 and the fences
    Q1 - 1.5 (Q3 - Q1) and Q3 + 1.5 (Q3 - Q1), one per row.

    Shapes: features (n, d), logits (n, C), labels (n,).

    Role: any but test; on the fit sample it is the training margin of the literature.

    Assumptions: none, and no error is bounded: a measure has no value on the error scale.

    Source: Jiang et al. 2019 [1]_ , at the last layer, where the distance is exact. Total variance
    is about the mean of all features, divided by n - 1.

    When vacuous: it is a measure; undefined if all features coincide or one is not finite.
    """
    del delta
    return _KEPT.get(view.sample, view.head, make=lambda: _all_statistics(view))[statistic]


#: All statistics come from one pass; the row of each shows the others in its details.
_KEPT: Kept[dict[str, Outcome]] = Kept()


def _all_statistics(view: View) -> dict[str, Outcome]:
    n, total = view.sample.n, total_variance(view.sample)
    if not (np.isfinite(total) and total > 0):
        reason = "all features coincide" if total == 0 else "a feature is not finite"
        return dict.fromkeys(STATISTICS, Outcome(value=np.nan, n=n, reasons=(reason,)))
    found = normalized_margin_formula(boundary_distances(view), total)
    return {name: Outcome(value=value, n=n, details=found) for name, value in found.items()}


def total_variance(sample: Sample) -> float:
    """Variance of the features about their mean, divided by n - 1; nan if one is not finite."""
    try:
        moments = sample.moments
    except InvalidSample:
        return np.nan
    here = moments.present
    steps = moments.mean[here] - moments.centre(weighted=True)
    between = float(moments.count[here] @ np.einsum("ij,ij->i", steps, steps))
    return (float(moments.trace.sum()) + between) / max(moments.n - 1, 1)


def boundary_distances(view: View) -> Floats:
    """Signed distances of the features to the boundary with the best rival, shape (n,).

    Infinite where the two rows of weights are equal and the biases decide; ``-inf`` for a label
    that the head has no output for.
    """
    weight, labels, margins = view.head.weight, view.sample.labels, view.margins
    logits, classes = view.sample.logit_rows(view.head), view.head.classes
    out = np.full(len(labels), -np.inf)
    known = np.flatnonzero((labels < classes) & np.isfinite(margins))
    rival = np.empty(len(known), dtype=np.int64)
    for part in blocks_of(len(known), classes):
        others = logits[known[part]]
        others[np.arange(len(others)), labels[known[part]]] = -np.inf
        rival[part] = others.argmax(axis=1)
    pairs, which = np.unique(labels[known] * classes + rival, return_inverse=True)
    norms = np.empty(len(pairs))
    for part in blocks_of(len(pairs), view.head.dim):
        steps = weight[pairs[part] // classes] - weight[pairs[part] % classes]
        norms[part] = np.linalg.norm(steps, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = margins[known] / norms[which]
    out[known] = np.where(np.isnan(found), 0.0, found)
    return out
