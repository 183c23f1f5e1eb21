"""Which claims go with which decision: one class a point, several labels, or ranked ones."""

from dataclasses import replace

from ncbounds.errors import InvalidSample, shown
from ncbounds.evidence.asked import NOTHING, Asked
from ncbounds.evidence.decision import Decision, MultiLabel
from ncbounds.evidence.label_risks import (
    ANSWERED,
    Hamming,
    OneError,
    OneLabel,
    PrecisionAt,
    Ranking,
)

#: What can be asked of several labels, and of ranked ones.
OF_LABELS = "hamming, one-error, ranking, precision@5, misses:LABEL, false-alarms:LABEL or subset"
OF_RANKED = "one-error, ranking or precision@5"


def asked_under(asked: Asked, decision: Decision, classes: int, *, scored: bool) -> Asked:
    """What is asked beside the error under a decision, with what is usual if that is nothing.

    Of several labels ``hamming`` and ``one-error`` are usual, of ranked ones ``ranking``.

    Parameters
    ----------
    asked : Asked
    decision : Decision
    classes : int
        Classes, or labels, of the head.
    scored : bool
        Whether there are scores, which rankings read.

    Raises
    ------
    InvalidSample
        If something is asked that the decision does not answer.
    """
    if not decision.several:
        _no_labels(asked)
        return asked
    ranked = isinstance(decision, MultiLabel) and decision.ranked
    if asked == NOTHING:
        return Asked(risks=_usual(ranked, scored), usual=True)
    if asked.per:
        raise InvalidSample(
            f"{asked.per[0]!r} is of errors of classes, and points have several labels: ask for "
            f"{OF_RANKED if ranked else OF_LABELS}"
        )
    for risk in asked.risks:
        if not getattr(risk, "several", False):
            raise InvalidSample(
                f"{risk.name!r} is of one class a point, and points have several labels: ask for "
                f"{OF_RANKED if ranked else OF_LABELS}"
            )
        if ranked and isinstance(risk, ANSWERED):
            raise InvalidSample(
                f"{shown(risk.name)!r} needs a threshold for each label, and these are only "
                f"ranked: ask for {OF_RANKED}"
            )
        if isinstance(risk, PrecisionAt):
            risk.check(classes)
    found = (
        r.among(decision.names, classes) if isinstance(r, OneLabel) else r for r in asked.risks
    )
    return replace(asked, risks=tuple(found))


def _usual(ranked: bool, scored: bool) -> tuple[Hamming | OneError | Ranking, ...]:
    if ranked:
        return (Ranking(),) if scored else ()
    return (Hamming(), OneError()) if scored else (Hamming(),)


def _no_labels(asked: Asked) -> None:
    for risk in asked.risks:
        if getattr(risk, "several", False):
            raise InvalidSample(
                f"{shown(risk.name)!r} is of points with several labels: say so with "
                "decision=nb.MultiLabel(names, threshold)"
            )
