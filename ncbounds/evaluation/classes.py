"""Frames about classes: the error of each with its limits, what is taken for what, told apart."""

from collections.abc import Iterable
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.averaged import over_all_classes
from ncbounds.bounds.cells import cell_limits, upper_limits
from ncbounds.bounds.holdout.binomial import binomial_formula
from ncbounds.bounds.kind import Verdict
from ncbounds.claims.averages import Weighted
from ncbounds.evaluation.answers import NEEDS, READS, answered, cosines, judged, mean_cosines
from ncbounds.evidence.asked import class_number
from ncbounds.evidence.decided import doubt
from ncbounds.evidence.decision import one_class
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.roles import Role
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import down, told_apart_p, weighted_error_upper

if TYPE_CHECKING:
    import pandas as pd

#: What there is in place of frames about classes where points have several labels.
LABEL_ERRORS = "nb.label_errors(evidence) counts misses and false alarms of each label"
#: What a row without a single prediction is called.
NO_ANSWER = "no answer"


def class_errors(evidence: Evidence, delta: float = 0.05, role: Role = "holdout") -> "pd.DataFrame":
    """Error of each class with its limit, and their averages: macro and micro side by side.

    Parameters
    ----------
    evidence : Evidence
    delta : float in (0, 1)
        Of all class limits together (an equal part for each class with points), and of each of
        the two averages.
    role : str
        Sample whose errors are counted.

    Returns
    -------
    DataFrame
        One row a class and two more, ``"macro"`` (all classes alike) and ``"micro"`` (all points
        alike). Columns: ``class`` (its number; -1 for averages), ``name``, ``trained`` (points in
        fit), ``n``, ``errors``, ``rate``, ``limit``, ``test_n``, ``test_rate``, ``kind``.

    Raises
    ------
    MissingEvidence
        If there is no such sample.
    InvalidSample
        If points may have several labels.
    """
    import pandas as pd

    one_class(evidence.decision, "class_errors", LABEL_ERRORS)
    sample, verdict = judged(evidence, role, delta, NEEDS)
    d, classes = verdict.delta, max(evidence.head.classes, sample.classes)
    k, n = _errors(evidence, sample, classes)
    w = np.full(classes, 1.0 / classes)
    stratified = sample.sampling == "stratified"
    macro, micro = weighted_error_upper(k, n, w, d), 1.0
    if sample.n:
        micro = binomial_formula(int(k.sum()), sample.n, d, stratified=stratified)
    rates = np.where(n > 0, k / np.maximum(n, 1), np.nan)
    frame = pd.DataFrame(
        {
            "class": [*range(classes), -1, -1],
            "name": [*(evidence.decision.name(c) for c in range(classes)), "macro", "micro"],
            "trained": _trained(evidence, classes),
            "n": [*n, n.sum(), n.sum()],
            "errors": [*k, k.sum(), k.sum()],
            "rate": [*rates, rates.mean(), k.sum() / max(1, n.sum())],
            "limit": [*_limits(k, n, d), macro, micro],
        }
    )
    frame["test_n"], frame["test_rate"] = _tested(evidence, classes)
    stamped(frame, verdict)
    over = over_all_classes(verdict, Weighted(w, name="balanced"), evidence)
    if over is not verdict:  # there may be classes that nobody has seen
        frame.loc[classes, "kind"] = over.kind
        frame.attrs["reasons"] = list(over.reasons)
    return frame


def confusion(evidence: Evidence, delta: float = 0.05, role: Role = "holdout") -> "pd.DataFrame":
    r"""What each class is taken for, with exact limits of every cell that hold together.

    Parameters
    ----------
    evidence : Evidence
    delta : float in (0, 1)
        Of all cells: each has two limits at :math:`\delta / (2 C (C + 1))`.
    role : str
        Sample that is counted.

    Returns
    -------
    DataFrame
        One row for each class and answer, ``"no answer"`` among them. Columns: ``class``,
        ``name``, ``answer`` (-1 for none), ``answer_name``, ``n`` (points of the class),
        ``count``, ``share``, ``low``, ``high`` (of P(answer | class)), ``kind``.

    Raises
    ------
    MissingEvidence
        If there is no such sample.
    InvalidSample
        If points may have several labels.
    """
    import pandas as pd

    one_class(evidence.decision, "confusion", LABEL_ERRORS)
    labels, answers, shape, verdict = answered(evidence, delta, role)
    classes, outputs = shape[0], shape[1] - 1
    counts = np.zeros(shape, dtype=np.int64)
    np.add.at(counts, (labels, answers), 1)  # -1 is the last column
    n, cells = np.repeat(counts.sum(axis=1), outputs + 1), counts.ravel()
    low, high = cell_limits(cells, n, counts.size, verdict.delta)
    name = evidence.decision.name
    answer = np.tile(np.append(np.arange(outputs), -1), classes)
    label = np.repeat(np.arange(classes), outputs + 1)
    frame = pd.DataFrame(
        {
            "class": label,
            "name": [name(int(c)) for c in label],
            "answer": answer,
            "answer_name": [NO_ANSWER if a < 0 else name(int(a)) for a in answer],
            "n": n,
            "count": cells,
            "share": np.where(n > 0, cells / np.maximum(n, 1), np.nan),
            "low": low,
            "high": high,
        }
    )
    return stamped(frame, verdict)


def told_apart(
    evidence: Evidence,
    pairs: Iterable[tuple[str | int, str | int]] | None = None,
    delta: float = 0.05,
    role: Role = "holdout",
) -> "pd.DataFrame":
    """Which pairs of classes the head surely separates better than a constant does.

    A head whose rows of two classes have become one, as those of minorities can, decides between
    them without looking. Fisher's exact test rejects that; no rejection proves nothing.

    Parameters
    ----------
    evidence : Evidence
        With a linear head.
    pairs : iterable of pairs of class names or numbers, optional
        Fixed before the sample; all pairs of the head's classes unless given.
    delta : float in (0, 1)
        Of all claims together: a pair is told apart if its p-value is at most delta over the number
        of pairs.
    role : str
        Sample that is counted.

    Returns
    -------
    DataFrame
        One row a pair: ``first``, ``second``, ``first_name``, ``second_name``, ``first_n``,
        ``first_errors``, ``second_n``, ``second_errors`` (points on the wrong side of the other
        class), ``p``, ``told_apart``, and, as measures, the cosines of the two centred rows of the
        head, ``head_cosine``, and of the two class means around the mean of all training points,
        ``means_cosine`` (nan without a fit sample): near 1 where a pair has merged, -1/(C-1) for
        all pairs at a balanced optimum; ``kind``.

    Raises
    ------
    MissingEvidence
        If there is no such sample, or no head is known.
    InvalidSample
        If there is no such class, or points may have several labels.
    """
    import pandas as pd

    one_class(evidence.decision, "told_apart", LABEL_ERRORS)
    head = evidence.linear_head
    sample, verdict = judged(evidence, role, delta, READS)
    chosen = list(combinations(range(head.classes), 2))
    if pairs is not None:
        names = evidence.decision.names
        one, two = "the first of a pair", "the second of a pair"
        chosen = [
            (class_number(a, head.classes, names, one), class_number(b, head.classes, names, two))
            for a, b in pairs
        ]
    level = float(down(verdict.delta / max(1, len(chosen))))
    name, rows = evidence.decision.name, []
    ahead = _ahead(sample, head, {(a, b) for pair in chosen for a, b in (pair, pair[::-1])})
    rows_cos, means_cos = cosines(head.weight - head.weight.mean(axis=0)), mean_cosines(evidence)
    for a, b in chosen:
        n = [int((sample.labels == c).sum()) for c in (a, b)]
        k = [n[0] - ahead[a, b], n[1] - ahead[b, a]]
        p = told_apart_p(k, n)
        found = {"first": a, "second": b, "first_name": name(a), "second_name": name(b)}
        found |= {"first_n": n[0], "first_errors": k[0], "second_n": n[1], "second_errors": k[1]}
        found |= {"p": p, "told_apart": p <= level}
        rows.append({**found, "head_cosine": rows_cos[a, b], "means_cosine": means_cos[a, b]})
    return stamped(pd.DataFrame(rows), verdict)


def _ahead(
    sample: Sample, head: LinearHead, pairs: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], int]:
    """Points of class a whose logit of a exceeds that of b beyond rounding, for pairs (a, b)."""
    logits, off = sample.logits(head), doubt(head, sample.features, rounded=sample.rounded)
    out = {}
    with np.errstate(invalid="ignore"):
        for a, b in pairs:
            own = sample.labels == a
            out[a, b] = int((logits[own, a] - logits[own, b] > off[own]).sum())
    return out


def _errors(evidence: Evidence, sample: Sample, classes: int) -> tuple[Ints, Ints]:
    """Errors and points of each class, both of shape (C,)."""
    wrong = evidence.decision.wrong(sample, evidence.head)
    k = np.bincount(sample.labels[wrong], minlength=classes)
    return k, np.bincount(sample.labels, minlength=classes)


def _limits(k: Ints, n: Ints, delta: float) -> Floats:
    """Limits of all class errors, shape (C,), that hold together; 1 for a class without points."""
    return upper_limits(k, n, float(down(delta / max(1, (n > 0).sum()))))


def _trained(evidence: Evidence, classes: int) -> list[Any]:
    if evidence.fit is None:
        return [np.nan] * (classes + 2)
    n = np.bincount(evidence.fit.labels, minlength=classes)[:classes]
    return [*n, evidence.fit.n, evidence.fit.n]


def _tested(evidence: Evidence, classes: int) -> tuple[list[Any], list[Any]]:
    if evidence.test is None:
        return [0] * (classes + 2), [np.nan] * (classes + 2)
    k, n = (x[:classes] for x in _errors(evidence, evidence.test, classes))
    rates = np.where(n > 0, k / np.maximum(n, 1), np.nan)
    return [*n, n.sum(), n.sum()], [*rates, rates.mean(), k.sum() / max(1, n.sum())]


def stamped(frame: "pd.DataFrame", verdict: Verdict) -> "pd.DataFrame":
    """Frame with its kind as a column, and the reasons in its ``attrs``."""
    frame["kind"] = verdict.kind
    frame.attrs["reasons"] = list(verdict.reasons)
    return frame
