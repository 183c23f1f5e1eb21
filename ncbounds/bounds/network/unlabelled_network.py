"""The saved network through its compressed form, with unlabelled points for the difference."""

from ncbounds.bounds.bound import bound
from ncbounds.bounds.disagreement import apart, other_law
from ncbounds.bounds.network._code_word import code_word_of, not_decoded, predicted
from ncbounds.bounds.network._read import undefined
from ncbounds.bounds.view import Outcome, View
from ncbounds.errors import NotCovered
from ncbounds.numerics import binomial_upper, down, occam_upper, stratified_upper, up


def unlabelled_network_formula(
    errors: int,
    n: int,
    bits: int,
    differences: int,
    unlabelled: int,
    delta: float,
    *,
    tried: int = 1,
    stratified: bool = False,
) -> float:
    """Bound on the error of a network that differs from a decoded one, rounded up.

    Parameters
    ----------
    errors, n : int
        Errors of the decoded network among the n training points.
    bits : int
        Length of its code word.
    differences, unlabelled : int
        Points where the two networks differ, among so many without labels.
    delta : float in (0, 1)
    tried : int
        Decoded networks that were to be compared on these.
    stratified : bool
        Whether class counts were fixed by design.
    """
    return float(
        up(sum(_terms(errors, n, bits, differences, unlabelled, delta, tried, stratified)))
    )


def _terms(
    errors: int,
    n: int,
    bits: int,
    differences: int,
    unlabelled: int,
    delta: float,
    tried: int,
    stratified: bool,
) -> tuple[float, float]:
    half = down(delta / 2)
    upper = stratified_upper if stratified and delta <= 0.25 else binomial_upper
    error = occam_upper(errors, n, bits, float(half), stratified=stratified)
    return error, float(upper(differences, unlabelled, float(down(half / tried))))


@bound(
    family="network",
    kind="certificate",
    role="fit",
    target="saved",
    requires=("head", "unlabelled"),
    optional=("code_word",),
    reads_features=False,
    also_fit=False,
    confused_with=(
        "Distillation: the points without labels must not have been used to train or choose "
        "either network. Agreement by itself is no accuracy."
    ),
    references=("clopper1934", "hoeffding1956", "kaariainen2005", "blumer1987"),
    decreasing_in=("delta",),
    default=True,
    formula=unlabelled_network_formula,
)
def unlabelled_network(view: View, delta: float) -> Outcome:
    r"""Add a bound on the error of the decoded network and one on its difference from the saved.

    The code word has l bits and its network k errors on the n training points; saved and decoded
    network differ on :math:`k_1` of m unlabelled points. With probability at least :math:`1-\delta`

    .. math::
        R \le \mathrm{BinInv}\big(k, n, \tfrac{\delta}{2} 2^{-l}\big)
        + \mathrm{BinInv}\big(k_1, m, \tfrac{\delta}{2T}\big) ,

    where T is the number of decoded networks that were to be tried on the unlabelled points, a list
    complete before these are read. A point that either network cannot decide is a difference.

    Shapes: labels and predictions (n,); unlabelled features (m, d) and predictions (m,).

    Role: ``fit`` for the first count; ``unlabelled``, which neither network was trained on or
    chosen by, for the second. Distilling on these points is not allowed.

    Assumptions: those of ``compressed_network``, preprocessing included, for either sample; the
    unlabelled points are drawn from the same law of the inputs, in the class proportions of the
    sample if its counts were fixed by design.

    Source: the decomposition is Kääriäinen 2005 [3]_ , the first term Blumer et al. 1987 [4]_ ; the
    tails are Clopper and Pearson 1934 [1]_ and Hoeffding 1956 [2]_ .

    When vacuous: if a short description costs much accuracy: what the two errors have in common is
    counted twice.

    Notes
    -----
    If the saved network errs, the decoded one errs or the two differ. Given the training sample
    both are fixed and the unlabelled points are fresh. From predictions alone the sum cannot be
    improved, not even class by class of the decoded prediction, while error and difference do not
    fill a class: all differences may lie where the decoded network is right. For a code word of 281
    bytes on 60,000 images they fill at most .55 of a class, although on test images 77 % of the
    differences lie where the decoded network errs: without labels that cannot be known.
    """
    pool, sample = view.unlabelled, view.sample
    assert pool is not None
    try:
        word = code_word_of(view)
        own = predicted(word, sample.role, sample.n)
        other = predicted(word, "unlabelled", pool.n)
    except NotCovered as missing:
        return not_decoded(view, missing)
    if (mismatch := other_law(sample, pool, view.stratified)) is not None:
        return undefined(view, mismatch)
    k = int(view.decision.missed(own, sample.labels).sum())
    k1 = int(apart(view.decision.predicted(pool, view.head), other).sum())
    error, difference = _terms(
        k, sample.n, word.bits, k1, pool.n, delta, word.tried or 1, view.stratified
    )
    return Outcome(
        value=float(up(error + difference)),
        n=sample.n,
        terms={"error of the decoded network": error, "difference": difference},
        details={
            "errors": k,
            "bits": word.bits,
            "differences": k1,
            "unlabelled": pool.n,
            "tried": word.tried,
        },
        reasons=(f"reads {pool.n} unlabelled points",),
        claim=view.pooled(),
    )
