"""Means over checkpoints that differ in their seed alone, and what they are worth."""

import math
from collections.abc import Sequence

import numpy as np

from ncbounds.report.cells import UNDEFINED, number
from ncbounds.report.sources import Entry
from ncbounds.tables import Cell

#: What the kind of a mean is called, which is none of those of rows.
MEAN = "mean of {}s"


def averaged(entries: Sequence[Entry]) -> Entry:
    """Mean and standard deviation of the entries of one column; a single one stays itself.

    A mean has no mark: it says nothing about any single network. It is undefined where one of the
    entries is, as those that are undefined may be the worst.
    """
    if len(entries) == 1:
        return entries[0]
    texts = {e.cell.text for e in entries}
    numbers = np.array([e.number for e in entries])
    kinds = sorted({e.kind for e in entries if e.kind})
    title = next((key for e in entries for key in e.values), None)
    if title is None:
        return Entry(Cell(""))
    if (len(texts) == 1 and not kinds and np.ptp(numbers) == 0) or np.isnan(numbers).all():
        same = entries[0] if len(texts) == 1 else Entry(Cell(""))
        return same if not kinds else Entry(Cell(UNDEFINED), values={title: math.nan})
    kind = " and ".join(MEAN.format(k) for k in kinds)
    named = {f"{title} kind": kind} if kind else {}
    missing = int(np.isnan(numbers).sum())
    if missing:
        why = f"undefined, or not there, for {missing} of {len(entries)}"
        return Entry(Cell(UNDEFINED, "", (why,)), values={title: math.nan, **named}, kind=kind)
    mean, spread = float(np.mean(numbers)), float(np.std(numbers, ddof=1))
    text = f"{number(mean, up=bool(kinds))} ± {number(spread)}"
    style = "vacuous" if kinds and mean >= 1 else ""
    values = {title: mean, f"{title} sd": spread, **named}
    return Entry(Cell(text, style), mean, values, kind)  # type: ignore[arg-type]


def words(over: str) -> str:
    """What has to be said under a table with means."""
    return (
        f"Mean ± standard deviation (divisor n - 1) over n checkpoints that differ in {over} "
        "alone; one that stands alone is itself. A mean of certificates is no certificate and has "
        "no mark: each holds for its own network, their mean for none of them, nor for another "
        "seed."
    )
