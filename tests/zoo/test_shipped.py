"""The files in data/zoo are what the manifest, the recipes and the summary say."""

import csv
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from ncbounds.zoo.layouts import LAYOUTS, read
from ncbounds.zoo.manifest import backbone_of, file_name, manifest
from ncbounds.zoo.recipes import RECIPES, REFIT, TASKS, WHOLE, Refit, Whole
from ncbounds.zoo.train import accuracy, features, load_model, task_tensors, training_nc1

DATA = Path(__file__).parents[2] / "data"
ZOO = DATA / "zoo"
MANIFEST = tomllib.loads((ZOO / "zoo.toml").read_text())
BY_NAME = {recipe.name: recipe for recipe in RECIPES}
tensors = cache(lambda task: task_tensors(DATA / "fashion14.npz", TASKS[task]))


def stored(recipe: Whole | Refit) -> torch.nn.Module:
    layout = LAYOUTS[recipe.layout]
    return load_model(backbone_of(recipe), read(ZOO / file_name(recipe), layout))


def summary() -> dict[str, dict[str, str]]:
    with (ZOO / "summary.csv").open(newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def test_manifest_is_the_recipes() -> None:
    assert (ZOO / "zoo.toml").read_text() == manifest("../fashion14.npz", ZOO)
    assert list(MANIFEST["checkpoints"]) == [recipe.name for recipe in RECIPES]
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)
    protocols = Counter(entry["protocol"] for entry in MANIFEST["checkpoints"].values())
    assert protocols == {"whole": 49, "refit": 12}


def test_all_files_exist_and_no_other() -> None:
    named = {entry["file"] for entry in MANIFEST["checkpoints"].values()}
    present = {path.name for path in ZOO.iterdir() if path.is_file()}
    assert present == named | {"zoo.toml", "summary.csv"}
    words = {path.name for path in (ZOO / "code_words").iterdir()}
    listed = [
        entry["code_word"] for entry in MANIFEST["checkpoints"].values() if "code_word" in entry
    ]
    assert {f"code_words/{name}" for name in words} == set(listed)
    for task in MANIFEST["tasks"].values():
        assert (ZOO / task["data"]).resolve() == DATA / "fashion14.npz"
        assert task["priors"] == "balanced"
        assert task["sampling"] == "iid"


def test_everything_shipped_is_small() -> None:
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) <= 15e6
    assert "Zalando" in (DATA / "LICENSE-fashion-mnist").read_text()


def test_every_layout_occurs() -> None:
    assert {recipe.layout for recipe in RECIPES} == set(LAYOUTS)


@pytest.mark.parametrize("name", list(MANIFEST["checkpoints"]))
def test_roles_share_no_row_and_fit_is_what_was_used(name: str) -> None:
    entry = MANIFEST["checkpoints"][name]
    recipe = BY_NAME[name]
    rows = {role: range(*map(int, text.split(":"))) for role, text in entry["roles"].items()}
    every = [row for span in rows.values() for row in span]
    assert len(every) == len(set(every))
    assert rows["fit"] == range(backbone_of(recipe).n)
    assert rows["test"] == range(16_000, 26_000)
    assert len(rows["holdout"]) == len(rows["unlabelled"]) == 4000
    if entry["protocol"] == "refit":
        assert rows["head"] == range(4000, 4000 + recipe.n)
    else:
        assert "head" not in rows
    assert entry["task"] in MANIFEST["tasks"]
    assert entry["group"]["block"]


@pytest.mark.parametrize("recipe", WHOLE, ids=lambda recipe: recipe.name)
def test_stored_networks_fit_their_training_points(recipe: Whole) -> None:
    inputs, labels = (tensor[: recipe.n] for tensor in tensors(recipe.task))
    inputs, labels = inputs[labels < recipe.classes], labels[labels < recipe.classes]
    model = stored(recipe)
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())
    assert accuracy(model, inputs, labels) == 1
    row = summary()[recipe.name]
    assert row["train_accuracy"] == "1.0"
    nc1 = training_nc1(features(model, inputs), labels.numpy())
    assert nc1 == pytest.approx(float(row["nc1_train"]), rel=0.01)
    assert (ZOO / file_name(recipe)).stat().st_size == int(row["bytes"])


@pytest.mark.parametrize("recipe", REFIT, ids=lambda recipe: recipe.name)
def test_refitted_heads_stand_on_the_stored_backbone(recipe: Refit) -> None:
    own = read(ZOO / file_name(recipe), LAYOUTS[recipe.layout])
    backbone = backbone_of(recipe)
    other = read(ZOO / file_name(backbone), LAYOUTS[backbone.layout])
    assert own.keys() == other.keys()
    for name in own:
        assert torch.equal(own[name], other[name]) == (not name.startswith("head."))
    inputs, labels = tensors(backbone.task)
    head = slice(4000, 4000 + recipe.n)
    reached = accuracy(stored(recipe), inputs[head], labels[head])
    assert reached == pytest.approx(float(summary()[recipe.name]["train_accuracy"]), abs=2e-3)
    assert recipe.n in (500, 1000, 2000, 4000)


def test_half_of_the_refitted_backbones_are_collapsed() -> None:
    nc1 = {recipe: float(summary()[recipe.name]["nc1_train"]) for recipe in REFIT}
    collapsed = [recipe for recipe, value in nc1.items() if value < 0.05]
    assert 2 * len(collapsed) >= len(REFIT)
    assert sum(recipe.n == 4000 for recipe in collapsed) >= 4
    assert min(nc1.values()) < 0.005


def test_noise_is_one_draw_for_all_roles() -> None:
    clean = tensors("fashion14")[1].numpy()
    for name, task in TASKS.items():
        entry = MANIFEST["tasks"][name]
        assert (entry["label_noise"], entry["noise_seed"]) == (task.label_noise, task.noise_seed)
        changed = np.mean(tensors(name)[1].numpy() != clean)
        assert changed == pytest.approx(0.9 * task.label_noise, abs=0.016)
