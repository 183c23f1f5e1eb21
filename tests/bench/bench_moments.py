"""Cost of the data side against its bare float64 floor; run as a script, prints a table.

The floor casts the features to float64 and makes one BLAS call (or one einsum) each for class
sums, norms, Gram matrix and logits, all at once or in blocks, whichever is faster in this run; its
one-hot matrix is made before the clock starts. Ours is one call of ``feature_pass``.
"""

import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.geometry import collapse, nc1, simplex_etf
from ncbounds.statistics.moments import class_moments, feature_pass
from ncbounds.statistics.pair_moments import pairwise_moments

CASES = ((50_000, 512, 10), (100_000, 512, 100))
GOAL = 1.2


def floor_at_once(features, onehot, weight):
    x = features.astype(np.float64)
    return onehot @ x, np.einsum("ij,ij->i", x, x), x.T @ x, x @ weight.T


def floor_in_blocks(features, onehot, weight, size):
    n, d = features.shape
    x = np.empty((size, d))
    sums, gram = np.zeros((len(weight), d)), np.zeros((d, d))
    norms, logits = np.empty(n), np.empty((n, len(weight)))
    for i in range(0, n, size):
        part = x[: min(size, n - i)]
        np.copyto(part, features[i : i + size])
        sums += onehot[:, i : i + size] @ part
        np.einsum("ij,ij->i", part, part, out=norms[i : i + size])
        gram += part.T @ part
        np.matmul(part, weight.T, out=logits[i : i + size])
    return sums, norms, gram, logits


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def ratio(n: int, d: int, classes: int, rounds: int = 7) -> tuple[float, dict[str, float], float]:
    """Return (ours / floor, median seconds of each, peak MiB of ours beyond its n x C output)."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, n)
    affine = rng.standard_normal((classes, d)), rng.standard_normal(classes)
    onehot = np.zeros((classes, n))
    onehot[labels, np.arange(n)] = 1.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.npy"
        np.save(path, rng.standard_normal((n, d), dtype=np.float32) + np.float32(10))
        f = np.load(path, mmap_mode="r")
        runs = {
            "at once": lambda: floor_at_once(f, onehot, affine[0]),
            "blocks of 2048": lambda: floor_in_blocks(f, onehot, affine[0], 2048),
            "blocks of 8192": lambda: floor_in_blocks(f, onehot, affine[0], 8192),
            "ours": lambda: feature_pass(f, labels, classes, affine=affine, norms=True),
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(rounds):  # alternating, so that a busy machine slows all alike
            for name, run in runs.items():
                times[name].append(seconds(run))
        tracemalloc.start()
        class_moments(f, labels, classes)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    medians = {name: statistics.median(t) for name, t in times.items()}
    bare = min(t for name, t in medians.items() if name != "ours")
    return medians["ours"] / bare, medians, peak


def small_sample(rounds: int = 9) -> dict[str, float]:
    """Median milliseconds for a sample of 26,000 x 128, C = 10."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 26_000)
    f = rng.standard_normal((26_000, 128), dtype=np.float32)
    f += 3 * simplex_etf(10, 128)[labels].astype(np.float32)
    head = LinearHead(simplex_etf(10, 128))
    sample = Sample.from_arrays(f, labels, role="holdout")
    moments = sample.moments
    runs = {
        "moments and NC1": lambda: nc1(class_moments(f, labels, 10)),
        "NC1 of given moments": lambda: nc1(moments),
        "pairwise moments": lambda: pairwise_moments(f, labels, moments),
        "whole collapse frame": lambda: collapse(sample, head),
    }
    return {
        name: 1e3 * statistics.median(seconds(run) for _ in range(rounds))
        for name, run in runs.items()
    }


def main() -> None:
    parts = ", ".join(f"{name} {t:.1f} ms" for name, t in small_sample().items())
    print(f"26000 x 128, C=10: {parts}")
    for n, d, classes in CASES:
        value, medians, peak = ratio(n, d, classes)
        parts = ", ".join(f"{name} {t:.3f} s" for name, t in medians.items())
        print(
            f"moments {n} x {d}, C={classes}: {value:.2f} of the floor (goal {GOAL}); {parts}; "
            f"moments alone peak at {peak:.0f} MiB"
        )


if __name__ == "__main__":
    main()
