"""Rows of one bound, each beside the measured error of its own target."""

from dataclasses import replace
from typing import Any

import numpy as np

from ncbounds.bounds.bound import ONE_CLASS, Bound
from ncbounds.bounds.needs import SOURCES
from ncbounds.claims.claim import measured_error
from ncbounds.evidence.evidence import Evidence
from ncbounds.numerics import mean_binomial_upper
from ncbounds.results import BoundResult, Measured, MeasureResult, Row


def bound_rows(b: Bound, evidence: Evidence, delta: float) -> list[Row]:
    """All rows of one bound, each with the measured error of its own target.

    A row whose computation fails is ``nan`` with the failure as its reason, so that one bound
    cannot take the others with it.
    """
    hidden = evidence.without_test()
    rows = _without_value(b, hidden)
    for role, params in b.planned(hidden):
        try:
            row = b(hidden, delta, role=role, **params)
        except Exception as error:  # one bound must not take the others with it
            reason = f"not computed: {type(error).__name__}: {error}"
            rows.append(_undefined(b, evidence, role, dict(params), delta, reason))
            continue
        rows.append(_beside_oracle(replace(row, test=_measure(evidence, row))))
    return rows


def _beside_oracle(row: Row) -> Row:
    """Add what counting errors on n fresh points would certify on average, at the measured error.

    That is the mean exact binomial bound; a certificate's ratio to it says what the certificate is
    worth as a count.
    """
    if row.kind != "certificate" or row.test is None or not np.isfinite(row.test.error):
        return row
    if row.n < 1:  # a class without points: the certificate is 1
        return row
    oracle = mean_binomial_upper(row.test.error, row.n, row.delta)
    return replace(row, details={**row.details, "oracle": oracle})


def _without_value(b: Bound, evidence: Evidence) -> list[Row]:
    """One row that says why it has no value whatever the samples; a default report leaves it out.

    That is where a head is missing, or points may have several labels.
    """
    roles = [r for r in SOURCES[b.role] if evidence.sample(r) is not None]
    reason = b.unfit(evidence)
    if not roles or not reason:
        return []
    details = {"not given": "one class a point" if reason == ONE_CLASS else "head"}
    return [_undefined(b, evidence, roles[0], dict(b.variants[0]), np.nan, reason, details=details)]


def _measure(evidence: Evidence, row: Row) -> Measured | None:
    if isinstance(row, MeasureResult):
        return None
    sample = evidence.sample(row.role)  # type: ignore[arg-type]
    noise = 0.0 if sample is None else sample.label_noise
    return measured_error(row.claim, evidence, label_noise=noise)


def _undefined(
    b: Bound,
    evidence: Evidence,
    role: str,
    params: dict[str, Any],
    delta: float,
    reason: str,
    **more: Any,
) -> Row:
    sample = evidence.sample(role)  # type: ignore[arg-type]
    common: dict[str, Any] = {
        "bound": b.id,
        "family": b.family,
        "target": b.claim.target,
        "qualifier": b.claim_of(evidence).qualifier,
        "role": role,
        "layer": "" if sample is None else sample.tap or "",
        "n": 0,
        "delta": delta if b.spends_delta else np.nan,
        "params": params,
        "reasons": (reason,),
        "checkpoint": evidence.checkpoint,
        "provenance": evidence.provenance,
        **more,
    }
    if b.kind == "measure":
        return MeasureResult(kind="measure", measure=np.nan, **common)
    return BoundResult(kind="plug-in", value=np.nan, **common)
