"""The zoo's manifest and its summary of training."""

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ncbounds.zoo.fashion14 import FASHION14_ROLES
from ncbounds.zoo.layouts import LAYOUTS
from ncbounds.zoo.recipes import RECIPES, TASKS, WHOLE, Refit, Whole

SUMMARY_COLUMNS = (
    "name",
    "n",
    "head_rows",
    "noise",
    "epochs",
    "train_accuracy",
    "nc1_train",
    "cpu_seconds",
    "bytes",
)

_HEADER = """\
# Checkpoints of the zoo, their data and what each row of the data was used for.
# Written by `python -m ncbounds.zoo`; paths are relative to this file.
"""


def backbone_of(recipe: Whole | Refit) -> Whole:
    """Recipe of the network whose features ``recipe`` has."""
    if isinstance(recipe, Whole):
        return recipe
    return next(whole for whole in WHOLE if whole.name == recipe.backbone)


def file_name(recipe: Whole | Refit) -> str:
    """File of a checkpoint inside the zoo's folder."""
    return recipe.name + LAYOUTS[recipe.layout].suffix


def roles(recipe: Whole | Refit) -> dict[str, str]:
    """Rows by role; rows of the task that a checkpoint never used for fitting are left out."""
    evaluation = {role: FASHION14_ROLES[role] for role in ("holdout", "unlabelled", "test")}
    fit = {"fit": f"0:{backbone_of(recipe).n}"}
    if isinstance(recipe, Whole):
        return fit | evaluation
    start = int(FASHION14_ROLES["head"].split(":")[0])
    return fit | {"head": f"{start}:{start + recipe.n}"} | evaluation


def code_word(folder: Path, recipe: Whole | Refit) -> str | None:
    """File that describes a network like this one in few bytes, if the folder has one."""
    name = f"code_words/{recipe.name}.ncz"
    return name if (folder / name).exists() else None


def manifest(data: str, folder: Path) -> str:
    """Text of ``zoo.toml`` in ``folder``; ``data`` is the path of the npz file relative to it."""
    tables = [_HEADER, *(task_table(name, data) for name in TASKS)]
    for recipe in RECIPES:
        backbone = backbone_of(recipe)
        entries: dict[str, Any] = {
            "file": file_name(recipe),
            "task": backbone.task,
            "protocol": "whole" if isinstance(recipe, Whole) else "refit",
            "model": backbone.model,
            "args": backbone.args,
            "roles": roles(recipe),
            "group": recipe.group,
        }
        if backbone.classes < 10:
            entries["classes"] = {"fit": list(range(backbone.classes))}
        if isinstance(recipe, Refit):
            entries["procedure"] = recipe.procedure
        if (word := code_word(folder, recipe)) is not None:
            entries["code_word"] = word
        tables.append(table("checkpoints", recipe.name, entries))
    return "\n".join(tables)


def task_table(name: str, data: str) -> str:
    """Table of one of the ``TASKS``."""
    task = TASKS[name]
    entries = {
        "data": data,
        "label_noise": task.label_noise,
        "noise_seed": task.noise_seed,
        "priors": "balanced",
        "sampling": "iid",
    }
    return table("tasks", name, entries)


def table(kind: str, name: str, entries: Mapping[str, Any]) -> str:
    """TOML of one table of a manifest."""
    lines = (f"{key} = {_value(v)}\n" for key, v in entries.items())
    return f"[{kind}.{_string(name)}]\n" + "".join(lines)


def _value(value: Any) -> str:
    """TOML of the few types that a manifest holds."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(v)}" for key, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return _string(value) if isinstance(value, str) else repr(value)


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def write_manifest(folder: Path, data: Path) -> None:
    """Write ``zoo.toml`` into ``folder``."""
    relative = Path(os.path.relpath(data.resolve(), folder.resolve())).as_posix()
    (folder / "zoo.toml").write_text(manifest(relative, folder), encoding="utf-8")


def write_summary(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write measured rows as CSV in the manifest's order, over older rows of the same names."""
    known = {}
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            known = {row["name"]: dict(row) for row in csv.DictReader(file)}
    known |= {str(row["name"]): {key: str(v) for key, v in row.items()} for row in rows}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, SUMMARY_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(known[recipe.name] for recipe in RECIPES if recipe.name in known)
