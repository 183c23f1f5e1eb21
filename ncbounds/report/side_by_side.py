"""Several series side by side, as one line each: where they got, and how fast."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ncbounds.report.cells import interval, number, significant
from ncbounds.report.data import ReportData
from ncbounds.report.steps import Step, known_steps
from ncbounds.report.trend import Indistinguishable, Stalled, StillCollapsing, Word

#: Steps at which the efficiency of all series is shown.
SHOWN = 4
#: Series from which on a screen has room for one line each only.
MANY = 4
_CALLED = {StillCollapsing: "still collapsing", Stalled: "stalled"}


def side_by_side(series: Mapping[str, Sequence[Step]], words: Sequence[Word]) -> list[list[str]]:
    """Titles and lines of a table: the last step of each series, and its efficiency on the way.

    The efficiency is the lower end of its bracket, at steps that all series have, evenly spread
    over their list. Columns that no series fills are left out.

    Parameters
    ----------
    series : mapping from name to steps in order
        Those without a step that was evaluated, and whose place is known, are left out.
    words : sequence of Word
        What can be said of them; named by a word here, with numbers where they are sentences.
    """
    series = {name: steps for name, all_of in series.items() if (steps := known_steps(all_of))}
    if not series:
        return []
    at = _shared(series)
    head = ["series", "last", "train", "test [95 %]", "loss", "NC1"]
    head += [f"efficiency at {s:g}" if i == 0 else f"{s:g}" for i, s in enumerate(at)]
    head += ["within", "align", "outputs", "last third", "like the last from"]
    lines = [_line(name, steps, at, words) for name, steps in series.items()]
    used = [i for i in range(len(head)) if any(line[i] for line in lines)]
    return [[line[i] for i in used] for line in (head, *lines)]


def without_earlier_steps(report: ReportData, series: Mapping[str, Sequence[Step]]) -> ReportData:
    """Report of the last step of each series, and of all that is in none."""
    kept = {placed[-1].checkpoint for steps in series.values() if (placed := known_steps(steps))}
    rows = tuple(r for r in report.rows if not r.series or r.checkpoint in kept)
    return replace(report, rows=rows)


def _shared(series: Mapping[str, Sequence[Step]]) -> list[float]:
    """Steps of all series, thinned to those that are shown."""
    numbers = [{s.step for s in steps if math.isfinite(s.efficiency)} for steps in series.values()]
    common = sorted(s for s in set.intersection(*numbers) if math.isfinite(s))
    chosen = np.linspace(0, len(common) - 1, min(SHOWN, len(common))).round().astype(int)
    return [common[i] for i in chosen]


def _line(
    name: str, steps: Sequence[Step], at: Sequence[float], words: Sequence[Word]
) -> list[str]:
    last = steps[-1]
    by_step = {s.step: s.efficiency for s in steps}
    own = [word for word in words if word.series == name]
    trend = next((_CALLED[type(word)] for word in own if type(word) in _CALLED), "")
    since = next((word.since for word in own if isinstance(word, Indistinguishable)), "")
    test = interval(last.test_error, last.test_low, last.test_high)
    return [
        name,
        last.shown,
        _cell(last.train_error),
        test if math.isfinite(last.test_error) else "",
        significant(last.loss) if math.isfinite(last.loss) else "",
        significant(last.nc1) if math.isfinite(last.nc1) else "",
        *(_cell(by_step[step]) for step in at),
        *map(_cell, (last.within, last.alignment, last.outputs)),
        trend,
        since,
    ]


def _cell(x: float) -> str:
    return number(x) if math.isfinite(x) else ""
