"""Figures of a report, as axes of matplotlib."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ncbounds.comparison.rank import rank
from ncbounds.depth.layers import LayerReport
from ncbounds.errors import NcboundsError, UnknownName, few, suggest
from ncbounds.evidence.class_pairs import ClassPairs
from ncbounds.evidence.margin_curves import MarginCurves
from ncbounds.report.data import ReportData
from ncbounds.report.plot.bounds import draw_bounds_vs_error, draw_terms
from ncbounds.report.plot.display import BoundDisplay
from ncbounds.report.plot.layers import draw_layers
from ncbounds.report.plot.margins import draw_margins
from ncbounds.report.plot.pairs import draw_pairs
from ncbounds.report.plot.ranking import draw_ranking
from ncbounds.report.plot.series import draw_series
from ncbounds.report.steps import steps_of
from ncbounds.report.trend import words_of
from ncbounds.results import BoundResult

if TYPE_CHECKING:
    from numpy.typing import NDArray


#: How what a run of an earlier version did not keep comes about.
AGAIN = "`ncbounds evaluate` on the same files again, with this version,"


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

    def bounds(
        self,
        checkpoint: str | None = None,
        kinds: Sequence[str] = ("certificate", "conditional", "plug-in"),
        ax: Any = None,
    ) -> Any:
        """Draw the bounds of one checkpoint, one a line, beside measured errors.

        :class:`ncbounds.BoundDisplay` draws them, and says what is raised.

        Returns
        -------
        matplotlib axes
        """
        return BoundDisplay.from_report(self._report, checkpoint, kinds=kinds, ax=ax).ax_

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

    def margins(self, checkpoint: str | None = None, ax: Any = None) -> Any:
        """Draw how margins of one checkpoint are distributed, a curve for each sample.

        Margins are those of the saved head, in units of the median absolute margin of the training
        points, so that heads of any scale can be compared. A point is an error iff its margin is
        not positive: where a curve crosses 0 is the error.

        Parameters
        ----------
        checkpoint : str, optional
            Which one, if the report has several.
        ax : matplotlib axes, optional

        Returns
        -------
        matplotlib axes

        Raises
        ------
        MissingExtra
            Without matplotlib.
        NcboundsError
            If margins of none were kept, or of several and none is named.
        """
        name, stored = self._kept("margins", checkpoint)
        rates = self._report.facts[name].get("error_rates", {})
        return draw_margins(MarginCurves.from_dict(stored), rates, name, ax)

    def pairs(
        self,
        checkpoint: str | None = None,
        of: str = "confusion",
        role: str | None = None,
        ax: Any = None,
    ) -> Any:
        """Draw pairs of classes of one checkpoint: what is taken for what, or how classes lie.

        Parameters
        ----------
        checkpoint : str, optional
            Which one, if the report has several.
        of : {"confusion", "means", "head"}
            Answers by true class, of more than 100 classes the worst pairs with their limits; or
            cosines of centred class means of the training points, or of centred head rows.
        role : {"holdout", "test"}, optional
            Whose answers; by default those of holdout, or else of test.
        ax : matplotlib axes, optional

        Returns
        -------
        matplotlib axes

        Raises
        ------
        MissingExtra
            Without matplotlib.
        UnknownName
            If there is no such checkpoint, or ``of`` is none of these.
        NcboundsError
            If they were not kept, or those of several and none is named.
        """
        name, stored = self._kept("class_pairs", checkpoint)
        names = self._report.facts[name].get("classes", [])
        return draw_pairs(ClassPairs.from_dict(stored), names, name, of, role, ax)

    def ranking(self, delta: float = 0.05, ax: Any = None) -> Any:
        """Draw which bounds and measures order checkpoints as their errors do: sign errors.

        Parameters
        ----------
        delta : float in (0, 1)
            As in ``report.rank``.
        ax : matplotlib axes, optional

        Returns
        -------
        matplotlib axes

        Raises
        ------
        MissingExtra
            Without matplotlib.
        MissingEvidence
            If fewer than two checkpoints have a measured error.
        NcboundsError
            If too few pairs are resolved.
        """
        return draw_ranking(rank(self._report.rows, self._report.facts, delta), ax)

    def _kept(self, what: str, checkpoint: str | None) -> tuple[str, Any]:
        """Name of the checkpoint that is meant, and what is kept of it."""
        facts = self._report.facts
        found = {n: f[what] for n, f in facts.items() if f.get(what)}
        if checkpoint in facts and checkpoint not in found:
            raise NcboundsError(
                f"no {what.replace('_', ' ')} of {checkpoint} are kept: {AGAIN} keeps them where a "
                "head is known"
            )
        name = _one(found, checkpoint, "checkpoint", AGAIN)
        return name, found[name]


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
