"""Frame of labels that a point may have: misses and false alarms of each, with limits."""

from typing import TYPE_CHECKING

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.cells import upper_limits
from ncbounds.errors import InvalidSample
from ncbounds.evaluation.answers import NEEDS, judged
from ncbounds.evaluation.classes import stamped
from ncbounds.evidence.decision import MultiLabel, held_by
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.roles import Role
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import down

if TYPE_CHECKING:
    import pandas as pd


def label_errors(evidence: Evidence, delta: float = 0.05, role: Role = "holdout") -> "pd.DataFrame":
    r"""Misses and false alarms of each label, with exact limits that hold together.

    A miss is a point that has the label and is not given it; a false alarm is one that has it not
    and is given it; no answer counts as either.

    Parameters
    ----------
    evidence : Evidence
        With ``decision=nb.MultiLabel(...)``.
    delta : float in (0, 1)
        Of all limits together: each has :math:`\delta / (2L)`.
    role : str
        Sample that is counted.

    Returns
    -------
    DataFrame
        One row a label. Columns: ``label`` (its number), ``name``, ``trained`` (points of fit that
        have it), ``present`` and ``absent`` (points that have it, or not), ``misses``,
        ``miss_rate``, ``miss_limit`` (of P(not given | present); 1 for a label that is never
        present), ``false_alarms``, ``false_alarm_rate``, ``false_alarm_limit`` (of
        P(given | absent); 1 for one that is always present), ``test_present``, ``test_miss_rate``,
        ``test_absent``, ``test_false_alarm_rate``, ``kind``.

    Raises
    ------
    MissingEvidence
        If there is no such sample.
    InvalidSample
        If points have one class each, or labels are only ranked.
    """
    import pandas as pd

    decision = evidence.decision
    if not isinstance(decision, MultiLabel):
        raise InvalidSample(
            "label_errors is about several labels a point, and these have one class each: "
            "nb.class_errors(evidence)"
        )
    if decision.ranked:
        raise InvalidSample(
            "label_errors needs a threshold for each label, and these are only ranked: "
            "MultiLabel(names, threshold)"
        )
    sample, verdict = judged(evidence, role, delta, NEEDS)
    labels = evidence.head.classes
    each = float(down(verdict.delta / (2 * labels)))
    frame = pd.DataFrame(
        {
            "label": np.arange(labels),
            "name": [decision.name(j) for j in range(labels)],
            "trained": np.nan if evidence.fit is None else held_by(evidence.fit).sum(axis=0),
        }
    )
    n, k = _counts(evidence, sample)
    kinds = (("present", "misses", "miss"), ("absent", "false_alarms", "false_alarm"))
    for side, (there, _, _) in enumerate(kinds):
        frame[there] = n[side]
    for side, (_, many, one) in enumerate(kinds):
        frame[many] = k[side]
        frame[f"{one}_rate"] = _rates(k[side], n[side])
        frame[f"{one}_limit"] = upper_limits(k[side], n[side], each)
    test = evidence.test
    n, k = np.zeros((2, 2, labels), dtype=np.int64) if test is None else _counts(evidence, test)
    for side, (there, _, one) in enumerate(kinds):
        frame[f"test_{there}"] = n[side]
        frame[f"test_{one}_rate"] = _rates(k[side], n[side])
    return stamped(frame, verdict)


def _counts(evidence: Evidence, sample: Sample) -> tuple[Ints, Ints]:
    """Points that have each label and that have not, and wrong answers among them; both (2, L)."""
    held = held_by(sample)
    wrong = evidence.decision.predicted(sample, evidence.head) != held
    present, missed = held.sum(axis=0), (wrong & held).sum(axis=0)
    return (
        np.stack([present, sample.n - present]),
        np.stack([missed, wrong.sum(axis=0) - missed]),
    )


def _rates(k: Ints, n: Ints) -> Floats:
    return np.where(n > 0, k / np.maximum(n, 1), np.nan)
