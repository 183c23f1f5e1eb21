"""Engines that exist already: same rows, a killed worker is one row, disks need not be shared."""

import shutil
import sys

import numpy as np
import pytest
import torch
from fixtures.jobs import tenfold
from typer.testing import CliRunner

import ncbounds as nb
from ncbounds.checkpoints.architectures.small import MODELS
from ncbounds.cli.app import app
from ncbounds.data.manifest import load_manifest
from ncbounds.data.user import UserCode
from ncbounds.errors import NcboundsError
from ncbounds.runs import engine, executors
from ncbounds.runs.executors import over_engine
from ncbounds.runs.files import changed
from ncbounds.runs.workers import Died

SIZES = {"width": 4, "depth": 1, "in_features": 4, "classes": 3}
MODEL = """
import os, signal, time
from ncbounds.checkpoints.architectures.small import MODELS

def build(kill=False):
    if kill:
        time.sleep(.3)
        os.kill(os.getpid(), signal.SIGKILL)
    return MODELS["mlp"](width=4, depth=1, in_features=4, classes=3)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three checkpoints, one of which kills its worker."""
    folder = tmp_path_factory.mktemp("files")
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    np.savez(folder / "d.npz", inputs=rng.normal(size=(80, 4)), labels=rng.integers(0, 3, 80))
    (folder / "model.py").write_text(MODEL)
    text = '[tasks.t]\ndata = "d.npz"\nsampling = "iid"\n'
    for name in "abc":
        torch.save(MODELS["mlp"](**SIZES).state_dict(), folder / f"{name}.pt")
        text += f"[checkpoints.{name}]\nfile = '{name}.pt'\ntask = 't'\n"
        text += "roles = {holdout = '0:40', test = '40:80'}\n"
        text += "args = {kill = true}\n" if name == "b" else ""
    (folder / "zoo.toml").write_text(text)
    return folder


def run(files, out, executor=None, **options):
    book = changed(load_manifest(files / "zoo.toml"), model=UserCode(f"{files}/model.py:build"))
    return nb.sweep(book, out, executor, bounds="binomial", **options)


def check(files, out, executor, **options):
    report = run(files, out, executor, **options)
    assert [f.checkpoint for f in report.failures] == ["b"]
    assert "worker failed: " in report.failures[0].reason
    assert {r.checkpoint for r in report} == {"a", "c"}


def test_loky_goes_on_where_a_worker_is_killed():
    found = dict(over_engine(tenfold, [(n,) for n in (1, -2, 3, 4, -5)], "loky", 2))
    assert {n: found[n] for n in (0, 2, 3)} == {0: 10, 2: 30, 3: 40}
    for number in (1, 4):
        assert isinstance(found[number], Died)
        assert "SIGKILL" in found[number].reason


def test_dask_goes_on_where_a_worker_is_killed(files, tmp_path):
    distributed = pytest.importorskip("distributed")
    import dask

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(**options, silence_logs=50) as cluster,
    ):
        check(files, tmp_path, cluster.scheduler_address.replace("tcp", "dask", 1))


def test_the_engine_is_typed(files, tmp_path):
    typed = ["evaluate", str(files / "a.pt"), "--bounds", "binomial", "--out", str(tmp_path)]
    typed += ["--model", f"{files}/model.py:build", "--engine"]
    result = CliRunner().invoke(app, [*typed, "threads", "--workers", "1"])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(app, [*typed, "dask://here", "--workers", "1"])
    assert result.exit_code == 2, result.output
    assert "leave workers = 1 out" in " ".join(result.output.split())


def test_what_another_machine_stored_comes_back(files, tmp_path, monkeypatch):
    """The worker's run folder is gone when its answer arrives."""

    def elsewhere(*job):
        answer = engine.evaluate_elsewhere(*job)
        shutil.rmtree(tmp_path / "out" / "results")
        return answer

    one = run(files, tmp_path / "here", workers=0, only=["a"])
    monkeypatch.setattr(
        engine, "over_engine", lambda f, jobs, *_: ((i, elsewhere(*j)) for i, j in enumerate(jobs))
    )
    two = run(files, tmp_path / "out", "loky", only=["a"])
    assert not two.failures
    assert len(two.rows) == len(one.rows) > 0
    assert [r.value for r in two] == [r.value for r in one]
    assert two.facts == one.facts


def test_an_engine_that_is_not_there_is_said(files, tmp_path, monkeypatch):
    for name, options, said in (
        ("ray", {}, "there are processes, threads, loky, dask://HOST:PORT"),
        ("dask://127.0.0.1:9", {"workers": 3}, "leave workers = 3 out"),
        ("threads", {"workers": 0}, "at least one worker"),
    ):
        with pytest.raises(NcboundsError, match=said):
            nb.sweep(files, tmp_path, name, bounds="binomial", **options)
    monkeypatch.setattr(executors, "PATIENCE", 1)
    pytest.importorskip("distributed")
    with pytest.raises(NcboundsError, match="no Dask scheduler answers at 127"):
        next(over_engine(len, [("a",)], "dask://127.0.0.1:9", 1))
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(NcboundsError, match="pip install"):
        next(over_engine(len, [("a",)], "dask://127.0.0.1:9", 1))


def test_a_job_that_raises_is_known():
    found = dict(over_engine(int, [("1",), ("x",), ("3",)], "threads", 2))
    assert (found[0], found[2]) == (1, 3)
    assert isinstance(found[1], Died)
    assert "ValueError" in found[1].reason
