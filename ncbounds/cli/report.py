"""``ncbounds report``, and how a report is shown."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ncbounds.cli.console import echo, show, user_errors
from ncbounds.errors import printable

if TYPE_CHECKING:
    from ncbounds.report import Report


def report(run: Annotated[Path, typer.Argument(help="a run folder")]) -> None:
    """Write the tables and the page of a run again, from its stored results."""
    from ncbounds.report import load_report
    from ncbounds.report.write import write_report

    with user_errors():
        found = load_report(run)
        written = write_report(found, run)
        show_report(found)
        echo(f"written to {run}: {', '.join(written)}")


def show_report(report: "Report") -> None:
    """Print the table of a report and what could not be evaluated."""
    from rich.text import Text

    from ncbounds.report.views.screen import caption, table

    if report.rows:
        show(table(report))
        show(Text(caption(report), "dim"))
    present = {r.checkpoint for r in report.rows}
    for failure in report.failures:
        what = "evaluated in part" if failure.checkpoint in present else "not evaluated"
        show(printable(f"{what}: {failure.checkpoint}: {failure.reason}"))
