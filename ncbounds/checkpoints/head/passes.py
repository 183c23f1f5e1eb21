"""Checks around a forward pass: what was passed in, and whether the network is a fixed function."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ncbounds.checkpoints.head.reading import Reading
from ncbounds.errors import HeadNotFound

HeadFunction = Callable[[Any], tuple[Tensor, Tensor]]


def unwrapped(module: nn.Module) -> nn.Module:
    """Take the network out of the wrappers of torch.compile and of data parallel training."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def given(function: HeadFunction, batch: Any) -> Reading:
    """Return what the user's head function gives, if it has the right form."""
    result = function(batch)
    if not isinstance(result, tuple) or len(result) != 2:
        raise HeadNotFound("head= is a function that returns (features, logits)")
    features, logits = result
    if features.ndim != 2 or logits.ndim != 2 or len(features) != len(logits):
        raise HeadNotFound(
            "head= must return features (n, d) and logits (n, C); found "
            f"{tuple(features.shape)} and {tuple(logits.shape)}"
        )
    return Reading(features, logits)


def check_steady(first: Tensor, second: Tensor) -> None:
    """Two passes over the same rows, the second among more rows, agree up to rounding."""
    finite = torch.isfinite(first).all(1) & torch.isfinite(second).all(1)
    a, b = first[finite].double(), second[finite].double()
    if not len(a):
        return
    allowed = float(torch.finfo(first.dtype).eps) ** 0.5 * float(a.abs().max())
    if float((a - b).abs().max()) > allowed:
        raise HeadNotFound(
            f"the logits of the same rows differ by {float((a - b).abs().max()):.3g} between two "
            "passes: the model draws random numbers in eval mode, or a row's logits depend on the "
            "rows beside it (batch norm without running statistics). Make the model a fixed "
            "function of each row"
        )


def shapes(batch: Any) -> str:
    """Describe a batch for messages."""
    if isinstance(batch, Mapping):
        return ", ".join(f"{n} {tuple(v.shape)}" for n, v in batch.items() if hasattr(v, "shape"))
    if isinstance(batch, tuple | list):
        return ", ".join(str(tuple(v.shape)) for v in batch if hasattr(v, "shape"))
    return f"{tuple(batch.shape)} of {batch.dtype}"
