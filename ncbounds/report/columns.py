"""Columns of the table."""

import json
from typing import Any

import numpy as np

from ncbounds.results import BoundResult, MeasureResult, Row

#: Columns of :meth:`Report.to_frame` and of the CSV file, in this order; more may follow.
COLUMNS = (
    "checkpoint",
    "bound",
    "params",
    "family",
    "kind",
    "target",
    "role",
    "n",
    "delta",
    "value",
    "measure",
    "test_error",
    "test_low",
    "test_high",
    "reasons",
    "seconds",
    "oracle",
    "ratio",
)


def record(r: Row) -> dict[str, Any]:
    """One row as a record of :data:`COLUMNS`."""
    params = {k: str(v) if isinstance(v, float) and np.isinf(v) else v for k, v in r.params.items()}
    reasons = [*r.reasons, *(r.test.reasons if r.test else ())]
    return {
        "checkpoint": r.checkpoint,
        "bound": r.bound,
        "params": json.dumps(params, sort_keys=True),
        "family": r.family,
        "kind": r.kind,
        "target": r.target,
        "role": r.role,
        "n": r.n,
        "delta": r.delta,
        "value": r.value if isinstance(r, BoundResult) else np.nan,
        "measure": r.measure if isinstance(r, MeasureResult) else np.nan,
        "test_error": r.test.error if r.test else np.nan,
        "test_low": r.test.low if r.test else np.nan,
        "test_high": r.test.high if r.test else np.nan,
        "reasons": "; ".join(reasons),
        "seconds": r.seconds,
        # mean exact binomial bound from n fresh points at the measured error
        "oracle": r.details.get("oracle", np.nan),
        "ratio": r.value / r.details["oracle"] if "oracle" in r.details else np.nan,  # type: ignore[union-attr]
    }
