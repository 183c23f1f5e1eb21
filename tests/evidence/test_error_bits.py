"""Errors kept point by point: equal rows are found, others are never paired."""

import numpy as np
import pytest
from fixtures.evidence import drawn, evidence_of

from ncbounds.errors import InvalidSample
from ncbounds.evaluation.facts import error_bits, facts_of
from ncbounds.evidence.error_bits import ErrorBits, rows_hash, same_rows
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead

HEAD = LinearHead(np.eye(3), np.zeros(3))
RNG = np.random.default_rng(0)
F, Y = RNG.normal(size=(37, 3)), RNG.integers(0, 3, 37)
HASHES = RNG.integers(0, 2**63, 37, dtype=np.uint64)


def bits_of(features=F, labels=Y, role="holdout", hashes=HASHES, head=HEAD, **declared):
    sample = drawn(features, labels, role, input_hashes=hashes, **declared)
    (found,) = error_bits(evidence_of(head, sample))
    return found


def test_bits_are_the_errors_and_survive_storing():
    found = bits_of()
    again = ErrorBits.from_dict(found.to_dict())
    assert found.wrong.tolist() == (F.argmax(1) != Y).tolist() == again.wrong.tolist()
    assert (again.rows, again.role, again.sampling, again.kind) == (
        *(found.rows, "holdout", "iid", "certificate"),
    )


def test_facts_hold_them_for_test_and_holdout_only():
    samples = [
        drawn(F + k, Y, role, rows=np.arange(37) + 100 * k)
        for k, role in enumerate(("fit", "holdout", "test"))
    ]
    stored = facts_of(evidence_of(HEAD, *samples))["errors"]
    assert sorted(stored) == ["holdout", "test"]
    assert stored["test"]["kind"] == "measure"


@pytest.mark.parametrize("role", ["unlabelled", "target"])
def test_facts_hold_no_error_rate_where_labels_may_be_missing(role):
    samples = drawn(F, Y, "holdout"), drawn(F + 1, None, role)
    assert facts_of(evidence_of(HEAD, *samples))["error_rates"].keys() == {"holdout"}


def test_equal_rows_of_other_networks_are_paired():
    other = bits_of(features=-F)
    table = same_rows({"a": bits_of(), "b": other})
    assert table.shape == (2, 37)
    assert table[1].tolist() == ((-F).argmax(1) != Y).tolist()


@pytest.mark.parametrize(
    "change",
    [
        {"labels": (Y + 1) % 3},
        {"hashes": HASHES[::-1]},
        {"hashes": HASHES + np.uint64(1)},
        {"hashes": None, "rows": HASHES.astype(np.int64)},
        {"features": F[:36], "labels": Y[:36], "hashes": HASHES[:36]},
    ],
    ids=["labels", "order", "points", "ids only", "fewer"],
)
def test_other_rows_are_refused(change):
    with pytest.raises(InvalidSample, match="a and b were judged on different rows"):
        same_rows({"a": bits_of(), "b": bits_of(**change)})


def test_rows_that_nothing_tells_apart_are_not_kept():
    sample = drawn(F, Y)
    assert rows_hash(sample) == ""
    assert error_bits(evidence_of(HEAD, sample)) == []


def test_predictions_with_ids_are_rows_too():
    given = {"labels": Y, "role": "holdout", "sampling": "iid", "ids": np.arange(37)}
    (found,) = error_bits(Evidence.from_predictions(predicted=np.zeros(37, int), **given))
    assert found.wrong.tolist() == (Y != 0).tolist()


def test_an_undeclared_draw_is_said():
    found = bits_of(sampling="unknown")
    assert found.kind == "plug-in"
    assert any("not declared" in reason for reason in found.reasons)


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", 41), ("n", 10**12), ("bits", "?"), ("kind", "sure"), ("candidates", 0), ("role", "x")],
)
def test_damaged_bits_are_refused(field, value):
    with pytest.raises(InvalidSample, match="damaged"):
        ErrorBits.from_dict({**bits_of().to_dict(), field: value})
