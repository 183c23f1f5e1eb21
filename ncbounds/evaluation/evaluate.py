"""Evidence in, report out: every selected bound on every sample that it can read."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ncbounds.bounds.bound import Bound
from ncbounds.bounds.selection import select
from ncbounds.errors import MissingEvidence
from ncbounds.evaluation.pictured import pictured
from ncbounds.evaluation.plan import check_delta, listed, planned_rows
from ncbounds.evaluation.rows import bound_rows
from ncbounds.evidence.evidence import Evidence
from ncbounds.numerics.rounding import part_of

if TYPE_CHECKING:
    from ncbounds.report import Report


def evaluate(
    evidence: Evidence,
    bounds: "str | Iterable[str | Bound] | None" = None,
    delta: float = 0.05,
    simultaneous: bool = False,
    claims: Any = None,
) -> "Report":
    """Evaluate bounds on one classifier and set them beside its measured error.

    Parameters
    ----------
    evidence : Evidence
        The head and the samples by role. The test sample measures the error; no bound reads it.
    bounds : str, iterable of str or Bound, or None
        See :func:`select`.
    delta : float in (0, 1)
        Probability with which each row may fail; with ``simultaneous`` the probability with which
        any of them may.
    simultaneous : bool
        Give each row delta divided by the number of rows that spend it.
    claims : str, mapping, loss, or iterable of these, optional
        What is asked beside the error, fixed before the samples: ``"balanced"``, ``"worst"``,
        ``"groups"``, ``{"rare": ["tiger", "lynx"]}``, ``"top-5"``, ...; see
        :func:`ncbounds.evidence.asked.asked_for`. Each is a row of its own of every bound that
        answers it.

    Returns
    -------
    Report
        One row per bound, sample and parameters. A row that could not be computed is ``nan`` with
        its reason.

    Raises
    ------
    InvalidSample
        If delta is no probability in (0, 1), or a claim is none.
    MissingEvidence
        If none of the bounds finds the samples that it needs.
    """
    from ncbounds.report import Report

    delta = check_delta(delta)
    evidence = evidence.asking(claims)
    chosen = select(bounds, evidence.asked)
    planned = planned_rows(
        chosen,
        evidence.asked,
        losses_alone=evidence.losses_alone,
        several_labels=evidence.decision.several,
    )
    each = part_of(delta, max(planned, 1)) if simultaneous else delta
    rows = listed((row for b in chosen for row in bound_rows(b, evidence, each)), bounds)
    if not rows:
        raise MissingEvidence(nothing_found(chosen, evidence.samples()))
    facts = {evidence.checkpoint: pictured(evidence)}
    return Report(rows, facts=facts, simultaneous=simultaneous, planned=planned)


def nothing_found(chosen: Iterable[Bound], roles: Iterable[str]) -> str:
    """Say that none of the bounds gives a row on samples of these roles."""
    bounds = list(chosen)
    wanted = sorted({"holdout or head" if b.role == "any" else b.role for b in bounds})
    return (
        f"none of {len(bounds)} bounds finds what it needs: they read samples of role "
        f"{', '.join(wanted)} (`ncbounds explain ID` says what else), the evidence has "
        f"{', '.join(roles) or 'no sample'}"
    )
