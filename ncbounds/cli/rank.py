"""``ncbounds rank``."""

from pathlib import Path
from typing import Annotated

import typer

from ncbounds.cli.arguments import Format
from ncbounds.cli.console import check_format, echo, show, show_table, user_errors


def rank(
    run: Annotated[Path, typer.Argument(help="run folder of several checkpoints with test rows")],
    delta: Annotated[
        float,
        typer.Option(help="probability with which any order taken for known may be wrong"),
    ] = 0.05,
    out: Annotated[Path | None, typer.Option(help="csv file for the table")] = None,
    format: Format = None,
) -> None:
    """Show which bounds and measures order checkpoints as their errors do, and which do not.

    Counted are pairs whose order the test rows show; baselines are the label noise of the task and
    the number of labels used.
    """
    with user_errors():
        from ncbounds.files import write_text
        from ncbounds.report import load_report
        from ncbounds.tables.programs import csv_text

        check_format(format)
        found = load_report(run).rank(delta)
        if format is None:
            show(str(found))
        else:
            show_table(found.table(), format)
        if out is not None:
            write_text(out, csv_text(found.to_frame()))
            echo(f"written to {out}", err=format is not None)
