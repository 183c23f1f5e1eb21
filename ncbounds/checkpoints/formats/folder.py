"""Folders with a config.json: the layouts of transformers and of timm."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ncbounds.errors import CheckpointUnreadable

SINGLE = ("model.safetensors", "pytorch_model.safetensors", "pytorch_model.bin")
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
CONFIG_LIMIT = 1 << 24


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object.

    Raises
    ------
    CheckpointUnreadable
        If the file is missing, larger than 16 MB or no JSON object.
    """
    try:
        if path.stat().st_size > CONFIG_LIMIT:
            raise CheckpointUnreadable(f"{path} is larger than a configuration can be")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointUnreadable(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise CheckpointUnreadable(f"{path} needs a JSON object, found {type(content).__name__}")
    return content


def weight_files(folder: Path) -> list[Path]:
    """Return the weight files of a folder, all shards where an index lists them.

    Raises
    ------
    CheckpointUnreadable
        If there are none, or an index names a missing file or one outside the folder.
    """
    for name in INDEXES:
        if (folder / name).is_file():
            return _shards(folder, folder / name)
    for name in SINGLE:
        if (folder / name).is_file():
            return [folder / name]
    raise CheckpointUnreadable(
        f"{folder} is a folder without weights; needed is config.json with one of "
        f"{', '.join((*SINGLE, INDEXES[0]))}, or name one checkpoint file"
    )


def _shards(folder: Path, index: Path) -> list[Path]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointUnreadable(f"{index} has no weight_map")
    names = sorted({str(v) for v in weight_map.values()})
    for name in names:
        if Path(name).name != name or name in ("", ".", ".."):
            raise CheckpointUnreadable(f"{index} names {name!r}, which is not in this folder")
        if not (folder / name).is_file():
            raise CheckpointUnreadable(f"{index} names the shard {name!r}, which is missing")
    return [folder / name for name in names]


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
