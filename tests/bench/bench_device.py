"""Extraction against the bare forward pass on a device: ``python tests/bench/bench_device.py``.

``bench_device.py cuda bf16`` names device and precision; by default CUDA where there is one, and
float32. Prints the share of the bare forward pass (same network, same batches, already on the
device, without TF32, waited for at the end) that everything around it leaves: inputs read, hashed
and copied, the head compared on every batch, features brought back and written. At least .90 is
wanted on a GPU. Runs alternate, the best of each is compared.
"""

import sys
import tempfile
import time
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ncbounds.checkpoints.head.arithmetic import as_named
from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.extraction.extract import extract

BATCH = 256
#: Rows of a measurement, by device and side of the images.
ROWS = {("cuda", 28): 49_152, ("cuda", 64): 16_384, ("cpu", 28): 256, ("cpu", 64): 64}

#: Channels of the first stage: 64 make the usual network, which takes a CPU minutes.
WIDTH = {"cuda": 64, "cpu": 16}


class Block(nn.Module):
    """Two 3x3 convolutions beside an identity or a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)])
        same = stride == 1 and inputs == outputs
        self.beside = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norms[0](self.first(x)))
        return F.relu(self.norms[1](self.second(y)) + self.beside(x))


class ResNet18(nn.Module):
    """ResNet-18 with a 3x3 stem: 11 million weights at width 64."""

    def __init__(self, channels: int = 3, width: int = 64, classes: int = 10) -> None:
        super().__init__()
        torch.manual_seed(0)
        sizes = [width, width, width, 2 * width, 2 * width, 4 * width, 4 * width, 8 * width]
        sizes.append(8 * width)
        self.stem = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(*(Block(a, b, 2 if b > a else 1) for a, b in pairwise(sizes)))
        self.fc = nn.Linear(8 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu(self.norm(self.stem(x))))
        out: Tensor = self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return out


def images(rows: int, side: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random images and labels."""
    generator = np.random.default_rng(0)
    x = generator.random((rows, channels, side, side), dtype=np.float32)
    return x, generator.integers(0, 10, rows)


def measure(device: str, precision: str, side: int, repeats: int = 3) -> dict[str, float]:
    """Return the best rows per second of the bare pass and of extraction, by what is done."""
    kind = device.partition(":")[0]
    rows, channels = ROWS[kind, side], 1 if side == 28 else 3
    x, y = images(rows, side, channels)
    classifier = Classifier(ResNet18(channels, WIDTH[kind])).to(device, precision)
    dtype = next(classifier.module.parameters()).dtype
    there = [
        torch.from_numpy(x[i : i + BATCH]).to(classifier.device, dtype)
        for i in range(0, min(rows, 16 * BATCH), BATCH)
    ]

    def wait() -> None:
        if kind == "cuda":
            torch.cuda.synchronize()

    def bare() -> None:
        with torch.no_grad(), as_named():
            for i in range(-(-rows // BATCH)):
                classifier.module(there[i % len(there)])
        wait()

    def kept() -> None:
        extract(classifier, (x, y), "fit", batch_size=BATCH)

    def stored() -> None:
        with tempfile.TemporaryDirectory() as store:
            parts = {"data": "random"}
            extract(classifier, (x, y), "fit", store, key_parts=parts, batch_size=BATCH)

    works = {"bare pass": bare, "in memory": kept, "in a store": stored}
    extract(classifier, (x[: 2 * BATCH], y[: 2 * BATCH]), "fit", batch_size=BATCH)
    bare()
    best = dict.fromkeys(works, float("inf"))
    for _ in range(repeats):
        for name, work in works.items():
            wait()
            start = time.perf_counter()
            work()
            best[name] = min(best[name], time.perf_counter() - start)
    return {name: rows / seconds for name, seconds in best.items()}


def main() -> None:
    """Print images per second, and extraction as a share of the bare forward pass."""
    device = sys.argv[1] if len(sys.argv) > 1 else "cuda" if torch.cuda.is_available() else "cpu"
    for precision in sys.argv[2:] or ["fp32"]:
        for side in (28, 64):
            found = measure(device, precision, side)
            bare = found.pop("bare pass")
            shares = ", ".join(f"{name} {rate / bare:.3f}" for name, rate in found.items())
            print(
                f"{device} {precision} {side}x{side}: bare {bare:,.0f} images/s, "
                f"extraction as a share of it: {shares} (wanted on a GPU: .90)"
            )


if __name__ == "__main__":
    main()
