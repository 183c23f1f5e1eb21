"""Bounds of one checkpoint, one a line, as a display in the manner of scikit-learn."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from ncbounds.errors import NcboundsError, UnknownName, few, printable, suggest
from ncbounds.report.cells import shown_params
from ncbounds.report.data import ReportData
from ncbounds.report.plot.style import COLOURS, KINDS, TEXT, pyplot
from ncbounds.results import MARK, BoundResult, Kind

#: Rows of one figure.
ROWS = 40


class Line(NamedTuple):
    """One row: its name, kind and value, and the measured error of its target, nan if unknown."""

    name: str
    kind: Kind
    value: float
    error: float


class BoundDisplay:
    """Bounds beside the measured errors of their targets, one a line, certificates first.

    Use :meth:`from_report` to make one.

    Parameters
    ----------
    lines : sequence of Line
    checkpoint : str
        Whose they are; the title.

    Attributes
    ----------
    ax_ : matplotlib axes
        With what was drawn, after :meth:`plot`.
    figure_ : matplotlib figure
        That has them.
    """

    ax_: Any
    figure_: Any

    def __init__(self, lines: Sequence[Line], checkpoint: str = "") -> None:
        self.lines = tuple(lines)
        self.checkpoint = checkpoint

    @classmethod
    def from_report(
        cls,
        report: ReportData,
        checkpoint: str | None = None,
        *,
        kinds: Sequence[str] = ("certificate", "conditional", "plug-in"),
        bounds: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the bounds of one checkpoint of a report.

        Parameters
        ----------
        report : Report
        checkpoint : str, optional
            Which one, if the report has several.
        kinds : sequence of str
            ``"certificate"``, ``"conditional"``, ``"plug-in"``.
        bounds : sequence of str, optional
            Rows of these bounds only.
        ax : matplotlib axes, optional
            By default those of a new figure.

        Returns
        -------
        BoundDisplay

        Raises
        ------
        MissingExtra
            Without matplotlib.
        UnknownName
            If there is no such checkpoint, or no row of a bound.
        NcboundsError
            If there is no such row, or several checkpoints and none is named.
        """
        rows = [r for r in report.rows if isinstance(r, BoundResult) and np.isfinite(r.value)]
        rows = [r for r in rows if r.kind in kinds]
        if bounds is not None:
            known = sorted({r.bound for r in rows})
            for name in bounds:
                if name not in known:
                    raise UnknownName(f"no rows of bound {name!r}; {suggest(name, known)}")
            rows = [r for r in rows if r.bound in bounds]
        names = list(dict.fromkeys(r.checkpoint for r in rows))
        if checkpoint is not None:
            if checkpoint not in names:
                raise UnknownName(f"no checkpoint {checkpoint!r}; {suggest(checkpoint, names)}")
            names = [checkpoint]
        if len(names) != 1:
            if not names:
                raise NcboundsError(f"there is no {' or '.join(kinds)} with a value to draw")
            raise NcboundsError(
                f"{len(names)} checkpoints are there to draw ({few(names)}): name one, "
                f"--checkpoint {names[0]} (in Python as the argument)"
            )
        found = [r for r in rows if r.checkpoint == names[0]]
        found.sort(key=lambda r: ([*KINDS].index(r.kind), r.value))
        lines = [Line(_named(r), r.kind, r.value, r.test.error if r.test else np.nan)
                 for r in found]  # fmt: skip
        return cls(lines, names[0]).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw into ``ax``, or a new figure; returns itself, with ``ax_`` and ``figure_``.

        At most the first forty are drawn. A vacuous bound is hollow, on the right edge.
        """
        shown = self.lines[:ROWS]
        y = np.arange(len(shown), dtype=float)
        values, errors = (np.array([getattr(x, f) for x in shown]) for f in ("value", "error"))
        says = values < 1
        top = max([*values[says], *errors[np.isfinite(errors)]], default=1.0)
        edge = 1.0 if (~says).any() or top > 0.6 else 1.15 * top
        with pyplot() as plt:
            if ax is None:
                size = (TEXT, 0.8 + 0.17 * len(shown))
                _, ax = plt.subplots(figsize=size, layout="constrained")
            for kind, (colour, mark) in KINDS.items():
                of = np.array([x.kind == kind for x in shown], dtype=bool)
                for hollow in (False, True):
                    some = of & (says if not hollow else ~says)
                    if not some.any():
                        continue
                    label = f"{MARK[kind]} {kind}" if not hollow else f"{kind}, vacuous"
                    ax.plot(
                        np.minimum(values[some], edge), y[some], mark, color=COLOURS[colour],
                        fillstyle="none" if hollow else "full", clip_on=False, label=label,
                    )  # fmt: skip
            if np.isfinite(errors).any():
                ax.plot(errors, y, "|", color=COLOURS["black"], ms=9, label="measured error")
            ax.set_yticks(y, [x.name for x in shown], parse_math=False, fontsize=7)
            ax.set_ylim(len(shown) - 0.4, -0.6)
            ax.grid(axis="y", visible=False)
            ax.set(xlim=(0, edge), xlabel="error at most")
            more = len(self.lines) - len(shown)
            title = printable(self.checkpoint) + (f" (the first {ROWS} rows)" if more > 0 else "")
            ax.set_title(title, loc="left", fontsize=9, parse_math=False)
            ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _named(r: BoundResult) -> str:
    """What tells a row from the others of its checkpoint."""
    params = f"({text})" if (text := shown_params(r)) else ""
    qualifier = r.qualifier if r.qualifier not in params else ""
    return printable(" ".join(w for w in (r.bound, params, qualifier, f"[{r.role}]") if w))
