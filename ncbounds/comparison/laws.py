"""What held-out rows of the source, and rows of the target, say of the laws that they come from."""

from collections.abc import Iterable

import numpy as np

from ncbounds.arrays import Bools, Ints
from ncbounds.bounds.holdout.binomial import binomial_formula
from ncbounds.bounds.kind import Verdict, judge
from ncbounds.bounds.needs import Needs
from ncbounds.comparison.statement import Statement
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import down

#: What counting errors on source rows, or predictions on unlabelled rows of the target, asks.
SOURCE = Needs(kind="certificate", role="holdout", features=False)
TARGET = Needs(kind="certificate", role="target", features=False)


def lowered(verdict: Verdict, *reasons: str) -> Verdict:
    """A verdict that is a plug-in for more reasons, if there are any."""
    if not reasons:
        return verdict
    return verdict._replace(kind="plug-in", reasons=(*reasons, *verdict.reasons))


def judge_target(needs: Needs, target: Sample, evidence: Evidence, delta: float) -> Verdict:
    """What unlabelled rows of the target are worth: they have to be draws of it."""
    verdict = judge(needs, target, evidence, delta)
    if target.sampling != "stratified":
        return verdict
    return lowered(verdict, "the target rows have to be drawn at random, not by class")


def share_of(delta: float, verdicts: Iterable[Verdict]) -> float:
    """Delta over all that could have been chosen: the candidates of each sample, multiplied."""
    out = delta
    for v in verdicts:
        out = out if v.delta == delta else float(down(out * (v.delta / delta), 3))
    return out


def source_limit(
    name: str, sample: Sample, wrong: Bools, verdict: Verdict, delta: float
) -> Statement:
    """Upper limit of the error on the law of the held-out rows; ``wrong`` says which are errors."""
    by_class = sample.sampling == "stratified"
    weighted = ", weighted by their class frequencies" if by_class else ""
    return Statement(
        name,
        "source",
        f"error on the law of the held-out rows{weighted}",
        "<=",
        binomial_formula(int(wrong.sum()), sample.n, verdict.delta, stratified=by_class),
        verdict.kind,
        delta,
        sample.n,
        reasons=verdict.reasons,
    )


def answers(evidence: Evidence, sample: Sample, ties: int) -> Ints:
    """Predictions, a tie as one of its own, (n,)."""
    found = evidence.decision.predicted(sample, evidence.head)
    return np.where(found < 0, ties, found).astype(np.int64)


def measured_on(evidence: Evidence, target: Sample) -> float:
    """Share of errors on the target rows; nan where one of them has no label."""
    if (target.labels < 0).any():
        return np.nan
    return float(evidence.decision.wrong(target, evidence.head).mean())
