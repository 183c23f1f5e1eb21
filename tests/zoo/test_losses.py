"""The series in data/losses are what recipes and README say, and train what is declared."""

import csv
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import ncbounds as nb
from ncbounds.data.manifest import load_manifest
from ncbounds.geometry import collapse_efficiency
from ncbounds.report.cells import number
from ncbounds.zoo import losses
from ncbounds.zoo.layouts import LAYOUTS, read
from ncbounds.zoo.losses import DECAYS, EPOCHS, LOSSES, RUNS, file_at, main, manifest
from ncbounds.zoo.recipes import TASKS, WHOLE, Whole
from ncbounds.zoo.train import accuracy, features, load_model, task_tensors, training_loss

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "data" / "losses"
BY_NAME = {recipe.name: recipe for recipe in RUNS}
tensors = cache(lambda: task_tensors(ROOT / "data" / "fashion14.npz", TASKS["fashion14"]))


def network(recipe: Whole, epoch: int) -> torch.nn.Module:
    return load_model(recipe, read(FOLDER / file_at(recipe.name, epoch), LAYOUTS["safetensors"]))


def efficiency(model: torch.nn.Module, loss: str, n: int = 1000) -> float:
    inputs, labels = (tensor[:n] for tensor in tensors())
    sample = nb.Sample.from_arrays(features(model, inputs), labels.numpy(), role="fit")
    weight, bias = (p.detach().double().numpy() for p in model.head.parameters())
    return collapse_efficiency(sample, nb.LinearHead(weight, bias), loss).lower


def test_manifest_and_files_are_the_recipes():
    assert (FOLDER / "zoo.toml").read_text() == manifest("../fashion14.npz")
    entries = load_manifest(FOLDER).checkpoints
    files = [FOLDER / file_at(recipe.name, epoch) for recipe in RUNS for epoch in EPOCHS]
    assert [entry.file for entry in entries.values()] == files
    assert {path for path in FOLDER.rglob("*") if path.is_file()} == {
        *files,
        FOLDER / "zoo.toml",
        FOLDER / "summary.csv",
    }
    for entry in entries.values():
        assert entry.loss == BY_NAME[entry.series].loss
    assert {recipe.loss for recipe in RUNS} == set(LOSSES.values())
    assert len(RUNS) == len(LOSSES) * len(DECAYS)


@pytest.mark.parametrize("recipe", RUNS, ids=lambda recipe: recipe.name)
def test_every_series_ends_with_training_error_0(recipe):
    inputs, labels = (tensor[: recipe.n] for tensor in tensors())
    assert accuracy(network(recipe, EPOCHS[-1]), inputs, labels) == 1
    assert accuracy(network(recipe, EPOCHS[0]), inputs, labels) < 0.9
    with (FOLDER / "summary.csv").open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    sizes = [(FOLDER / file_at(recipe.name, epoch)).stat().st_size for epoch in EPOCHS]
    assert int(rows[recipe.name]["bytes"]) == sum(sizes)
    assert rows[recipe.name]["train_accuracy"] == "1.0"


def test_all_series_are_small_enough_to_ship():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 3e6


@pytest.mark.parametrize("loss", LOSSES.values())
def test_what_is_trained_is_what_is_declared(loss):
    """The loss of training and the one that the efficiency measures are one number."""
    rng = np.random.default_rng(0)
    f, y = rng.standard_normal((60, 5)), np.arange(60) % 4
    w, b = rng.standard_normal((4, 5)), rng.standard_normal(4)
    sample = nb.Sample.from_arrays(f, y, role="fit")
    found = collapse_efficiency(sample, nb.LinearHead(w, b), loss, seconds=0.0)
    trained = training_loss(loss)(torch.from_numpy(f @ w.T + b), torch.from_numpy(y))
    assert found.loss == pytest.approx(float(trained), rel=1e-12)


def readme_table() -> dict[str, list[list[str]]]:
    """Cells of README's table of losses, each a list of numbers, by loss."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(rf"^\| ({'|'.join(LOSSES)})\b[^|]*\|(.*)\|$", text, re.MULTILINE)
    return {name: [re.findall(r"\.\d+", cell) for cell in cells.split("|")] for name, cells in rows}


@pytest.mark.parametrize("loss", LOSSES)
def test_readme_has_what_the_stored_networks_show(loss):
    without, with_decay, errors = readme_table()[loss]
    assert list(readme_table()) == list(LOSSES)
    shown = (2, 14, 70, 200)
    inputs, labels = (tensor[16_000:] for tensor in tensors())
    for decay, cells, error in zip(DECAYS, (without, with_decay), errors, strict=True):
        recipe = BY_NAME[f"{loss}-{decay}"]
        assert len(cells) == len(shown)
        measured = 1 - accuracy(network(recipe, 200), inputs, labels)
        assert float(error) == pytest.approx(measured, abs=6e-4)  # float64 may turn a point
        for epoch, cell in zip(shown, cells):
            assert number(efficiency(network(recipe, epoch), recipe.loss)) == cell


@pytest.mark.slow
def test_readme_says_how_far_clean_networks_differ():
    """Efficiency of the networks on 1,000 clean images, and their test error."""
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    said = re.search(
        r"over the (\d+) networks .*? runs from (\.\d+) to (\.\d+) .*? \[(\.\d+), (\.\d+)\]", text
    )
    assert said is not None
    inputs, labels = (tensor[16_000:] for tensor in tensors())
    zoo = ROOT / "data" / "zoo"
    values, errors = [], []
    for recipe in WHOLE:
        if recipe.n == 1000 and recipe.task == "fashion14":
            layout = LAYOUTS[recipe.layout]
            model = load_model(recipe, read(zoo / (recipe.name + layout.suffix), layout))
            values.append(efficiency(model, recipe.loss))
            errors.append(1 - accuracy(model, inputs, labels))
    ends = (min(values), max(values), min(errors), max(errors))
    assert int(said[1]) == len(values)
    assert [float(x) for x in said.groups()[1:]] == pytest.approx(ends, abs=6e-3)


def test_a_series_is_trained_again_to_the_bit(tmp_path, monkeypatch):
    """Here after two epochs; the decay and the loss make other networks of the same start."""
    first = [replace(r, n=200, epochs=2) for r in RUNS[:3]]
    monkeypatch.setattr(losses, "RUNS", tuple(first))
    monkeypatch.setattr(losses, "EPOCHS", (1, 2))
    data = str(ROOT / "data" / "fashion14.npz")
    monkeypatch.setattr(losses, "task_tensors", lambda *_: tensors())
    monkeypatch.setattr(losses, "accuracy", lambda *_: 1.0)  # two epochs fit nothing
    for run in ("a", "b"):
        assert main(["--out", str(tmp_path / run), "--data", data]) == 0
    for path in (tmp_path / "a").rglob("*.safetensors"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
    states = [
        read(tmp_path / "a" / file_at(r.name, 1), LAYOUTS["safetensors"])["head.weight"]
        for r in first
    ]
    assert not torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_a_series_that_does_not_fit_its_points_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(losses, "RUNS", (replace(RUNS[0], n=200, epochs=1),))
    monkeypatch.setattr(losses, "EPOCHS", (1,))
    assert main(["--out", str(tmp_path), "--data", str(ROOT / "data" / "fashion14.npz")]) == 1
    assert "cross-entropy-wd0: training accuracy 0." in capsys.readouterr().err
    assert not (tmp_path / "zoo.toml").exists()
