"""``ncbounds report``, and how a report is shown."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ncbounds.cli.console import console, user_errors

if TYPE_CHECKING:
    from ncbounds.report import Report


def report(run: Annotated[Path, typer.Argument(help="a run folder")]) -> None:
    """Write the tables and the page of a run again, from its stored results."""
    from ncbounds.report import load_report
    from ncbounds.report.write import write_report

    with user_errors():
        found = load_report(run)
        written = write_report(found, run)
        show(found)
        typer.echo(f"written to {run}: {', '.join(written)}")


def show(report: "Report") -> None:
    """Print the table of a report and what could not be evaluated."""
    from ncbounds.report.views.screen import caption, table

    screen = console()
    if report.rows:
        screen.print(table(report))
        screen.print(caption(report), markup=False, highlight=False, style="dim")
    present = {r.checkpoint for r in report.rows}
    for failure in report.failures:
        what = "evaluated in part" if failure.checkpoint in present else "not evaluated"
        screen.print(f"{what}: {failure.checkpoint}: {failure.reason}", markup=False)
