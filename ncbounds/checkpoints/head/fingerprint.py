"""Hashes that tell when a stored feature no longer belongs to a model."""

import hashlib
import inspect
from collections.abc import Collection
from typing import Any

import torch
from torch import nn

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
    """Return a hash of the layers' settings and of user code that the network consists of."""
    digest = hashlib.sha256(repr(module).encode())
    kinds = {type(m) for m in module.modules()}
    own = [k for k in kinds if k.__module__.partition(".")[0] not in LIBRARIES]
    for thing in (*sorted(own, key=lambda k: k.__qualname__), *functions):
        digest.update(_source(thing))
    return digest.hexdigest()


def _source(thing: Any) -> bytes:
    try:
        with open(str(inspect.getsourcefile(thing)), "rb") as stream:
            return stream.read()
    except (OSError, TypeError):
        code = getattr(getattr(thing, "forward", thing), "__code__", None)
        return b"" if code is None else code.co_code + repr(code.co_names).encode()
