"""The transfer study: ``python -m ncbounds.zoo.transfer --out data/transfer``.

Small networks are trained on five classes of the shipped images and moved to the other five, and to
the digits of scikit-learn. Of each task 400 labelled rows are drawn several times; a head is chosen
on them with a certificate, and its error is measured on all other rows. All settings are fixed
here. Two tables are written: ``combinations.csv`` with every head on every layer of every network
for the first draw, and ``draws.csv`` with what was chosen in each.
"""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ncbounds.arrays import Ints
from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.choosing.candidates import Candidate, Tap
from ncbounds.choosing.choose import SEED, choose_among, labelled_rows
from ncbounds.choosing.estimates import HEADS
from ncbounds.data.images import PIXEL_MEAN, standardise
from ncbounds.data.npz import load_npz
from ncbounds.depth.measure import wrong_rows
from ncbounds.evaluation.taps import taps_of
from ncbounds.evidence.sample import Sample
from ncbounds.evidence.split import two_parts
from ncbounds.files import write_text
from ncbounds.report.cells import number
from ncbounds.zoo.recipes import Setting, Whole
from ncbounds.zoo.train import train

#: Classes of the two halves: what networks are trained on, and moved to.
HALVES = {"first": (0, 1, 2, 3, 4), "last": (5, 6, 7, 8, 9)}
#: Rows of one half that a network is trained on, and epochs.
TRAINED_ON, EPOCHS = 2000, 15
#: Weight decay: the larger one collapses features more.
DECAYS = (5e-4, 5e-3)
ARCHITECTURES: Mapping[str, tuple[str, Mapping[str, Setting]]] = {
    "mlp": ("bn_mlp", {"width": 96, "depth": 3, "classes": 5}),
    "cnn": ("bn_cnn", {"channels": 8, "classes": 5}),
    "res": ("res_bn_cnn", {"channels": 8, "classes": 5}),
}
#: Labelled rows of a draw, draws of a task, rows on which errors are measured at most.
LABELS, DRAWS, TEST_ROWS = 400, 6, 4000
DELTA = 0.05
#: What the chosen head is held against; columns of ``draws.csv``.
BASELINES = ("raw inputs", "an untrained network", "its last layer")

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Task:
    """Inputs (N, 1, 14, 14) and labels (N,) of a new task, and the networks moved to it."""

    name: str
    inputs: Rows
    labels: Ints
    networks: tuple[str, ...]


def main(arguments: list[str] | None = None) -> None:
    """Train, choose, measure and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m ncbounds.zoo.transfer", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/fashion14.npz"))
    parser.add_argument("--out", type=Path, default=Path("data/transfer"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    began = time.process_time()
    arrays = load_npz(options.data)
    inputs, labels = standardise(arrays["images"]), arrays["labels"].astype(np.int64)
    networks = dict(trained(inputs, labels))
    combinations: list[dict[str, Any]] = []
    draws: list[dict[str, Any]] = []
    for task in tasks(inputs, labels, list(networks)):
        mine = {name: networks[name] for name in task.networks}
        taps = list(taps_of(mine, (task.inputs, task.labels)))
        for draw in range(DRAWS):
            rows, test = drawn(len(task.labels), draw)
            draws.append({"task": task.name, "draw": draw, **chosen(taps, task, rows, test)})
            if not draw:
                combinations += all_of(taps, task, rows, test)
        print(f"{task.name}: {time.process_time() - began:.0f} CPU seconds", flush=True)
    print(table(pd.DataFrame.from_records(draws)))
    for name, found in (("combinations", combinations), ("draws", draws)):
        text = pd.DataFrame.from_records(found).to_csv(
            index=False, lineterminator="\n", float_format="%.6g"
        )
        write_text(options.out / f"{name}.csv", text)
        print(f"{options.out / name}.csv: {len(found)} rows")


def table(draws: pd.DataFrame) -> str:
    """README's table: means over the draws of each task, and how often a number was too small."""
    lines = [
        "| task | candidates | ✓ certificate (measured) | least leave-one-out (measured) "
        "| raw inputs | untrained | last layer |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rows in draws.groupby("task", sort=False):
        mean = rows.mean(numeric_only=True)
        pairs = [("certificate", "error"), ("least_leave_one_out", "its_error")]
        cells = [f"{number(mean[a])} ({number(mean[b])})" for a, b in pairs]
        cells += [number(mean[what]) for what in BASELINES]
        lines.append(f"| {name} | {mean['candidates']:.0f} | {' | '.join(cells)} |")
    above = int((draws["certificate"] < draws["error"]).sum())
    fooled = int((draws["least_leave_one_out"] < draws["its_error"]).sum())
    lines.append(
        f"\nOf {len(draws)} draws the certificate was below the measured error in {above}, the "
        f"least leave-one-out error in {fooled}."
    )
    return "\n".join(lines)


def trained(inputs: Rows, labels: Ints) -> Iterator[tuple[str, Classifier]]:
    """Train each architecture on each half at each weight decay."""
    for half, kind, decay in product(HALVES, ARCHITECTURES, DECAYS):
        model, args = ARCHITECTURES[kind]
        name = f"{kind}-{half}-wd{decay:.0e}".replace("e-0", "e-")
        rows = np.flatnonzero(np.isin(labels, HALVES[half]))[:TRAINED_ON]
        recipe = Whole(name, model, args, {}, weight_decay=decay, epochs=EPOCHS)
        y = labels[rows] - HALVES[half][0]
        made = train(recipe, torch.from_numpy(inputs[rows]), torch.from_numpy(y))
        yield name, Classifier(made.model)


def tasks(inputs: Rows, labels: Ints, networks: Sequence[str]) -> Iterator[Task]:
    """Each half with the networks of the other one, and digits with all."""
    from sklearn.datasets import load_digits

    for half, classes in HALVES.items():
        rows = np.flatnonzero(np.isin(labels, classes))[: LABELS * DRAWS + TEST_ROWS]
        others = tuple(n for n in networks if f"-{half}-" not in n)
        yield Task(f"{half} five classes", inputs[rows], labels[rows] - classes[0], others)
    found = load_digits()
    images = np.pad(found.images / 16, ((0, 0), (3, 3), (3, 3))).astype(np.float32) - PIXEL_MEAN
    yield Task("digits", images[:, None].astype(np.float32), found.target, tuple(networks))


def drawn(n: int, draw: int) -> tuple[Ints, Ints]:
    """Rows to choose on, and those on which errors are measured."""
    order = np.random.default_rng([2024, draw]).permutation(n)
    return order[:LABELS], order[LABELS : LABELS + TEST_ROWS]


def chosen(taps: Sequence[Tap], task: Task, rows: Ints, test: Ints) -> dict[str, Any]:
    """What is chosen on ``rows``, with errors measured on ``test``."""
    here = [
        Tap(t.checkpoint, t.layer, t.features[rows], t.dim, t.origin, t.last, t.weights)
        for t in taps
    ]
    sample = labelled_rows(task.labels[rows], "holdout", sampling="iid")
    found = choose_among(here, {"holdout": sample}, delta=DELTA)
    fit, _ = two_parts(sample, lambda n: n // 2, seed=SEED)
    assert len(fit) == found.fitted_on

    def error(candidate: Candidate) -> float:
        tap = next(t for t in taps if _is_at(t, candidate))
        return _error(tap, candidate.head, task, rows[fit], test)

    winner = found.finalists[0].candidate
    baselines = {b.what: b for b in found.baselines}
    return {
        "candidates": len(found.candidates),
        "network": found.place.network,
        "layer": found.place.layer,
        "head": found.candidate.head,
        "certificate": found.value,
        "error": error(found.candidate),
        "regret": found.regret,
        "worth": found.worth,
        "least_leave_one_out": winner.leave_one_out,
        "its_error": error(winner),
        **{
            what: error(baselines[what].candidate) if what in baselines else np.nan
            for what in BASELINES
        },
        "gain_over_raw": baselines["raw inputs"].gain,
    }


def all_of(taps: Sequence[Tap], task: Task, rows: Ints, test: Ints) -> Iterator[dict[str, Any]]:
    """Estimate and measured error of every head on every tap."""
    sample = labelled_rows(task.labels[rows], "holdout", sampling="iid")
    fit, _ = two_parts(sample, lambda n: n // 2, seed=SEED)
    for tap, head in product(taps, HEADS):
        seen = Sample.from_arrays(
            tap.features[rows[fit]], task.labels[rows[fit]], role="head", classes=sample.classes
        )
        yield {
            "task": task.name,
            "network": tap.checkpoint,
            "origin": tap.origin,
            "layer": tap.layer,
            "last": tap.last,
            "head": head,
            "leave_one_out": HEADS[head](seen).error,
            "error": _error(tap, head, task, rows[fit], test),
        }


def _error(tap: Tap, head: str, task: Task, fit: Ints, test: Ints) -> float:
    seen = Sample.from_arrays(
        tap.features[fit], task.labels[fit], role="head", classes=int(task.labels.max()) + 1
    )
    fitted = HEADS[head](seen).procedure(seen.features, seen.labels, seen.classes)
    return float(wrong_rows(fitted, tap.features[test], task.labels[test]).mean())


def _is_at(tap: Tap, candidate: Candidate) -> bool:
    place = candidate.place
    here = (tap.checkpoint, tap.layer, tap.origin)
    return here == (place.checkpoint, place.layer, place.origin)


if __name__ == "__main__":
    main()
