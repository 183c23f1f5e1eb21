"""The least margin against the largest that the norms allow."""

from ncbounds.bounds.bound import bound
from ncbounds.bounds.view import Outcome, View
from ncbounds.geometry.margin_efficiency import QUANTILE
from ncbounds.geometry.margin_efficiency import margin_efficiency as efficiency

#: Per cent of the points below the quantile that stands beside the minimum.
LOW = round(100 * QUANTILE)


@bound(
    family="collapse",
    kind="measure",
    larger_is_better=True,
    role="fit",
    target="saved",
    requires=("head",),
    variants=({"percent": 0}, {"percent": LOW}),
    confused_with=(
        "A sign of a small error: it says how near the training points are to the best "
        "arrangement of their class counts at these norms."
    ),
    references=("thrampoulidis2022",),
    invariant_to=("relabelling", "rotation", "feature scale", "head scale"),
)
def margin_efficiency(view: View, delta: float, percent: int) -> Outcome:
    r"""Least margin of the training points over the largest that any network of these norms has.

    .. math::
        \frac{\kappa \min_i m_i}{\|P_C W\|_F \|\tilde H\|_F} \le 1 , \qquad
        m_i = s_{y_i} - \max_{j \ne y_i} s_j , \qquad
        \kappa = \big\| (I - \pi 1')\, D^{1/2} \big\|_* ,

    with :math:`D = \operatorname{diag}(n_c)`, :math:`\pi = n_c/n`, head rows centred, and features
    centred by their mean; without a bias :math:`\pi` is 1/C and features are as they are. It is 1
    exactly for the best arrangement of these class counts, and negative after an error. One bad
    point decides the minimum; so the row ``percent`` = 5 has the 5 % quantile of the margins in
    place of it, which is not bounded by 1.

    Shapes: features (n, d), labels (n,), weight (C, d).

    Role: ``fit``, the points that the network was trained on.

    Assumptions: none, and no error is bounded. A bias that the architecture has counts as free.

    Source: the arrangement is that of Thrampoulidis et al. 2022 [1]_ , there without a bias; the
    limit for any network is proved in :func:`ncbounds.geometry.margin_efficiency`.

    When vacuous: it is a measure; undefined for one class, norms of zero, and logits that are not
    finite.

    Notes
    -----
    A translation leaves it as it is where the bias is free, a common row of the head always.
    """
    del delta
    sample, head = view.sample, view.head
    found = efficiency(sample, head)
    both = {0: found.minimum, LOW: found.quantile}
    return Outcome(
        value=both[percent],
        n=sample.n,
        reasons=(*found.reasons, f"{'a' if head.has_bias else 'no'} free bias"),
        details={
            "minimum": found.minimum,
            "quantile": found.quantile,
            "kappa": found.kappa,
            "budget": found.budget,
            "free bias": head.has_bias,
            "errors": int(view.wrong.sum()),
        },
    )
