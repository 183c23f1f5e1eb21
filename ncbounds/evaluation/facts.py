"""What tables say about a checkpoint beside its bounds."""

from contextlib import suppress
from typing import Any

from ncbounds.bounds.kind import judge
from ncbounds.bounds.needs import Needs
from ncbounds.errors import InvalidSample
from ncbounds.evaluation.pictured import JUDGED, pictured
from ncbounds.evidence.contradictions import about_test
from ncbounds.evidence.error_bits import ErrorBits, rows_hash
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.loss import assumed_loss
from ncbounds.evidence.roles import Role
from ncbounds.results import Kind

#: Samples that are described, and time for the efficiency, which is meant for the first.
SECONDS: dict[Role, float] = {"fit": 10.0, "head": 1.0, "holdout": 1.0}
#: What a count of errors asks of held-out rows.
COUNTED = Needs(kind="certificate", role="holdout", features=True)


def facts_of(evidence: Evidence) -> dict[str, Any]:
    """Return what tables say about a checkpoint beside its bounds; JSON-able."""
    from ncbounds.results import plain

    samples = evidence.samples()
    facts = {
        **pictured(evidence),
        "means": list(evidence.asked.means),
        "n": {role: s.n for role, s in samples.items()},
        "collapse": _collapse(evidence),
        "errors": {bits.role: bits.to_dict() for bits in error_bits(evidence)},
        "duplicates": evidence.duplicates(),
        "module_disagreements": {r: s.module_disagreements for r, s in samples.items()},
        "provenance": evidence.provenance,
    }
    return dict(plain(facts))


def _collapse(evidence: Evidence) -> dict[str, Any]:
    """Collapse metrics by role; none where only predictions are known."""
    from ncbounds.geometry import collapse

    head, samples = evidence.head, evidence.samples()
    if not isinstance(head, LinearHead):
        return {}
    # NC4 asks for the nearest of the means that the network was trained to, where there are any
    several = evidence.decision.several
    means = None if evidence.fit is None or several else evidence.fit.moments.mean
    loss = evidence.loss or assumed_loss(evidence.decision)
    found: dict[str, Any] = {}
    for role, seconds in SECONDS.items():
        if role in samples:
            with suppress(InvalidSample):  # a feature that is not finite has no moments
                frame = collapse(samples[role], head, means=means, loss=loss, seconds=seconds)
                found[role] = frame.to_dict("records")
    return found


def error_bits(evidence: Evidence) -> list[ErrorBits]:
    """Errors of the saved classifier on the rows of holdout and test, where these are known."""
    if evidence.losses_alone:
        return []
    found = []
    for role in JUDGED:
        sample = evidence.sample(role)
        if sample is None or not (rows := rows_hash(sample)):
            continue
        decision = evidence.decision
        wrong = decision.wrong(sample, evidence.head)
        kind: Kind = "measure"
        if role == "test":
            reasons = tuple(about_test(sample, evidence))
        else:
            # who reads them spends a delta of its own
            kind, reasons, _ = judge(COUNTED, sample, evidence.without_test(), 0.0)
        found.append(
            ErrorBits(
                *(role, rows, wrong, sample.sampling, sample.selected_among, kind, reasons),
                error=decision.error,
            )
        )
    return found
