"""Certify a head that has used every label, by its disagreement with a partly fitted one."""

import numpy as np

from ncbounds.bounds.bound import bound
from ncbounds.bounds.disagreement import apart, other_law
from ncbounds.bounds.restate import errors_at
from ncbounds.bounds.view import Outcome, View
from ncbounds.evidence.split import two_parts
from ncbounds.numerics import binomial_upper, down, stratified_upper, up
from ncbounds.procedures.linear import fit_on, procedure_name
from ncbounds.results import BoundResult

#: Part of the labelled sample that the comparison head is fitted on, in tenths; fixed a priori.
FIRST_TENTHS = 4
SEED = 72
#: Shares of delta for the labelled and the unlabelled count.
LABELLED, UNLABELLED = 0.8, 0.2


def unlabelled_head_formula(
    errors: int,
    n: int,
    differences: int,
    unlabelled: int,
    delta: float,
    *,
    stratified: bool = False,
) -> float:
    """Bound on the error of a head that differs from a counted one, rounded up.

    Parameters
    ----------
    errors, n : int
        Errors of the other head among n labelled points.
    differences, unlabelled : int
        Points where the two heads differ, among so many without labels.
    delta : float in (0, 1)
    stratified : bool
        Whether class counts were fixed by design.
    """
    return float(up(sum(_terms(errors, n, differences, unlabelled, delta, stratified))))


def _terms(
    errors: int, n: int, differences: int, unlabelled: int, delta: float, stratified: bool
) -> tuple[float, float]:
    upper = stratified_upper if stratified and delta <= 0.25 else binomial_upper
    error = float(upper(errors, n, down(LABELLED * delta)))
    return error, float(upper(differences, unlabelled, down(UNLABELLED * delta)))


def _restated(row: BoundResult, n: int, delta: float) -> float:
    """Counts of the same two heads; the unlabelled points stay as many as they were."""
    d = row.details
    return unlabelled_head_formula(
        errors_at(row, n), n, int(d["differences"]), int(d["unlabelled"]), delta
    )


@bound(
    family="collapse",
    kind="certificate",
    role="head",
    target="saved",
    requires=("head", "procedure", "unlabelled"),
    also_fit=False,
    confused_with=(
        "Agreement as accuracy: two heads that agree may both be wrong, so the certified error of "
        "the first is added to their disagreement."
    ),
    references=("clopper1934", "hoeffding1956", "kaariainen2005"),
    decreasing_in=("delta",),
    invariant_to=("head scale", "common row"),
    restated=_restated,
    formula=unlabelled_head_formula,
)
def unlabelled_head(view: View, delta: float) -> Outcome:
    r"""Add a bound on the error of a partly fitted head and one on its disagreement with the head.

    A procedure A fits :math:`W_0` on the first 40 % of the labelled sample in a seeded order;
    :math:`W_0` makes :math:`k_0` errors on the other :math:`n_b` points and differs from the saved
    head on :math:`k_1` of m unlabelled points. With probability at least :math:`1-\delta`

    .. math::
        R \le \mathrm{BinInv}(k_0, n_b, 0.8\,\delta) + \mathrm{BinInv}(k_1, m, 0.2\,\delta) ,

    where :math:`\mathrm{BinInv}(k, n, \delta) = \max\{p : P(\mathrm{Bin}(n,p) \le k) \ge \delta\}`.
    A point where either head has a tie (also one within float64 rounding) or a non-finite logit
    counts as a difference.

    Shapes: labelled features (n, d), labels (n,); unlabelled features (m, d).

    Role: ``head`` or ``holdout``, since the saved head may depend on every label, but the features
    on none; and ``unlabelled``, which nothing was fitted on.

    Assumptions: the unlabelled points are drawn from the same law of the inputs. A, with its
    settings, was fixed before the sample or tunes itself on its 40 %. If class counts of the
    labelled sample were fixed by design, those of the unlabelled one must be in the same
    proportions as in the other 60 %.

    Source: the decomposition through a second classifier is Kääriäinen 2005 [3]_ ; the tails are
    Clopper and Pearson 1934 [1]_ and Hoeffding 1956 [2]_ .

    When vacuous: if refitting on 40 % of the labels changes many predictions, that is, where the
    learning curve is steep; collapsed features make both terms small.

    Notes
    -----
    If the saved head errs, :math:`W_0` errs or the two differ. Given the first part :math:`W_0` is
    fixed; given the whole labelled sample both heads are, and the unlabelled points are fresh.
    """
    sample = view.sample
    first, rest = two_parts(sample, lambda n: FIRST_TENTHS * n // 10, seed=SEED)
    a, b = sample.part(first), sample.part(rest)
    head0 = fit_on(view.procedure, a.features, a.labels, view.head.classes)
    details = {"procedure": procedure_name(view.procedure), "fitted on": a.n}
    pool = view.unlabelled
    assert pool is not None
    claim = view.pooled(sample=b)
    if (mismatch := other_law(b, pool, view.stratified)) is not None:
        return Outcome(value=np.nan, n=b.n, reasons=(mismatch,), details=details, claim=claim)
    k0 = int(view.wrong_on(b, head0).sum())
    once = pool.part(np.arange(pool.n))  # so that nothing is kept of a head that is not met again
    ours, other = view.decision.predicted(pool, view.head), view.decision.predicted(once, head0)
    k1 = int(apart(ours, other).sum())
    error, difference = _terms(k0, b.n, k1, pool.n, delta, view.stratified)
    return Outcome(
        value=float(up(error + difference)),
        n=b.n,
        terms={"error of the partly fitted head": error, "difference": difference},
        details={**details, "errors": k0, "differences": k1, "unlabelled": pool.n},
        reasons=(f"reads {pool.n} unlabelled points",),
        claim=claim,
    )
