"""Files that hold one network together: a backbone and its head, or a base and its adapter."""

from collections.abc import Iterable
from dataclasses import replace

import torch

from ncbounds.checkpoints.checkpoint import Checkpoint
from ncbounds.checkpoints.formats.folder import combined_hash
from ncbounds.checkpoints.formats.groups import Tensors
from ncbounds.checkpoints.formats.lora import merged
from ncbounds.errors import CheckpointMismatch, few, shown

ADAPTER = "adapter"  # hint that holds the adapter_config.json of what is no network by itself


def joined(a: Checkpoint, b: Checkpoint) -> Checkpoint:
    """Return one checkpoint of two: an adapter merged into its base, or the tensors of both.

    Raises
    ------
    CheckpointMismatch
        If a name stands in both with different values, both are adapters, or an adapter does not
        fit.
    """
    adapters = [c for c in (a, b) if ADAPTER in c.hints]
    if len(adapters) == 2:
        raise CheckpointMismatch(
            f"{a.path} and {b.path} are two adapters; give one of them and its base"
        )
    base, part = (b, a) if ADAPTER in a.hints else (a, b)
    if adapters:
        tensors, said = merged(base.tensors, part.tensors, part.hints[ADAPTER], part.path)
    else:
        tensors = union([(a.path, a.tensors), (b.path, b.tensors)])
        said = [f"joined with {part.path.name} ({len(part.tensors)} tensors)"]
    return replace(
        base,
        path=a.path,
        sha256=combined_hash({"a": a.sha256, "b": b.sha256}),
        tensors=tensors,
        notes=(*base.notes, *(() if adapters else part.notes), *said),
        files=(*a.files, *b.files),
    )


def checked_whole(found: Checkpoint) -> Checkpoint:
    """Return what was read, unless it is an adapter, which is no network without its base.

    Raises
    ------
    CheckpointMismatch
        Naming the base, and how to give it.
    """
    if ADAPTER not in found.hints:
        return found
    base = found.hints[ADAPTER].get("base_model_name_or_path")
    raise CheckpointMismatch(
        f"{found.path} is an adapter, which is added to the weights of its base ({shown(base)}): "
        "give the file or folder of the base with --part BASE (parts=['BASE'], in a zoo.toml too)"
    )


def union(parts: Iterable[tuple[object, Tensors]]) -> Tensors:
    """Return the tensors of several files; a name may stand twice with the same values only.

    Raises
    ------
    CheckpointMismatch
        Naming the tensors that differ.
    """
    out: Tensors = {}
    for path, tensors in parts:
        twice = [n for n in tensors if n in out and not _same(out[n], tensors[n])]
        if twice:
            raise CheckpointMismatch(
                f"{path} holds {few(twice)} with other values than the files before it: these are "
                "not parts of one network; name one of them alone"
            )
        out |= tensors
    return out


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors hold the same bytes; numbers of eight bits have no comparison."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    raw = [t.contiguous().flatten().view(torch.uint8) if t.numel() else t for t in (a, b)]
    return torch.equal(*raw)
