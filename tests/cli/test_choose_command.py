"""``ncbounds choose``: from a folder of checkpoints to a head, its tables, a line to load it."""

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
from fixtures.project import make_project, save
from typer.testing import CliRunner

import ncbounds as nb
from ncbounds.cli.app import app

ZOO = """
[tasks.t]
data = "other.npz"
[checkpoints.a]
file = "run/epoch-1.pt"
task = "t"
model = "net.py:build"
roles = {fit = "all"}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    make_project(tmp_path)
    save(tmp_path / "run" / "epoch-1.pt", 1)
    save(tmp_path / "run" / "epoch-2.pt", 2)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, ["choose", *words])


def test_a_folder_gives_a_certified_head_that_the_printed_line_reads(project):
    given = ("--model", "net.py:build", "--data", "data.py:load", "--heads", "ncm,ridge")
    done = run("run", *given, "--sampling", "iid", "--out", "out")
    assert done.exit_code == 0, done.output
    stored = json.loads((project / "out" / "choice.json").read_text())
    assert stored["result"]["kind"] == "certificate"
    assert {p["checkpoint"] for p in stored["layers"]} == {"", "epoch-1.pt", "epoch-2.pt"}
    line = re.search(r"predict with it: (.*)", done.output)[1]
    assert line == f"{stored['loader']}.predict(inputs)"
    assert line in html.unescape((project / "out" / "choice.html").read_text())
    x = np.random.default_rng(0).normal(size=(300, 4)).astype("float32")[150:]
    answers = eval(line, {"nb": nb, "inputs": x})
    test = stored["result"]["test"]["error"]
    assert (answers != x[:, :3].argmax(1)).mean() == pytest.approx(test)
    for words in ("regret at most", "raw inputs", "tap ", "NC1"):
        assert words in done.output


def test_a_layer_of_a_checkpoint_is_loaded_by_its_line_too(project):
    found = nb.choose_files(
        "run/epoch-2.pt", data="data.py:load", model="net.py:build", heads=["ridge"], layers=["1"]
    )
    assert {p.layer for p in found.layers} == {"input", "1", "head"}
    found.write("out")
    place = next(p for p in found.layers if p.origin == "checkpoint")
    network = "'run/epoch-2.pt', model='net.py:build'"
    assert found.network in ("", network)
    chosen = nb.load_chosen("out/head.npz", "run/epoch-2.pt", model="net.py:build")
    assert len(chosen.predict(np.zeros((3, 4), dtype=np.float32))) == 3
    assert place.weights


def test_a_zoo_says_how_its_checkpoints_are_built_and_not_on_which_rows(project):
    Path("zoo.toml").write_text(ZOO)
    given = ("--data", "data.py:load", "--heads", "ncm")
    refused = run("zoo.toml", *given)
    assert refused.exit_code == 2
    assert "names code to run: net.py:build" in refused.output
    assert "--data" not in refused.output
    done = run("zoo.toml", *given, "--model", "net.py:build")
    assert done.exit_code == 0, done.output
    assert "~ error at most" in done.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--layers", "layer9"), "no module 'layer9' gives features"),
        (("--heads", "svm"), "no head 'svm'"),
        (("--share", "2"), "share is 2.0"),
        (("--delta", "0.7"), "delta is 0.7"),
        (("--trust",), "trust goes with a zoo.toml"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(project, words, says):
    given = ("--model", "net.py:build", "--data", "data.py:load")
    done = run("run/epoch-1.pt", *given, *words)
    assert done.exit_code == 2
    assert says in done.output
