"""``--format`` prints one table and nothing else, which programs can read."""

import csv
import io

import pytest
from typer.testing import CliRunner

from ncbounds.cli.app import app
from ncbounds.cli.console import shown_rate
from ncbounds.report import Report
from ncbounds.report.write import write_report
from ncbounds.results import BoundResult, Measured


def run(*words, env=None):
    found = CliRunner().invoke(app, [str(w) for w in words], env=env)
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.fixture
def folder(tmp_path):
    rows = [
        BoundResult(
            value=v, bound=bound, checkpoint=f"=net-s{i}", family="holdout", kind="certificate",
            target="saved", role="holdout", n=100, delta=0.05, test=Measured(0.1, 0.05, 0.2),
        )
        for i, v in enumerate((0.2, 0.3))
        for bound in ("binomial", "gaussian_head")
    ]  # fmt: skip
    write_report(Report(rows), tmp_path / "run")
    return tmp_path / "run"


def test_a_run_is_printed_as_any_format(folder):
    (one, _two) = csv.DictReader(io.StringIO(run("report", folder, "--format", "csv")))
    assert one["checkpoint"] == "'=net-s0"
    assert float(one["held out"]) == 0.2
    assert len(run("report", folder, "--format", "jsonl", "--rows", "row").splitlines()) == 4
    assert run("report", folder, "--format", "latex").startswith("% needs")
    assert run("report", folder, "--format", "html").startswith("<div>")
    lines = run("report", folder, "--format", "text", "--over", "-s[0-9]", "--columns", "binomial")
    assert lines.splitlines()[1].split() == ["=net-s*", "2", ".250", "±", ".071"]


def test_what_shapes_a_table_is_refused_where_none_is_printed(folder):
    found = CliRunner().invoke(app, ["report", str(folder), "--kinds", "certificate"])
    assert found.exit_code == 2
    assert "--kinds shapes a table that is printed alone: add --format text" in found.output
    found = CliRunner().invoke(app, ["report", str(folder), "--format", "latx"])
    assert "did you mean 'latex'" in found.output
    words = ["report", str(folder), "--format", "latex", "--width", "wide"]
    assert "found 'wide'" in CliRunner().invoke(app, words).output


@pytest.mark.parametrize("columns", [80, 100])
def test_the_screen_is_as_wide_as_the_environment_says(folder, columns):
    text = run("report", folder, env={"COLUMNS": str(columns)})
    table_lines = text.split("written to")[0].splitlines()
    assert max(map(len, table_lines)) <= columns


def test_a_rate_is_at_least_one_of_some_unit():
    assert [shown_rate(x) for x in (None, 12.34, 0.5, 0.001)] == ["", "12.3/s", "30/min", "3.6/h"]
