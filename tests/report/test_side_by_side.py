"""Series side by side: one line each, at steps that all have."""

from ncbounds.report import Failure, Report
from ncbounds.report.side_by_side import MANY, side_by_side, without_earlier_steps
from ncbounds.report.steps import Step, steps_of
from ncbounds.report.trend import StillCollapsing
from ncbounds.report.views.series import series_lines
from ncbounds.results import BoundResult, Measured

NAN = float("nan")


def run(name, steps, top=0.9, **more):
    """A series whose efficiency rises to ``top``."""
    share = 1 / max(len(steps), 1)
    return [
        Step(name, f"{name}/{s}", float(s), True, efficiency=top * share * (i + 1), **more)
        for i, s in enumerate(steps)
    ]


def test_the_efficiency_stands_at_steps_that_all_series_have():
    series = {"a": run("a", [1, 2, 3, 4, 5, 6, 7]), "b": run("b", [0, 1, 3, 5, 6, 7], 0.6)}
    head, a, b = side_by_side(series, [])
    assert head == ["series", "last", "efficiency at 1", "3", "6", "7"]  # of 1, 3, 5, 6, 7
    assert a == ["a", "7", ".129", ".386", ".771", ".900"]
    assert b == ["b", "7", ".200", ".300", ".500", ".600"]


def test_no_step_is_shown_where_none_is_shared():
    series = {"a": run("a", [1, 2]), "b": run("b", [3, 4], train_error=0.25)}
    assert side_by_side(series, []) == [
        ["series", "last", "train"],
        ["a", "2", ""],
        ["b", "4", ".250"],
    ]


def test_the_last_step_that_was_evaluated_speaks_and_a_word_says_where_it_goes():
    late = Step("a", "a/9", 9.0, True, reason="cannot be read")
    unplaced = Step("a", "a/best", NAN, efficiency=0.1)
    steps = [*run("a", [1, 2], test_error=0.2, test_low=0.1, test_high=0.3), late, unplaced]
    word = StillCollapsing("a", "1", "2", (0.1, 0.8), (2.0, 1.0))
    table = side_by_side({"a": steps, "b": [late]}, [word])
    assert table == [
        ["series", "last", "test [95 %]", "efficiency at 1", "2", "last third"],
        ["a", "2", ".200 [.100, .300]", ".450", ".900", "still collapsing"],
    ]
    assert side_by_side({"b": [late]}, []) == []


def report(names, failures=()):
    rows, facts = [], {}
    for name in names:
        for step in (1.0, 2.0):
            checkpoint = f"{name}/{step:g}"
            rows.append(
                BoundResult(
                    **{"bound": "binomial", "family": "holdout", "kind": "certificate"},
                    **{"target": "saved", "role": "holdout", "n": 500, "delta": 0.05},
                    **{"value": 0.25, "test": Measured(0.2, 0.17, 0.23)},
                    **{"series": name, "step": step, "checkpoint": checkpoint},
                )
            )
            facts[checkpoint] = {"error_rates": {"fit": 0.0}}
    return Report(rows, failures, facts)


def test_many_series_are_a_line_each_and_few_are_shown_step_by_step():
    few, many = report("ab"), report("abcdefgh"[:MANY])
    assert sum("step by step" in line for line in series_lines(few)) == 2
    lines = series_lines(many)
    assert [line.split()[0] for line in lines[3:-1]] == [*"abcdefgh"[:MANY]]
    assert "table.md" in lines[-1]
    for found in (few, many):
        assert "| series | last |" in found.to_markdown()
    assert not any("side by side" in line for line in series_lines(report("a")))


def test_only_last_steps_and_what_is_in_no_series_are_kept():
    failed = Failure("a/3", "cannot be read", "a", 3.0)
    found = report("ab", [failed])
    kept = without_earlier_steps(found, steps_of(found))
    assert [r.checkpoint for r in kept.rows] == ["a/2", "b/2"]
    assert kept.failures == (failed,)
