"""CPU seconds of rows that solve or look long, and as multiples of sorting the margins once.

Run as a script; prints a table. Goals: ``minimax_head`` at most 20 s, diagnostics a small part of a
row.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "bounds/distribution"))

from margin_worlds import random_world

from ncbounds.bounds.distribution._diagnostics import normality, unimodality
from ncbounds.bounds.distribution._margin_moments import margin_moments
from ncbounds.bounds.distribution.minimax_head import minimax_head


def seconds(call: Callable[[], Any], times: int = 3) -> float:
    """Smallest CPU seconds of some calls."""
    found = []
    for _ in range(times):
        began = time.process_time()
        call()
        found.append(time.process_time() - began)
    return min(found)


def main() -> None:
    """Print one line for each."""
    world = random_world(1, classes=10, dim=64, n=4000)
    moments = margin_moments(world.holdout, world.head)
    margins = np.random.default_rng(0).standard_normal((4000, 9))
    floor = seconds(lambda: np.sort(margins, axis=0), 20)
    calls = {
        "normality": lambda: normality(moments),
        "unimodality": lambda: unimodality(moments),
        "minimax_head": lambda: minimax_head(world),
    }
    for name, call in calls.items():
        taken = seconds(call, 1 if name == "minimax_head" else 3)
        print(f"{name:14} {taken:8.4f} s  {taken / floor:10.1f} x one sort")


if __name__ == "__main__":
    main()
