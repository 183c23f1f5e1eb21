"""Networks on a long tail, plain and class-balanced: ``python -m ncbounds.zoo.longtail``.

The images are those of ``fashion14``, thinned so that the first class is a hundred times as
frequent as the last. Two networks are trained on ``fit`` only, for a fixed number of epochs and
with settings that were fixed before: one on the plain cross entropy, one with each class weighted
by 1 over its training points. Overall they look alike; their balanced errors do not.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ncbounds.checkpoints.architectures.small import build_model
from ncbounds.data.manifest import entry_rows, load_manifest
from ncbounds.data.task import task_arrays
from ncbounds.zoo.descent import descend, store
from ncbounds.zoo.manifest import table

MODEL, ARGS = "mlp", {"width": 128, "depth": 2}
TASK, RATIO, SEED = "longtail14", 100, 0
DECAY = 5e-4
ROLES = {"fit": "0:8000", "holdout": "8000:16000", "test": "16000:26000"}
NAMES = ("plain", "balanced")
CLASSES = (
    *("T-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
_HEADER = """\
# Written by `python -m ncbounds.zoo.longtail`; paths are relative to this file.
"""


def train(inputs: Tensor, labels: Tensor, *, balanced: bool) -> nn.Module:
    """Train a network on all given rows.

    Parameters
    ----------
    inputs : Tensor of shape (n, 1, 14, 14)
    labels : Tensor of shape (n,)
    balanced : bool
        Weight each class by 1 over its rows.

    Returns
    -------
    nn.Module
        In eval mode.
    """
    torch.manual_seed(SEED)
    model = build_model(MODEL, ARGS)
    counts = torch.bincount(labels, minlength=len(CLASSES)).clamp(min=1).float()
    weights = len(labels) / (len(CLASSES) * counts) if balanced else None
    loss = partial(functional.cross_entropy, weight=weights)
    return descend(model, loss, inputs, labels, weight_decay=DECAY, seed=SEED)


def manifest() -> str:
    """Text of the manifest of the folder that the networks are stored in."""
    task = {
        "data": "../fashion14.npz",
        "imbalance": RATIO,
        "noise_seed": SEED,
        "sampling": "iid",
        "classes": list(CLASSES),
        "claims": ["balanced", "worst", "groups"],
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
                "roles": ROLES,
                "group": {"block": "long tail", "loss": name},
            },
        )
        for name in NAMES
    )
    return "\n".join([_HEADER, table("tasks", TASK, task), *checkpoints])


def main(arguments: list[str] | None = None) -> None:
    """Train the networks and write them with their manifest."""
    parser = argparse.ArgumentParser(prog="python -m ncbounds.zoo.longtail", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/longtail"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "zoo.toml").write_text(manifest(), encoding="utf-8")
    book = load_manifest(options.out)
    arrays = task_arrays(book.tasks[TASK])
    for name in NAMES:
        rows = entry_rows(book.checkpoints[name], arrays.labels, arrays.kept)["fit"]
        inputs = torch.from_numpy(np.asarray(arrays.inputs[rows]))
        labels = torch.from_numpy(arrays.labels[rows])
        model = train(inputs, labels, balanced=name == "balanced")
        store(model, options.out / f"{name}.safetensors")


if __name__ == "__main__":
    main()
