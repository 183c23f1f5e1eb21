"""Networks that name all items in a picture: ``python -m ncbounds.zoo.tags``.

Pictures hold one or two images of ``fashion14`` side by side, each image in one picture only. Three
networks are trained on ``fit`` only, for a fixed number of epochs and with settings that were fixed
before: with a binary loss for each label, with the same and strong weight decay, and with
pick-all-label, the sum of the cross entropies of all labels of a picture.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ncbounds.checkpoints.architectures.small import build_model
from ncbounds.data.manifest import entry_rows, load_manifest
from ncbounds.data.task import task_arrays
from ncbounds.zoo.descent import descend, store
from ncbounds.zoo.longtail import CLASSES
from ncbounds.zoo.manifest import table

MODEL, ARGS = "bn_mlp", {"width": 96, "depth": 2, "in_features": 2 * 14 * 14}
TASK, PAIRS, SEED = "tags14", 0.7, 0
ROLES = {"fit": "0:4000", "holdout": "4000:8000", "test": "8000:13000"}


class Recipe(NamedTuple):
    """What differs between the networks."""

    loss: str
    weight_decay: float


RECIPES = {
    "binary": Recipe("binary", 5e-4),
    "binary-decay": Recipe("binary", 5e-3),
    "pick-all": Recipe("pick-all-label", 5e-4),
}
_HEADER = """\
# Written by `python -m ncbounds.zoo.tags`; paths are relative to this file.
"""


def training_loss(name: str, logits: Tensor, indicators: Tensor) -> Tensor:
    """Mean over points of the loss that a manifest calls by this name.

    Parameters
    ----------
    name : "binary" or "pick-all-label"
    logits : Tensor of shape (n, L)
    indicators : Tensor of shape (n, L)
        1 for the labels of a point, else 0.
    """
    if name == "binary":
        each = functional.binary_cross_entropy_with_logits(logits, indicators, reduction="none")
        return each.sum(dim=1).mean()
    return -(functional.log_softmax(logits, dim=1) * indicators).sum(dim=1).mean()


def train(recipe: Recipe, inputs: Tensor, indicators: Tensor) -> nn.Module:
    """Train a network on all given rows.

    Parameters
    ----------
    recipe : Recipe
    inputs : Tensor of shape (n, 1, 14, 28)
    indicators : float Tensor of shape (n, 10)

    Returns
    -------
    nn.Module
        In eval mode.
    """
    torch.manual_seed(SEED)
    model = build_model(MODEL, ARGS)
    loss = partial(training_loss, recipe.loss)
    return descend(model, loss, inputs, indicators, weight_decay=recipe.weight_decay, seed=SEED)


def manifest() -> str:
    """Text of the manifest of the folder that the networks are stored in."""
    task = {
        "data": "../fashion14.npz",
        "pairs": PAIRS,
        "noise_seed": SEED,
        "decision": "multi-label",
        "sampling": "iid",
        "classes": list(CLASSES),
    }
    checkpoints = (
        table(
            "checkpoints",
            name,
            {
                "file": f"{name}.safetensors",
                "task": TASK,
                "model": MODEL,
                "args": ARGS,
                "loss": recipe.loss,
                **({"ranked": True} if recipe.loss == "pick-all-label" else {}),
                "roles": ROLES,
                "group": {"block": "several labels", "loss": recipe.loss},
            },
        )
        for name, recipe in RECIPES.items()
    )
    return "\n".join([_HEADER, table("tasks", TASK, task), *checkpoints])


def main(arguments: list[str] | None = None) -> None:
    """Train the networks and write them with their manifest."""
    parser = argparse.ArgumentParser(prog="python -m ncbounds.zoo.tags", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/tags"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "zoo.toml").write_text(manifest(), encoding="utf-8")
    book = load_manifest(options.out)
    arrays = task_arrays(book.tasks[TASK])
    for name, recipe in RECIPES.items():
        rows = entry_rows(book.checkpoints[name], arrays.labels)["fit"]
        inputs = torch.from_numpy(np.asarray(arrays.inputs[rows]))
        indicators = torch.from_numpy(arrays.labels[rows].astype(np.float32))
        model = train(recipe, inputs, indicators)
        store(model, options.out / f"{name}.safetensors")


if __name__ == "__main__":
    main()
