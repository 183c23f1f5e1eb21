"""Read a checkpoint without running code from it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ncbounds.checkpoints.checkpoint import Checkpoint
from ncbounds.checkpoints.formats.distributed import METADATA, load_distributed
from ncbounds.checkpoints.formats.folder import (
    INDEXES,
    SINGLE,
    combined_hash,
    folder_format,
    passed_over,
    read_config,
    weight_files,
)
from ncbounds.checkpoints.formats.foreign import check_whole, instead_of
from ncbounds.checkpoints.formats.format import Flat, Nested
from ncbounds.checkpoints.formats.locate import (
    Located,
    check_tensors,
    extra_state,
    hints_of,
    locate_weights,
    located_under,
    normalise,
)
from ncbounds.checkpoints.formats.lora import CONFIG, WEIGHTS, is_adapter
from ncbounds.checkpoints.formats.registered import FORMATS
from ncbounds.checkpoints.formats.torch_file import load_torch
from ncbounds.checkpoints.join import ADAPTER, checked_whole, joined, union
from ncbounds.errors import CheckpointUnreadable, few, shown
from ncbounds.files import Content, read_content


def load_checkpoint(
    path: str | os.PathLike[str],
    *,
    key: str | None = None,
    weights: str | None = None,
    parts: Sequence[str | os.PathLike[str]] = (),
) -> Checkpoint:
    """Read a checkpoint; never run code from it.

    Reads safetensors, ``state_dict`` files, nested training checkpoints, Lightning checkpoints
    (Lightning is not imported), and folders with config.json and weights, sharded or not. The notes
    say which of several groups of weights was taken, and name every other. A LoRA adapter is merged
    into its base where both are given.

    Parameters
    ----------
    path : path
        File or folder.
    key : str, optional
        Where the file holds several networks: the entry to take, a path to one
        (``callbacks.EMA.weights``), or a beginning of names that ends with a point (``model.``);
        or several that are joined, each with what its names begin with in the network
        (``backbone=model,classifier=classifier``).
    weights : {"ema", "raw"}, optional
        Averaged weights, or those that the optimizer moved; by default averaged ones where a usual
        name says that they are there.
    parts : sequence of paths, optional
        Other files or folders of the same network: of its head, or the base of an adapter.
        ``key`` and ``weights`` say nothing about them.

    Returns
    -------
    Checkpoint

    Raises
    ------
    CheckpointRefused
        If the file can only be read by running code; the message names what blocks it.
    CheckpointUnreadable
        If it is missing, empty, truncated, absurdly sized or of an unknown format, or does not
        hold what was asked for.
    CheckpointMismatch
        If it holds tensors that are no plain arrays, or is an adapter without its base; if parts
        contradict each other.
    """
    found = _load(Path(path), key, weights)
    for part in parts:
        found = joined(found, _load(Path(part), None, None))
    check_whole(found.tensors, path)
    return checked_whole(found)


def _load(path: Path, key: str | None, weights: str | None) -> Checkpoint:
    """Read one file or folder."""
    if is_adapter(path):
        _check_single(path, "an adapter", key, weights)
        return _load_adapter(path)
    if os.path.isfile(path / METADATA):
        return _load_pieces(path, key, weights)
    if os.path.isdir(path):  # False, never an error, for a name that nothing can have
        _check_single(path, "a folder", key, weights)
        return _load_folder(path)
    loaded, kind, read = _load_file(path)
    if isinstance(loaded, Flat):
        found = Located(*normalise(loaded.tensors, [], path), "")
        if key is not None and key.endswith("."):
            found = located_under(found, key, path)
        else:
            _check_single(path, f"a {kind} file", key, weights)
        hints = loaded.hints
    else:
        found = locate_weights(loaded.content, path, key, weights)
        hints = hints_of(loaded.content)
        if beside := extra_state(loaded.content, found.tensors):
            hints["extra_state"] = beside
        kind = _describe(loaded)
    if not found.tensors:
        raise CheckpointUnreadable(f"{path} holds no tensors")
    unpacked = loaded.unpacked if isinstance(loaded, Flat) else 0
    check_tensors(found.tensors, path, read.size + unpacked)
    notes = tuple(found.notes)
    where = found[2:]  # place, others, averaged
    return Checkpoint(path, kind, read.sha256, found.tensors, hints, notes, (path,), *where)


def _check_single(path: Path, what: str, key: str | None, weights: str | None) -> None:
    """Raise if an entry was asked for where there is one group of weights only."""
    if key is not None:
        raise CheckpointUnreadable(
            f"{path} is {what}, which has no entry '{shown(key)}': leave key= (--key) out, or name "
            "the file in which it stands"
        )
    if weights == "ema":
        raise CheckpointUnreadable(
            f"{path} is {what}, which holds one group of weights, no average"
        )


def _load_folder(folder: Path) -> Checkpoint:
    config_path = folder / "config.json"
    files = weight_files(folder)
    hints: dict[str, Any] = {}
    kind = "folder without config.json"
    hashes: dict[str, str] = {}
    if config_path.is_file():
        hints["config"], hashes["config.json"] = read_config(config_path)
        kind = folder_format(hints["config"])
    notes: list[str] = []
    parts: list[tuple[Path, dict[str, torch.Tensor]]] = []
    for file in files:
        loaded, _, read = _load_file(file)
        found = loaded if isinstance(loaded, Flat) else locate_weights(loaded.content, file)
        unpacked = loaded.unpacked if isinstance(loaded, Flat) else 0
        check_tensors(found.tensors, file, read.size + unpacked)
        parts.append((file, found.tensors))
        hashes[file.name] = read.sha256
    tensors = union(parts)
    if len(files) > 1:
        notes.append(f"{len(files)} shards: {few(file.name for file in files)}")
    if rest := passed_over(folder, files):
        notes.append(f"passed over: {few(rest)}")
    if "auto_map" in hints.get("config", {}):
        notes.append("auto_map of config.json ignored: it names code")
    tensors, notes = normalise(tensors, notes, folder)
    if not tensors:
        raise CheckpointUnreadable(f"{folder} holds no tensors")
    opened = (*([config_path] if "config" in hints else []), *files)
    return Checkpoint(folder, kind, combined_hash(hashes), tensors, hints, tuple(notes), opened)


def _load_pieces(folder: Path, key: str | None, weights: str | None) -> Checkpoint:
    """Read a folder of ``torch.distributed.checkpoint``."""
    try:
        loaded = load_distributed(folder)
    except OSError as error:
        raise CheckpointUnreadable(f"{folder} cannot be read: {error.strerror}") from None
    found = locate_weights(loaded.content, folder, key, weights)
    check_tensors(found.tensors, folder, loaded.size)
    return Checkpoint(
        folder,
        "torch.distributed.checkpoint folder",
        combined_hash(loaded.hashes),
        found.tensors,
        {},
        tuple(found.notes),
        tuple(folder / name for name in loaded.hashes),
        *found[2:],
    )


def _load_adapter(folder: Path) -> Checkpoint:
    """Read an adapter; a base that stands in the same folder is taken, as transformers does."""
    config, config_hash = read_config(folder / CONFIG)
    file = next(folder / n for n in WEIGHTS if (folder / n).is_file())
    loaded, _, read = _load_file(file)
    found = loaded if isinstance(loaded, Flat) else locate_weights(loaded.content, file)
    check_tensors(found.tensors, file, read.size)
    adapter = Checkpoint(
        folder,
        "adapter",
        combined_hash({CONFIG: config_hash, file.name: read.sha256}),
        found.tensors,
        {ADAPTER: config},
        (),
        (folder / CONFIG, file),
    )
    beside = any((folder / n).is_file() for n in (*SINGLE, *INDEXES))
    return joined(_load_folder(folder), adapter) if beside else adapter


def _load_file(path: Path) -> tuple[Flat | Nested, str, Content]:
    """Return what a file holds, its format and its bytes, which are read and hashed once."""
    try:
        read = read_content(path)
        if read.size == 0:
            raise CheckpointUnreadable(f"{path} is empty (0 bytes); copy or save it again")
        found = next((f for f in FORMATS if f.recognises(read)), None)
        if found is not None and found.load is None:
            raise CheckpointUnreadable(instead_of(found, path))
        load = load_torch if found is None or found.load is None else found.load
        loaded = load(read)
        read.check()
    except OSError as error:
        raise CheckpointUnreadable(f"{path} cannot be read: {error.strerror}") from None
    return loaded, "" if found is None else found.name, read


def _describe(loaded: Nested) -> str:
    content = loaded.content
    old = ", layout of torch before 1.6" if loaded.kind == "legacy" else ""
    if isinstance(content, Mapping):
        if "pytorch-lightning_version" in content:
            return f"Lightning checkpoint{old}"
        if any(isinstance(value, torch.Tensor) for value in content.values()):
            return f"PyTorch state_dict{old}"
    return f"PyTorch training checkpoint{old}"
