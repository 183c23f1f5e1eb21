"""Many checkpoints of one run are one entry: in a manifest, and as a folder."""

import json
import shutil

import numpy as np
import pytest
from fixtures.project import make_project, save
from typer.testing import CliRunner

import ncbounds as nb
from ncbounds.cli.app import app
from ncbounds.data.manifest import load_manifest
from ncbounds.errors import DataError, ManifestError
from ncbounds.report import COLUMNS, load_report
from ncbounds.runs import engine
from ncbounds.runs.trust import with_code

STEPS = (1, 2, 10)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Three epochs, the last one again, and a broken file."""
    folder = make_project(tmp_path_factory.mktemp("project"))
    for step in STEPS:
        save(folder / "r1" / f"epoch-{step}.pt", step, epoch=step - 1)
    shutil.copy(folder / "r1" / "epoch-10.pt", folder / "r1" / "final.pt")
    (folder / "r1" / "epoch-3.pt").write_bytes(b"")
    return folder


def by_checkpoint(report):
    rows = [*report.rows, *report.failures]
    return {r.checkpoint: (r.series, None if np.isnan(r.step) else r.step) for r in rows}


def test_a_folder_is_a_series_in_the_order_of_steps_with_its_columns(run):
    files = ["evaluate", f"{run}/r1", "--bounds", "binomial", "--workers", "0"]
    code = ["--model", f"{run}/net.py:build", "--data", f"{run}/data.py:load"]
    done = CliRunner().invoke(app, [*files, *code, "--sampling", "iid", "--out", f"{run}/out"])
    assert done.exit_code == 0, done.output
    assert "series r1" in done.output
    assert "choice among 4 checkpoints of the run r1," in done.output
    assert "Steps: epoch (as the files say) in r1." in done.output
    report = load_report(run / "out")
    assert list(by_checkpoint(report).items()) == [
        ("epoch-1.pt", ("r1", 0)), ("epoch-2.pt", ("r1", 1)), ("epoch-10.pt", ("r1", 9)),
        ("final.pt", ("r1", 9)), ("epoch-3.pt", ("r1", None)),
    ]  # fmt: skip
    frame = report.to_frame()
    assert tuple(frame.columns) == (*COLUMNS, "series", "step")
    assert frame.step.dtype == "Int64"
    assert frame[frame.checkpoint == "epoch-3.pt"].reasons.item().startswith("CheckpointUnreadable")
    assert ",r1,9\n" in report.to_csv()
    assert "| 9 |" in report.to_markdown()


def test_a_series_of_a_manifest_has_the_rows_of_its_checkpoints_one_by_one(run):
    x = np.random.default_rng(0).normal(size=(300, 4)).astype("float32")
    np.savez(run / "d.npz", inputs=x, labels=x[:, :3].argmax(1))
    common = 'task = "t"\nroles = {holdout = "0:150", test = "150:300"}\n'
    text = f'[tasks.t]\ndata = "d.npz"\nsampling = "iid"\n[series.r1]\nfiles = "r1/e*.pt"\n{common}'
    alone = f'[checkpoints.two]\nfile = "r1/epoch-2.pt"\n{common}'
    (run / "zoo.toml").write_text(f"{text}[series.none]\nfiles = 'x-*.pt'\n{common}{alone}")
    book = load_manifest(run)
    assert [e.file.name for e in book.checkpoints.values() if e.series == "r1"] == [
        "epoch-1.pt", "epoch-2.pt", "epoch-3.pt", "epoch-10.pt",
    ]  # fmt: skip
    book = with_code(book, model=f"{run}/net.py:build")
    report = nb.sweep(book, run / "zoo", bounds="binomial", workers=0)
    own, two = ([r for r in report if r.checkpoint == name] for name in ("r1/epoch-2.pt", "two"))
    assert [(r.value, r.n) for r in own] == [(r.value, r.n) for r in two]
    assert {(r.series, r.step) for r in own} == {("r1", 1.0)}
    assert {r.series for r in two} == {""}
    failed = {f.checkpoint: f.reason for f in report.failures}
    assert failed.keys() == {"r1/epoch-3.pt", "none/x-*.pt"}
    assert failed["none/x-*.pt"].endswith("no such file")
    again = nb.Report.from_dict(json.loads(report.to_json()))
    assert by_checkpoint(again) == by_checkpoint(report)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("", "files = 'run/epoch-\\*.pt' is missing"),
        ("files = 3", "files: needs list"),
        ("files = [3]", "files: needs str"),
        ("files = 'r1/*.pt'\nfile = 'a.pt'", "unknown key 'file'"),
        ("files = 'r1/*.pt'\nmodle = 'mlp'", "did you mean 'model'"),
        ("files = 'a\\u0000*'", "files: needs|no file can be called"),
    ],
)
def test_mistakes_in_a_series_are_named(run, tmp_path, table, says):
    table = table.replace("'a\\u0000*'", '"a\\u0000*"')
    rest = "task = 't'\nroles = {holdout = '0:1'}\n"
    path = tmp_path / "zoo.toml"
    path.write_text(f"[tasks.t]\ndata = 'd.npz'\n[series.r]\n{rest}{table}\n")
    with pytest.raises(ManifestError, match=says):
        load_manifest(path)


def test_a_row_finds_its_place_in_a_series_without_being_computed_again(run, monkeypatch):
    options = {
        "model": f"{run}/net.py:build", "data": f"{run}/data.py:load", "bounds": "binomial",
        "workers": 0, "out": run / "again",
    }  # fmt: skip
    names = ["epoch-1.pt", "epoch-2.pt"]
    alone = nb.evaluate_files(run / "r1" / names[0], names=names[:1], **options)
    assert {r.series for r in alone} == {""}
    asked = []
    original = engine.evaluate_entry
    monkeypatch.setattr(
        engine, "evaluate_entry",
        lambda plan, entry, *rest: asked.append(entry.name) or original(plan, entry, *rest),
    )  # fmt: skip
    both = nb.evaluate_files([run / "r1" / n for n in names], **options)
    assert asked == names[1:]
    assert {r.series for r in both} == {"r1"}


def test_a_log_stands_beside_the_steps_of_its_series(run):
    (run / "run.csv").write_text("epoch,loss\n0,2.5\n1,1.5\n9,0.5\n")
    files = ["evaluate", f"{run}/r1", "--bounds", "binomial", "--workers", "0"]
    code = ["--model", f"{run}/net.py:build", "--data", f"{run}/data.py:load"]
    typed = [*files, *code, "--sampling", "iid", "--out", f"{run}/logged"]
    done = CliRunner().invoke(app, [*typed, "--log", f"{run}/run.csv"])
    assert done.exit_code == 0, done.output
    table = load_report(run / "logged").series()
    assert table.log_loss.tolist()[:4] == [2.5, 1.5, 0.5, 0.5]
    assert "Logs without a line" not in done.output
    (run / "run.csv").write_text("step,loss\n100,2.5\n")
    done = CliRunner().invoke(app, [*typed, "--log", f"{run}/run.csv"])
    assert "Logs without a line at any of the steps: run.csv in r1." in done.output
    done = CliRunner().invoke(app, [*typed, "--log", f"{run}/data.py"])
    assert done.exit_code == 2
    assert "data.py cannot be read" in done.output


def test_a_log_that_belongs_to_no_series_is_refused_before_anything_runs(run):
    code = {"model": f"{run}/net.py:build", "data": f"{run}/data.py:load", "workers": 0}
    (run / "one.csv").write_text("step,loss\n1,2.5\n")
    with pytest.raises(DataError, match="these checkpoints are of no series"):
        nb.evaluate_files(run / "r1" / "epoch-1.pt", log=run / "one.csv", out=run / "o", **code)
