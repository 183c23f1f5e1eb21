"""Tables of checkpoints and rows in every format, and what a mean over seeds is worth."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.errors import InvalidArgument, MissingEvidence, NcboundsError, UnknownName
from ncbounds.report import Failure, Report
from ncbounds.results import BoundResult, Measured
from ncbounds.tables import FORMATS, TableFormat


def row(value, name="a", bound="binomial", **more):
    base = {
        "family": "holdout", "kind": "certificate", "target": "saved", "role": "holdout", "n": 100,
        "delta": 0.05, "test": Measured(0.1, 0.09, 0.11),
    }  # fmt: skip
    return BoundResult(value=value, checkpoint=name, bound=bound, **{**base, **more})


def facts(seed, width=8):
    return {"group": {"seed": seed, "width": width}, "n": {"fit": 10}}


VALUES = (0.2, 0.3, 0.31)
SEEDS = Report(
    [
        *(row(v, f"net-s{i}", test=Measured(v - 0.1, 0, 1)) for i, v in enumerate(VALUES)),
        *(row(2 * v, f"net-s{i}", "gaussian_head") for i, v in enumerate(VALUES)),
        row(0.5, "net-s0", kind="plug-in", role="fit", reasons=("seen",)),
        row(0.4, "wide-s0"),
        row(0.6, "net-s0", params={"per": "balanced"}, qualifier="balanced"),
    ],
    facts={**{f"net-s{i}": facts(i) for i in range(3)}, "wide-s0": facts(0, 16)},
)


def test_one_line_a_checkpoint_with_the_measured_error_and_certificates_only():
    frame = SEEDS.table()
    assert list(frame) == [
        *("checkpoint", "test_error", "test_low", "test_high"),
        *("held out", "held out kind", "Gauss", "Gauss kind", "balanced", "balanced kind"),
    ]
    assert list(frame.checkpoint) == ["net-s0", "net-s1", "net-s2", "wide-s0"]
    assert frame["held out"][0] == 0.2  # not the plug-in of the training sample
    assert np.isnan(frame["Gauss"][3])


def test_columns_are_named_by_what_they_are():
    frame = SEEDS.table(columns=["n", "width", "gaussian_head", "held out"], group="width")
    assert list(frame.group.unique()) == ["width 8", "width 16"]
    assert list(frame)[1:] == [
        *("checkpoint", "n", "width", "gaussian_head", "gaussian_head kind"),
        *("held out", "held out kind"),
    ]
    both = SEEDS.table(columns=["binomial"], kinds=["certificate", "plug-in"])
    assert list(both)[1::2] == ["binomial", "binomial (fit)"]
    assert both["binomial (fit)"][0] == 0.5
    alone = SEEDS.table(claim="balanced", columns=["test_error", "binomial"])
    assert alone.binomial[0] == 0.6
    assert alone.test_error[0] == 0.1  # of the row's own claim


def test_a_mean_over_seeds_says_how_many_and_is_marked_as_no_certificate():
    frame = SEEDS.table(over="seed").set_index("checkpoint")
    mean, one = frame.loc["net-s*"], frame.loc["wide-s0"]
    assert mean.seeds == 3
    assert mean["held out"] == pytest.approx(0.27)
    assert mean["held out sd"] == pytest.approx(np.std(VALUES, ddof=1))
    assert mean["held out kind"] == "mean of certificates"
    assert mean["test_error"] == pytest.approx(0.17)
    assert (one.seeds, one["held out"], one["held out kind"]) == (1, 0.4, "certificate")
    text = SEEDS.table(over="seed", format="markdown")
    (line,) = [x for x in text.splitlines() if "net-s" in x]
    assert "| .271 ± .061 |" in line  # rounded up
    assert "✓" not in line
    assert "–" in line  # of the seeds one alone has a balanced row: no mean
    assert "A mean of certificates is no certificate" in text
    assert "✓ .401" in text


def test_lots_may_be_named_by_a_pattern_or_a_function():
    by_name = SEEDS.table(over=r"-s\d")
    assert by_name.equals(SEEDS.table(over=lambda name: name.partition("-")[0]))
    assert list(by_name.checkpoints) == [3, 1]
    with pytest.raises(InvalidArgument, match="leaves every checkpoint a line of its own"):
        SEEDS.table(over="net")
    with pytest.raises(UnknownName, match="no checkpoint has a fact 'sed'"):
        SEEDS.table(over="sed")


def test_a_mean_is_rounded_up_as_what_it_is_the_mean_of():
    tight = [row(v, f"net-s{i}") for i, v in enumerate((0.2001, 0.2002))]
    assert ".201 ± " in Report(tight).table(over=r"-s\d", format="text")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"rows": "checkpoints"}, "did you mean 'checkpoint'"),
        ({"columns": ["binomail"]}, "did you mean 'binomial'"),
        ({"kinds": "certificates"}, "did you mean 'certificate'"),
        ({"claim": "balancd"}, "did you mean 'balanced'"),
        ({"group": "widht"}, "did you mean 'width'"),
        ({"format": "latx"}, "did you mean 'latex'"),
        ({"rows": "row", "columns": ["vlaue"]}, "did you mean 'value'"),
    ],
)
def test_what_is_not_there_is_told_with_the_nearest_name(asked, said):
    with pytest.raises(UnknownName, match=said):
        SEEDS.table(**asked)


def test_rows_one_under_the_other_and_steps_of_series():
    frame = SEEDS.table("row", ["kind", "value", "params"], kinds="all")
    assert list(frame) == ["checkpoint", "kind", "value", "params"]
    assert len(frame) == len(SEEDS)
    text = SEEDS.table("row", kinds="all", format="markdown")
    assert "| net-s0: |" in text
    assert "| binomial per=balanced | ✓ |" in text
    assert "(a) seen" in text
    with pytest.raises(MissingEvidence, match="no checkpoints of this report are a series"):
        SEEDS.table("step")
    steps = Report([replace(r, series="s", step=i) for i, r in enumerate(SEEDS.rows[:3])])
    assert list(steps.table("step").value) == list(VALUES)
    assert "✓ .201 binomial" in steps.table("step", format="markdown")


def test_footnotes_that_a_whole_column_shares_stand_at_its_title():
    rows = [row(0.2, "a", reasons=("same",)), row(0.3, "b", reasons=("same", "own"))]
    text = Report(rows).table(format="markdown")
    assert "| held out (a) |" in text
    assert "✓ .300 (b) |" in text
    assert text.splitlines()[-2:] == ["- (a) same", "- (b) own"]


def test_the_certificate_to_quote_stands_out_in_every_format():
    best = [row(0.2), row(0.0999, bound="gaussian_head"), row(0.3, "b")]
    # the smallest only where all hold together
    for simultaneous, cell in ((False, "✓ .201"), (True, "✓ .10")):
        report = Report(best, simultaneous=simultaneous)
        assert f"*{cell}" in report.to_screen()
        assert rf"\*{cell}" in report.to_markdown()
        bold = cell.replace("✓", r"$\checkmark$")
        assert rf"\textbf{{{bold}}}" in report.to_latex()
        assert report.table(format="html").count(' best" >✓') == 2


def test_csv_is_safe_for_spreadsheets_and_numbers_stay_numbers():
    odd = {"=cmd": {"group": {"@note": "+1", "size": -3}, "n": {}}}
    report = Report([row(-0.5, "=cmd")], facts=odd)
    text = report.table(columns=["@note", "size", "binomial"], format="csv")
    (record,) = csv.DictReader(io.StringIO(text))
    assert record == {
        "checkpoint": "'=cmd", "'@note": "'+1", "size": "-3", "binomial": "-0.5",
        "binomial kind": "certificate",
    }  # fmt: skip


def test_json_lines_keep_every_digit_and_what_is_missing_is_null():
    value = 0.1 + 0.2
    report = Report([row(value), row(np.inf, "b", test=None)], [Failure("c", "broken")])
    one, two, three = map(json.loads, report.render("table.jsonl").splitlines())
    assert (one["value"], one["n"], one["measure"]) == (value, 100, None)
    assert (two["value"], two["test_error"]) == ("inf", None)
    assert (three["checkpoint"], three["reasons"], three["n"]) == ("c", "broken", None)


def test_html_is_escaped_and_styled_as_a_frame():
    report = Report([row(0.2, "<b>")], [Failure("<i>", "<u>")])
    html = report.table(format="html", caption="<s>")
    for tag in ("<b>", "<i>", "<u>", "<s>"):
        assert tag not in html
    styled = report.table(format="style")
    assert styled.data.iloc[0, 0] == "<b>"
    assert "&lt;b&gt;" in styled.to_html()


def test_a_format_of_ones_own_is_asked_for_by_name(monkeypatch):
    monkeypatch.setattr(FORMATS, "_own", {})
    nb.register(TableFormat("count", lambda table: f"{table.lines} lines"))
    assert SEEDS.table(format="count") == "4 lines"


def test_a_report_without_rows_is_a_table_that_says_why():
    report = Report([], [Failure("c", "broken")])
    for written in (report.to_latex(), report.to_markdown(), report.table(format="html")):
        assert "Not evaluated: c: broken" in written
    plug_in = Report([row(0.2, kind="plug-in")])
    assert "There is no certificate in this report" in plug_in.table(format="markdown")


def test_a_table_is_written_into_a_file_too(tmp_path):
    text = SEEDS.table(format="latex", path=tmp_path / "t.tex")
    assert (tmp_path / "t.tex").read_text() == text
    with pytest.raises(NcboundsError, match="is an object, no text"):
        SEEDS.table(path=tmp_path / "t.txt")
