"""What figures of a report need beside its rows: margins, and pairs of classes."""

from contextlib import suppress
from typing import Any

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.errors import InvalidSample
from ncbounds.evaluation.answers import answered, cosines, mean_cosines
from ncbounds.evidence.class_pairs import CLASSES, ClassPairs, Confusions
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.margin_curves import MarginCurves
from ncbounds.evidence.roles import LABELS_OPTIONAL, Role
from ncbounds.results import plain

#: Samples whose errors and answers are kept.
JUDGED: tuple[Role, ...] = ("holdout", "test")


def pictured(evidence: Evidence) -> dict[str, Any]:
    """What figures need beside rows: names of classes, margins, pairs of classes; JSON-able.

    It comes of margins and answers that are made, and kept, where errors are counted.
    """
    margins, pairs = MarginCurves.of(evidence), class_pairs(evidence)
    found = {
        "classes": list(evidence.decision.names),
        "error_rates": error_rates(evidence),
        "margins": None if margins is None else margins.to_dict(),
        "class_pairs": pairs.to_dict() if pairs.confusions or pairs.cosines else None,
    }
    return dict(plain(found))


def error_rates(evidence: Evidence) -> dict[str, float]:
    """Share of errors of the saved classifier on each sample whose labels count; {} for losses."""
    if evidence.losses_alone:
        return {}
    wrong = evidence.decision.wrong
    return {
        role: float(wrong(s, evidence.head).mean())
        for role, s in evidence.samples().items()
        if role not in LABELS_OPTIONAL and s.n
    }


def class_pairs(evidence: Evidence, delta: float = 0.05) -> ClassPairs:
    """What a run keeps of the pairs of classes: answers by class, cosines of means and head rows.

    Parameters
    ----------
    evidence : Evidence
    delta : float in (0, 1)
        Of all limits of one table together.

    Returns
    -------
    ClassPairs
        Empty where only losses are known, and where points may have several labels.
    """
    if evidence.losses_alone or evidence.decision.several:
        return ClassPairs()
    confusions = {}
    for role in JUDGED:
        if (sample := evidence.sample(role)) is not None and sample.n:
            labels, answers, shape, worth = answered(evidence, delta, role)
            confusions[role] = Confusions.of(
                labels, answers, shape, delta=worth.delta, kind=worth.kind, reasons=worth.reasons
            )
    return ClassPairs(confusions, _all_cosines(evidence))


def _all_cosines(evidence: Evidence) -> dict[str, Floats]:
    """Cosines of class means and of head rows, those that are defined, of few enough classes."""
    head = evidence.head
    if not isinstance(head, LinearHead) or head.classes > CLASSES:
        return {}
    found = {"head rows": cosines(head.weight - head.weight.mean(axis=0))}
    with suppress(InvalidSample):  # a feature that is not finite
        found["class means"] = mean_cosines(evidence)
    beside = ~np.eye(head.classes, dtype=bool)
    return {what: c for what, c in found.items() if np.isfinite(c[beside]).any()}
