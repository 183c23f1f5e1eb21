"""``ncbounds report``, and how a report is shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ncbounds.cli.arguments import Verbose
from ncbounds.cli.console import NOTHING, console, echo, show, user_errors
from ncbounds.errors import few, printable

if TYPE_CHECKING:
    from ncbounds.evidence.evidence import Evidence
    from ncbounds.report import Report

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
) -> None:
    """Write the tables and the page of a run again, or of several together, from stored results."""
    from ncbounds.report import load_report
    from ncbounds.report.merge import merged
    from ncbounds.report.write import write_report

    with user_errors():
        found = {name: load_report(run) for name, run in _called(runs).items()}
        together, said = merged(found) if len(found) > 1 else (next(iter(found.values())), ())
        if only is not None:
            together = together.only(only)
        folder = out or (runs[0] if len(found) == 1 and only is None else None)
        written = write_report(together, folder) if folder else []
        show_report(together, verbose=verbose)
        for line in said:
            echo(line)
        if folder is None:
            echo("nothing was written; --out FOLDER keeps the tables of these runs together")
        else:
            echo(f"written to {folder}: {', '.join(written)}")


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


def show_report(report: "Report", *, series: bool = True, verbose: bool = False) -> None:
    """Print the table of a report, series along their steps, and what could not be evaluated.

    ``verbose`` adds what stands behind the rows: heads, outputs, devices, seconds.
    """
    from rich.text import Text

    from ncbounds.report.compact import used
    from ncbounds.report.side_by_side import MANY, without_earlier_steps
    from ncbounds.report.steps import steps_of
    from ncbounds.report.views.behind import behind
    from ncbounds.report.views.screen import caption, table

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
