"""Times of the numerics as ratios to a floor measured in the same run. Prints a table."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ncbounds.numerics import (
    binomial_upper,
    gaussian_loss,
    gaussian_loss_fast,
    kl_upper,
    noncentral_t_upper,
    two_moment_bound,
)


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the best of a few runs."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def line(name: str, value: float, floor: float, floor_name: str) -> None:
    """Print one row."""
    print(f"{name:46s} {value:10.4f} s   {value / floor:10.3g} x {floor_name}")


def gaussian(n: int, classes: int) -> None:
    """Loss of n points against np.exp over gaps times nodes and over the gaps."""
    t = np.random.default_rng(0).normal(6, 2, (n, classes - 1))
    floor = seconds(lambda: np.exp(t))
    name = f"n={n}, C={classes}"
    line(f"gaussian_loss {name}", seconds(lambda: gaussian_loss(t)), floor, "np.exp(t)")
    line(f"gaussian_loss_fast {name}", seconds(lambda: gaussian_loss_fast(t)), floor, "np.exp(t)")


def limits() -> None:
    """Arrays of binomial limits, kl inverses and noncentral t limits."""
    rng = np.random.default_rng(1)
    k = rng.integers(0, 400, 10_000)
    floor = seconds(lambda: np.exp(k * 1.0))
    line(
        "binomial_upper, 10,000 values",
        seconds(lambda: binomial_upper(k, 4000, 0.05)),
        floor,
        "np.exp",
    )
    line("kl_upper, 10,000 values", seconds(lambda: kl_upper(k / 4000, 1e-3)), floor, "np.exp")
    for pairs in (90, 9_900):
        d = rng.uniform(-1, 300, pairs)
        work = seconds(lambda d=d: noncentral_t_upper(d, 1.0, 400, 0.05 / len(d)))
        line(f"noncentral_t_upper, {pairs:,} pairs", work, floor, "np.exp of 10,000")


def moments(k: int, oracle: bool) -> None:
    """Fixed point against the textbook semidefinite program at equal value."""
    rng = np.random.default_rng(2)
    a = rng.normal(size=(k, k)) * np.arange(1, k + 1) ** -0.7
    cov = a @ a.T
    mean = np.sqrt(np.diag(cov)) * (10 + rng.exponential(3, k))
    bound = two_moment_bound(mean, cov)
    fast = seconds(lambda: two_moment_bound(mean, cov))
    if not oracle:
        print(f"two_moment_bound k={k}: {fast:.4f} s, {bound.iterations} its, gap {bound.gap:.1e}")
        return
    start = time.perf_counter()
    textbook = two_moment_bound(mean, cov, method="sdp")
    slow = time.perf_counter() - start
    print(
        f"two_moment_bound k={k}: {fast:.4f} s, textbook {slow:.3f} s, {slow / fast:.0f} times; "
        f"values {bound.value:.9f} {textbook.solver_value:.9f}"
    )


def all_classes(classes: int, dim: int, max_iter: int, tol: float) -> None:
    """Bound every class of a head whose features share a covariance."""
    rng = np.random.default_rng(3)
    weight = rng.normal(size=(classes, dim))
    spread = np.arange(1, dim + 1) ** -1.0
    gaps, start = [], time.perf_counter()
    for c in range(classes):
        rows = np.delete(weight[c] - weight, c, axis=0)
        cov = (rows * spread) @ rows.T
        bound = two_moment_bound(rows @ (0.15 * weight[c]), cov, tol=tol, max_iter=max_iter)
        gaps.append(bound.gap)
    took = time.perf_counter() - start
    print(
        f"all classes, C={classes}, d={dim}, max_iter={max_iter}: {took:.2f} s, gap {max(gaps):.1e}"
    )


if __name__ == "__main__":
    gaussian(60_000, 10)
    gaussian(50_000, 100)
    gaussian(50_000, 1000)
    limits()
    moments(9, oracle=True)
    moments(20, oracle=True)
    moments(99, oracle=False)
    all_classes(100, 512, 8, 1e-6)
    all_classes(100, 512, 500, 1e-3)
