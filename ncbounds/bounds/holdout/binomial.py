"""Counting errors on points that nothing was fitted on."""

import numpy as np

from ncbounds.bounds._bound import Outcome, View, bound
from ncbounds.numerics import binomial_upper, stratified_upper


@bound(
    family="holdout",
    kind="certificate",
    role="holdout",
    target="saved",
    requires=("head",),
    optional=("priors",),
    variants=({}, {"per": "worst class"}),
    references=("clopper1934", "hoeffding1956", "langford2005"),
    decreasing_in=("n", "delta"),
    invariant_to=("relabelling", "rotation", "feature scale", "head scale", "common row"),
)
def binomial(view: View, delta: float, per: str = "sample") -> Outcome:
    r"""Invert the exact binomial tail of the number of held-out errors.

    With probability at least :math:`1-\delta` over the n held-out points, of which k are errors,

    .. math::
        R \le \max\{p : P(\mathrm{Bin}(n, p) \le k) \ge \delta\} .

    Shapes: logits (n, C), labels (n,); only the error indicators enter.

    Role: ``holdout``, because the head must be fixed before the points are drawn; on any other
    sample the count is a plug-in.

    Assumptions: none beyond the draw. If class counts were fixed by design, the same formula bounds
    the error weighted by the sample's class frequencies for :math:`\delta \le 1/4`, with the value
    :math:`1-\delta/n` at k = n - 1 [2]_; with prescribed class probabilities that differ from these
    frequencies it is :math:`\sum_c \pi_c \mathrm{BinInv}(k_c, n_c, \delta/C)`.
    ``per="worst class"`` bounds :math:`\max_c P(\mathrm{err} \mid c)` by the largest of
    :math:`\mathrm{BinInv}(k_c, n_c, \delta/C)`, a row of its own with its own delta.

    Source: Clopper and Pearson 1934 [1]_ ; for independent non-identical points Hoeffding 1956,
    Theorem 4 [2]_ ; in learning theory Langford 2005, Theorem 3.3 [3]_ .

    When vacuous: never at k < n; at k = 0 it is :math:`1-\delta^{1/n}`. No distribution-free
    certificate from the same points can be much smaller.

    Notes
    -----
    The event that the value lies below R is {k <= k*} for the largest k* whose inversion does, and
    that has probability at most delta. The value is nudged up until the exact tail agrees.
    """
    wrong, labels = view.wrong, view.sample.labels
    n, k = view.sample.n, int(wrong.sum())
    counts = view.sample.counts
    classes = len(counts)
    frequencies = counts / n
    weights = frequencies if view.stratified else None
    if per == "worst class":
        upper = _per_class(wrong, labels, counts, delta / classes)
        worst = int(np.argmax(upper))
        return Outcome(
            value=float(upper.max()),
            n=int(counts[worst]),
            terms={"empirical": float(wrong[labels == worst].mean()) if counts[worst] else 1.0},
            details={"worst class": worst, "per class": upper},
            reasons=("bounds the largest class error, not the average",),
            weights=np.eye(classes)[worst],
        )
    if view.stratified and view.priors is not None and not np.allclose(view.priors, frequencies):
        upper = _per_class(wrong, labels, counts, delta / classes)
        value = float(np.nextafter(view.priors @ upper * (1 + classes * 2.3e-16), np.inf))
        return Outcome(value=value, n=int(counts.min()), weights=view.priors)
    value = float(stratified_upper(k, n, delta) if view.stratified and delta <= 0.25
                  else binomial_upper(k, n, delta))
    return Outcome(
        value=value,
        n=n,
        terms={"empirical": k / n, "confidence": value - k / n},
        weights=weights,
    )


def _per_class(wrong, labels, counts, delta):  # type: ignore[no-untyped-def]
    k = np.bincount(labels[wrong], minlength=len(counts))
    return np.array(
        [binomial_upper(int(a), int(b), delta) if b else 1.0 for a, b in zip(k, counts)]
    )
