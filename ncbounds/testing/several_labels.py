"""Whether a bound that says so also holds where points may have several labels."""

from dataclasses import replace
from typing import Any

import numpy as np

from ncbounds.arrays import Ints
from ncbounds.bounds.bound import Bound
from ncbounds.evidence.decision import MultiLabel
from ncbounds.evidence.evidence import FIELD, Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.roles import LABELS_OPTIONAL
from ncbounds.evidence.sample import Sample
from ncbounds.testing.asking import ask, differs, number
from ncbounds.testing.violations import ContractViolation

#: Thresholds that are no power of 2 and not alike, so that scaling or mixing them shows.
STEP = 0.3


def check_several_labels(bound: Bound, evidence: Evidence) -> None:
    """Check a bound that says ``several_labels=True`` where points have several labels.

    Each of its rows has a value, the same for labels in another order, and for head and thresholds
    that are scaled together.

    Raises
    ------
    ContractViolation
        If one has none, or another one.
    """
    if not (bound.several_labels and bound.spends_delta):
        return
    classes = evidence.head.classes
    order = np.arange(classes)
    plain, turned = (several(evidence, o) for o in (order, order[::-1]))
    scaled = several(evidence, order, power=9)
    for params in bound.rows_for(plain.asked, several_labels=True):
        expected = ask(bound, plain, "where points have several labels", params=params)
        if expected is None or np.isnan(number(expected)):
            raise ContractViolation(
                f"{bound.id}{dict(params) or ''}: says several_labels=True and has no value there"
            )
        changes = (("labels in another order", turned), ("a scaled head", scaled))
        for what, other in changes:
            found = ask(bound, other, f"with {what}", params=params)
            if found is None or differs(number(found), number(expected)):
                raise ContractViolation(
                    f"{bound.id}{dict(params) or ''}: says several_labels=True, and its value "
                    f"changes with {what}"
                )


def several(evidence: Evidence, order: Ints, power: int = 0) -> Evidence:
    """Return evidence of several labels: each point has its class and, in half of them, the next.

    Parameters
    ----------
    evidence : Evidence
        Of one class a point, with a linear head.
    order : integer array of shape (C,)
        In which labels, outputs and thresholds stand.
    power : int
        Head and thresholds are multiplied by ``2**power``.
    """
    head = evidence.linear_head
    thresholds = STEP * np.arange(head.classes) / head.classes
    found: dict[str, Any] = {
        FIELD[role]: _labelled(s, head.classes, order)
        for role, s in evidence.samples().items()
        if role not in LABELS_OPTIONAL
    }
    scaled = [np.ldexp(x[order], power) for x in (head.weight, head.bias, thresholds)]
    samples: dict[str, Any] = {name: found.get(name) for name in FIELD.values()}
    return replace(
        evidence,
        **samples,
        head=LinearHead(scaled[0], scaled[1], has_bias=head.has_bias),
        decision=MultiLabel(threshold=tuple(scaled[2])),
        network=None,
        code_word=None,
        priors=None,
    )


def _labelled(sample: Sample, classes: int, order: Ints) -> Sample:
    held = np.zeros((sample.n, classes), dtype=np.bool_)
    rows = np.arange(sample.n)
    held[rows, sample.labels % classes] = True
    held[rows[::2], (sample.labels[::2] + 1) % classes] = True
    draw = replace(sample.draw, label_noise=0.0)
    return Sample.from_arrays(sample.features, held[:, order], role=draw)
