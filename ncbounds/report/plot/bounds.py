"""Figures of bounds: beside measured errors, and what one value is made of."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ncbounds.errors import NcboundsError
from ncbounds.report.cells import number, shown_params
from ncbounds.report.data import ReportData
from ncbounds.report.plot.style import COLOURS, MARKS, pyplot
from ncbounds.results import MARK, BoundResult

#: Widths of one column and of the text of usual articles, in inches.
COLUMN, TEXT = 3.35, 6.4
#: Rows of one figure of terms.
ROWS = 30
_COLOURS = tuple(c for name, c in COLOURS.items() if name not in ("black", "green"))


def draw_bounds_vs_error(report: ReportData, kinds: Sequence[str], ax: Any = None) -> Any:
    """Draw each bound over the measured error of its own target, with the line of equality.

    A vacuous bound is hollow, on the upper edge.
    """
    rows = [
        r
        for r in report.rows
        if isinstance(r, BoundResult)
        and r.kind in kinds
        and r.of_error
        and r.test is not None
        and np.isfinite([r.value, r.test.error]).all()
    ]
    if not rows:
        raise NcboundsError(
            f"there is no {' or '.join(kinds)} beside a measured error to draw; "
            f"kinds={tuple(MARK)[:3]} draws all bounds"
        )
    with pyplot() as plt:
        if ax is None:
            _, ax = plt.subplots(figsize=(COLUMN, COLUMN), layout="constrained")
        for i, family in enumerate(dict.fromkeys(r.family for r in rows)):
            look = {"color": _COLOURS[i % len(_COLOURS)], "marker": MARKS[i % len(MARKS)], "ls": ""}
            of = [r for r in rows if r.family == family]
            for hollow in (False, True):
                if not (some := [r for r in of if r.vacuous is hollow]):
                    continue
                ax.plot(
                    [r.test.error for r in some if r.test],
                    [min(r.value, 1.0) for r in some],
                    label=None if hollow and len(some) < len(of) else family,
                    fillstyle="none" if hollow else "full",
                    clip_on=False,
                    **look,
                )
        ax.plot([0, 1], [0, 1], color=COLOURS["black"], lw=0.8, ls=":")
        ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="measured error", ylabel="bound (hollow: vacuous)")
        ax.set_aspect("equal")
        ax.legend(loc="lower right")
    return ax


def draw_terms(rows: Sequence[BoundResult], ax: Any = None) -> Any:
    """Draw the additive terms of rows as bars, one under the other; 1 is marked.

    The axis is logarithmic from 1 on where a sum exceeds 2.
    """
    found = [r for r in rows if r.terms and np.isfinite(list(r.terms.values())).all()]
    shown = found[:ROWS]
    if not shown:
        raise NcboundsError("none of these rows has additive terms to draw; try 'gaussian_head'")
    names = list(dict.fromkeys(name for r in shown for name in r.terms))
    at = np.arange(len(shown), dtype=float)
    with pyplot() as plt:
        if ax is None:
            size = (TEXT, 0.9 + 0.24 * len(shown))
            _, ax = plt.subplots(figsize=size, layout="constrained")
        start = np.zeros(len(shown))
        for i, name in enumerate(names):
            width = np.array([max(r.terms.get(name, 0.0), 0.0) for r in shown])
            ax.barh(at, width, left=start, label=name, color=_COLOURS[i % len(_COLOURS)])
            start += width
        ax.axvline(1.0, color=COLOURS["black"], lw=0.8, ls=":")
        if start.max() > 2:
            ax.set_xscale("symlog", linthresh=1.0)
        ax.set_xlim(left=0.0)  # a logarithmic axis would start at the smallest bar
        labels = [_label(r) for r in shown]
        ax.set_yticks(at, labels, parse_math=False)
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
        ax.set_xlabel("value by its terms (vacuous from 1 on)")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        if len(found) > ROWS:
            ax.set_title(f"the first {ROWS} of {len(found)} rows with terms", loc="left")
    return ax


def _label(r: BoundResult) -> str:
    """What tells a row from the others of its checkpoint and bound, its mark and value."""
    params = f"({text})" if (text := shown_params(r)) else ""
    words = (r.checkpoint, r.bound, params, r.role, MARK[r.kind], number(r.value, up=True))
    return " ".join(w for w in words if w)
