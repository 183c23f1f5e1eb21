"""One checkpoint of the zoo from its recipe to its file, and the measured facts about the file."""

import time
from pathlib import Path
from typing import Any

import torch

from ncbounds.errors import ManifestError
from ncbounds.procedures.linear import named_procedure
from ncbounds.zoo.layouts import LAYOUTS, read, write
from ncbounds.zoo.manifest import backbone_of, file_name, roles
from ncbounds.zoo.recipes import TASKS, Refit, Whole
from ncbounds.zoo.train import (
    MOMENTUM,
    RATE,
    TrainingFailed,
    accuracy,
    features,
    load_model,
    task_tensors,
    train,
    training_nc1,
)

CLASSES = 10


def make(recipe: Whole | Refit, data: Path, folder: Path) -> dict[str, Any]:
    """Train or refit one checkpoint, store it, read it back, and return its summary row.

    ``train_accuracy`` and ``nc1_train`` are measured on the stored file: for a refitted head the
    accuracy is that on its head rows, NC1 always that of the rows the backbone was trained on.

    Raises
    ------
    TrainingFailed
        If the stored file of a network trained as a whole errs on a training point.
    """
    torch.set_num_threads(1)
    began = time.process_time()
    row = _make_whole(recipe, data, folder) if isinstance(recipe, Whole) else None
    row = row or _make_refit(recipe, data, folder)  # type: ignore[arg-type]
    path = folder / file_name(recipe)
    seconds = round(time.process_time() - began, 2)
    return {"name": recipe.name, **row, "cpu_seconds": seconds, "bytes": path.stat().st_size}


def _make_whole(recipe: Whole, data: Path, folder: Path) -> dict[str, Any]:
    task = TASKS[recipe.task]
    inputs, labels = (tensor[: recipe.n] for tensor in task_tensors(data, task))
    inputs, labels = inputs[labels < recipe.classes], labels[labels < recipe.classes]
    trained = train(recipe, inputs, labels)
    model = trained.averaged or trained.model
    facts = {
        "model": recipe.model,
        "args": dict(recipe.args),
        "epoch": trained.epochs,
        "steps": trained.steps,
        "lr": RATE,
        "momentum": MOMENTUM,
        "weight_decay": recipe.weight_decay,
        "last": trained.model.state_dict(),
    }
    path, layout = folder / file_name(recipe), LAYOUTS[recipe.layout]
    write(model.state_dict(), path, layout, facts)
    stored = load_model(recipe, read(path, layout))
    reached = accuracy(stored, inputs, labels)
    if reached < 1:
        path.unlink()
        raise TrainingFailed(f"{recipe.name}: training accuracy {reached} after {trained.epochs}")
    return {
        "n": len(labels),
        "head_rows": 0,
        "noise": task.label_noise,
        "epochs": trained.epochs,
        "train_accuracy": reached,
        "nc1_train": f"{training_nc1(features(stored, inputs), labels.numpy()):.4g}",
    }


def _make_refit(recipe: Refit, data: Path, folder: Path) -> dict[str, Any]:
    backbone = backbone_of(recipe)
    path = folder / file_name(backbone)
    if not path.exists():
        raise ManifestError(f"{recipe.name} needs {path}; make it first: --only {backbone.name}")
    model = load_model(backbone, read(path, LAYOUTS[backbone.layout]))
    task = TASKS[backbone.task]
    inputs, labels = task_tensors(data, task)
    head = slice(*map(int, roles(recipe)["head"].split(":")))
    fitted = named_procedure(recipe.procedure)(
        features(model, inputs[head]), labels[head].numpy(), CLASSES
    )
    state = model.state_dict()
    state["head.weight"] = torch.from_numpy(fitted.weight.copy())
    state["head.bias"] = torch.from_numpy(fitted.bias.copy())
    written, layout = folder / file_name(recipe), LAYOUTS[recipe.layout]
    write(state, written, layout, {"epoch": 0})
    stored = load_model(backbone, read(written, layout))
    fit = features(stored, inputs[: backbone.n])
    return {
        "n": backbone.n,
        "head_rows": recipe.n,
        "noise": task.label_noise,
        "epochs": 0,
        "train_accuracy": round(accuracy(stored, inputs[head], labels[head]), 5),
        "nc1_train": f"{training_nc1(fit, labels[: backbone.n].numpy()):.4g}",
    }
