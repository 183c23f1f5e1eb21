"""Leave-one-out error of ridge regression on the features, exactly and without a refit."""

import numpy as np

from ncbounds.bounds.bound import bound
from ncbounds.bounds.view import Outcome, View
from ncbounds.claims.heads import OtherHead
from ncbounds.geometry.leave_one_out import ridge_leave_one_out as left_out
from ncbounds.procedures.linear import ridge_of_moments
from ncbounds.statistics.rows import as_rows, finite_rows


@bound(
    family="collapse",
    kind="plug-in",
    role="any",
    target="refitted-head",
    requires=(),
    assumptions=("an estimate, not a bound: no confidence term is known for it",),
    confused_with=(
        "A guarantee, and the error of the saved head: it estimates that of ridge regression "
        "refitted on these features, and the least of many such estimates is too small."
    ),
    references=("stone1974", "golub1979"),
    invariant_to=("relabelling", "rotation", "translation", "feature scale", "head scale"),
)
def ridge_leave_one_out(view: View, delta: float) -> Outcome:
    r"""Share of points that ridge regression on the one-hot labels misses when they are left out.

    With X the centred features, :math:`X'X = V\,\mathrm{diag}(s)\,V'`, :math:`z_i = V'(x_i - \mu)`
    and :math:`h_i = 1/n + \sum_j z_{ij}^2/(s_j + \lambda)`, the prediction at i without i is

    .. math::
        y_i - \frac{y_i - \hat y_i}{1 - h_i} ,

    and the point is missed unless its own entry is strictly the largest. :math:`\lambda` is the one
    of eight, :math:`10^{-5}` to :math:`10^2` times :math:`\mathrm{tr}(X'X)/\min(n, d)`, with the
    least leave-one-out squared error.

    Shapes: features (n, d), labels (n,); d may exceed n.

    Role: any but test; the features must not depend on the sample for the estimate to be nearly
    unbiased, and on the training sample the row says so. The head is not read.

    Assumptions: none for the identity at a fixed penalty. No exponential tail is known for the
    deviation from the error, so this is an estimate.

    Source: leave-one-out Stone 1974 [1]_ , all penalties in one pass Golub, Heath and Wahba
    1979 [2]_ .

    When vacuous: with few points it is noisy. The least of several such values, over layers or
    networks, is biased down, and the more so the more there are: choose by it and certify on other
    rows, as `ncbounds choose` does.
    """
    del delta
    sample = view.sample
    finite = finite_rows(as_rows(sample.features))
    used = sample if finite.all() else sample.part(np.flatnonzero(finite))
    if not used.n:
        return Outcome(value=np.nan, n=sample.n, reasons=("no point has finite features",))
    found = left_out(used)
    reasons = found.reasons
    if lost := int((~finite).sum()):
        reasons = (*reasons, f"{lost} points have non-finite features and count as missed")
    if not np.isfinite(found.penalty):
        return Outcome(value=np.nan, n=sample.n, reasons=reasons)
    head = ridge_of_moments(used.moments, found.penalty)
    return Outcome(
        value=(found.error * used.n + lost) / sample.n,
        n=sample.n,
        reasons=reasons,
        details={"penalty": found.penalty, "squared error": found.squared_error},
        claim=view.pooled(OtherHead("refitted-head", head)),
    )
