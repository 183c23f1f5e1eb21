"""LogME, a score for choosing among features, and what it is read beside."""

import numpy as np

from ncbounds.bounds.bound import bound
from ncbounds.bounds.view import Outcome, View
from ncbounds.geometry.logme import logme as log_evidence
from ncbounds.statistics.rows import all_finite, as_rows


@bound(
    family="collapse",
    kind="measure",
    role="any",
    target="refitted-head",
    requires=(),
    confused_with=(
        "A probability or an accuracy: it is a log evidence per point, which orders features of "
        "the same rows and cannot be compared between samples of different size."
    ),
    references=("you2021", "bao2019", "xu2023"),
    invariant_to=("relabelling", "rotation", "feature scale", "head scale", "common row"),
)
def logme(view: View, delta: float) -> Outcome:
    r"""Log evidence per point of a linear model of the labels in the features.

    With :math:`\sum_i f_i f_i' = Q\,\mathrm{diag}(s)\,Q'`, per class c
    :math:`u_j = (n_c\, q_j' \hat\mu_c)^2 / s_j` and :math:`r = n_c - \sum_j u_j`,

    .. math::
        \frac 1C \sum_c \max_{t > 0} \tfrac12 \Big( \ln\beta - \tfrac1n \sum_j \ln(1 + s_j/t)
        - \ln 2\pi - 1 \Big), \qquad \beta = n \Big/ \Big( \sum_j \frac{u_j}{1 + s_j/t} + r \Big) .

    In nats, larger is better. It ranks features of the same rows for a new task, and its value by
    itself says nothing; `ncbounds choose` shows it beside NC1, VCI and leave-one-out errors, by
    which five candidates are shortlisted, and certifies by counting.

    Shapes: features (n, d), labels (n,); only class moments are read, and d may exceed n.

    Role: any but test. The head is not read.

    Assumptions: none; no error is bounded.

    Source: You et al. 2021 [1]_ . Their fixed point is replaced by a search over t, and the rank of
    the features is cut where rounding demands it: the public code is wrong for d > n.

    When vacuous: it is a measure. Not comparable between samples of different size; it changes if
    features are translated. Where the features fit anything it may sit at t -> 0, for noise at
    t -> infinity; the reasons say so.

    Notes
    -----
    Scores that are not here, and why. H-score [2]_ is rank(Sigma_B) (1 - VCI): the variability
    collapse index [3]_ of :func:`ncbounds.geometry.vci` says the same on a scale that does not grow
    with the number of classes. LEEP and NCE read the probabilities of the source head, so that they
    compare networks with one set of source classes and no layers below the head. TransRate, NCTI
    and PARC change with the scale of the features, or with a subsample or projection whose seed
    decides; SFDA and NCTI pool several terms, whose weights are a choice. None of them is on the
    scale of errors, and no confidence statement is known for any.
    """
    del delta
    sample = view.sample
    if not all_finite(as_rows(sample.features)):
        return Outcome(value=np.nan, n=sample.n, reasons=("some features are not finite",))
    found = log_evidence(sample)
    return Outcome(value=found.value, n=sample.n, reasons=found.reasons)
