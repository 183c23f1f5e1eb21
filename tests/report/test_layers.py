"""Rows about several places of one checkpoint stand apart; all others look as they always did."""

import csv
import io
import json

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.evaluation.plan import Plan
from ncbounds.report import COLUMNS, Report
from ncbounds.results import result_from_dict
from ncbounds.runs.keys import row_key


def sample(role, tap, dim=4, shift=0.0):
    generator = np.random.default_rng(dim)
    y = np.arange(90) % 3
    f = generator.standard_normal((90, dim)) + shift + 3 * np.eye(3, dim)[y]
    return nb.Sample.from_arrays(f, y, role=role, sampling="iid", tap=tap)


def report(tap, dim=4):
    evidence = nb.Evidence(
        head=nb.LinearHead(np.eye(3, dim), np.zeros(3)),
        holdout=sample("holdout", tap, dim),
        test=sample("test", tap, dim, 0.1),
        checkpoint="one",
    )
    return nb.evaluate(evidence, bounds=["binomial", "two_moment_tight"], delta=0.05)


def joined(*reports):
    return Report([r for each in reports for r in each.rows])


def test_a_row_names_the_place_that_it_read_and_json_keeps_it():
    for tap, layer in ((None, ""), ("layer3", "layer3"), ("head", "head"), ("nan", "nan")):
        rows = report(tap).rows
        assert {r.layer for r in rows} == {layer}
        for r in rows:
            stored = r.to_dict()
            assert stored.get("layer", "") == layer
            assert ("layer" in stored) == bool(layer)
            assert result_from_dict(json.loads(json.dumps(stored))).layer == layer


def test_a_row_that_fails_names_its_place_too(monkeypatch):
    def broken(self, *args, **params):
        raise ZeroDivisionError

    monkeypatch.setattr(nb.bounds.Bound, "__call__", broken)
    failed = report("layer3").rows
    assert all(r.reasons[0].startswith("not computed: ") for r in failed)
    assert {r.layer for r in failed} == {"layer3"}


def test_tables_have_the_column_where_a_row_names_a_place():
    plain, both = report(None), joined(report(None), report("layer3", 6))
    assert tuple(plain.to_frame().columns) == COLUMNS
    assert "layer" not in plain.to_markdown() + plain.to_latex() + plain.to_csv()
    records = list(csv.DictReader(io.StringIO(both.to_csv())))
    assert [*records[0]] == [*COLUMNS, "layer"]
    assert [r["layer"] for r in records] == [r.layer for r in both.rows]
    for text in (both.to_markdown(), both.to_latex(), both.to_html()):
        assert "layer3" in text


def test_the_compact_table_has_a_line_for_each_place():
    both = joined(report(None), report("layer3", 6))
    lines = [line for line in both.to_screen().splitlines() if line.startswith("one")]
    alone = [report(None), report("layer3", 6)]
    own = [line for r in alone for line in r.to_screen().splitlines() if line.startswith("one")]
    assert [line.split() for line in lines] == [line.split() for line in own]
    assert lines[1].startswith("one layer3 ")


def test_a_place_has_rows_of_its_own_in_a_run(tmp_path):
    bound = nb.bounds.get("binomial")
    plan = Plan(tmp_path, (bound,), 0.05, simultaneous=False, planned=1)
    keys = {row_key(plan, bound, "k", layer) for layer in ("", "layer3", "head")}
    assert len(keys) == 3
    assert row_key(plan, bound, "k") == row_key(plan, bound, "k", "")


@pytest.mark.parametrize("tap", [None, "layer3"])
def test_a_row_at_another_n_keeps_its_place(tap):
    assert {r.layer for r in report(tap).whatif(n=900).rows} == {tap or ""}
