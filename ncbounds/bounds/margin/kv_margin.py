"""Median margin against the transport distance between halves of the classes."""

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.bound import bound
from ncbounds.bounds.margin._farthest import farthest
from ncbounds.bounds.margin._halves import half_distance, halves
from ncbounds.bounds.margin.margin_quantiles import quantile
from ncbounds.bounds.view import Outcome, View
from ncbounds.evidence.decision import Decision
from ncbounds.statistics.rows import all_finite, as_rows, members_of


def kv_margin_formula(margins: Floats, spreads: Floats, counts: Ints) -> float:
    """Median margin over the mean spread of the classes; nan if no class has any spread.

    Parameters
    ----------
    margins : array of shape (n,)
    spreads : array of shape (C,)
        Per class the transport distance of two halves times the largest norm of a difference of
        rows of weights.
    counts : integer array of shape (C,)
    """
    total = float(counts @ spreads) / len(margins)
    return quantile(margins, 50) / total if total else np.nan


@bound(
    family="margin",
    kind="measure",
    larger_is_better=True,
    role="any",
    target="saved",
    requires=("head",),
    confused_with=(
        "The certificate ``transport_margin``: that is made of the same quantities and pays for "
        "what is estimated; this is their ratio alone."
    ),
    references=("chuang2021",),
    invariant_to=(
        "relabelling",
        "rotation",
        "translation",
        "feature scale",
        "head scale",
        "common row",
    ),
    formula=kv_margin_formula,
)
def kv_margin(view: View, delta: float) -> Outcome:
    r"""Divide the median margin by the classes' own spread, measured by transport.

    .. math::
        \frac{\mathrm{median}_i\, m_i}
        {\sum_c \frac{n_c}{n}\, W_1^c\, \max_{j \ne c} \|w_c - w_j\|} ,

    where :math:`W_1^c` is the cost of an assignment between two disjoint random halves of the
    features of class c, of :math:`\min(\lfloor n_c/2 \rfloor, 4000)` points each: the optimal one
    up to 500 points, beyond that the optimal one within blocks, some per cent above.

    Shapes: features (n, d), margins (n,), labels (n,).

    Role: any but test; on the fit sample it is the measure of the literature.

    Assumptions: none, and no error is bounded: a measure has no value on the error scale; for a
    certificate made of the same quantities see ``transport_margin``.

    Source: the kV-margin of Chuang et al. 2021 [1]_ at the last layer, where the Lipschitz constant
    of the margin is exact; there with a minus sign.

    When vacuous: it is a measure; undefined if a class has one point, if a feature is not finite or
    a label has no output, and if all features coincide within classes.
    """
    del delta
    sample, weight = view.sample, view.head.weight
    rows = as_rows(sample.features)
    reason = _undefined(sample.counts, len(weight), all_finite(rows), view.decision)
    if reason:
        return Outcome(value=np.nan, n=sample.n, reasons=(reason,))
    spreads = farthest(weight)
    for c, members in enumerate(members_of(sample.labels, len(weight))):
        one, two = halves(members)
        spreads[c] *= half_distance(rows.take(one), rows.take(two)) if len(members) else 0.0
    value = kv_margin_formula(view.margins, spreads, sample.counts[: len(weight)])
    if np.isnan(value):
        return Outcome(value=np.nan, n=sample.n, reasons=("features coincide within classes",))
    return Outcome(
        value=value,
        n=sample.n,
        details={"spread per class": spreads.tolist()},
    )


def _undefined(counts: Ints, outputs: int, finite: bool, decision: Decision) -> str:
    """Why there is no number, or an empty string."""
    if (counts == 1).any():
        return f"class {decision.name(int(np.flatnonzero(counts == 1)[0]))} has a single point"
    if counts[outputs:].any():
        return "the head has no output for a label"
    return "" if finite else "a feature is not finite"
