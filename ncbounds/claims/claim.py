"""Measured error on the test sample, for each target that a row can speak about."""

from typing import Any

from ncbounds.arrays import Floats
from ncbounds.claims.counted import counted_error, head_error
from ncbounds.claims.few_shot import few_shot_error
from ncbounds.errors import InvalidSample
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.results import Measured


def measured_error(
    evidence: Evidence,
    target: str,
    *,
    head: LinearHead | None = None,
    weights: Floats | None = None,
    params: "dict[str, Any] | None" = None,
    label_noise: float = 0.0,
) -> Measured | None:
    """Measure on ``evidence.test`` the error that a row speaks about; None without a test sample.

    Parameters
    ----------
    evidence : Evidence
    target : str
        One of :data:`ncbounds.results.Target`.
    head : LinearHead, optional
        The classifier of the row, if not the saved one.
    weights : array of shape (C,), optional
        Class weights of the error; by default the test sample's own frequencies.
    params : dict, optional
        The row's parameters (``m`` for few-shot).
    label_noise : float
        Noise rate of the sample that the bound read; another rate on test makes the row
        incomparable, which is said in the reasons.
    """
    test = evidence.test
    if test is None or test.n == 0:
        return None
    reasons: tuple[str, ...] = ()
    if abs(test.label_noise - label_noise) > 1e-12:
        reasons = (
            f"not comparable: label noise {label_noise:g} in the bound's sample, "
            f"{test.label_noise:g} in test",
        )
    if target == "few-shot":
        shots = (params or {}).get("m")
        if not isinstance(shots, int):
            raise InvalidSample(f"a few-shot row needs a finite number of shots m, found {shots}")
        found = few_shot_error(test, shots, weights)
    elif target == "unseen-classes":
        return None
    elif target == "compressed":
        predicted = None if evidence.code_word is None else evidence.code_word.on("test")
        if predicted is None:
            return None
        found = counted_error(test, predicted != test.labels, weights)
    else:
        found = head_error(test, evidence.head if head is None else head, weights)
    return Measured(found.error, found.low, found.high, (*found.reasons, *reasons))
