"""What to do about inputs that a network cannot process, where their form says it."""

from typing import Any

import torch
from torch import Tensor, nn


def input_advice(module: nn.Module, batch: Any) -> str:
    """Say how a batch of images becomes one that the first convolution takes; empty if unknown.

    Parameters
    ----------
    module : nn.Module
    batch : object
        What it could not process.
    """
    first = next((m for m in module.modules() if isinstance(m, nn.Conv2d)), None)
    if not isinstance(batch, Tensor):
        return ""
    if batch.dtype == torch.uint8:
        return ". Give numbers as they were in training, often x.float() / 255 and then normalised"
    if first is None or batch.ndim not in (3, 4):
        return ""
    needed = first.in_channels
    says = f". Its first convolution takes {needed} channels, in the second place: "
    if batch.ndim == 3:
        return f"{says}x.unsqueeze(1)" + f".expand(-1, {needed}, -1, -1)" * (needed > 1)
    found = batch.shape[1]
    if found == needed:
        return ""
    if batch.shape[3] == needed:
        return f"{says}x.permute(0, 3, 1, 2)"
    if found == 1:
        return f"{says}x.expand(-1, {needed}, -1, -1), if it was trained on grey images so"
    return f"{says}found are {found}; give images as in training"
