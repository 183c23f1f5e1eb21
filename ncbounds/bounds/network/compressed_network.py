"""The error of a network that a few hundred bytes describe, from its training sample alone."""

from ncbounds.bounds.bound import bound
from ncbounds.bounds.column import ScreenColumn
from ncbounds.bounds.network._code_word import code_word_of, not_decoded, predicted
from ncbounds.bounds.view import Outcome, View
from ncbounds.errors import NotCovered
from ncbounds.numerics import occam_upper


@bound(
    family="network",
    kind="certificate",
    role="fit",
    target="compressed",
    optional=("code_word",),
    reads_features=False,
    confused_with=(
        "A bound on the saved network: it is about the decoded one. The size of a file is no "
        "length of a code word unless all that decodes it was fixed before the data."
    ),
    references=("clopper1934", "hoeffding1956", "langford2005", "blumer1987", "lotfi2022"),
    decreasing_in=("delta",),
    default=True,
    column=ScreenColumn("data alone", order=70, heading="training", on_fit=True),
    formula=occam_upper,
)
def compressed_network(view: View, delta: float) -> Outcome:
    r"""Invert the binomial tail of the training errors of a network that l bits describe.

    A code word of l bits, of a prefix-free code fixed before the data, decodes to a network with k
    errors on the n training points. With probability at least :math:`1-\delta`

    .. math::
        R(\text{decoded}) \le \max\{p : P(\mathrm{Bin}(n, p) \le k) \ge \delta\, 2^{-l}\} .

    Shapes: predictions of the decoded network (n,), labels (n,).

    Role: ``fit``: the network may be trained, pruned and chosen on this very sample. All its rows
    count, once each, without augmentation.

    Assumptions: the code (grammar, alphabet, probabilities, decoder) and the preprocessing of the
    inputs (how the 8-bit images were made) were fixed before the sample. How the code word was
    found, from which checkpoint and with how many attempts, is free. If class counts were fixed by
    design, the error weighted by the sample's class frequencies is bounded. On images that the
    word's version of the code was developed on the row is conditional, on "version v was fixed
    before these images were seen": the bits that name the version pay for choosing it from a list,
    not for its having been written after these images.

    Source: Occam's bound of Blumer et al. 1987 [4]_ with the exact tail, Langford 2005, Corollary
    4.2 [3]_ ; the tails are Clopper and Pearson 1934 [1]_ and Hoeffding 1956 [2]_ . Codes for
    trained networks: Lotfi et al. 2022 [5]_ .

    When vacuous: at l far above n; useful if a short description keeps most of the accuracy.

    Notes
    -----
    By Kraft's inequality the shares :math:`\delta 2^{-l}` of all code words sum to at most
    :math:`\delta`, and each decoded network is fixed before the sample. The value speaks about the
    decoded network in its integer arithmetic, where ties are errors; not about the saved one.
    l is the length of the stored byte string, padding and check byte included.
    """
    try:
        word = code_word_of(view)
        found = predicted(word, view.sample.role, view.sample.n)
    except NotCovered as error:
        return not_decoded(view, error)
    sample, n = view.sample, view.sample.n
    k = int(view.decision.missed(found, sample.labels).sum())
    value = occam_upper(k, n, word.bits, delta, stratified=view.stratified)
    return Outcome(
        value=value,
        n=n,
        terms={"empirical": k / n, "complexity": value - k / n},
        details={"errors": k, "bits": word.bits, "sha256": word.sha256},
        claim=view.pooled(),
    )
