"""Training for a fixed number of epochs, with settings that the networks of a study share."""

import math
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

#: Of every network that is trained here.
EPOCHS, BATCH, RATE, MOMENTUM = 40, 64, 0.05, 0.9


def descend(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    inputs: Tensor,
    targets: Tensor,
    *,
    weight_decay: float,
    seed: int,
) -> nn.Module:
    """Train a network on all given rows; the rate follows one cosine down to zero.

    Parameters
    ----------
    model : nn.Module
    loss : callable
        Mean loss of outputs and their targets.
    inputs : Tensor of shape (n, ...)
    targets : Tensor of shape (n,) or (n, L)
    weight_decay : float
    seed : int
        Of the order of rows.

    Returns
    -------
    nn.Module
        The same, in eval mode.
    """
    optimizer = torch.optim.SGD(
        model.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=weight_decay, nesterov=True
    )
    order = torch.Generator().manual_seed(seed)
    steps = EPOCHS * math.ceil(len(inputs) / BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    model.train()
    for _ in range(EPOCHS):
        for rows in torch.split(torch.randperm(len(inputs), generator=order), BATCH):
            optimizer.zero_grad()
            loss(model(inputs[rows]), targets[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return model.eval()


def store(model: nn.Module, path: Path) -> None:
    """Write the weights of a network, rounded to float16."""
    state = {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    safetensors.torch.save_file(state, path)
