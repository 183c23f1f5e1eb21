"""Reading all layers against the bare forward pass: ``python tests/bench/bench_layers.py``.

Prints the ratio for a ResNet-20 (272,000 weights) on 28x28 images at its stem, nine blocks and
pooled features, the input beside them: at most 1.3 is wanted. Passes alternate, and the median of
the ratios of neighbours is told, in CPU seconds of one thread, since other work on a machine slows
both. Then the memory of a whole layer report (probes and limits too) of a small network at n and at
4 n rows, without what the system maps from disk: it should be the same.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.depth.hashing import coordinates
from ncbounds.evidence.draw import Draw
from ncbounds.extraction.places import find_places
from ncbounds.extraction.views import read_views

BATCH = 128
#: A report on batches that are made when they are read; prints MiB of memory that is its own.
REPORT = """
import re, sys, threading, time
import numpy as np
import torch
from torch import nn
import ncbounds as nb
from ncbounds.checkpoints.head.classifier import Classifier

class Made:
    def __init__(self, n, seed):
        self.n, self.seed = n, seed
    def __iter__(self):
        rng = np.random.default_rng(self.seed)
        for _ in range(self.n // 250):
            y = rng.integers(0, 5, 250)
            x = rng.normal(size=(250, 600)).astype(np.float32)
            x[np.arange(250), y] += 3
            yield torch.from_numpy(x), torch.from_numpy(y)

torch.manual_seed(0)
torch.set_num_threads(1)
widths = (600, 600, 600, 600)
blocks = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in zip(widths, widths[1:])]
net = nn.Sequential(nn.Sequential(*blocks), nn.Linear(600, 5))
most, done = 0, False
def watch():
    global most
    while not done:
        status = open("/proc/self/status").read()
        most = max(most, int(re.search(r"RssAnon:\\s+(\\d+)", status)[1]))
        time.sleep(0.01)
thread = threading.Thread(target=watch)
thread.start()
n = int(sys.argv[1])
nb.layers(Classifier(net), {"fit": Made(n, 0), "holdout": Made(n, 1)}, sampling="iid")
done = True
thread.join()
print(most / 1024)
"""


class Block(nn.Module):
    def __init__(self, a: int, b: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(b), nn.BatchNorm2d(b)
        same = stride == 1 and a == b
        self.down = nn.Identity() if same else nn.Conv2d(a, b, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(y)) + self.down(x)).relu()


class ResNet20(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1), nn.BatchNorm2d(16), nn.ReLU())
        sizes = [(16, 16, 1)] * 3 + [(16, 32, 2), (32, 32, 1), (32, 32, 1)]
        sizes += [(32, 64, 2), (64, 64, 1), (64, 64, 1)]
        self.blocks = nn.Sequential(*(Block(*size) for size in sizes))
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(self.blocks(self.stem(x)).mean((2, 3)))
        return out


def measure(rows: int, repeats: int = 5) -> tuple[list[float], list[float], int]:
    """Return CPU seconds of bare passes and of reading all places, and how many these are."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    x = generator.standard_normal((rows, 1, 28, 28)).astype(np.float32)
    y = generator.integers(0, 10, rows)
    classifier = Classifier(ResNet20())
    places = find_places(classifier, (x, y))
    options = {"batch_size": BATCH}

    def bare() -> None:
        with torch.no_grad():
            for i in range(0, rows, BATCH):
                classifier.module(torch.from_numpy(x[i : i + BATCH]))

    def layers() -> None:
        with tempfile.TemporaryDirectory() as store:
            read_views(classifier, (x, y), Draw("fit"), places, coordinates(10), store, options)

    works: tuple[Callable[[], None], ...] = (bare, layers)
    seconds: tuple[list[float], ...] = ([], [])
    for _ in range(repeats):
        for work, found in zip(works, seconds, strict=True):
            start = time.process_time()
            work()
            found.append(time.process_time() - start)
    return seconds[0], seconds[1], len(places.shapes)


def memory(rows: int) -> float:
    """MiB of memory of a layer report, without what is mapped from disk."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT, str(rows)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main() -> None:
    """Print seconds, MiB and ratios."""
    rows = 4096
    bare, layers, places = measure(rows)
    ratios = np.divide(layers, bare)
    print(
        f"CPU forward {np.median(bare):.2f} s, at {places} places {np.median(layers):.2f} s for "
        f"{rows} rows; ratio {np.median(ratios):.3f}, from {ratios.min():.3f} to "
        f"{ratios.max():.3f} (wanted at most 1.3)"
    )
    few, many = memory(5_000), memory(20_000)
    print(f"memory {few:.0f} MiB at 5,000 rows, {many:.0f} at 20,000, ratio {many / few:.3f}")


if __name__ == "__main__":
    main()
