"""The long table: one row per checkpoint, bound, sample and parameters."""

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ncbounds.comparison.comparison import Comparison, compared
from ncbounds.comparison.rank import Ranking, rank
from ncbounds.comparison.stored import judged_beside, stored_candidates
from ncbounds.errors import InvalidArgument, NcboundsError, UnknownName, suggest
from ncbounds.files import read_sealed, write_text
from ncbounds.report.cells import shown_params, shown_value
from ncbounds.report.columns import frame
from ncbounds.report.data import Failure, ReportData
from ncbounds.report.grouping import Named
from ncbounds.report.legend import legend
from ncbounds.report.plot import Plots
from ncbounds.report.steps import frame as series_frame
from ncbounds.report.tabulated import tabulated
from ncbounds.report.trend import Word, words_of
from ncbounds.report.views import VIEWS
from ncbounds.report.views.html import fragment
from ncbounds.report.whatif import whatif
from ncbounds.results import MARK, BoundResult, Row, result_from_dict
from ncbounds.tables import FORMATS, written

if TYPE_CHECKING:
    import pandas as pd


class Report(ReportData):
    """Results of one or many checkpoints, and every way to write them.

    Attributes
    ----------
    rows : tuple of results
    failures : tuple of Failure
    facts : dict from checkpoint to what is known about it
        Group, sizes, head, collapse metrics, provenance; margins and pairs of classes may be made
        when they are read.
    simultaneous : bool
        Whether delta was divided over all rows, so that they hold together.
    planned : int
        Number of rows that delta is, or would be, divided over; 0 if it is not known.
    plan : str
        Hash of what was to be computed, which parts of one run have in common; empty if it is not
        known.
    left_out : dict from role to number of checkpoints
        Those judged on such rows that :meth:`only` has left out, for which comparisons pay.
    """

    def __getitem__(self, bound: str) -> "Report":
        """Return the rows of one bound."""
        kept = [r for r in self.rows if r.bound == bound]
        if not kept:
            names = sorted({r.bound for r in self.rows})
            raise UnknownName(f"no rows of bound {bound!r}; {suggest(bound, names)}")
        return replace(self, rows=tuple(kept), failures=(), plan="")

    def only(self, pattern: str) -> "Report":
        """Return what is about the checkpoints whose names match, as in ``"run1/*"``.

        Raises
        ------
        UnknownName
            If none does, with the nearest name.
        """
        named = {r.checkpoint for r in self.rows} | {f.checkpoint for f in self.failures}
        kept = {name for name in named if fnmatchcase(name, pattern)}
        if not kept:
            raise UnknownName(
                f"no checkpoint matches {pattern!r}; {suggest(pattern, sorted(named))}"
            )
        judged = {role for facts in self.facts.values() for role in facts.get("errors", {})}
        before = self.left_out
        return replace(
            self,
            rows=tuple(r for r in self.rows if r.checkpoint in kept),
            failures=tuple(f for f in self.failures if f.checkpoint in kept),
            facts={name: facts for name, facts in self.facts.items() if name in kept},
            plan="",
            left_out={r: judged_beside(self.facts, kept, r) + before.get(r, 0) for r in judged},
        )

    def best_certificate(self, checkpoint: str | None = None) -> BoundResult:
        """Smallest certificate about the saved classifier.

        Raises
        ------
        NcboundsError
            If rows do not hold together (each spent its own delta), if they speak about errors
            with different class weights, or if there is no certificate.
        """
        found = [
            r
            for r in self.rows
            if isinstance(r, BoundResult)
            and r.kind == "certificate"
            and r.target == "saved"
            and r.of_error
            and (checkpoint is None or r.checkpoint == checkpoint)
        ]
        if len(found) > 1 and not self.simultaneous:
            raise NcboundsError(
                f"the smallest of {len(found)} certificates that each hold with their own delta is "
                "no certificate; evaluate with simultaneous=True (--simultaneous)"
            )
        if len(errors := {r.qualifier or "error of one class a point" for r in found}) > 1:
            raise NcboundsError(
                f"certificates about different errors, {' and '.join(sorted(errors))}: name one "
                "checkpoint, best_certificate(checkpoint)"
            )
        claims: dict[tuple[float, ...], str] = {}
        for r in found:
            claims.setdefault(tuple(np.round(r.details.get("weights", ()), 9)), r.bound)
        if len(claims) > 1:
            about = "; ".join(
                f"{bound}: {', '.join(f'{w:.3g}' for w in weights) or 'those of the law'}"
                for weights, bound in claims.items()
            )
            raise NcboundsError(
                f"certificates with different class weights ({about}) are not about the same error;"
                f" take them bound by bound: report[{found[0].bound!r}].best_certificate()"
            )
        if not found:
            raise NcboundsError("no certificate about the saved classifier in this report")
        return min(found, key=lambda r: r.value)

    def whatif(self, *, n: int | None = None, delta: float | None = None) -> "Report":
        """Return rows as they would be with ``n`` points or another ``delta``.

        Only rows whose value follows from n, delta and reported terms; measured terms (an error
        rate, a Gibbs loss at the reported posterior) are kept as they are, so a new row is a
        plug-in and says so. At its own n and delta a row has its own value. Rows that rest on
        quantities that another sample would change are left out; ``failures`` says why.

        Parameters
        ----------
        n : int, optional
            Number of points that the row's confidence term divides by, the row's ``n``; for a row
            that counts held-out points, as many points for the same head.
        delta : float in (0, 1), optional

        Raises
        ------
        InvalidSample
            If n or delta is impossible.
        """
        rows, left_out = whatif(self.rows, n=n, delta=delta)
        found = Report(rows, [*self.failures, *left_out], self.facts)
        return replace(found, left_out=self.left_out)

    def compare(self, *names: str, role: str = "holdout", **options: Any) -> Comparison:
        """Compare checkpoints on the same rows, from the errors that their run has kept.

        Parameters
        ----------
        *names : str
            Checkpoints; by default all that were judged on such rows. Some of these may have been
            picked by looking at the report, so that delta is shared by the pairs of all;
            ``among=2`` says of two that they were named before.
        role : str
            Another one than ``"holdout"`` makes plug-ins.
        **options
            ``delta``, ``requirement``, ``in_order``, ``chosen``, ``among`` of
            :func:`ncbounds.compare`.

        Raises
        ------
        UnknownName
            If there is no checkpoint of a name.
        MissingEvidence
            If no errors are kept.
        InvalidSample
            If two were judged on different rows, with what differs.
        """
        found = stored_candidates(self.facts, names, role)
        beside = judged_beside(self.facts, [c.name for c in found], role)
        beside += self.left_out.get(role, 0)
        return compared(found, **{"beside": beside, **options})

    def rank(self, delta: float = 0.05) -> Ranking:
        """Rank bounds and measures by how they order checkpoints whose order is known.

        Parameters
        ----------
        delta : float in (0, 1)
            Probability with which any order that is taken for known may be wrong.

        Raises
        ------
        MissingEvidence
            If fewer than two checkpoints have a measured error.
        """
        return rank(self.rows, self.facts, delta)

    def table(
        self,
        rows: str = "checkpoint",
        columns: Sequence[str] | None = None,
        group: Named | None = None,
        kinds: str | Iterable[str] = ("certificate",),
        claim: str | None = None,
        format: str = "frame",
        *,
        over: Named | None = None,
        caption: str | None = None,
        label: str = "tab:ncbounds",
        width: str | float = "text",
        path: "str | Path | None" = None,
    ) -> Any:
        r"""Make a table for a paper, a notebook or a program.

        Parameters
        ----------
        rows : {"checkpoint", "row", "step"}
            One line a checkpoint with bounds side by side, one line a row of the report, or one
            line a step of each series (for which ``columns`` to ``claim`` and ``over`` say
            nothing).
        columns : sequence of str, optional
            Of a table of checkpoints: ``"test_error"``, titles of the screen (``"held out"``), ids
            of bounds, ``"n"``, ``"NC1"``, ``"step"``, facts of ``group`` in a manifest; by default
            the measured error and what the screen has. Of a table of rows: names of
            :meth:`to_frame`.
        group : str, mapping or callable, optional
            Headings that checkpoints stand under: ``"series"``, a fact of ``group`` in a manifest,
            or the heading of each checkpoint by its name; by default those of the screen, none for
            an empty string.
        kinds : "all", a kind or several
            Rows of other kinds are left out.
        claim : str, optional
            Only rows about this claim, ``"error"``, ``"balanced"``, ``"worst"``, ..., each beside
            its own measured error.
        format : str
            ``"frame"``, ``"style"`` (a styled frame), ``"markdown"``, ``"latex"``, ``"html"``,
            ``"csv"``, ``"jsonl"``, ``"text"``, or one of your own
            (:class:`ncbounds.tables.TableFormat`).
        over : str, mapping or callable, optional
            One line a lot of checkpoints that differ in this alone, with mean and standard
            deviation: a fact of ``group`` such as ``"seed"``, a regular expression for the part of
            the names that differs (``r"-s\d+"``), or each one's lot by its name. A mean of
            certificates is no certificate, and is marked as none.
        caption, label : str, optional
            Of LaTeX and HTML.
        width : {"text", "column"} or float
            What LaTeX has room for: the text or a column of ``article``, or so many points.
        path : path, optional
            File that a text is written to as well.

        Raises
        ------
        UnknownName
            If there is no such line, column, fact, kind, claim or format, with the nearest name.
        MissingEvidence
            If there is no series that has steps.
        InvalidArgument
            If ``over`` leaves every checkpoint on a line of its own, or a file is to hold a frame.
        """
        made = tabulated(
            self, rows, columns, group, kinds, claim, over=over,
            caption=caption, label=label, width=width,
        )  # fmt: skip
        if path is not None and not FORMATS[format].text:
            raise InvalidArgument(
                f"format {format!r} is an object, no text that {path} could hold; name one, as in "
                "format='csv'"
            )
        found = written(made, format)
        if path is not None:
            write_text(Path(path), found)
        return found

    def render(self, view: str, path: "str | Path | None" = None) -> str:
        """Write (and return) one view by its name, e.g. ``"table.tex"``; also one of your own.

        Raises
        ------
        UnknownName
            With the nearest known name.
        """
        text = VIEWS[view].render(self)
        if path is not None:
            write_text(Path(path), text)
        return text

    def to_frame(self) -> "pd.DataFrame":
        """Return a frame of all columns; a failed checkpoint is one row with its reason."""
        return frame(self)

    def series(self) -> "pd.DataFrame":
        """Return a frame with one row a step of each series; empty where there is no series.

        Columns are those of :class:`~ncbounds.report.steps.Step`, in order; numbers of a run's own
        log follow as ``log_NAME``.
        """
        return series_frame(self)

    def words(self) -> tuple[Word, ...]:
        """What can be said of series: still collapsing, stalled, indistinguishable from the last.

        Values of the types of :mod:`ncbounds.report.trend`; ``str`` writes them as a sentence.
        """
        return tuple(words_of(self))

    @property
    def plot(self) -> Plots:
        """Figures, as axes of matplotlib, e.g. ``report.plot.bounds_vs_error()``."""
        return Plots(self)

    def to_csv(self, path: "str | Path | None" = None) -> str:
        """Write (and return) :meth:`to_frame` as CSV with full precision."""
        return self.render("table.csv", path)

    def to_markdown(self, path: "str | Path | None" = None) -> str:
        """Write (and return) a table of one line a checkpoint, as Markdown."""
        return self.render("table.md", path)

    def to_latex(self, path: "str | Path | None" = None) -> str:
        """Write (and return) a booktabs table of one line a checkpoint.

        It compiles in a document that loads ``booktabs``, ``longtable`` and ``amssymb``, and is no
        wider than the text of ``article``; :meth:`table` makes others.
        """
        return self.render("table.tex", path)

    def to_html(self, path: "str | Path | None" = None) -> str:
        """Write (and return) one self-contained page, which loads nothing from outside."""
        return self.render("report.html", path)

    def to_json(self, path: "str | Path | None" = None) -> str:
        """Write (and return) everything as JSON; :func:`ncbounds.load_report` reads it back."""
        return self.render("report.json", path)

    def to_screen(self, path: "str | Path | None" = None) -> str:
        """Write (and return) the compact table with its caption as plain text."""
        return self.render("screen", path)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Report":
        """Rebuild a report from :meth:`to_dict`."""
        return cls(
            [result_from_dict(r) for r in data["rows"]],
            [_failure(f) for f in data["failures"]],
            data["facts"],
            simultaneous=data["simultaneous"],
            planned=data.get("planned", 0),
            plan=str(data.get("plan", "")),
            left_out=data.get("left_out", {}),
        )

    def __repr__(self) -> str:
        names = {r.checkpoint for r in self.rows}
        many = "checkpoint" if len(names) == 1 else "checkpoints"
        head = f"Report: {len(self.rows)} rows, {len(names)} {many}"
        lines = [
            f"  {MARK[r.kind]} {shown_value(r):>8}  {r.bound} {shown_params(r)} "
            f"[{r.role}, {_claimed(r)}]"
            for r in self.rows[:40]
        ]
        more = [f"  ... {len(self.rows) - 40} more"] if len(self.rows) > 40 else []
        return "\n".join([head, *lines, *more, legend()])

    def _repr_html_(self) -> str:
        return fragment(self)


def _claimed(r: Row) -> str:
    """Whose error a row is about, and which error where its parameters do not say so."""
    said = r.params.get("loss") or r.params.get("per") or not r.qualifier
    return r.target if said else f"{r.target}: {r.qualifier}"


def _failure(found: Mapping[str, Any]) -> Failure:
    series, step = str(found.get("series", "")), float(found.get("step", np.nan))
    return Failure(str(found["checkpoint"]), str(found.get("reason", "")), series, step)


def load_report(path: "str | Path") -> Report:
    """Read back ``report.json`` of a run folder, or such a file.

    Raises
    ------
    NcboundsError
        If there is none, or it is not what was written.
    """
    path = Path(path)
    path = path / "report.json" if path.is_dir() else path
    if path.name != "report.json" and VIEWS.find(path.name) is not None:
        raise NcboundsError(
            f"{path} is a table that a run wrote, without all that is known of its rows; name the "
            f"run folder: ncbounds report {shlex.quote(str(path.parent))}"
        )
    if not os.path.lexists(path):
        raise NcboundsError(f"no stored report at {path}; run `ncbounds evaluate` first")
    try:
        found = read_sealed(path)
        if found is None:
            raise ValueError("it is damaged, or was changed after it was written")
        return Report.from_dict(found)
    except (NcboundsError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise NcboundsError(
            f"{path} is no stored report: {error}; run `ncbounds evaluate` again, which keeps what "
            "was computed"
        ) from None
