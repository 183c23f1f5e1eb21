"""The table on a terminal: as wide as it, and explained by what is in it alone."""

import numpy as np
import pytest

from ncbounds.lines import aligned, panels
from ncbounds.report import Report
from ncbounds.report.compact import columns, header
from ncbounds.report.side_by_side import MANY
from ncbounds.report.views.behind import behind
from ncbounds.report.views.screen import caption, table
from ncbounds.results import BoundResult, Measured, MeasureResult


def row(value, name="a", bound="binomial", **more):
    base = {
        "family": "holdout", "kind": "certificate", "target": "saved", "role": "holdout", "n": 4000,
        "delta": 0.05, "test": Measured(0.197, 0.189, 0.205),
    }  # fmt: skip
    return BoundResult(value=value, checkpoint=name, bound=bound, **{**base, **more})


def zoo(names):
    """Rows of every column of the screen, as wide as they get, and facts of the training sample."""
    shown = [(bound, c) for column in columns() for bound, c in column.of]
    rows = [
        row(0.98, name, bound, params=dict(c.params), role="fit" if c.on_fit else "holdout",
            kind="certificate" if bound == "binomial" else "plug-in", target=target)
        for name in names
        for bound, c in shown
        for target in ["saved" if bound in ("binomial", "gaussian_head") else "ncm"]
    ]  # fmt: skip
    nc1 = {"fit": [{"metric": "NC1", "variant": "", "value": 0.0066}]}
    return Report(rows, facts={n: {"n": {"fit": 1000}, "collapse": nc1} for n in names})


NAMES = ("refit-bn128x4-wd5e-3-h4k-ncm", "mlp16x2")


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("names", [NAMES, ("runs/a/" + "very-long-name/" * 9 + "best.pt", "b")])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_left_out(names, width):
    report = zoo(names)
    text = table(report, width).plain
    longest = max(len(name) for name in names)
    wide = [line for line in text.splitlines() if len(line) > width]
    assert all(line in names for line in wide)  # a name alone is never cut
    assert (wide == []) == (longest <= width)
    for title in (c.title for c in columns()):
        assert text.count(title) == 1
    parts = text.count("───\n")
    assert text.count("test error [95 %]") == parts
    assert text.count(".197 [.189, .205]") == parts * len(names)
    assert all(len(line) <= width for line in caption(report, width).splitlines())


def test_a_table_is_broken_between_families():
    parts = panels([9, 5, 5, 5, 5, 5], 22, (0,), gap=1, together="-aabbb")
    assert parts == [[0, 1, 2], [0, 3, 4], [0, 5]]  # the second family is too wide for one
    assert panels([9, 5, 5, 5], 22, (0,), gap=1, together="-abb") == [[0, 1], [0, 2, 3]]
    assert panels([9, 5, 5, 5], 22, (0,), gap=1, last=[1]) == [[0, 2, 3], [0, 1]]
    assert panels([9, 5], 15, (0,), gap=1) == [[0, 1]]
    assert panels([9, 50], 15, (0,), gap=1) == [[0, 1]]
    cells = [["name", "aaaa", "bbbb"], ["x", "1", "2"]]
    assert aligned(cells, width=11) == ["name  aaaa", "x        1", "", "name  bbbb", "x        2"]


def test_the_legend_is_about_what_is_there():
    plain = caption(Report([row(0.2)]))
    assert plain.startswith("✓ certificate\n")
    for absent in ("plug-in", "assumption", "measure,", "10^k", "undefined", "In brackets"):
        assert absent not in plain
    more = caption(
        Report(
            [
                row(20.0),
                row(np.nan, bound="gaussian_head"),
                row(0.3, "b", "gaussian_head", kind="plug-in"),
                row(0.3, "b", "collapsed_head", target="restricted-head"),
            ]
        )
    )
    for there in ("~ plug-in", "10^k is vacuous", "– undefined", "In brackets: measured error"):
        assert there in " ".join(more.split())
    assert "? holds" not in more


def test_no_column_is_empty_and_what_was_counted_stands_in_for_a_test_sample():
    bare = Report([row(0.2, test=None, terms={"empirical": 0.17, "confidence": 0.03})])
    assert header(bare, []) == ["checkpoint", "held-out error"]
    assert " .170 " in table(bare).plain
    both = Report([*bare.rows, row(0.3, "b")])
    assert header(both, []) == ["checkpoint", "test error [95 %]"]
    assert header(zoo(NAMES), []) == ["checkpoint", "n", "NC1", "test error [95 %]"]
    assert header(Report([row(0.2, test=None)]), []) == ["checkpoint"]


def test_the_certificate_to_quote_is_the_smallest_only_where_all_hold_together():
    rows = [
        row(0.3),
        row(0.1999, bound="gaussian_head"),
        row(2.0, "b"),
        row(0.1, "b", kind="plug-in"),
    ]
    each, together = (table(Report(rows, simultaneous=s)).plain for s in (False, True))
    assert "*✓ .300" in each
    assert "*✓ .20" not in each
    assert "*✓ .20" in together
    assert "*✓ .300" not in together
    assert "*~" not in each + together
    assert "*✓ 2" not in each  # says nothing
    assert "* the certificate to quote: of the first bound" in caption(Report(rows))
    assert "* the smallest certificate of its line" in caption(Report(rows, simultaneous=True))


def test_many_series_are_counted_under_the_table_and_few_are_named():
    def of(many):
        rows = [row(0.2, f"s{i}/{j}", series=f"s{i}", step=j) for i in range(many) for j in (1, 2)]
        return caption(Report(rows, facts={r.checkpoint: {} for r in rows}))

    assert "choice among 8 checkpoints of 4 series" in of(MANY)
    assert "the number in the names in 4 series." in of(MANY)
    assert "choice among 4 checkpoints (2 of s0, 2 of s1)" in of(2)


def test_what_stands_behind_the_rows_is_shown_where_it_is_known():
    known = {
        "head": "fc", "head_max_abs_diff": 4.1e-6, "device": "cpu", "precision": "fp32",
        "checkpoint_notes": ["output logits taken of 2"],
    }  # fmt: skip
    rows = [
        row(0.2, seconds=0.5, provenance=known),
        row(0.3, bound="hoeffding", seconds=1.0, provenance=known),
        row(0.2, "b", provenance={"no_head": "an ensemble"}),
    ]
    lines = behind(Report(rows))
    assert lines[0].split("  ")[:2] == ["checkpoint", "head"]
    assert lines[1].split() == ["a", "fc", "4.1e-06", "cpu", "fp32", "1.50"]
    assert lines[2].split() == ["b", "none", "0.00"]
    assert lines[3] == "output logits taken of 2: a"


def test_measures_alone_have_no_star_and_no_column():
    only = MeasureResult(
        measure=3.0, kind="measure", bound="m", family="f", target="saved", role="fit", n=1,
        delta=np.nan, checkpoint="a",
    )  # fmt: skip
    assert caption(Report([only])).startswith("# measure, not an error\n")


def test_why_a_checkpoint_has_no_certificate_is_said_once():
    shifted = {"kind": "plug-in", "sampling": "iid", "reasons": ("labels look shifted", "more")}
    rows = [row(1.0, "a", **shifted), row(1.0, "b", **shifted), row(0.2, "c")]
    rows += [row(0.3, "c", "gaussian_head", **shifted)]  # it has one by another bound
    text = " ".join(caption(Report(rows)).split())
    assert text.count("No certificate") == 1
    assert "No certificate for a, b: labels look shifted." in text
    assert "more" not in text


@pytest.mark.parametrize("other", [{"role": "fit"}, {"sampling": "unknown"}])
def test_rows_that_could_be_no_certificate_are_not_explained(other):
    made = {"kind": "plug-in", "sampling": "iid", "reasons": ("was fitted",)} | other
    assert "was fitted" not in caption(Report([row(0.1, **made)]))
