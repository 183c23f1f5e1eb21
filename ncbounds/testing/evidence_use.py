"""The part of the contract about evidence: what is read, what it is worth, what is left alone."""

import json
from dataclasses import replace
from typing import get_args

import numpy as np

from ncbounds.bounds.bound import Bound
from ncbounds.bounds.needs import Part
from ncbounds.errors import MissingEvidence, RoleError
from ncbounds.evidence.evidence import FIELD, Evidence
from ncbounds.evidence.head import LinearHead, NoHead
from ncbounds.evidence.roles import Role, serves
from ncbounds.results import MeasureResult, result_from_dict
from ncbounds.testing.asking import (
    ask,
    changed,
    differs,
    number,
    own_role,
    parts_read,
    with_sample,
)
from ncbounds.testing.violations import ContractViolation

SAMPLES = ("fit", "head_sample", "holdout", "unlabelled")


def check_requires(bound: Bound, evidence: Evidence, designed: Evidence) -> None:
    """Check that ``requires`` and ``optional`` name exactly what is read.

    Parameters
    ----------
    bound : Bound
    evidence, designed : Evidence
        With every part present; the second drawn class by class.
    """
    role = own_role(bound, evidence)
    for part in bound.requires:
        if part == "head":
            continue
        without = changed(evidence, {part: None})
        _must_be_missing(bound, without, f"without {part}")
    _must_be_missing(bound, Evidence(head=evidence.head, test=None), "without any sample")
    read: set[str] = set()
    for params in bound.variants:
        for e in (evidence, designed):
            read |= parts_read(bound, e, role, params)
    for part in get_args(Part):
        declared = part in (*bound.requires, *bound.optional)
        if part in read and not declared:
            raise ContractViolation(
                f"{bound.id}: reads view.{part}, which it does not declare; add {part!r} to "
                "requires (needed) or optional (used if there)"
            )
        if part in bound.requires and part not in read:
            raise ContractViolation(
                f"{bound.id}: requires {part!r} but never reads view.{part}; remove it there"
            )
    _undeclared_leave_value(bound, evidence, role)


def check_predictions(bound: Bound, evidence: Evidence) -> None:
    """Check that a bound that reads no features needs none: predictions give the same value."""
    if bound.reads_features:
        return
    head = evidence.linear_head
    answered = {
        FIELD[role]: replace(
            s,
            features=np.empty((s.n, 0)),
            answers=evidence.decision.predicted(s, head),
            input_hashes=s.points,
        )
        for role, s in evidence.samples().items()
    }
    alone = changed(evidence, {"head": NoHead(head.classes, "a check"), "network": None} | answered)
    for params in bound.variants:
        expected = ask(bound, evidence, "on plain evidence", params=params)
        found = ask(bound, alone, "where only predictions are known", params=params)
        if expected is None or found is None or differs(number(found), number(expected), 0.0):
            raise ContractViolation(
                f"{bound.id}: says reads_features=False, and its value changes where only "
                "predictions are known"
            )


def _must_be_missing(bound: Bound, evidence: Evidence, what: str) -> None:
    if bound.planned(evidence):
        raise ContractViolation(f"{bound.id}: plans a row {what}")
    try:
        bound(evidence)
    except MissingEvidence:
        return
    except Exception as error:
        raise ContractViolation(
            f"{bound.id}: {what} it raises {type(error).__name__}, not MissingEvidence"
        ) from error
    raise ContractViolation(f"{bound.id}: has a value {what}")


def _undeclared_leave_value(bound: Bound, evidence: Evidence, role: Role) -> None:
    declared = {*bound.requires, *bound.optional}
    expected = ask(bound, evidence, "on plain evidence")
    others: dict[str, Evidence] = {}
    for name in SAMPLES:
        if name in declared or name == FIELD[role]:
            continue
        others[name] = changed(evidence, {name: None})
    for name in ("procedure", "priors", "network", "code_word"):
        if name not in declared:
            others[name] = changed(evidence, {name: None})
    if "head" not in declared:
        other = LinearHead(-evidence.linear_head.weight, evidence.linear_head.bias + 1.0)
        others["head"] = changed(evidence, {"head": other})
    assert expected is not None
    for name, other_evidence in others.items():
        found = ask(bound, other_evidence, f"after a change of {name}", role=role)
        if found is None or differs(number(found), number(expected), 0.0):
            raise ContractViolation(
                f"{bound.id}: its value changes with {name}, which it does not declare"
            )


def check_kind(bound: Bound, evidence: Evidence, designed: Evidence) -> None:
    """Check the kind of rows on good evidence and on evidence that falls short.

    ``evidence`` is drawn at random, ``designed`` class by class.
    """
    role = own_role(bound, evidence)
    _expect(bound, evidence, bound.kind, "on a fresh iid sample")
    try:
        bound(evidence, role="test")
    except RoleError:
        pass
    else:
        raise ContractViolation(f"{bound.id}: can be evaluated on the test sample")
    if not bound.spends_delta:
        _spends_nothing(bound, evidence)
        return
    n = evidence.sample(role).n  # type: ignore[union-attr]
    groups = np.arange(n) // 2
    lower = {
        "with undeclared sampling": with_sample(evidence, role, sampling="unknown"),
        "with selected_among=None": with_sample(evidence, role, selected_among=None),
        "with rows that share groups": with_sample(evidence, role, groups=groups),
    }
    for what, worse in lower.items():
        _expect(bound, worse, "plug-in", what)
    _expect(bound, designed, "plug-in", "on a stratified sample at delta = .3", delta=0.3)
    for weaker in ("fit", "head"):
        if evidence.sample(weaker) is None or serves(weaker, bound.role):  # type: ignore[arg-type]
            continue
        row = ask(bound, evidence, f"on the {weaker} sample", role=weaker)
        if row is not None and row.kind != "plug-in":
            raise ContractViolation(f"{bound.id}: is a {row.kind} on a {weaker} sample")
    _candidates_are_paid(bound, evidence, role)


def _expect(bound: Bound, evidence: Evidence, kind: str, what: str, delta: float = 0.05) -> None:
    row = ask(bound, evidence, what, delta=delta)
    if row is None:
        raise ContractViolation(f"{bound.id}: refuses {what}")
    if row.kind != kind:
        raise ContractViolation(f"{bound.id}: is a {row.kind} {what}, and should be a {kind}")
    if kind == "plug-in" and not row.reasons:
        raise ContractViolation(
            f"{bound.id}: is a plug-in {what} without a reason; say why in assumptions=(...)"
        )
    if kind == "measure" and (hasattr(row, "value") or not isinstance(row, MeasureResult)):
        raise ContractViolation(f"{bound.id}: a measure must not have a value")


def _spends_nothing(bound: Bound, evidence: Evidence) -> None:
    for params in bound.variants:
        rows = [
            ask(bound, evidence, f"at delta = {d}", delta=d, params=params) for d in (0.05, 0.3)
        ]
        if rows[0] and rows[1] and differs(number(rows[0]), number(rows[1]), 0.0):
            raise ContractViolation(
                f"{bound.id}: is a {bound.kind}, so no delta is shown, but its value depends on it"
            )


def _candidates_are_paid(bound: Bound, evidence: Evidence, role: Role) -> None:
    for params in bound.variants:
        chosen = with_sample(evidence, role, selected_among=4)
        paid = ask(bound, chosen, "with selected_among=4", delta=0.08, params=params)
        quarter = ask(bound, evidence, "at a quarter of delta", delta=0.02, params=params)
        if paid is None or quarter is None or differs(number(paid), number(quarter), 0.0):
            raise ContractViolation(
                f"{bound.id}: with selected_among=4 it is not what it is at delta/4"
            )


def check_untouched(bound: Bound, evidence: Evidence) -> None:
    """Check that inputs are not changed, that calls repeat, and that results survive JSON."""
    guarded = []
    for sample in evidence.samples().values():
        for array in (sample.features, sample.labels):
            guarded.append((array, array.copy()))
            array.setflags(write=False)
    state = _global_generator()
    for params in bound.variants:
        row = ask(bound, evidence, "on read-only arrays", params=params)
        again = ask(bound, evidence, "a second time", params=params)
        if row is None or again is None:
            raise ContractViolation(f"{bound.id}{dict(params)}: refuses plain evidence")
        if differs(number(row), number(again), 0.0):
            raise ContractViolation(f"{bound.id}: two calls differ; fix the seed of its draws")
        _survives_json(bound, row)
        if bound.kind != "measure" and np.isfinite(number(row)) and not row.claim.complete:
            raise ContractViolation(
                f"{bound.id}: target {bound.target!r} needs Outcome(claim=...), a "
                f"{type(bound.claim).__name__} whose error is measured beside the value"
            )
    if any(not np.array_equal(a, b, equal_nan=True) for a, b in guarded):
        raise ContractViolation(f"{bound.id}: changes its inputs")
    if state != _global_generator():
        raise ContractViolation(f"{bound.id}: draws from NumPy's global generator")


def _global_generator() -> str:
    return repr(np.random.get_state(legacy=False))  # noqa: NPY002 - looks whether others use it


def _survives_json(bound: Bound, row: object) -> None:
    try:
        written = row.to_dict()  # type: ignore[attr-defined]
        text = json.dumps(written, allow_nan=False)
        again = result_from_dict(json.loads(text))
    except (TypeError, ValueError) as error:
        raise ContractViolation(
            f"{bound.id}: its result is not JSON-able ({error}); keep numbers, words and lists in "
            "terms and details"
        ) from error
    if again.to_dict() != written:
        raise ContractViolation(f"{bound.id}: its result changes when written and read")
