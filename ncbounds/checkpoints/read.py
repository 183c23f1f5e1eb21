"""Read a checkpoint without running code from it."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ncbounds.checkpoints.archives import load_torch
from ncbounds.checkpoints.folders import combined_hash, folder_format, read_json, weight_files
from ncbounds.checkpoints.locate import check_tensors, hints_of, locate_weights, normalise
from ncbounds.errors import CheckpointUnreadable

if TYPE_CHECKING:
    from ncbounds.checkpoints.classifier import Classifier

FOREIGN = {
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"GGUF": "a GGUF file",
    b"BZh": "a bzip2 archive; unpack it first",
    b"\xfd7zX": "an xz archive; unpack it first",
    b"\x93NUM": "a NumPy array",
    b"<": "a web page or XML, perhaps an error page saved by a download",
    b"version https://git-lfs": "a Git LFS pointer; fetch the file itself with git lfs pull",
}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A file, or a folder, that was read without running code from it.

    Attributes
    ----------
    path : Path
    format : str
        In words, such as ``"safetensors"`` or ``"Lightning checkpoint"``.
    sha256 : str
        Of the file; of a folder: over names and hashes of its weights and config.json.
    tensors : dict of str to Tensor
        On the CPU, memory-mapped where the format allows; names without ``module.`` and
        ``_orig_mod.``.
    hints : dict
        Plain values beside the weights that may say what the architecture is.
    notes : tuple of str
        What was chosen, stripped or passed over.
    files : tuple of Path
        Everything that was read.
    """

    path: Path
    format: str
    sha256: str
    tensors: dict[str, torch.Tensor] = field(repr=False)
    hints: dict[str, Any] = field(repr=False)
    notes: tuple[str, ...]
    files: tuple[Path, ...]

    def build(self, model: Any = None, *, args: Mapping[str, Any] | None = None) -> "Classifier":
        """Build the network, put the weights into it and return it as a classifier.

        Parameters
        ----------
        model : str, nn.Module or callable, optional
            Registered name, a module of the right architecture (it is copied), or a function that
            returns one. By default the architecture named in the file, if it is registered, or
            the one of a transformers folder.
        args : mapping, optional
            Keyword arguments for a registered name or a function.

        Returns
        -------
        Classifier

        Raises
        ------
        UnknownArchitecture
            If no architecture is given, named or registered.
        CheckpointMismatch
            If names, shapes, classes or values of the tensors do not fit. Nothing is loaded then.
        MissingExtra
            If a transformers folder is to be built and transformers is not installed.
        """
        from ncbounds.checkpoints.build import build_classifier

        return build_classifier(self, model, args)


def load_checkpoint(path: str | os.PathLike[str], *, key: str | None = None) -> Checkpoint:
    """Read a checkpoint; never run code from it.

    Reads safetensors, ``state_dict`` files, nested training checkpoints, Lightning checkpoints
    (Lightning is not imported), and folders with config.json and weights, sharded or not. Averaged
    (EMA) weights are preferred and the notes say so.

    Parameters
    ----------
    path : path
        File or folder.
    key : str, optional
        Where the file holds several networks: the entry to take.

    Returns
    -------
    Checkpoint

    Raises
    ------
    CheckpointRefused
        If the file can only be read by running code; the message names what blocks it.
    CheckpointUnreadable
        If it is missing, empty, truncated, absurdly sized or of an unknown format.
    CheckpointMismatch
        If it holds tensors that are no plain arrays.
    """
    path = Path(path)
    if path.is_dir():
        return _load_folder(path)
    content, kind, digest = _load_file(path)
    if kind == "safetensors":
        tensors, notes = normalise(content["tensors"], [])
        if key is not None:
            raise CheckpointUnreadable(f"{path} is a safetensors file, which has no entry {key!r}")
        hints = {"metadata": content["metadata"]} if content["metadata"] else {}
    else:
        tensors, notes = locate_weights(content, path, key)
        hints = hints_of(content)
        kind = _describe(content, kind)
    if not tensors:
        raise CheckpointUnreadable(f"{path} holds no tensors")
    check_tensors(tensors, path, path.stat().st_size)
    return Checkpoint(path, kind, digest, tensors, hints, tuple(notes), (path,))


def _load_folder(folder: Path) -> Checkpoint:
    config_path = folder / "config.json"
    files = weight_files(folder)
    hints: dict[str, Any] = {}
    kind = "folder without config.json"
    hashes: dict[str, str] = {}
    if config_path.is_file():
        hints["config"] = read_json(config_path)
        kind = folder_format(hints["config"])
        hashes["config.json"] = _hash_file(config_path)
    tensors: dict[str, torch.Tensor] = {}
    notes: list[str] = []
    for file in files:
        content, how, digest = _load_file(file)
        part = content["tensors"] if how == "safetensors" else locate_weights(content, file)[0]
        twice = tensors.keys() & part.keys()
        if twice:
            raise CheckpointUnreadable(f"{folder}: {sorted(twice)[0]} is in two shards")
        check_tensors(part, file, file.stat().st_size)
        tensors |= part
        hashes[file.name] = digest
    if len(files) > 1:
        notes.append(f"{len(files)} shards")
    if "auto_map" in hints.get("config", {}):
        notes.append("auto_map of config.json ignored: it names code")
    tensors, notes = normalise(tensors, notes)
    read = (*([config_path] if "config" in hints else []), *files)
    return Checkpoint(folder, kind, combined_hash(hashes), tensors, hints, tuple(notes), read)


def _load_file(path: Path) -> tuple[Any, str, str]:
    """Return content, kind and sha256; the file must not change between hash and reading."""
    try:
        before = path.stat()
        if before.st_size == 0:
            raise CheckpointUnreadable(f"{path} is empty (0 bytes); copy or save it again")
        with path.open("rb") as stream:
            head = stream.read(64)
        digest = _hash_file(path)
        if _is_safetensors(head, before.st_size) or path.suffix == ".safetensors":
            content, kind = _load_safetensors(path), "safetensors"
        else:
            _check_foreign(path, head)
            content, kind = load_torch(path)
        after = path.stat()
    except OSError as error:
        raise CheckpointUnreadable(f"{path} cannot be opened: {error.strerror}") from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise CheckpointUnreadable(f"{path} changed while it was read; wait until it is written")
    return content, kind, digest


def _hash_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and head[8:9] == b"{" and 0 < length <= size - 8


def _load_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys(), key=_natural)}
            return {"tensors": tensors, "metadata": dict(file.metadata() or {})}
    except (SafetensorError, ValueError, RuntimeError, KeyError) as error:
        raise CheckpointUnreadable(
            f"{path} is no complete safetensors file ({error}); copy or save it again"
        ) from None


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key by which layer 2 stands before layer 10; the format keeps no order of its own."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in name.split(".")]


def _check_foreign(path: Path, head: bytes) -> None:
    for magic, what in FOREIGN.items():
        if head.startswith(magic):
            raise CheckpointUnreadable(
                f"{path} is {what}; needed is safetensors or a file written by torch.save"
            )


def _describe(content: Any, kind: str) -> str:
    old = ", layout of torch before 1.6" if kind == "legacy" else ""
    if isinstance(content, Mapping):
        if "pytorch-lightning_version" in content:
            return f"Lightning checkpoint{old}"
        if any(isinstance(value, torch.Tensor) for value in content.values()):
            return f"PyTorch state_dict{old}"
    return f"PyTorch training checkpoint{old}"
