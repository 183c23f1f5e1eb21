"""A first zoo.toml: what was found is written, what is missing is named, and it loads."""

import re
import shlex

import numpy as np
import pytest
import torch
from fixtures.project import make_project, save
from typer.testing import CliRunner

from ncbounds.checkpoints.architectures.small import MODELS
from ncbounds.cli.app import app
from ncbounds.data.manifest import load_manifest
from ncbounds.errors import ManifestError
from ncbounds.report import load_report


def invoke(*args, code=0):
    done = CliRunner().invoke(app, [str(a) for a in args])
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


@pytest.fixture
def project(tmp_path):
    folder = make_project(tmp_path / "my project")
    for step in (2, 10):
        save(folder / "r1" / f"epoch-{step}.pt", step)
    save(folder / "r1" / "final.pt", 11)
    save(folder / 'odd "name"é.pt')
    return folder


def bounds(project):
    return ["--bounds", "binomial", "--workers", "0", "--out", project / "run"]


def test_with_code_that_was_typed_its_advice_gives_rows(project, monkeypatch):
    monkeypatch.chdir(project.parent)
    code = ["--model", "my project/net.py:build", "--data", "my project/data.py:load"]
    said = invoke("init", "my project", *code, "--args", "width=8", "--sampling", "iid")
    assert "1 series, 1 other checkpoints" in said
    text = (project / "zoo.toml").read_text()
    assert 'files = ["r1/epoch-*.pt", "r1/final.pt"]' in text
    advice = shlex.split(re.search(r"then: ncbounds (.*)", said)[1])
    assert advice == ["evaluate", "my project", "--trust"]
    invoke(*advice, *bounds(project))
    report = load_report(project / "run")
    assert {(r.checkpoint, r.series, r.kind) for r in report if not r.params} == {
        *((f"r1/{name}.pt", "r1", "certificate") for name in ("epoch-2", "epoch-10", "final")),
        ('odd "name"é.pt', "", "certificate"),
    }


def test_what_is_missing_is_named_and_said_again_by_evaluate_until_it_is_there(project):
    said = invoke("init", project)
    assert "data, model, roles" in said
    path = project / "zoo.toml"
    assert "data = 'file.npz' is missing" in invoke("evaluate", project, code=2)
    assert "is there already; --force" in invoke("init", project, code=2)
    before = path.read_text()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4)).astype("float32")
    np.savez(project / "d.npz", inputs=x, labels=x[:, :3].argmax(1))
    assert "model, roles" in invoke("init", project, "--force")
    text = path.read_text()
    assert text != before
    assert 'data = "d.npz"  # 200 rows' in text
    assert "likely an mlp" in text
    assert "roles is missing" in invoke("evaluate", project, code=2)
    # each line, taken from behind its '#', is what was needed
    path.write_text(text := text.replace("# roles", "roles").replace("# sampling", "sampling"))
    assert "--model file.py:function" in invoke("evaluate", project, *bounds(project), code=1)
    path.write_text(text := text.replace("# model", "model"))
    book = load_manifest(project)
    assert book.checkpoints["r1/final.pt"].roles == {
        "fit": "0:120", "holdout": "120:160", "test": "160:200",
    }  # fmt: skip
    assert "names code to run" in invoke("evaluate", project, *bounds(project), code=2)
    invoke("evaluate", project, "--trust", *bounds(project))
    assert len({r.checkpoint for r in load_report(project / "run")}) == 4
    path.write_text(text.replace("# selected_among", "selected_among").replace("# prio", "prio"))
    assert load_manifest(project).checkpoints["r1/final.pt"].selected_among == {"holdout": 3}


def test_an_architecture_that_a_file_names_is_not_asked_for_and_a_broken_file_is_left_out(tmp_path):
    args = {"width": 8, "depth": 1, "in_features": 4, "classes": 3}
    state = MODELS["mlp"](**args).state_dict()
    torch.save({"arch": "mlp", "args": args, "state_dict": state}, tmp_path / "named.pt")
    (tmp_path / "empty.pt").write_bytes(b"")
    np.savez(tmp_path / "d.npz", inputs=np.eye(4, dtype="f4")[[0, 1] * 50], labels=[0, 1] * 50)
    said = invoke("init", tmp_path)
    assert "'#'): roles" in said
    text = (tmp_path / "zoo.toml").read_text()
    assert "# empty.pt is left out: CheckpointUnreadable" in text
    (tmp_path / "zoo.toml").write_text(text.replace("# roles", "roles"))
    assert list(load_manifest(tmp_path).checkpoints) == ["named.pt"]
    invoke("evaluate", tmp_path, *bounds(tmp_path))


def test_what_cannot_be_drafted(tmp_path, project):
    (tmp_path / "none").mkdir()
    assert "no checkpoint in" in invoke("init", tmp_path / "none", code=2)
    assert "does not exist" in invoke("init", tmp_path / "nowhere", code=2)
    assert "one of iid" in invoke("init", project, "--sampling", "random", code=2)
    assert "goes with --model" in invoke("init", project, "--args", "width=8", code=2)
    null = ["--model", f"{project}/net.py:build", "--args", '{"width": null}']
    assert "no null" in invoke("init", project, *null, code=2)
    for option in ("--data", "--model"):
        assert "none" in invoke("init", project, option, "none.py:f", code=2)
    assert "no data at" in invoke("init", project, "--data", "none.npz", code=2)
    assert not (project / "zoo.toml").exists()
    (tmp_path / "none" / "bad.pt").write_bytes(b"")
    assert "a checkpoint that can be read" in invoke("init", tmp_path / "none")
    with pytest.raises(ManifestError, match=r"lists no checkpoint|is missing"):
        load_manifest(tmp_path / "none")
