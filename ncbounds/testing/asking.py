"""Evaluating one bound many times, and comparing what comes out."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ncbounds.bounds.bound import Bound
from ncbounds.bounds.kind import Verdict
from ncbounds.bounds.view import View
from ncbounds.errors import NcboundsError
from ncbounds.evidence.evidence import FIELD, Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.roles import Role, check_role
from ncbounds.evidence.sample import Sample
from ncbounds.results import BoundResult, MeasureResult
from ncbounds.testing.violations import ContractViolation

#: Longest time that one row may take on the small samples of the battery, in seconds.
PATIENCE = 30.0

Row = BoundResult | MeasureResult


def number(row: Row) -> float:
    """Value of a bound, or the measure."""
    return row.measure if isinstance(row, MeasureResult) else row.value


def ask(
    bound: Bound,
    evidence: Evidence,
    what: str,
    *,
    delta: float = 0.05,
    role: Role | None = None,
    params: Mapping[str, Any] | None = None,
) -> Row | None:
    """Evaluate one row; None where the bound refuses with an error of the library.

    Raises
    ------
    ContractViolation
        If it fails in any other way, takes too long or is undefined without a reason.
    """
    params = bound.variants[0] if params is None else params
    where = f"{bound.id}{dict(params) or ''} {what}"
    start = time.perf_counter()
    try:
        with np.errstate(all="ignore"):
            row = bound(evidence, delta, role=role, **params)
    except NcboundsError:
        return None
    except Exception as error:
        raise ContractViolation(f"{where}: raises {type(error).__name__}: {error}") from error
    if time.perf_counter() - start > PATIENCE:
        raise ContractViolation(f"{where}: takes more than {PATIENCE:g} s on a small sample")
    if isinstance(row, BoundResult):
        if np.isnan(row.value) and len(row.reasons) == len(_verdict(bound, evidence, row).reasons):
            raise ContractViolation(f"{where}: is nan without a reason; pass Outcome(reasons=...)")
        if row.value < 0:
            raise ContractViolation(f"{where}: is negative ({row.value:g})")
    return row


def _verdict(bound: Bound, evidence: Evidence, row: Row) -> Verdict:
    """What a row says about its kind, before what its function says."""
    delta = 0.05 if np.isnan(row.delta) else row.delta
    return bound.verdict(evidence, delta, role=check_role(row.role))


def own_role(bound: Bound, evidence: Evidence) -> Role:
    """Role of the sample that the bound's row is evaluated on by default."""
    found: Role = bound(evidence, 0.05).role  # type: ignore[assignment]
    return found


def with_sample(evidence: Evidence, role: Role, **changes: Any) -> Evidence:
    """Return the evidence with fields of one sample replaced."""
    sample = evidence.sample(role)
    assert sample is not None
    return changed(evidence, {FIELD[role]: remade(sample, **changes)})


def changed(evidence: Evidence, fields: Mapping[str, Any]) -> Evidence:
    """Return the evidence with some fields replaced."""
    return replace(evidence, **fields)


def remade(sample: Sample, **changes: Any) -> Sample:
    """Make a sample anew with some fields changed, so that nothing computed is kept."""
    kept = {
        "features": sample.features,
        "labels": sample.labels,
        "classes": sample.classes,
        **vars(sample.draw),
    }
    return Sample.from_arrays(**{**kept, **changes})


def mapped(
    evidence: Evidence,
    features: Callable[[Any], Any] = lambda f: f,
    labels: Callable[[Any], Any] = lambda y: y,
    head: LinearHead | None = None,
    priors: Any = None,
) -> Evidence:
    """Apply one map to the features, and one to the labels, of all samples."""
    samples = {
        FIELD[role]: remade(s, features=features(s.features), labels=labels(s.labels))
        for role, s in evidence.samples().items()
    }
    given = {"head": head, "priors": priors}
    return changed(evidence, {**samples, **{k: v for k, v in given.items() if v is not None}})


def differs(a: float, b: float, tolerance: float = 1e-9) -> bool:
    """Whether two numbers differ by more than a relative tolerance (1e-12 absolute)."""
    if np.isnan(a) or np.isnan(b):
        return bool(np.isnan(a) != np.isnan(b))
    return bool(abs(a - b) > tolerance * max(abs(a), abs(b)) + 1e-12) if a != b else False


@dataclass(frozen=True, eq=False)
class Watched(View):
    """A view that records which of its parts were read."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("margins", "wrong"):
            object.__getattribute__(self, "__dict__").setdefault("seen", set()).add("head")
        elif not name.startswith("_"):
            object.__getattribute__(self, "__dict__").setdefault("seen", set()).add(name)
        return object.__getattribute__(self, name)


def parts_read(bound: Bound, evidence: Evidence, role: Role, params: Mapping[str, Any]) -> set[str]:
    """Parts of the view that the bound's function reads."""
    sample = evidence.sample(role)
    assert sample is not None
    view = bound._view(evidence, sample)
    watched = Watched(**vars(view))
    with np.errstate(all="ignore"):
        bound.function(watched, 0.05, **params)
    seen: set[str] = set(vars(watched).get("seen", set()))
    return seen
