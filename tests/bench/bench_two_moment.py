"""Time of the two-moment rows; run as a script, prints a table.

The fixed point stands beside the textbook semidefinite program at equal value, and the row of all
classes beside one product of the factor with itself (r x k times k x r, the cheapest way to write
the covariance down) and one Cholesky decomposition of it per class. ``--many`` adds 1000 classes in
2048 dimensions, ``--many --gap 1e-3`` until the gap is closed (some minutes).
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from ncbounds.bounds.distribution import BOUNDS
from ncbounds.bounds.distribution._margin_moments import margin_moments
from ncbounds.bounds.distribution.two_moment_tight import two_moment_tight
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import two_moment_bound


def world(
    classes: int, dim: int, per_class: int, distance: float, decay: float = 0.5, seed: int = 0
) -> Evidence:
    """Classes around random means of equal length with noise of a decaying spectrum."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(classes, dim))
    means *= distance / np.linalg.norm(means, axis=1)[:, None]
    labels = np.repeat(np.arange(classes), per_class)
    spread = np.arange(1, dim + 1.0) ** -decay
    features = (means[labels] + rng.normal(size=(len(labels), dim)) * spread).astype(np.float32)
    head = LinearHead(means, -0.5 * (means**2).sum(axis=1))
    sample = Sample.from_arrays(features, labels, role="holdout", sampling="iid")
    return Evidence(head=head, holdout=sample)


def against_textbook(k: int) -> None:
    """One class with k rivals: fixed point and semidefinite program."""
    ev = world(k + 1, 4 * k, 40 * k, 20.0)
    moments = margin_moments(ev.holdout, ev.head)
    mean, cov = moments.means[0], moments.covariance(0)
    times, values = {}, {}
    for method in ("ellipsoid", "sdp"):
        repeats = 5 if method == "ellipsoid" else 1
        start = time.perf_counter()
        for _ in range(repeats):
            found = two_moment_bound(mean, cov, method=method)
        times[method] = (time.perf_counter() - start) / repeats
        values[method] = found.value
    ratio = times["sdp"] / times["ellipsoid"]
    print(
        f"k = {k}: fixed point {times['ellipsoid']:.4f} s, textbook {times['sdp']:.2f} s, "
        f"{ratio:.0f} times; values {values['ellipsoid']:.9f}, {values['sdp']:.9f}"
    )


def rows(classes: int, dim: int, per_class: int) -> None:
    """Every row of the family once, moments included in the first."""
    ev = world(classes, dim, per_class, 12.0)
    print(f"rows at n = {classes * per_class}, d = {dim}, C = {classes}")
    for b in BOUNDS:
        start = time.perf_counter()
        result = b(ev)
        print(f"  {b.id:22s} {time.perf_counter() - start:8.4f} s   value {result.value:.4g}")


def all_classes(classes: int, dim: int, per_class: int, distance: float, **options: float) -> None:
    """The row of all classes, logits and moments included, and its largest gap."""
    ev = world(classes, dim, per_class, distance)
    start, cpu = time.perf_counter(), time.process_time()
    result = two_moment_tight(ev, **options)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    moments = margin_moments(ev.holdout, ev.head)
    logits = least(lambda: ev.head.logits(ev.holdout.features))
    factor = moments.covariance(0).factor
    product = least(lambda: factor.T @ factor)
    matrix = factor.T @ factor + 1e-6 * np.eye(classes - 1)
    cholesky = least(lambda: np.linalg.cholesky(matrix))
    gaps, steps = result.details["gap per class"], result.details["iterations"]
    print(
        f"C = {classes}, d = {dim}, n_c = {per_class}, {options or 'as the row'}: {seconds:.2f} s "
        f"({cpu:.2f} s CPU; logits alone {logits:.2f} s), a class "
        f"{cpu / classes / product:.0f} products, {cpu / classes / cholesky:.1f} Cholesky; "
        f"gap {np.median(gaps):.1e}, at most {gaps.max():.1e}, iterations {steps.min()}-"
        f"{steps.max()}, value {result.value:.4g}"
    )


def least(work: Callable[[], object]) -> float:
    """CPU seconds of the best of three runs."""
    found = []
    for _ in range(3):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--many", action="store_true", help="1000 classes in 2048 dimensions only")
    parser.add_argument("--gap", type=float, help="with --many: iterate until this gap")
    chosen = parser.parse_args()
    if chosen.many:
        all_classes(1000, 2048, 50, 120.0, **({"gap": chosen.gap} if chosen.gap else {}))
        raise SystemExit
    against_textbook(9)
    against_textbook(20)
    rows(10, 128, 400)
    rows(10, 512, 400)
    for n_c in (50, 500):
        all_classes(100, 512, n_c, 38.0)
        all_classes(100, 512, n_c, 38.0, gap=1e-3)
