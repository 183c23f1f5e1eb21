"""Sweeps: resume, failures as rows, interruption, one table whatever happened on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch

import ncbounds as nb
from ncbounds.checkpoints.architectures.small import MODELS
from ncbounds.data.manifest import load_manifest
from ncbounds.errors import ManifestError, NcboundsError
from ncbounds.runs import engine
from ncbounds.runs.paths import select_files

BOUNDS = "binomial,ncm_leave_one_out"
NAMES = ("one", "two", "three")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Three small untrained networks on 600 random images."""
    folder = tmp_path_factory.mktemp("zoo")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (600, 4, 4), dtype=np.uint8)
    np.savez(folder / "data.npz", images=images, labels=rng.integers(0, 3, 600, dtype=np.uint8))
    # dead features repeat points
    text = '[tasks.t]\ndata = "data.npz"\nsampling = "iid"\nrepeats = "by chance"\n'
    text += 'priors = "balanced"\n'
    for seed, name in enumerate(NAMES):
        torch.manual_seed(seed)
        module = MODELS["mlp"](width=8, depth=1, in_features=16, classes=3)
        torch.save(module.state_dict(), folder / f"{name}.pt")
        text += f"""
[checkpoints.{name}]
file = "{name}.pt"
task = "t"
model = "mlp"
args = {{width = 8, depth = 1, in_features = 16, classes = 3}}
roles = {{fit = "0:200", holdout = "200:400", test = "400:600"}}
"""
    (folder / "zoo.toml").write_text(text)
    return folder


def run(zoo, out, **options):
    return nb.sweep(zoo, out, bounds=BOUNDS, **{"workers": 0, **options})


def same(one, other):
    pd.testing.assert_frame_equal(
        one.drop(columns="seconds"), other.drop(columns="seconds"), check_exact=True
    )


@pytest.fixture(scope="module")
def reference(zoo, tmp_path_factory):
    return run(zoo, tmp_path_factory.mktemp("run")).to_frame()


def test_rows_stand_in_the_manifests_order(reference):
    assert list(dict.fromkeys(reference.checkpoint)) == list(NAMES)
    certificates = reference[reference.kind == "certificate"]
    assert set(certificates.role) == {"holdout"}
    assert (certificates.n <= 200).all()
    fit = reference[reference.role == "fit"]
    assert set(fit.kind) == {"plug-in"}


def test_finished_work_is_not_done_again(zoo, tmp_path, reference, monkeypatch):
    run(zoo, tmp_path)
    monkeypatch.setattr(engine, "bound_rows", None)
    again = run(zoo, tmp_path).to_frame()
    same(again, reference)


def test_a_bound_without_rows_leaves_no_file_and_is_not_asked_again(zoo, tmp_path, monkeypatch):
    """A default run bounds means of losses where there are several labels, and here is one."""
    how = {"bounds": None, "workers": 0, "only": ["one"]}
    first = nb.sweep(zoo, tmp_path, **how).to_frame()
    stored = sorted((tmp_path / "results/one").glob("*.json"))
    assert "mean_loss" not in {path.stem for path in stored}
    assert "mean_loss" in json.loads((tmp_path / "run.json").read_text())["bounds"]
    monkeypatch.setattr(engine, "evaluate_entry", None)
    same(nb.sweep(zoo, tmp_path, **how).to_frame(), first)
    monkeypatch.undo()
    asked = nb.sweep(zoo, tmp_path, bounds="mean_loss", workers=0, only=["one"])
    assert {r.bound for r in asked} == {"mean_loss"}
    same(nb.sweep(zoo, tmp_path, **how).to_frame(), first)


def test_lost_and_damaged_pieces_are_computed_again(zoo, tmp_path, reference):
    run(zoo, tmp_path)
    (tmp_path / "results/one/binomial.json").unlink()
    (tmp_path / "results/two/binomial.json").write_text('{"key": "half')
    (tmp_path / "results/three/facts.json").write_text("")
    same(run(zoo, tmp_path).to_frame(), reference)
    assert json.loads((tmp_path / "results/three/facts.json").read_text())["n"]["fit"] == 200


def test_a_changed_delta_or_checkpoint_is_noticed(zoo, tmp_path, reference):
    run(zoo, tmp_path)
    wider = run(zoo, tmp_path, delta=0.01).to_frame()
    certificate = (wider.kind == "certificate") & (wider.params == "{}")
    assert certificate.sum() == len(NAMES)
    assert (wider.value[certificate] > reference.value[certificate]).all()
    assert (wider.delta[certificate] == 0.01).all()


def test_simultaneous_rows_share_delta_over_the_whole_manifest(zoo, tmp_path):
    report = run(zoo, tmp_path, simultaneous=True, only=["two"])
    planned = 3 * len(nb.bounds.get("binomial").variants)
    deltas = {r.delta for r in report if r.bound == "binomial"}
    assert deltas == {0.05 / planned}
    assert json.loads((tmp_path / "run.json").read_text())["planned_rows"] == planned
    with pytest.raises(ManifestError, match="did you mean 'two'"):
        run(zoo, tmp_path, only=["twoo"])
    with pytest.raises(NcboundsError, match="probability"):
        run(zoo, tmp_path, delta=5)


def test_any_executor_gives_the_same_rows(zoo, tmp_path, reference):
    with ThreadPoolExecutor(2) as pool:
        same(run(zoo, tmp_path / "threads", executor=pool).to_frame(), reference)
    seen = []
    report = run(
        zoo,
        tmp_path / "processes",
        workers=2,
        progress=lambda done, total, name: seen.append((done, total)),
    )
    same(report.to_frame(), reference)
    assert seen[0] == (0, 3)
    assert seen[-1] == (3, 3)


def broken_zoo(zoo, folder):
    """The same zoo with a missing, a truncated and a NaN-holding checkpoint added."""
    for path in zoo.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    good = (zoo / "one.pt").read_bytes()
    (folder / "truncated.pt").write_bytes(good[: len(good) // 2])
    state = torch.load(zoo / "one.pt", weights_only=True)
    state["head.weight"][0, 0] = float("nan")
    torch.save(state, folder / "poisoned.pt")
    text = (zoo / "zoo.toml").read_text()
    entry = text[text.index("[checkpoints.one]") : text.index("[checkpoints.two]")]
    for name in ("missing", "truncated", "poisoned"):
        text += entry.replace("checkpoints.one", f"checkpoints.{name}").replace(
            "one.pt", f"{name}.pt"
        )
    (folder / "zoo.toml").write_text(text)
    return folder


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_checkpoints_are_rows_with_reasons(zoo, tmp_path, reference, workers):
    (tmp_path / "zoo").mkdir()
    bad = broken_zoo(zoo, tmp_path / "zoo")
    report = run(bad, tmp_path / "run", workers=workers)
    reasons = {f.checkpoint: f.reason for f in report.failures}
    assert set(reasons) == {"missing", "truncated", "poisoned"}
    assert "missing.pt" in reasons["missing"]
    assert "truncated.pt" in reasons["truncated"]
    assert "head.weight" in reasons["poisoned"]
    frame = report.to_frame()
    failed = frame.bound.isna()
    assert failed.sum() == 3
    same(frame[~failed].reset_index(drop=True), reference)


def test_a_bug_in_one_checkpoint_leaves_the_others(zoo, tmp_path, monkeypatch):
    def fails_on_two(b, evidence, delta):
        if evidence.checkpoint == "two":
            raise KeyError("a bug")
        return real(b, evidence, delta)

    real = engine.bound_rows
    monkeypatch.setattr(engine, "bound_rows", fails_on_two)
    report = run(zoo, tmp_path)
    assert [f.checkpoint for f in report.failures] == ["two"]
    assert "traceback.txt" in report.failures[0].reason
    assert "a bug" in (tmp_path / "results/two/traceback.txt").read_text()
    assert {r.checkpoint for r in report} == {"one", "three"}


def test_a_killed_run_goes_on_to_the_same_table(zoo, tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "ncbounds.cli.app", "evaluate", str(zoo), "--bounds", BOUNDS]
    command += ["--out", str(out), "--workers", "1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, start_new_session=True, **quiet)
    wait_for(process, lambda: (out / "results").exists())
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run(command, check=True, timeout=120, **quiet)
    run(zoo, tmp_path / "undisturbed").to_csv(tmp_path / "undisturbed.csv")
    same(*(pd.read_csv(file) for file in (out / "table.csv", tmp_path / "undisturbed.csv")))
    assert not list(out.rglob("*.tmp*.npy"))


def wait_for(process, ready):
    for _ in range(2400):
        if ready() or process.poll() is not None:
            return
        time.sleep(0.05)
    raise AssertionError("nothing was written within 120 s")


def test_files_on_the_command_line_are_found_in_their_manifest(zoo):
    book, only = select_files([zoo])
    assert only is None
    assert list(book.checkpoints) == list(NAMES)
    assert select_files([zoo / "two.pt"])[1] == ["two"]
    assert select_files([zoo / "two.pt"], zoo / "zoo.toml")[1] == ["two"]
    (zoo / "inner").mkdir()
    with pytest.raises(ManifestError, match="inner is not in"):
        select_files([zoo / "inner"], zoo / "zoo.toml")
    text = (zoo / "zoo.toml").read_text().replace("two.pt", "inner/two.pt")
    (zoo / "moved.toml").write_text(text)
    (zoo / "two.pt").rename(zoo / "inner" / "two.pt")
    assert select_files([zoo / "inner"], zoo / "moved.toml")[1] == ["two"]
    (zoo / "inner" / "two.pt").rename(zoo / "two.pt")
    with pytest.raises(ManifestError, match=r"add a \[checkpoints.NAME\] table"):
        select_files([zoo / "data.npz"])
    with pytest.raises(ManifestError, match="does not exist"):
        select_files([zoo / "none.pt"])
    assert load_manifest(zoo).path == book.path
