"""An ImageNet-sized extraction by simulation: eight parts of float16 rows, read as one sample.

1.28 million rows of 2048 features in 1000 classes. A tenth of the rows is made and read by default
(half a gigabyte of disk); CPU seconds are what was measured, and in the last column
**extrapolated**, as if they grew with the rows; what a step costs whatever their number makes that
too much. Peaks are of each step's own process, with the pages of files that it has mapped.

``python tests/bench/bench_imagenet.py [--rows 128000] [--bounds default]``; ``--bounds`` takes ids
too, such as ``two_moment_tight,compressed_network``.
"""

import argparse
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import ncbounds as nb
from ncbounds.bounds.selection import select
from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.extraction.part_folder import read_moments, read_parts
from ncbounds.extraction.parts import extract_parts

ROWS, WIDTH, CLASSES, PARTS = 1_280_000, 2048, 1000, 8
INPUTS = 64
GIGABYTES = 8.0


def source(rows: int) -> tuple[Classifier, Any]:
    """A network with features of the full width, and inputs that its head tells apart mostly."""
    torch.manual_seed(0)
    means = torch.randn(CLASSES, INPUTS)
    body, head = nn.Linear(INPUTS, WIDTH), nn.Linear(WIDTH, CLASSES)
    with torch.no_grad():
        ideal = body(means).relu()
        centred = ideal - ideal.mean(0)
        head.weight.copy_(centred / centred.norm(dim=1, keepdim=True))
        head.bias.copy_(-(head.weight * ideal.mean(0)).sum(1))
    generator = np.random.default_rng(1)
    labels = generator.integers(0, CLASSES, rows)
    noise = generator.standard_normal((rows, INPUTS), dtype=np.float32)
    return Classifier(nn.Sequential(body, nn.ReLU(), head)), (means.numpy()[labels] + noise, labels)


def write(folder: Path, rows: int, number: int) -> str:
    extract_parts(
        partial(source, rows),
        folder,
        parts=PARTS,
        numbers=[number],
        batch_size=512,
        dtype="float16",
    )
    part = next(folder.glob(f"part-{number:05d}-*"))
    return f"{sum(f.stat().st_size for f in part.iterdir()) / 2**20:.0f} MiB"


def moments(folder: Path) -> str:
    found = read_moments(folder)
    return f"{found.n} rows, {len(found.present)} classes"


def row(folder: Path, name: str) -> str:
    classifier, (inputs, _) = source(PARTS * 64)
    classifier.verify(torch.from_numpy(inputs))
    bound = nb.bounds.get(name)
    role = "fit" if bound.role == "fit" else "holdout"
    sample = read_parts(folder, role, sampling="iid")
    result = bound(nb.Evidence(head=classifier.head, **{role: sample}))
    number = getattr(result, "value", None)
    return f"{result.kind} {result.measure if number is None else number:.4g}"


def alone(step: Callable[[], str]) -> tuple[str, float, float]:
    """Run a step in a process of its own; return what it says, its CPU seconds and peak in GiB."""
    context = get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_report, args=(step, theirs))
    process.start()
    theirs.close()
    try:
        said, seconds, peak = ours.recv()
    except EOFError:
        said, seconds, peak = "killed", float("nan"), float("nan")
    process.join()
    return said, seconds, peak


def _report(step: Callable[[], str], pipe: Any) -> None:
    start = time.process_time()
    try:
        said = step()
    except Exception as error:
        said = f"{type(error).__name__}: {error}"[:60]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    pipe.send((said, time.process_time() - start, peak))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS // 10)
    parser.add_argument("--bounds", default="default")
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    # on the disk: what is in memory would count
    folder = Path(tempfile.mkdtemp(dir=given.folder))
    factor = ROWS / given.rows
    print(f"{given.rows} of {ROWS} rows x {WIDTH} float16, {CLASSES} classes, {PARTS} parts")
    print(f"{'step':34} {'said':34} {'CPU s':>8} {'peak GiB':>9} {'all rows, extrapolated':>24}")
    highest = 0.0

    def show(name: str, step: Callable[[], str]) -> None:
        nonlocal highest
        said, seconds, peak = alone(step)
        highest = max(highest, peak)
        line = f"{name:34} {said:34} {seconds:8.1f} {peak:9.2f} {factor * seconds:20.0f} s"
        print(line, flush=True)

    try:
        for number in range(PARTS):
            show(f"part {number}", partial(write, folder, given.rows, number))
        show("moments of all parts", partial(moments, folder))
        for bound in select(given.bounds):
            if not bound.requires or set(bound.requires) <= {"head"}:
                show(bound.id, partial(row, folder, bound.id))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"highest peak {highest:.2f} GiB, goal {GIGABYTES:.0f} GiB at {given.rows} rows")


if __name__ == "__main__":
    main()
