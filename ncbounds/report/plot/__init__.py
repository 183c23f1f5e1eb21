"""Figures of a report, as axes of matplotlib: bounds, their terms, series, layers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ncbounds.depth.layers import LayerReport
from ncbounds.errors import NcboundsError, UnknownName, few, suggest
from ncbounds.report.data import ReportData
from ncbounds.report.plot.bounds import draw_bounds_vs_error, draw_terms
from ncbounds.report.plot.layers import draw_layers
from ncbounds.report.plot.series import draw_series
from ncbounds.report.steps import steps_of
from ncbounds.report.trend import words_of
from ncbounds.results import BoundResult

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Plots:
    """Figures of one report; ``report.plot`` makes them. They need ``pip install ncbounds[plots]``.

    Parameters
    ----------
    report : ReportData
    """

    def __init__(self, report: ReportData) -> None:
        self._report = report

    def bounds_vs_error(self, kinds: Sequence[str] = ("certificate",), ax: Any = None) -> Any:
        """Draw bounds over the measured errors of their targets; vacuous ones are hollow.

        Parameters
        ----------
        kinds : sequence of str
            ``"certificate"``, ``"conditional"``, ``"plug-in"``.
        ax : matplotlib axes, optional
            By default those of a new figure, one column wide.

        Returns
        -------
        matplotlib axes

        Raises
        ------
        MissingExtra
            Without matplotlib.
        NcboundsError
            If there is no such row.
        """
        return draw_bounds_vs_error(self._report, kinds, ax)

    def terms(self, bound: str | None = None, ax: Any = None) -> Any:
        """Draw what the values of rows are made of: why they are vacuous.

        Parameters
        ----------
        bound : str, optional
            Rows of this bound only; at most the first thirty with terms are drawn.
        ax : matplotlib axes, optional

        Returns
        -------
        matplotlib axes

        Raises
        ------
        MissingExtra
            Without matplotlib.
        UnknownName
            If there is no row of the bound.
        NcboundsError
            If no row has additive terms.
        """
        rows = [r for r in self._report.rows if isinstance(r, BoundResult)]
        if bound is not None:
            names = sorted({r.bound for r in rows})
            rows = [r for r in rows if r.bound == bound]
            if not rows:
                raise UnknownName(f"no rows of bound {bound!r}; {suggest(bound, names)}")
        return draw_terms(rows, ax)

    def series(self, name: str | None = None) -> "NDArray[Any]":
        """Draw a series along its steps: errors, efficiency with its factors, NC1 and loss, a log.

        A bound is the interval from 0 to its value, the efficiency its bracket; a vacuous bound is
        a cross at the upper edge. Steps are on a logarithmic axis where they span much.

        Parameters
        ----------
        name : str, optional
            Which series, if the report has several.

        Returns
        -------
        array of matplotlib axes
            One above the other; ``axes[0].figure`` is the figure.

        Raises
        ------
        MissingExtra
            Without matplotlib.
        NcboundsError
            If there is no series, or several and none is named.
        """
        found = steps_of(self._report)
        series = _one(found, name, "series", "`ncbounds evaluate` on checkpoints of one run")
        return draw_series(found[series], [w for w in words_of(self._report) if w.series == series])

    def layers(self, checkpoint: str | None = None) -> "NDArray[Any]":
        """Draw errors of probes and NC1 over the layers of one checkpoint, exit and depth marked.

        Parameters
        ----------
        checkpoint : str, optional
            Which one, if layers of several were evaluated.

        Returns
        -------
        array of matplotlib axes
            Errors above, NC1 below; ``axes[0].figure`` is the figure.

        Raises
        ------
        MissingExtra
            Without matplotlib.
        NcboundsError
            If no layers were evaluated, or those of several and none is named.
        """
        found = {n: f["layers"] for n, f in self._report.facts.items() if f.get("layers")}
        name = _one(found, checkpoint, "checkpoint", "`ncbounds evaluate ... --layers all`")
        return draw_layers(LayerReport.from_dict(found[name]))


def _one(found: dict[str, Any], name: str | None, what: str, how: str) -> str:
    """Return the name that was given, or the only one."""
    if not found:
        raise NcboundsError(f"there is nothing to draw; {how} makes it")
    if name is None and len(found) > 1:
        raise NcboundsError(
            f"{len(found)} are there to draw ({few(found)}): name one, "
            f"--{what} {next(iter(found))} (in Python as the argument)"
        )
    if name is not None and name not in found:
        raise UnknownName(f"no {what} {name!r}; {suggest(name, list(found))}")
    return next(iter(found)) if name is None else name
