"""Time of the two-moment rows; run as a script, prints a table.

The fixed point stands beside the textbook semidefinite program at equal value, and the rows
beside the bare covariances of their margins. ``--many`` adds 1000 classes in 2048 dimensions
(some minutes; ``--classes K`` computes K of them and extrapolates).
"""

import argparse
import time

import numpy as np

from ncbounds.bounds.distribution import BOUNDS
from ncbounds.bounds.distribution._margin_moments import MarginMoments, margin_moments
from ncbounds.bounds.distribution._tight import effort
from ncbounds.evidence import Evidence
from ncbounds.linear_head import LinearHead
from ncbounds.numerics import two_moment_bound
from ncbounds.samples.sample import Sample


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


def all_classes(classes: int, dim: int, per_class: int, **options: float) -> None:
    """All classes of one head, with the gap between upper and certified lower value."""
    ev = world(classes, dim, per_class, 12.0 * np.sqrt(classes / 10))
    moments = margin_moments(ev.holdout, ev.head)
    floor = time.perf_counter()
    for c in range(classes):
        moments.covariance(c)
    floor = time.perf_counter() - floor
    tol, most = effort(classes)
    seconds, gaps, steps, upper = _classes(
        moments, range(classes), dim, **{"tol": tol, "max_iter": most, **options}
    )
    print(
        f"C = {classes}, d = {dim}, n_c = {per_class}, {options or 'as the row'}: {seconds:.2f} s "
        f"(covariances alone {floor:.2f} s), largest gap {gaps.max():.1e}, "
        f"iterations {steps.min()}-{steps.max()}, value {upper.mean():.4f}"
    )


def many(classes: int, dim: int, per_class: int, computed: int) -> None:
    """The two-iteration form for very many classes, extrapolated from ``computed`` of them."""
    ev = world(classes, dim, per_class, 120.0)
    start = time.perf_counter()
    moments = margin_moments(ev.holdout, ev.head)
    assert moments.usable.all()
    first = time.perf_counter() - start
    tol, most = effort(classes)
    seconds, gaps, _, _ = _classes(moments, range(computed), dim, tol=tol, max_iter=most)
    total = first + seconds * classes / computed
    print(
        f"C = {classes}, d = {dim}, n_c = {per_class}, two iterations: moments {first:.1f} s, "
        f"{seconds / computed:.2f} s a class, all {total:.0f} s"
        f"{'' if computed == classes else f' (extrapolated from {computed} classes)'}, "
        f"largest gap {gaps.max():.1e}"
    )


def _classes(moments: MarginMoments, which: range, dim: int, **options: float):  # type: ignore[no-untyped-def]
    start = time.perf_counter()
    found = []
    for c in which:
        rank = min(moments.rivals, dim, int(moments.counts[c]) - 1)
        found.append(
            two_moment_bound(moments.means[c], moments.covariance(c), rank=rank, **options)  # type: ignore[arg-type]
        )
    seconds = time.perf_counter() - start
    gaps, steps, upper = (
        np.array([getattr(f, name) for f in found]) for name in ("gap", "iterations", "value")
    )
    return seconds, gaps, steps, upper


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--many", action="store_true", help="1000 classes in 2048 dimensions too")
    parser.add_argument("--classes", type=int, default=20, help="how many of the 1000 to compute")
    chosen = parser.parse_args()
    against_textbook(9)
    against_textbook(20)
    rows(10, 128, 400)
    rows(10, 512, 400)
    for n_c in (50, 500):
        all_classes(100, 512, n_c)
        all_classes(100, 512, n_c, tol=1e-3, max_iter=500)
    if chosen.many:
        many(1000, 2048, 50, chosen.classes)
