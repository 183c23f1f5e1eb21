"""``ncbounds extract``: what it writes is evaluated as the checkpoint itself is."""

import re
import shlex

import pytest
from fixtures.project import make_project, save
from typer.testing import CliRunner

import ncbounds as nb
from ncbounds.cli.app import app
from ncbounds.runs import parts as runs_parts

CODE = ("--model", "net.py:build", "--data", "data.py:load")


@pytest.fixture
def project(tmp_path, monkeypatch):
    save(make_project(tmp_path) / "m.pt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*words, code=0):
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == code, done.output
    return done.output


def rows(folder):
    return [
        (r.bound, r.role, str(r.params), r.kind, r.n, r.value, r.reasons, r.test.error)
        for r in nb.load_report(folder).rows
    ]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_was_extracted_is_evaluated_as_the_checkpoint_is(project, precision):
    how = ("--precision", precision, "--device", "cpu", "--batch-size", "auto")
    invoke("extract", "m.pt", *CODE, "--out", "parts", "--parts", "3", *how)
    asked = ("--bounds", "binomial,hoeffding,transport_margin")
    refused = invoke("evaluate", "parts", *CODE, *asked, "--out", "run", code=2)
    (typed,) = re.findall(r"type `ncbounds (.*)`", refused)
    invoke(*shlex.split(typed), *asked, "--out", "features")
    own = (*how[:2], "--workers", "0", "--sampling", "iid")
    invoke("evaluate", "m.pt", *CODE, *asked, "--out", "run", *own)
    found = rows("features")
    assert found == rows("run")
    assert {kind for _, _, _, kind, *_ in found} == {"certificate"}
    provenance = nb.load_report("features").rows[0].provenance
    assert provenance["extracted"]["test"]["device"] == "cpu"
    assert provenance["extracted"]["test"]["precision"] == precision


def test_roles_share_one_network_and_one_reading(project, monkeypatch):
    made = []
    for name in ("network_of", "entry_points"):
        plain = getattr(runs_parts, name)
        spied = lambda *a, plain=plain, name=name: made.append(name) or plain(*a)  # noqa: E731
        monkeypatch.setattr(runs_parts, name, spied)
    invoke("extract", "m.pt", *CODE, "--out", "parts", "--device", "cpu")
    assert len([*(project / "parts").iterdir()]) > 1
    assert sorted(made) == ["entry_points", "network_of"]


def test_folders_of_parts_may_be_named_and_have_one_head(project):
    save(project / "other.pt", 1)
    for name in ("m", "other"):
        invoke("extract", f"{name}.pt", *CODE, "--out", name)
    invoke("evaluate-features", "m/holdout", "m/test", "--bounds", "binomial", "--out", "named")
    invoke("evaluate-features", "m", "--bounds", "binomial", "--out", "whole")
    assert rows("named") == rows("whole")
    assert {r.checkpoint for r in nb.load_report("whole").rows} == {"m"}
    two = invoke("evaluate-features", "m/holdout", "other/test", code=2)
    assert "are different heads" in two
    (project / "m/test/head.npz").unlink()
    assert "--head FILE is needed" in invoke("evaluate-features", "m", code=2)
    invoke("evaluate-features", "m", "--head", "m/holdout/head.npz", "--bounds", "binomial")


def test_a_head_in_a_file_of_its_own_is_named(project):
    """As in ``evaluate``: what one file has of a network, and its head in another."""
    import torch

    whole = torch.load("m.pt", weights_only=True)["state_dict"]
    torch.save({k: v for k, v in whole.items() if k.startswith("0.")}, "backbone.pt")
    torch.save({k: v for k, v in whole.items() if k.startswith("2.")}, "head.pt")
    invoke("extract", "m.pt", *CODE, "--out", "one")
    invoke("extract", "backbone.pt", "--part", "head.pt", *CODE, "--out", "two")
    for report in ("one", "two"):
        invoke("evaluate-features", report, "--bounds", "binomial", "--out", f"{report}-rows")
    assert rows("one-rows") == rows("two-rows")


def test_more_processes_read_a_data_set(project):
    (project / "rows.py").write_text(ROWS)
    data = ("--model", "net.py:build", "--data", "rows.py:load", "--only", "holdout")
    invoke("extract", "m.pt", *data, "--out", "a")
    assert not (project / "rows.py.worker").exists()
    invoke("extract", "m.pt", *data, "--out", "b", "--workers-per-loader", "1")
    assert (project / "rows.py.worker").exists()
    one, two = (nb.read_parts(f"{out}/holdout", "holdout") for out in "ab")
    assert (one.features == two.features).all()


ROWS = """
from pathlib import Path
import numpy as np
from torch.utils.data import Dataset, get_worker_info
class Rows(Dataset):
    def __len__(self):
        return 60
    def __getitem__(self, i):
        if get_worker_info() is not None:
            Path(__file__ + ".worker").touch()
        x = np.random.default_rng(i).standard_normal(4).astype("float32")
        return x, i % 3
def load():
    return {"holdout": Rows()}
"""


def test_an_engine_makes_the_same_parts(project):
    how = ("--device", "cpu", "--only", "holdout")
    invoke("extract", "m.pt", *CODE, "--out", "here", "--parts", "2", *how)
    several = ("--engine", "loky", "--workers", "2")
    said = invoke("extract", "m.pt", *CODE, "--out", "there", *several, *how)
    assert "part 1 of 2" in said
    for file in sorted((project / "here").rglob("*.npy")):
        other = project / "there" / file.relative_to(project / "here")
        assert file.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("--workers", "2"), "goes with --engine"),
        (("--engine", "threadz"), "there are processes, threads"),
    ],
)
def test_what_does_not_fit_an_engine_is_said(project, typed, message):
    said = invoke("extract", "m.pt", *CODE, "--out", "parts", *typed, code=2)
    assert message in " ".join(said.split())


def test_ranks_and_an_engine_do_not_both_share_the_parts_out(project, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = invoke("extract", "m.pt", *CODE, "--out", "parts", "--engine", "threads", code=2)
    assert "WORLD_SIZE=2" in said


SETS = """
import numpy as np
def load():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4)).astype("float32")
    y = (x[:, :3] > 0.3).astype("int64")
    return {"holdout": (x[:150], y[:150]), "test": (x[150:], y[150:])}
"""


def test_parts_with_several_labels_are_evaluated_as_the_checkpoint_is(project):
    (project / "data.py").write_text(SETS)
    invoke("extract", "m.pt", *CODE, "--out", "parts", "--parts", "2")
    invoke("extract", "m.pt", *CODE, "--out", "parts", "--parts", "2")  # finds all parts there
    asked = ("--bounds", "binomial", "--threshold", "0.1", "--claim", "hamming,misses:1")
    own = ("--sampling", "iid", *asked, "--out")
    invoke("evaluate-features", "parts", *own, "features")
    invoke("evaluate", "m.pt", *CODE, *own, "run", "--workers", "0")
    found = rows("features")
    assert found == rows("run")
    assert {str(params) for _, _, params, *_ in found} == {"{}", "{'loss': 'misses of 1'}"}
    # other labels of the same inputs are other data
    (project / "data.py").write_text(SETS.replace("> 0.3", "> 0.2"))
    assert "other data" in invoke(
        "extract", "m.pt", *CODE, "--out", "parts", "--parts", "2", code=2
    )
