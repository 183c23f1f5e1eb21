"""Reports: the long table, its formats, and what the reader sees of a number."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ncbounds as nb
from ncbounds.errors import NcboundsError, UnknownName
from ncbounds.files import write_text
from ncbounds.report import COLUMNS, Failure, Report, load_report
from ncbounds.report.cells import number
from ncbounds.report.compact import columns, lines, used
from ncbounds.report.notes import notes
from ncbounds.report.page.picture import picture
from ncbounds.report.page.rows import kept
from ncbounds.report.page.statements import statement
from ncbounds.report.page.words import words
from ncbounds.report.views.screen import _families, caption, table
from ncbounds.report.write import write_report
from ncbounds.results import BoundResult, Measured, MeasureResult, result_from_dict


def row(value=0.2, **changes):
    base = {
        "bound": "binomial",
        "family": "holdout",
        "kind": "certificate",
        "target": "saved",
        "role": "holdout",
        "n": 100,
        "delta": 0.05,
        "checkpoint": "one",
        "test": Measured(0.1, 0.09, 0.11),
        "terms": {"empirical": 0.1, "confidence": 0.1},
    }
    return BoundResult(value=value, **{**base, **changes})


def measure(**changes):
    base = {"bound": "margin_quantiles", "family": "margin", "target": "saved", "role": "fit"}
    return MeasureResult(
        measure=3.0, kind="measure", n=10, delta=np.nan, checkpoint="one", **{**base, **changes}
    )


REPORT = Report(
    [
        row(),
        row(np.nan, bound="x", reasons=("undefined; because | of _this_",)),
        row(3.2e4, bound="vac", kind="plug-in", role="fit", params={"m": np.inf}),
        measure(),
        row(0.15, checkpoint="two"),
    ],
    [Failure("three", "CheckpointUnreadable: truncated")],
    {"one": {"n": {"fit": 10}, "group": {"block": "b"}}},
)


def test_a_measure_has_no_value():
    with pytest.raises(AttributeError):
        _ = measure().value


def test_frame_has_the_promised_columns_and_one_row_per_failure():
    frame = REPORT.to_frame()
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == 6
    failed = frame[frame.checkpoint == "three"].iloc[0]
    assert failed.reasons == "CheckpointUnreadable: truncated"
    assert failed.drop(["checkpoint", "reasons"]).isna().all()
    assert np.isnan(frame[frame.kind == "measure"].value).all()
    assert np.isnan(frame[frame.kind != "measure"].measure).all()
    assert json.loads(frame.params[2]) == {"m": "inf"}


def test_csv_reads_back_to_the_last_digit():
    value = 0.1 + 0.2
    text = Report([row(value)]).to_csv()
    (record,) = csv.DictReader(io.StringIO(text))
    assert float(record["value"]) == value
    assert record["measure"] == ""


@pytest.mark.parametrize("r", [*REPORT.rows])
def test_json_round_trip(r):
    again = result_from_dict(json.loads(json.dumps(r.to_dict())))
    assert type(again) is type(r)
    assert again.to_dict() == r.to_dict()
    assert repr(again) == repr(r)


def test_report_round_trip_through_a_run_folder(tmp_path):
    names = write_report(REPORT, tmp_path)
    assert sorted(names) == sorted(p.name for p in tmp_path.iterdir())
    again = load_report(tmp_path)
    assert again.to_dict() == REPORT.to_dict()
    assert again.to_csv() == REPORT.to_csv()
    with pytest.raises(NcboundsError, match="no stored report"):
        load_report(tmp_path / "elsewhere")


def test_best_certificate_is_only_taken_over_rows_that_hold_together():
    rows = [row(0.2), row(0.15, bound="other"), row(0.01, kind="plug-in")]
    with pytest.raises(NcboundsError, match="simultaneous=True"):
        Report(rows).best_certificate()
    assert Report(rows, simultaneous=True).best_certificate().value == 0.15
    with pytest.raises(NcboundsError, match="no certificate"):
        Report([row(kind="plug-in")]).best_certificate()


def test_rows_by_bound():
    assert len(REPORT["binomial"]) == 2
    with pytest.raises(UnknownName, match="did you mean 'binomial'"):
        REPORT["binomail"]


class Tags(HTMLParser):
    VOID = frozenset({"meta", "br", "hr", "input"})

    def __init__(self):
        super().__init__()
        self.open = []
        self.outside = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.outside += [v for k, v in attrs if k in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_whole_escaped_and_self_contained():
    page = Report([row(checkpoint="<script>alert(1)</script>")]).to_html()
    assert "<script>alert" not in page
    assert "default-src 'none'" in page  # the browser is told to load nothing
    parser = Tags()
    parser.feed(page)
    assert parser.open == []
    links = ("#", "https://arxiv.org/abs/", "https://scholar.google.com/scholar?q=")  # of sources
    loaded = [x for x in parser.outside if not x.startswith(links)]
    assert loaded == []
    assert len(page.encode()) < 3_000_000


def test_a_page_of_too_many_rows_keeps_the_guarantees_and_says_so(monkeypatch):
    monkeypatch.setattr("ncbounds.report.page.rows.ROWS", 3)
    shown, hint = kept(REPORT)
    assert [r.kind for r in shown.rows] == ["certificate"] * 3
    assert "5 rows are too many" in hint
    monkeypatch.setattr("ncbounds.report.page.rows.ROWS", 2)
    shown, hint = kept(REPORT)
    assert [(r.checkpoint, r.value) for r in shown.rows] == [("one", 0.2), ("two", 0.15)]
    assert hint in Report(REPORT.rows).to_html()


def test_the_picture_draws_what_is_vacuous_on_the_rim_and_judges_by_what_was_named_before():
    rows = [
        row(0.2),
        row(0.15, bound="hoeffding"),
        row(3.0, bound="spectral_margin", family="network"),
    ]
    (line,) = picture(Report(rows)).blocks[0][1]
    assert (line.chosen, line.by) == ("✓ .201", "binomial")
    assert [(d.family, d.vacuous) for d in line.dots] == [("holdout", False), ("network", True)]
    assert line.dots[1].at == 100
    (line,) = picture(Report(rows, simultaneous=True)).blocks[0][1]
    assert (line.chosen, line.by) == ("✓ .150", "hoeffding")
    (line,) = picture(Report([row(1.0)])).blocks[0][1]
    assert line.style == "vacuous"


def test_words_say_what_failed_and_which_certificates_lie_below_what_was_measured():
    said = words(Report([row(0.05), *REPORT.rows], REPORT.failures))
    assert said.believe[0].startswith("✓ 2 of 2 checkpoints have a certificate that says something")
    assert said.wrong[0] == "Not evaluated: three: CheckpointUnreadable: truncated"
    assert said.wrong[1].startswith("1 certificate below the measured interval: one (binomial)")


@pytest.mark.parametrize("b", nb.bounds.catalogue(), ids=lambda b: b.id)
def test_every_formula_is_set(b):
    text = statement(b)
    assert ".. math" not in text
    assert ":math:" not in text
    assert "----" not in text
    assert not re.search(r"<m[a-z]+>\\", text)  # a command that was not understood


def test_markdown_and_latex_escape_what_would_break_them():
    markdown = REPORT.table("row", kinds="all", format="markdown").splitlines()[2:]
    cells = markdown[0].count("|")
    for line in markdown[: 2 + 2 + 5]:
        assert line.replace("\\|", "").count("|") == cells
    latex = Report([row(bound="a_b", checkpoint="50%&")]).to_latex()
    assert r"a\_b" in latex
    assert r"50\%\&" in latex


def test_compact_table_fits_120_columns_and_shows_marks():
    from rich.console import Console

    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table(REPORT))
    text = console.export_text()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 120
    assert "✓ .201" in text  # the double .2 lies above the decimal .200
    assert "one" in text
    assert "probability 0.05" in caption(REPORT)
    assert [block for block, _ in lines(REPORT, columns())] == ["b", ""]


def alone(value, bound="compressed_network", error=0.35, **more):
    """Cell of the column of what the training data alone say."""
    measured = Measured(error, error - 0.01, error + 0.01)
    base = {"family": "network", "role": "fit", "target": "compressed", "test": measured}
    return row(value, bound=bound, **{**base, **more})


def of_saved(value, bound, **more):
    return alone(value, bound, 0.2, target="saved", **more)


@pytest.mark.parametrize(
    ("rows", "cell"),
    [
        ([alone(0.83)], "✓ .83 (.35)"),
        ([alone(0.83, error=np.nan)], "✓ .83 (–)"),
        # a code word first, in whatever order rows stand
        ([of_saved(0.4, "parameter_cover"), alone(0.83)], "✓ .83 (.35)"),
        ([of_saved(0.349, "parameter_cover"), of_saved(80.2, "excess_capacity_conv")], "✓ .35"),
        ([of_saved(1.0, "parameter_cover"), of_saved(80.2, "excess_capacity_conv")], "✓ 10^2"),
        (
            [of_saved(1 - 1e-15, "parameter_cover"), of_saved(80.2, "excess_capacity_conv")],
            "✓ 10^2",
        ),
        ([of_saved(1.0, "parameter_cover"), of_saved(100.1, "excess_capacity_conv")], "✓ 10^3"),
        ([of_saved(1.0, "parameter_cover"), of_saved(np.nan, "excess_capacity_conv")], "✓ 1.0"),
        ([alone(np.nan), of_saved(0.349, "parameter_cover")], "✓ .35"),
        ([alone(0.83, kind="plug-in")], "~ .83 (.35)"),
        ([of_saved(np.nan, "parameter_cover")], "–"),
        ([of_saved(0.1, "spectral_margin")], ""),
        ([], ""),
    ],
)
def test_what_the_training_data_alone_say(rows, cell):
    (column,) = [c for c in columns() if c.title == "data alone"]
    assert column.cell(rows) == cell
    assert column.cell(rows[::-1]) == cell


def test_a_column_of_dashes_is_left_out():
    undefined = of_saved(np.nan, "parameter_cover", checkpoint="one")
    titles = [c.title for c in used(Report([row(checkpoint="one"), undefined]))]
    assert titles == ["held out"]


def test_names_of_families_end_where_their_columns_end():
    assert _families(["", "a", "bb", "bb", "long"], [3, 2, 2, 2, 3]) == "     a    bb long"


@given(st.floats(1e-12, 1e9), st.integers(2, 3))
def test_a_printed_bound_is_never_below_its_value(x, digits):
    shown = float(number(x, digits, up=True))
    assert shown >= min(x, 1.0)
    assert shown <= x * 1.11 + 10.0**-digits


@pytest.mark.parametrize(
    ("x", "text"),
    [(0.205, ".205"), (0, "0"), (1.0, "1.00"), (32000, "3.2e4"), (5e-8, "5.0e-8"), (12.34, "12.3")],
)
def test_numbers_are_short(x, text):
    assert number(x) == text


def test_files_are_whole_or_absent(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_text(path, '{"a": 1}')
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_text(path, '{"a": 2}')
    assert path.read_text() == '{"a": 1}'
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_weights_that_were_one_of_several_in_a_file_are_named_under_the_table():
    def named(name, place, others):
        where = {"weights_place": place, "weights_passed_over": others, "weights_averaged": True}
        (row,) = nb.evaluate(
            nb.Evidence(
                head=nb.LinearHead(np.eye(2)),
                holdout=nb.Sample.from_arrays(
                    np.random.default_rng(0).normal(size=(20, 2)), [0, 1] * 10, role="holdout"
                ),
                checkpoint=name,
                provenance=where,
            ),
            bounds="hoeffding",
        ).rows
        return row

    rows = [named("a", "model_ema", ["model", "teacher"]), named("b", "", [])]
    (line,) = (text for text in notes(Report(rows)) if text.startswith("Weights taken"))
    assert line == (
        "Weights taken where a file has several: averaged, model_ema of a (not model, teacher)."
    )
