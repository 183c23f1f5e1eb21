"""Low quantiles of the margins."""

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.bound import bound
from ncbounds.bounds.view import Outcome, View


def quantile(x: Floats, percent: float) -> float:
    """Linear quantile of ``x`` of shape (n,); an infinity mixed with a number stays infinite."""
    with np.errstate(invalid="ignore"):
        found = float(np.percentile(x, percent))
    if not np.isnan(found):
        return found
    return float(np.percentile(x, percent, method="lower"))


@bound(
    family="margin",
    kind="measure",
    larger_is_better=True,
    role="any",
    target="saved",
    requires=("head",),
    variants=tuple({"percent": p} for p in (10, 0, 5, 25, 50)),
    confused_with=(
        "A comparison of networks: margins grow with the scale of the head, so the larger one of "
        "two networks means nothing by itself."
    ),
    references=("jiang2020",),
    invariant_to=("relabelling", "rotation", "common row"),
    formula=quantile,
)
def margin_quantiles(view: View, delta: float, percent: int) -> Outcome:
    r"""Take a low quantile of the margins, with its sign.

    .. math::
        \inf\{x : \#\{i : m_i \le x\} \ge n \cdot \mathrm{percent}/100\} , \qquad
        m_i = s_{y_i} - \max_{j \ne y_i} s_j ,

    interpolated linearly between neighbouring margins; the same for each class in ``details``.

    Shapes: margins (n,).

    Role: any but test; on the fit sample it is the training margin of the literature.

    Assumptions: none, and no error is bounded: a measure has no value on the error scale.

    Source: Jiang et al. 2020 [1]_ use the 10 % quantile of the training margins. There it enters
    by its absolute value; here errors keep their negative sign and are not dropped.

    When vacuous: it is a measure. It changes with the scale of the head, so heads of different
    norms can be compared only by the normalised forms.
    """
    del delta
    sample, m = view.sample, view.margins
    present = np.flatnonzero(sample.counts)
    per_class = {int(c): quantile(m[sample.labels == c], percent) for c in present}
    return Outcome(
        value=quantile(m, percent),
        n=sample.n,
        details={"per class": per_class, "errors": int(view.wrong.sum())},
    )
