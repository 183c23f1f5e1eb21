"""Folders with a config.json: the layouts of transformers and of timm."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from ncbounds.budgets import CONFIG_BYTES, DEPTH
from ncbounds.checkpoints.formats.foreign import foreign_folder
from ncbounds.errors import CheckpointUnreadable, shown
from ncbounds.files import read_bounded

SINGLE = ("model.safetensors", "pytorch_model.safetensors", "pytorch_model.bin")
_NUMBERED = re.compile(r"-\d+-of-(\d{1,9})$", re.ASCII)
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


def read_config(path: Path) -> tuple[dict[str, Any], str]:
    """Return a JSON object and the sha256 of the bytes that it was read from.

    Raises
    ------
    CheckpointUnreadable
        If the file is missing, too large, nested too deeply or no JSON object.
    """
    try:
        data = read_bounded(path, CONFIG_BYTES)
        content = json.loads(data)
    except OSError as error:
        raise CheckpointUnreadable(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise CheckpointUnreadable(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise CheckpointUnreadable(f"{path} needs a JSON object, found {type(content).__name__}")
    if _depth(content) > DEPTH:
        raise CheckpointUnreadable(f"{path} is nested deeper than {DEPTH}")
    return content, hashlib.sha256(data).hexdigest()


def _depth(content: object) -> int:
    """How deep objects and lists are nested; beyond the budget it does not matter how much."""
    level, depth = [content], 0
    while level and depth <= DEPTH:
        inner = [
            c.values() if isinstance(c, dict) else c for c in level if isinstance(c, dict | list)
        ]
        level, depth = [value for values in inner for value in values], depth + 1
    return depth


def weight_files(folder: Path) -> list[Path]:
    """Return the weight files of a folder, all shards where an index lists them.

    Where none has a usual name, all safetensors files are taken: a backbone and its head.

    Raises
    ------
    CheckpointUnreadable
        If there are none, or an index names a missing file or one outside the folder.
    """
    for name in INDEXES:
        if _is_file(folder / name):
            return _shards(folder, folder / name)
    for name in SINGLE:
        if _is_file(folder / name):
            return [folder / name]
    if found := sorted(folder.glob("*.safetensors")):
        _check_complete(folder, found)
        return found
    if what := foreign_folder(folder):
        raise CheckpointUnreadable(f"{folder} is {what}")
    raise CheckpointUnreadable(
        f"{folder} is a folder without weights; needed is config.json with one of "
        f"{', '.join((*SINGLE, INDEXES[0]))}, or name one checkpoint file"
    )


def passed_over(folder: Path, taken: list[Path]) -> list[str]:
    """Return the other files of a usual name, which may hold other weights."""
    names = {file.name for file in taken}
    index = next((name for name in INDEXES if _is_file(folder / name)), "")
    return [n for n in (*SINGLE, *INDEXES) if n not in (*names, index) and _is_file(folder / n)]


def _shards(folder: Path, index: Path) -> list[Path]:
    weight_map = read_config(index)[0].get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointUnreadable(f"{index} has no weight_map")
    names = sorted({str(v) for v in weight_map.values()})
    for name in names:
        if Path(name).name != name or name in ("", ".", ".."):
            raise CheckpointUnreadable(f"{index} names {shown(name)}, which is not in this folder")
        if not _is_file(folder / name):
            raise CheckpointUnreadable(f"{index} names the shard {shown(name)}, which is missing")
    return [folder / name for name in names]


def _check_complete(folder: Path, files: list[Path]) -> None:
    """Raise if files that are numbered as in ``-00001-of-00003`` are not all there."""
    numbered = [m for f in files if (m := _NUMBERED.search(f.stem))]
    if numbered and any(int(m[1]) != len(numbered) for m in numbered):
        raise CheckpointUnreadable(
            f"{folder} has {len(numbered)} of the {numbered[0][1].lstrip('0')} shards that "
            f"{shown(files[0].name)} is one of; copy the others too"
        )


def _is_file(path: Path) -> bool:
    """Whether a regular file is there; False for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def folder_format(config: dict[str, Any]) -> str:
    """Name the layout that a config.json belongs to."""
    if "model_type" in config or "architectures" in config:
        return "transformers folder"
    if "architecture" in config:
        return "timm folder"
    return "folder with config.json"


def combined_hash(hashes: dict[str, str]) -> str:
    """Return the sha256 over sorted file names and their sha256."""
    lines = "".join(f"{name}\0{digest}\n" for name, digest in sorted(hashes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
