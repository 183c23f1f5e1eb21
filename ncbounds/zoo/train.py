"""Training of the zoo's networks: plain SGD on tensors in memory, seeded, on one thread."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ncbounds.checkpoints.architectures.small import build_model
from ncbounds.data.images import standardise
from ncbounds.data.noise import noisy_labels
from ncbounds.data.npz import load_npz
from ncbounds.errors import NcboundsError
from ncbounds.evidence.loss import declared_loss
from ncbounds.zoo.recipes import Task, Whole

RATE = 0.05
MOMENTUM = 0.9
BATCH = 64
WARM_UP_STEPS = 100
ANNEALING_EPOCHS = 20
EPOCH_CAP = 400
EMA_DECAY = 0.98


class TrainingFailed(NcboundsError):
    """A recipe did not reach training accuracy 1."""


@dataclass(frozen=True)
class Trained:
    """A trained network; ``averaged`` is the running mean of its weights if that was asked for."""

    model: nn.Module
    averaged: nn.Module | None
    epochs: int
    steps: int


def task_tensors(data: Path, task: Task) -> tuple[Tensor, Tensor]:
    """Read inputs (N, 1, 14, 14) and noisy labels (N,) of all rows of a task."""
    arrays = load_npz(data)
    labels = noisy_labels(arrays["labels"], task.label_noise, task.noise_seed)
    return torch.from_numpy(standardise(arrays["images"])), torch.from_numpy(labels)


def training_loss(declared: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Mean loss of logits (n, C) with labels (n,), of a loss as a manifest declares it."""
    name, smoothing, gamma = declared_loss(declared)

    def focal(logits: Tensor, labels: Tensor) -> Tensor:
        c = functional.cross_entropy(logits, labels, reduction="none")
        return ((-torch.expm1(-c)) ** gamma * c).mean()

    def squared(logits: Tensor, labels: Tensor) -> Tensor:
        targets = functional.one_hot(labels, logits.shape[1])
        return ((logits - targets) ** 2).sum(dim=1).mean() / 2

    losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "cross-entropy": partial(functional.cross_entropy, label_smoothing=smoothing),
        "focal": focal,
        "mse": squared,
    }
    return losses[name]


def train(
    recipe: Whole,
    inputs: Tensor,
    labels: Tensor,
    after_epoch: Callable[[int, nn.Module], None] = lambda epoch, model: None,
) -> Trained:
    """Train a network from scratch on all the given rows.

    With ``recipe.epochs`` the rate follows one cosine down to zero. Without, it stays constant
    until all training points are classified correctly (in eval mode), then falls to zero in
    ``ANNEALING_EPOCHS`` more. The first ``WARM_UP_STEPS`` steps warm up either way.
    ``after_epoch`` is shown the network after each epoch, counted from 1.

    Raises
    ------
    TrainingFailed
        If training accuracy is below 1 after ``EPOCH_CAP`` epochs of constant rate.
    """
    torch.manual_seed(recipe.seed)
    model = build_model(recipe.model, recipe.args)  # type: ignore[arg-type]
    order = torch.Generator().manual_seed(recipe.seed)
    optimizer = SGD(
        model.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=recipe.weight_decay
    )
    loss = training_loss(recipe.loss)
    averaged = None
    if recipe.layout == "ema":
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY))  # type: ignore[no-untyped-call]
    batches = math.ceil(len(inputs) / BATCH)
    start = 0 if recipe.epochs else None
    end = recipe.epochs or EPOCH_CAP
    epoch = step = 0
    while epoch < end:
        model.train()
        for rows in torch.split(torch.randperm(len(inputs), generator=order), BATCH):
            decay = 1.0
            if start is not None:
                done = (step - start * batches) / ((end - start) * batches)
                decay = (1 + math.cos(math.pi * done)) / 2
            optimizer.param_groups[0]["lr"] = RATE * decay * min(1.0, (step + 1) / WARM_UP_STEPS)
            optimizer.zero_grad()
            loss(model(inputs[rows]), labels[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if averaged is not None:
                averaged.update_parameters(model)
            step += 1
        epoch += 1
        after_epoch(epoch, model)
        if start is None and accuracy(model, inputs, labels) == 1:
            start, end = epoch, epoch + ANNEALING_EPOCHS
    if start is None:
        raise TrainingFailed(f"{recipe.name}: training accuracy below 1 after {epoch} epochs")
    return Trained(model, averaged.module if averaged is not None else None, epoch, step)


def load_model(recipe: Whole, state: Mapping[str, Tensor]) -> nn.Module:
    """Network of ``recipe`` in eval mode with the stored (fp16) weights, computing in fp32."""
    model = build_model(recipe.model, recipe.args)  # type: ignore[arg-type]
    model.load_state_dict(state)
    return model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Share of rows whose largest logit is the label's, in eval mode."""
    model.eval()
    return float((model(inputs).argmax(1) == labels).double().mean())


@torch.no_grad()
def features(model: nn.Module, inputs: Tensor) -> NDArray[np.float64]:
    """Features (n, d) before the head, in eval mode."""
    backbone = model.eval().get_submodule("features")
    out: NDArray[np.float64] = backbone(inputs).double().numpy()
    return out


def training_nc1(values: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """``tr(Sigma_W pinv(Sigma_B)) / C`` of features (n, d); the means' rank is at most C - 1."""
    classes = np.unique(labels)
    means = np.stack([values[labels == c].mean(0) for c in classes])
    within = values - means[np.searchsorted(classes, labels)]
    between = means - means.mean(0)
    inverse = np.linalg.pinv(between.T @ between / len(classes), rcond=1e-10, hermitian=True)
    return float(np.sum((within.T @ within / len(values)) * inverse) / len(classes))
