"""``ncbounds layers``: a table from input to logits from one checkpoint or a zoo, and refusals."""

import json

import pytest
from fixtures.project import make_project, save
from typer.testing import CliRunner

from ncbounds.cli.app import app

DATA = """
import numpy as np
def load():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(450, 4)).astype("float32")
    y = x[:, :3].argmax(1)
    parts = {"fit": slice(150), "holdout": slice(150, 300), "test": slice(300, None)}
    return {role: (x[rows], y[rows]) for role, rows in parts.items()}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    make_project(tmp_path)
    (tmp_path / "points.py").write_text(DATA)
    save(tmp_path / "run" / "epoch-1.pt", 1)
    save(tmp_path / "run" / "epoch-2.pt", 2)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, ["layers", *words])


def test_a_series_gives_a_table_each_and_one_file(project):
    given = ("--model", "net.py:build", "--data", "points.py:load", "--sampling", "iid")
    done = run("run", *given, "--simultaneous", "--out", "out")
    assert done.exit_code == 0, done.output
    found = json.loads((project / "out" / "layers.json").read_text())
    assert list(found) == ["epoch-1.pt", "epoch-2.pt"]
    first = found["epoch-1.pt"]
    assert [x["name"] for x in first["layers"]] == ["input", "head"]
    assert first["kind"] == "certificate"
    assert first["delta"] == 0.025
    assert "ridge holdout" in done.output
    assert "layer_error (<=)" in done.output


def test_named_places_are_shown(project):
    given = ("--model", "net.py:build", "--data", "points.py:load", "--at", "[01]")
    done = run("run/epoch-1.pt", *given)
    assert done.exit_code == 0, done.output
    assert "places: input, 0, 1, head" in done.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--at", "layer9"), "no module 'layer9' gives features"),
        (("--probe", "svm"), "no probe 'svm'"),
        (("--trust",), "--trust goes with a zoo.toml"),
        (("--eps", "-1"), "eps"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(project, words, says):
    given = ("--model", "net.py:build", "--data", "points.py:load")
    done = run("run/epoch-1.pt", *given, *words)
    assert done.exit_code == 2
    assert says in done.output


def test_declarations_beside_a_zoo_are_refused(project):
    done = run("run/epoch-1.pt", "--sampling", "iid")
    assert done.exit_code == 2
    assert "--sampling go with --data" in done.output


def test_no_command_passes_over_a_zoo_that_is_typed_beside_data(project):
    (project / "zoo.toml").write_text(
        '[tasks.t]\ndata = "points.npz"\n'
        '[checkpoints.a]\nfile = "run/epoch-1.pt"\ntask = "t"\nroles = {fit = "0:9"}\n'
    )
    given = ["run/epoch-1.pt", "--manifest", "zoo.toml", "--data", "points.py:load"]
    for command in ("layers", "evaluate", "compare", "shift"):
        done = CliRunner().invoke(app, [command, *given])
        assert done.exit_code == 2
        assert "--data would pass over them" in " ".join(done.output.split())


def test_what_a_command_cannot_use_is_refused_by_each_alike(project):
    code = ("--model", "net.py:build", "--data", "points.py:load")
    done = CliRunner().invoke(app, ["extract", "run", *code, "--out", "parts"])
    assert done.exit_code == 2
    assert "run stands for 2 checkpoints; extract takes one at a time" in done.output
    assert not (project / "parts").exists()
    for command in (["layers", "run"], ["extract", "run/epoch-1.pt", "--out", "parts"]):
        done = CliRunner().invoke(app, [*command, "--args", "width=8"])
        assert done.exit_code == 2
        assert "--args goes with --model" in done.output


def test_evaluate_shows_layers_beside_its_rows(project):
    given = ("--model", "net.py:build", "--data", "points.py:load", "--sampling", "iid")
    words = ("run/epoch-1.pt", *given, "--bounds", "binomial", "--workers", "0", "--out", "both")
    asked = ["evaluate", *words, "--layers", "1"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    found = json.loads((project / "both" / "layers.json").read_text())
    assert [x["name"] for x in found["epoch-1.pt"]["layers"]] == ["input", "1", "head"]
    assert (project / "both" / "table.csv").exists()


def test_a_look_at_first_rows_that_are_rounded_certifies_nothing(project):
    given = ("--model", "net.py:build", "--data", "points.py:load", "--sampling", "iid")
    words = ("run/epoch-1.pt", *given, "--bounds", "binomial", "--workers", "0", "--out", "look")
    look = ("--layers", "all", "--limit", "90", "--store", "float16", "--workers-per-loader", "0")
    done = CliRunner().invoke(app, ["evaluate", *words, *look])
    assert done.exit_code == 0, done.output
    found = json.loads((project / "look" / "layers.json").read_text())["epoch-1.pt"]
    assert found["rows"] == {"fit": 90, "holdout": 90, "test": 90}
    assert found["kind"] == "plug-in"
    reasons = " ".join(found["reasons"])
    assert "only the first 90 rows of holdout" in reasons
    assert "rounded to float16" in reasons


def test_a_checkpoint_of_several_that_fails_is_named_and_the_others_go_on(project):
    (project / "run" / "epoch-3.pt").write_bytes(b"no checkpoint")
    done = run("run", "--model", "net.py:build", "--data", "points.py:load")
    assert done.exit_code == 0, done.output
    assert "epoch-3.pt: " in done.output
    assert done.output.count("effective depth") == 2
