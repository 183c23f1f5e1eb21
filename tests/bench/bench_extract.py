"""Extraction against the bare forward pass: ``python tests/bench/bench_extract.py``.

Prints the ratio for a ResNet-18 (width 64, 11 million weights) on 32x32 inputs: everything that
extraction does (head checked on every batch, rows hashed, features written and synced) over the
network alone, and of extraction at three more places over plain extraction. At most 1.1 is wanted
of both. Runs alternate, the best of each is compared.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "checkpoints/head"))
from test_head_architectures import ResNet18

from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.extraction.extract import extract

BATCH = 128
PLACES = ("layers.1", "layers.3", "layers.5", "head")


def measure(rows: int = 256, repeats: int = 3) -> dict[str, tuple[float, ...]]:
    """Return the best seconds of the bare pass, extraction, and extraction at places, by clock."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    x = generator.standard_normal((rows, 3, 32, 32)).astype(np.float32)
    y = generator.integers(0, 10, rows)
    classifier = Classifier(ResNet18(width=64, classes=10))
    classifier.verify(torch.from_numpy(x[:BATCH]))

    def bare() -> None:
        with torch.no_grad():
            for i in range(0, rows, BATCH):
                classifier.module(torch.from_numpy(x[i : i + BATCH]))

    def whole() -> None:
        with tempfile.TemporaryDirectory() as store:
            extract(classifier, (x, y), "fit", store, batch_size=BATCH)

    def places() -> None:
        with tempfile.TemporaryDirectory() as store:
            extract(classifier, (x, y), "fit", store, at=PLACES, batch_size=BATCH)

    extract(classifier, (x[:BATCH], y[:BATCH]), "fit", at=PLACES)
    works = (bare, whole, places)
    seconds: list[list[tuple[float, float]]] = [[] for _ in works]
    for _ in range(repeats):
        for kept, work in zip(seconds, works, strict=True):
            start = time.process_time(), time.perf_counter()
            work()
            kept.append((time.process_time() - start[0], time.perf_counter() - start[1]))
    return {
        clock: tuple(min(s[i] for s in kept) for kept in seconds)
        for i, clock in enumerate(("CPU", "wall"))
    }


def main() -> None:
    """Print seconds and ratios; CPU time is what counts on a shared machine."""
    for clock, (bare, whole, places) in measure().items():
        print(
            f"{clock:4} forward {bare:.2f} s, extraction {whole:.2f} s, "
            f"ratio {whole / bare:.3f}; at {len(PLACES)} places {places:.2f} s, "
            f"ratio {places / whole:.3f} (wanted at most 1.1)"
        )


if __name__ == "__main__":
    main()
