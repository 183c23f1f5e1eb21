"""One network trained with four losses, with and without weight decay, kept along the way.

``python -m ncbounds.zoo.losses --out data/losses`` trains the eight series again, in about a minute
of one thread. They have the same initial weights and see the same rows in the same order; only the
loss and the decay differ. All end with training error 0, after a number of epochs that was fixed.
"""

import argparse
import csv
import os
import sys
import time
from itertools import product
from pathlib import Path

import torch
from torch import nn

from ncbounds.errors import NcboundsError
from ncbounds.zoo.layouts import LAYOUTS, read, write
from ncbounds.zoo.manifest import roles, table, task_table
from ncbounds.zoo.recipes import TASKS, Whole
from ncbounds.zoo.train import TrainingFailed, accuracy, load_model, task_tensors, train

#: Epochs after which the weights are kept; the last one ends the schedule.
EPOCHS = (2, 4, 8, 14, 24, 40, 70, 120, 160, 200)
TASK = "fashion14"
#: Losses as a manifest declares them, by the names of their series.
LOSSES = {
    "cross-entropy": "cross-entropy",
    "label-smoothing": "label-smoothing:0.1",
    "focal": "focal:2",
    "mse": "mse",
}
DECAYS = {"wd0": 0.0, "wd5e-3": 5e-3}
SUMMARY_COLUMNS = ("name", "loss", "weight_decay", "train_accuracy", "cpu_seconds", "bytes")

_HEADER = """\
# One network, trained with four losses, with and without weight decay: a series of ten steps each.
# Written by `python -m ncbounds.zoo.losses`; paths are relative to this file.
"""

RUNS: tuple[Whole, ...] = tuple(
    Whole(
        f"{loss}-{decay}",
        "bn_mlp",
        {"width": 48, "depth": 2},
        {"block": loss, "weight_decay": DECAYS[decay]},
        loss=LOSSES[loss],
        weight_decay=DECAYS[decay],
        epochs=EPOCHS[-1],
    )
    for loss, decay in product(LOSSES, DECAYS)
)
"""The eight series, in the manifest's order."""


def file_at(name: str, epoch: int) -> str:
    """File of a series after an epoch, inside the folder of all."""
    return f"{name}/epoch-{epoch:03d}.safetensors"


def make(recipe: Whole, data: Path, folder: Path) -> dict[str, object]:
    """Train one series, store its steps, and return its summary row, of the last stored step.

    Raises
    ------
    TrainingFailed
        If the last stored network errs on a training point.
    """
    torch.set_num_threads(1)
    began = time.process_time()
    inputs, labels = (tensor[: recipe.n] for tensor in task_tensors(data, TASKS[recipe.task]))
    (folder / recipe.name).mkdir(parents=True, exist_ok=True)
    layout = LAYOUTS[recipe.layout]

    def keep(epoch: int, model: nn.Module) -> None:
        if epoch in EPOCHS:
            write(model.state_dict(), folder / file_at(recipe.name, epoch), layout, {})

    train(recipe, inputs, labels, keep)
    last = folder / file_at(recipe.name, EPOCHS[-1])
    reached = accuracy(load_model(recipe, read(last, layout)), inputs, labels)
    if reached < 1:
        raise TrainingFailed(f"{recipe.name}: training accuracy {reached} after {EPOCHS[-1]}")
    return {
        "name": recipe.name,
        "loss": recipe.loss,
        "weight_decay": recipe.weight_decay,
        "train_accuracy": reached,
        "cpu_seconds": round(time.process_time() - began, 2),
        "bytes": sum(p.stat().st_size for p in (folder / recipe.name).iterdir()),
    }


def manifest(data: str) -> str:
    """Text of the ``zoo.toml``; ``data`` is the path of the npz file relative to it."""
    series = (
        table(
            "series",
            recipe.name,
            {
                "files": f"{recipe.name}/epoch-*.safetensors",
                "task": recipe.task,
                "model": recipe.model,
                "args": recipe.args,
                "loss": recipe.loss,
                "roles": {
                    role: rows for role, rows in roles(recipe).items() if role != "unlabelled"
                },
                "group": recipe.group,
            },
        )
        for recipe in RUNS
    )
    return "\n".join([_HEADER, task_table(TASK, data), *series])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ncbounds.zoo.losses", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/losses"), help="folder to write to")
    parser.add_argument("--data", type=Path, default=Path("data/fashion14.npz"))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    try:
        for recipe in RUNS:
            rows.append(row := make(recipe, options.data, options.out))
            print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    except NcboundsError as error:
        print(error, file=sys.stderr)
        return 1
    relative = Path(os.path.relpath(options.data.resolve(), options.out.resolve())).as_posix()
    (options.out / "zoo.toml").write_text(manifest(relative), encoding="utf-8")
    with (options.out / "summary.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, SUMMARY_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
