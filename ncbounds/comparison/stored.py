"""Candidates whose errors a run has kept."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ncbounds.comparison.candidates import Candidate
from ncbounds.errors import MissingEvidence, UnknownName, few, suggest
from ncbounds.evidence.error_bits import ErrorBits
from ncbounds.evidence.roles import check_role


def stored_errors(facts: Mapping[str, Any], role: str) -> ErrorBits | None:
    """Errors on one sample of what is known about a checkpoint; None where none are kept."""
    kept = facts.get("errors", {}).get(check_role(role))
    return None if kept is None else ErrorBits.from_dict(kept)


def judged_beside(
    facts: Mapping[str, Mapping[str, Any]], names: Iterable[str], role: str = "holdout"
) -> int:
    """Number of checkpoints, none of ``names``, whose errors on ``role`` are kept too."""
    others = {*facts} - {*names}
    return sum(stored_errors(facts[name], role) is not None for name in others)


def stored_candidates(
    facts: Mapping[str, Mapping[str, Any]],
    names: Iterable[str] = (),
    role: str = "holdout",
    costs: Mapping[str, float] | None = None,
) -> list[Candidate]:
    """Candidates of a report's facts: those named, else all that were judged on ``role``.

    Raises
    ------
    UnknownName
        If there is no checkpoint of a name.
    MissingEvidence
        If no errors on such rows are kept of one that is named, or of any.
    """
    known, asked = costs or {}, list(names)
    for name in asked:
        if name not in facts:
            raise UnknownName(f"no checkpoint {name!r}; {suggest(name, list(facts))}")
    found = {name: stored_errors(facts[name], role) for name in asked or facts}
    missing = [name for name, bits in found.items() if bits is None]
    if missing and (asked or len(missing) == len(found)):
        raise MissingEvidence(
            f"no errors on {role} rows are kept of {few(missing)}: evaluate them with {role} rows "
            "(ncbounds evaluate ... --out RUN), in a run of this version"
        )
    return [
        Candidate.of_bits(name, bits, known.get(name, np.nan))
        for name, bits in found.items()
        if bits is not None
    ]
