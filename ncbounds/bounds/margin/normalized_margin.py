"""Distances to the decision boundary in units of the features' spread."""

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.margin.margin_quantiles import quantile
from ncbounds.bounds.view import Outcome, View

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
    role="any",
    target="saved",
    requires=("head",),
    variants=tuple({"statistic": s} for s in ("Q2", "Q1", "Q3", "lower fence", "upper fence")),
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
    f = np.asarray(view.sample.features, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.sum(np.square(f - f.mean(axis=0)))) / max(len(f) - 1, 1)
    if not (np.isfinite(total) and total > 0):
        reason = "all features coincide" if total == 0 else "a feature is not finite"
        return Outcome(value=np.nan, n=view.sample.n, reasons=(reason,))
    found = normalized_margin_formula(boundary_distances(view), total)
    return Outcome(value=found[statistic], n=view.sample.n, details=found)


def boundary_distances(view: View) -> Floats:
    """Signed distances of the features to the boundary with the best rival, shape (n,).

    Infinite where the two rows of weights are equal and the biases decide; ``-inf`` for a label
    that the head has no output for.
    """
    weight, labels, margins = view.head.weight, view.sample.labels, view.margins
    out = np.full(len(labels), -np.inf)
    known = np.flatnonzero((labels < view.head.classes) & np.isfinite(margins))
    rivals = view.sample.logits(view.head)[known]
    rivals[np.arange(len(known)), labels[known]] = -np.inf
    norms = np.linalg.norm(weight[labels[known]] - weight[rivals.argmax(axis=1)], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = margins[known] / norms
    out[known] = np.where(np.isnan(found), 0.0, found)
    return out
