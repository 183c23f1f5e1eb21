"""What figures of a report need beside its rows: margins, and pairs of classes."""

from collections.abc import Callable, Iterator, Mapping
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


class MadeWhenRead(Mapping[str, Any]):
    """A mapping of JSON-able values, each made when it is first read, and kept.

    It prints, copies and pickles as the dict of all of them, so that what makes them, which may
    hold whole samples, goes nowhere.
    """

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        self._makers, self._made = dict(makers), dict[str, Any]()

    def __getitem__(self, key: str) -> Any:
        if key not in self._made:
            self._made[key] = plain(self._makers[key]())
        return self._made[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def pictured(evidence: Evidence) -> Mapping[str, Any]:
    """What figures need beside rows: names of classes, margins, pairs of classes; JSON-able.

    Each is made when it is read: margins ask for the logits of every labelled sample, which a
    single bound may not have needed.
    """
    return MadeWhenRead(
        {
            "classes": lambda: list(evidence.decision.names),
            "error_rates": lambda: error_rates(evidence),
            "margins": lambda: _margins(evidence),
            "class_pairs": lambda: _pairs(evidence),
        }
    )


def _margins(evidence: Evidence) -> dict[str, Any] | None:
    found = MarginCurves.of(evidence)
    return None if found is None else found.to_dict()


def _pairs(evidence: Evidence) -> dict[str, Any] | None:
    found = class_pairs(evidence)
    return found.to_dict() if found.confusions or found.cosines else None


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
