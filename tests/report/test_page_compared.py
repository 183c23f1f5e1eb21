"""Tabs of the page that compare and rank checkpoints, from kept errors."""

import numpy as np

from ncbounds import Report
from ncbounds.evidence.error_bits import ErrorBits
from ncbounds.report.page.compared import comparison_tabs
from ncbounds.results import BoundResult, Measured

N = 4000


def kept(rows, errors):
    wrong = np.arange(N) < errors
    return {
        "errors": {
            role: ErrorBits(role, rows, wrong, "iid", 1, "certificate").to_dict()
            for role in ("holdout", "test")
        },
        "n": {"test": N},
        "provenance": {"label_noise": 0.0, "task": "t"},
    }


def row(name, value, errors):
    return BoundResult(
        bound="binomial", family="holdout", kind="certificate", target="saved", role="holdout",
        n=N, delta=0.05, value=value, checkpoint=name, test=Measured(errors / N, 0.0, 1.0),
    )  # fmt: skip


def test_checkpoints_on_the_same_rows_are_compared_and_no_others():
    facts = {"a": kept("h", 100), "b": kept("h", 400), "alone": kept("g", 5), "none": {}}
    (tab,) = comparison_tabs(Report([], facts=facts))
    assert tab.title == "Comparison"
    assert tab.body.count("<pre") == 1
    assert "a beats b by at least" in tab.body
    assert "alone" not in tab.body
    assert comparison_tabs(Report([], facts={"alone": kept("g", 5)})) == []


def test_what_orders_checkpoints_is_ranked_where_there_are_pairs_enough():
    names = {f"c{i}": 100 * (i + 1) for i in range(6)}
    facts = {n: kept("h", k) for n, k in names.items()}
    rows = [row(n, k / N + 0.01, k) for n, k in names.items()]
    tabs = {tab.title: tab.body for tab in comparison_tabs(Report(rows, facts=facts))}
    assert [*tabs] == ["Comparison", "Ranking"]
    assert "binomial" in tabs["Ranking"]
    few = {n: facts[n] for n in ("c0", "c1")}
    assert len(comparison_tabs(Report(rows[:2], facts=few))) == 1


def test_a_name_is_text_and_no_markup():
    facts = {"<b>x</b>": kept("h", 10), "y": kept("h", 900)}
    (tab,) = comparison_tabs(Report([], facts=facts))
    assert "<b>" not in tab.body
    assert "&lt;b&gt;" in tab.body


def test_thousands_are_refused_where_every_pair_would_be_looked_at(monkeypatch):
    monkeypatch.setattr("ncbounds.report.page.compared.MOST", 5)
    facts = {f"c{i}": kept("h", 100 * i) for i in range(6)}
    rows = [row(n, 0.5, 100) for n in facts]
    tabs = {tab.title: tab.body for tab in comparison_tabs(Report(rows, facts=facts))}
    assert "6 checkpoints on one set of rows are too many to compare here" in tabs["Comparison"]
    assert "6 checkpoints are too many to rank here: ncbounds rank RUN" in tabs["Ranking"]
