"""Hashes that tell when a stored feature no longer belongs to a model."""

import hashlib
import inspect
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ncbounds.data.sources import PACKAGE, source_hash
from ncbounds.data.user import Located, locate
from ncbounds.errors import DataError

LIBRARIES = ("torch", "transformers", "torchvision", "timm", "ncbounds")


def state_hash(module: nn.Module, without: Collection[str] = ()) -> str:
    """Return the sha256 over names, shapes, types and bytes of parameters and buffers.

    Those in ``without`` give their names, shapes and types only; buffers that no file holds count.
    """
    digest = hashlib.sha256()
    buffers = dict(module.named_buffers(remove_duplicate=False))
    for name, tensor in sorted((buffers | module.state_dict()).items()):
        if not isinstance(tensor, torch.Tensor):
            digest.update(f"{name} {tensor!r}\n".encode())
            continue
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        if name in without:
            continue
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy().data)
    return digest.hexdigest()


def code_of(module: nn.Module, *functions: Any) -> str:
    """Return a hash of the layers' settings and of the user code that the network consists of.

    The code is the files of its classes with all that they import, so that a network whose blocks
    were edited is another one; libraries, and what code reads while it runs, are no part of it.
    """
    digest = hashlib.sha256(repr(module).encode())
    kinds = {type(m) for m in module.modules()}
    own = [k for k in kinds if k.__module__.partition(".")[0] not in LIBRARIES]
    own.sort(key=lambda k: (k.__module__, k.__qualname__))
    sources: dict[tuple[Path, str], bytes] = {}
    for thing in (*own, *functions):
        found = _file(thing)
        if found is None:
            code = getattr(getattr(thing, "forward", thing), "__code__", None)
            digest.update(b"" if code is None else code.co_code + repr(code.co_names).encode())
            continue
        place = (found.root, found.module)
        if place not in sources:
            code = source_hash([found.module], found.root, found.package, leaves=(PACKAGE,))
            sources[place] = code.encode()
        digest.update(sources[place])
    return digest.hexdigest()


def _file(thing: Any) -> Located | None:
    """Where a class or function is defined, as a module of its folder; None if in no file."""
    try:
        return locate(f"{inspect.getsourcefile(thing)}:{thing.__qualname__}")
    except (OSError, TypeError, AttributeError, DataError):
        return None
