"""What was answered on a sample, what counts of it are worth, and how classes lie to each other."""

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.kind import Verdict, judge
from ncbounds.bounds.needs import Needs
from ncbounds.errors import MissingEvidence
from ncbounds.evidence.evidence import FIELD, Evidence
from ncbounds.evidence.roles import Role, check_role
from ncbounds.evidence.sample import Sample

#: What limits ask of a sample: only predictions are read.
NEEDS = Needs(kind="certificate", role="holdout", features=False)
#: What limits of each answer ask too: an answer that rounding hides is none, and not another one.
READS = Needs(kind="certificate", role="holdout")


def judged(evidence: Evidence, role: Role, delta: float, needs: Needs) -> tuple[Sample, Verdict]:
    """Sample of a role, and what a count of its errors is worth.

    Raises
    ------
    MissingEvidence
        If there is none.
    """
    sample = evidence.sample(check_role(role))
    if sample is None:
        raise MissingEvidence(
            f"there is no {role} sample, found {', '.join(evidence.samples()) or 'none'}; pass "
            f"Evidence({FIELD[role]}=...)"
        )
    hidden = evidence if role == "test" else evidence.without_test()
    return sample, judge(needs, sample, hidden, delta)


def answered(
    evidence: Evidence, delta: float, role: Role
) -> tuple[Ints, Ints, tuple[int, int], Verdict]:
    """Labels and answers (n,), -1 for none; shape of their table; what its counts are worth."""
    sample, verdict = judged(evidence, role, delta, READS)
    shape = (max(evidence.head.classes, sample.classes), evidence.head.classes + 1)
    answers = evidence.decision.predicted(sample, evidence.head)
    return sample.labels, np.maximum(answers, -1), shape, verdict


def cosines(rows: Floats) -> Floats:
    """Cosines of all pairs of rows (C, d), shape (C, C); nan where a row is 0 or not finite."""
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = rows / np.abs(rows).max(axis=1, keepdims=True)  # a square of rows may overflow
        unit = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(unit @ unit.T)


def mean_cosines(evidence: Evidence) -> Floats:
    """Cosines of class means around the mean of all training points, shape (C, C)."""
    classes, fit = evidence.head.classes, evidence.fit
    if fit is None or not (counts := fit.counts[:classes]).any():
        return np.full((classes, classes), np.nan)
    means = fit.moments.mean[:classes]
    there = counts > 0
    centre = counts[there] @ means[there] / counts.sum()
    return cosines(np.where(there[:, None], means - centre, np.nan))
