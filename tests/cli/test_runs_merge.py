"""Several runs: into one folder, and several folders in one report."""

import re
import shlex

import pytest
from fixtures.project import make_project, save
from typer.testing import CliRunner

from ncbounds.cli.app import app
from ncbounds.cli.console import NOTHING
from ncbounds.report import load_report


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = make_project(tmp_path_factory.mktemp("project"))
    for seed, name in enumerate(("a/best.pt", "b/best.pt", "c/other.pt")):
        save(folder / name, seed)
    return folder


def invoke(*args, code=0):
    done = CliRunner().invoke(app, [str(a) for a in args])
    assert done.exit_code == code, done.output
    return done.output


def evaluate(project, file, out, *options):
    code = ["--model", f"{project}/net.py:build", "--data", f"{project}/data.py:load"]
    bounds = () if "--bounds" in options else ("--bounds", "binomial")
    files = ["evaluate", project / file, "--out", project / out, "--workers", "0"]
    return invoke(*files, *code, *bounds, "--sampling", "iid", *options)


def names(folder):
    return [r.checkpoint for r in load_report(folder) if not r.params]


def test_a_second_run_into_one_folder_keeps_the_first(project):
    evaluate(project, "c/other.pt", "run")
    said = evaluate(project, "a/best.pt", "run")
    assert names(project / "run") == ["other.pt", "best.pt"]
    table = said.partition("\n\n")[0]
    assert "best.pt" in table
    assert "other.pt" not in table
    (hint,) = re.findall(r"`ncbounds (report .*)` shows all", said)
    assert "2 more rows of 1 other checkpoint of earlier runs" in said
    shown = invoke(*hint.split())
    assert "other.pt" in shown
    assert "best.pt" in shown
    for again in ("c/other.pt", "a/best.pt"):
        evaluate(project, again, "run")
    assert sorted(names(project / "run")) == ["best.pt", "other.pt"]


def test_another_checkpoint_of_that_name_does_not_take_its_place(project):
    for file in ("a/best.pt", "b/best.pt"):
        evaluate(project, file, "same")
    rows = {r.checkpoint: r for r in load_report(project / "same") if not r.params}
    assert rows.keys() == {"best.pt", "best.pt [a]"}
    alone = {}
    for folder in ("a", "b"):
        evaluate(project, f"{folder}/best.pt", f"alone-{folder}")
        (alone[folder],) = (r for r in load_report(project / f"alone-{folder}") if not r.params)
    assert rows["best.pt [a]"].value == alone["a"].value
    assert rows["best.pt"].value == alone["b"].value
    said = invoke("report", project / "alone-a", project / "alone-b", "--out", project / "ab")
    assert "best.pt differs (other weights, file): binomial on holdout is" in said
    assert names(project / "ab") == ["best.pt [alone-a]", "best.pt [alone-b]"]
    assert (project / "ab" / "table.csv").exists()


def test_an_unreadable_report_of_an_earlier_run_is_replaced_and_that_is_said(project):
    (project / "odd").mkdir()
    (project / "odd" / "report.json").write_text("{}")
    assert "cannot be read: replaced" in evaluate(project, "a/best.pt", "odd")
    assert names(project / "odd") == ["best.pt"]
    said = invoke("report", project / "odd", project / "odd" / ".", project / "odd")
    assert "written to" in said  # one run is one run, however often it is named


def test_a_checkpoint_that_became_unreadable_keeps_its_rows_in_the_tables(project):
    save(project / "d/best.pt", 5)
    evaluate(project, "d/best.pt", "broken")
    before = load_report(project / "broken").rows
    (project / "d/best.pt").write_bytes(b"cut off")
    files = ["evaluate", project / "d/best.pt", "--out", project / "broken", "--workers", "0"]
    code = ["--model", f"{project}/net.py:build", "--data", f"{project}/data.py:load"]
    said = invoke(*files, *code, "--bounds", "binomial", code=NOTHING)
    assert f"best.pt failed this time; its {len(before)} earlier rows stay" in said
    after = load_report(project / "broken")
    assert after.rows == before
    assert [f.checkpoint for f in after.failures] == ["best.pt"]
    assert "failed, its rows are of before: best.pt" in invoke("report", project / "broken")


def test_a_table_is_no_run_and_the_run_is_named(project):
    evaluate(project, "a/best.pt", "a run")
    for name in ("table.csv", "table.md", "report.html"):
        said = invoke("report", project / "a run" / name, code=2)
        (typed,) = re.findall(r"ncbounds report (.*)", said)
        assert "best.pt" in invoke("report", *shlex.split(typed))
