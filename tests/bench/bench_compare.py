"""CPU time of comparing many candidates: the set of best, and limits of many pairs at once."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from ncbounds.comparison.comparison import pair_limits
from ncbounds.numerics import best_set, paired_lower_two_step
from ncbounds.numerics.best import only_one_errs


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process for one run."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Print the time of each, beside that of a bare matrix product of the same size."""
    rng = np.random.default_rng(0)
    total, n = 1000, 50_000
    rates = rng.uniform(0.05, 0.3, (total, 1))
    wrong = np.stack([rng.random(n) < rate for rate in rates])
    as_numbers = wrong.astype(np.float32)
    floor = seconds(lambda: as_numbers @ as_numbers.T)
    took = seconds(lambda: best_set(wrong, 0.05))
    print(f"best_set, T = {total:,}, n = {n:,}: {took:.2f} s, {took / floor:.1f} x one product")
    only = only_one_errs(wrong).astype(np.int64)
    took = seconds(lambda: pair_limits(only, n, 0.05, "two-step", total))
    pairs = total * (total - 1)
    print(f"limits of {pairs:,} ordered pairs: {took:.2f} s, {pairs / took:,.0f} a second")
    b, c = rng.integers(0, 400, (2, 100_000))
    took = seconds(lambda: paired_lower_two_step(b, c, 4000, 0.001))
    print(f"paired_lower_two_step, 100,000 pairs: {took:.2f} s, {100_000 / took:,.0f} a second")


if __name__ == "__main__":
    main()
