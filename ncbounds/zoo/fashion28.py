"""The task ``fashion28``: all of Fashion-MNIST at 28x28, and the network that is compressed on it.

``python -m ncbounds.zoo.fashion28 --idx FOLDER --out data/zoo28/bncnn13.safetensors`` trains the
shipped checkpoint again. The images are not shipped; they are read from the four idx files.
"""

import argparse
import math
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD

from ncbounds.checkpoints.architectures.small import build_model
from ncbounds.data.fashion_mnist import fashion28
from ncbounds.data.images import standardise
from ncbounds.zoo.train import MOMENTUM, RATE, WARM_UP_STEPS, accuracy

"""Rows of the pooled and permuted 70,000 images by role (half-open slices)."""

NAME = "bncnn13"
MODEL, ARGS = "bn_cnn", {"channels": 13, "side": 28}
EPOCHS, BATCH, DECAY, SEED = 10, 128, 5e-4, 0


def train_teacher(inputs: Tensor, labels: Tensor, epochs: int = EPOCHS) -> nn.Module:
    """Train the batch-norm CNN in the ordinary way: SGD, warm-up, one cosine, no augmentation."""
    torch.manual_seed(SEED)
    model = build_model(MODEL, ARGS)
    order = torch.Generator().manual_seed(SEED)
    optimizer = SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    steps = epochs * math.ceil(len(inputs) / BATCH)
    step = 0
    for epoch in range(epochs):
        model.train()
        for rows in torch.split(torch.randperm(len(inputs), generator=order), BATCH):
            rate = RATE * (1 + math.cos(math.pi * step / steps)) / 2
            optimizer.param_groups[0]["lr"] = rate * min(1.0, (step + 1) / WARM_UP_STEPS)
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs[rows]), labels[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
        print(f"epoch {epoch + 1} of {epochs}", flush=True)
    return model.eval()


def main(arguments: list[str] | None = None) -> None:
    """Train on the fit rows, store weights as fp16, and print the errors of the stored file."""
    parser = argparse.ArgumentParser(prog="python -m ncbounds.zoo.fashion28", description=__doc__)
    parser.add_argument("--idx", type=Path, help="folder of the four idx files, gzipped or not")
    parser.add_argument("--out", type=Path, default=Path(f"data/zoo28/{NAME}.safetensors"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    data = fashion28(options.idx)
    tensors: dict[str, tuple[Tensor, Tensor]] = {
        role: (torch.from_numpy(standardise(x)), torch.from_numpy(y))
        for role, (x, y) in data.items()
    }
    began = time.process_time()
    model = train_teacher(*tensors["fit"])
    state: dict[str, Any] = {
        key: value.half().contiguous() if value.is_floating_point() else value
        for key, value in model.state_dict().items()
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, options.out, metadata={"model": MODEL, "args": repr(ARGS)})
    model.load_state_dict(state)
    errors = {role: round(1 - accuracy(model, *tensors[role]), 4) for role in ("fit", "test")}
    weights = sum(p.numel() for p in model.parameters())
    print(f"{options.out}: {weights} weights, errors {errors}, {time.process_time() - began:.0f} s")


if __name__ == "__main__":
    main()
