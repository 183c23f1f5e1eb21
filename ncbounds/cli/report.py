"""``ncbounds report``, and how a report is shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncbounds.cli.arguments import Format, Verbose
from ncbounds.cli.console import (
    NOTHING,
    check_format,
    console,
    echo,
    show,
    show_table,
    user_errors,
)
from ncbounds.errors import NcboundsError, few, printable

if TYPE_CHECKING:
    from ncbounds.evidence.evidence import Evidence
    from ncbounds.report import Report

#: Heading of options that shape a table, in ``--help``.
TABLE = "Table"
#: Rows that are listed where no column shows any.
LISTED = 40


def report(
    runs: Annotated[list[Path], typer.Argument(help="run folders; several are merged")],
    out: Annotated[
        Path | None,
        typer.Option(help="where the tables are written (default: into the run, if it is one)"),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(help="checkpoints whose names match, as in 'run1/*'; nothing else is shown"),
    ] = None,
    verbose: Verbose = False,
    format: Format = None,
    rows: Annotated[
        str,
        typer.Option(
            help="lines: checkpoint, row (all bounds one under the other) or step (of series)",
            rich_help_panel=TABLE,
        ),
    ] = "checkpoint",
    columns: Annotated[
        str | None,
        typer.Option(
            help="with commas: test_error, titles of the screen, ids of bounds, n, NC1, facts of "
            "a manifest's group; with --rows row those of table.csv",
            rich_help_panel=TABLE,
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="what headings say: series, or a fact of a manifest's group (default: as on the "
            "screen; '': none)",
            rich_help_panel=TABLE,
        ),
    ] = None,
    kinds: Annotated[
        str,
        typer.Option(
            help="with commas: certificate, conditional, plug-in, measure", rich_help_panel=TABLE
        ),
    ] = "all",
    claim: Annotated[
        str | None,
        typer.Option(
            help="rows about this only: error, balanced, worst, a group", rich_help_panel=TABLE
        ),
    ] = None,
    over: Annotated[
        str | None,
        typer.Option(
            help="mean and standard deviation over what differs in this alone: a fact of a "
            "manifest's group, such as seed, or what names differ in, such as '-s[0-9]+'",
            rich_help_panel=TABLE,
        ),
    ] = None,
    width: Annotated[
        str,
        typer.Option(help="of LaTeX: text or column of article, or points", rich_help_panel=TABLE),
    ] = "text",
) -> None:
    """Write the tables and the page of a run again, or of several together, from stored results.

    With --format one table is printed alone, which the options under Table shape.
    """
    from ncbounds.report import load_report
    from ncbounds.report.merge import merged
    from ncbounds.report.write import write_report

    with user_errors():
        check_format(format)
        shape: dict[str, Any] = {
            "rows": rows,
            "columns": None if columns is None else _words(columns),
            "group": group,
            "kinds": "all" if kinds == "all" else _words(kinds),
            "claim": claim,
            "over": over,
            "width": _width(width),
        }
        _refuse_unshown(format, shape)
        found = {name: load_report(run) for name, run in _called(runs).items()}
        together, said = merged(found) if len(found) > 1 else (next(iter(found.values())), ())
        if only is not None:
            together = together.only(only)
        folder = out or (runs[0] if len(found) == 1 and only is None else None)
        written = write_report(together, folder) if folder else []
        show_report(together, verbose=verbose, format=format, **shape)
        aside = format is not None
        for line in said:
            echo(line, err=aside)
        if folder is None:
            kept = "nothing was written; --out FOLDER keeps the tables of these runs together"
        else:
            kept = f"written to {folder}: {', '.join(written)}"
        echo(kept, err=aside)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _width(text: str) -> str | float:
    """A width as it is typed: a word, or points."""
    if text in ("text", "column"):
        return text
    try:
        return float(text.removesuffix("pt"))
    except ValueError:
        raise NcboundsError(
            f"--width is text, column or a number of points such as 252, found {text!r}"
        ) from None


def _refuse_unshown(format: str | None, shape: dict[str, Any]) -> None:
    """Raise where a table is shaped that is not printed."""
    usual = {"rows": "checkpoint", "kinds": "all", "width": "text"}
    typed = [f"--{name}" for name, value in shape.items() if value != usual.get(name)]
    if typed and format is None:
        raise NcboundsError(
            f"{' and '.join(typed)} {'shapes' if len(typed) == 1 else 'shape'} a table that is "
            "printed alone: add --format text (or markdown, latex, html, csv, jsonl)"
        )


def _called(runs: Sequence[Path]) -> dict[str, Path]:
    """Runs by the names of their folders, or by their paths where two are called the same."""
    folders = list({run.resolve(): run for run in runs}.values())
    names = [folder.resolve().name for folder in folders]
    return dict(zip(names if len({*names}) == len(names) else map(str, folders), folders))


def _listed(report: "Report") -> str:
    """The first rows, one a line."""
    from ncbounds.report.cells import shown_params, shown_value
    from ncbounds.results import MARK

    lines = [
        f"  {MARK[r.kind]} {shown_value(r):>8}  {r.checkpoint} {r.bound} [{r.role}, {r.target}] "
        f"{shown_params(r)}".rstrip()
        for r in report.rows[:LISTED]
    ]
    more = len(report.rows) - LISTED
    return "\n".join([*map(printable, lines), *([f"  ... {more} more"] if more > 0 else []), ""])


def show_report(
    report: "Report",
    *,
    series: bool = True,
    verbose: bool = False,
    format: str | None = None,
    **shape: Any,
) -> None:
    """Print the table of a report, series along their steps, and what could not be evaluated.

    ``verbose`` adds what stands behind the rows: heads, outputs, devices, seconds. With a format
    one table is printed alone, of the shape that :meth:`Report.table` takes.
    """
    from rich.text import Text

    from ncbounds.report.compact import used
    from ncbounds.report.side_by_side import MANY, without_earlier_steps
    from ncbounds.report.steps import steps_of
    from ncbounds.report.tabulated import tabulated
    from ncbounds.report.views.behind import behind
    from ncbounds.report.views.screen import caption, table

    if format is not None:
        show_table(tabulated(report, **({"kinds": "all"} | shape)), format)
        return
    if report.rows:
        along = steps_of(report)
        width = console().width
        shown = without_earlier_steps(report, along) if len(along) >= MANY else report
        show(table(shown, width))
        if not used(report):  # bounds that have no column were asked for
            show(_listed(report))
        show(Text(caption(report, width), "dim"))
        if series:
            show_series(report)
        if verbose:
            show("\n".join(["", *behind(report, width)]))
    present = {r.checkpoint for r in report.rows}
    failed: dict[tuple[str, str], list[str]] = {}  # one mistake may stop every checkpoint alike
    for failure in report.failures:
        what = (
            "failed, its rows are of before" if failure.checkpoint in present else "not evaluated"
        )
        failed.setdefault((what, failure.reason), []).append(failure.checkpoint)
    for (what, reason), names in failed.items():
        called = few(names) if len(names) > 1 else names[0]
        show(printable(f"{what}: {called}: {reason}"))


def show_series(report: "Report") -> None:
    """Print series along their steps, and what can be said of them."""
    from ncbounds.report.views.series import series_lines

    if lines := series_lines(report, console().width):
        show("\n".join(lines))


def evaluate_and_show(
    evidence: "Evidence",
    bounds: str,
    delta: float,
    simultaneous: bool,
    out: Path | None,
    said: str = "",
) -> None:
    """Evaluate one evidence, print its table and a line under it, and write the tables.

    Raises
    ------
    typer.Exit
        If there is no row.
    """
    from ncbounds.evaluation.evaluate import evaluate
    from ncbounds.evaluation.facts import facts_of
    from ncbounds.report import Report
    from ncbounds.report.write import write_report

    rows = evaluate(evidence, bounds, delta, simultaneous)
    facts = {evidence.checkpoint: facts_of(evidence)}
    found = Report(rows.rows, facts=facts, simultaneous=simultaneous, planned=rows.planned)
    show_report(found)
    if said:
        echo(said)
    if out is not None:
        echo(f"written to {out}: {', '.join(write_report(found, out))}")
    if not found.rows:
        raise typer.Exit(NOTHING)
