"""``ncbounds watch``."""

import time
from pathlib import Path
from typing import Annotated

import typer

from ncbounds.cli.arguments import DATA, Sampling
from ncbounds.cli.console import echo, show, user_errors
from ncbounds.errors import NcboundsError


def watch(
    file: Annotated[
        Path,
        typer.Argument(
            help="csv, tsv or parquet: 'label' and 'predicted' (or 'wrong'), 'id' if there, rows "
            "in the order in which they are labelled; labels to come are empty"
        ),
    ],
    goal: Annotated[
        float | None, typer.Option(help="say when the error is shown to be at most so much")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="column of another classifier's predictions: is the first one better?"),
    ] = None,
    delta: Annotated[
        float, typer.Option(help="probability with which any look, ever, may be wrong")
    ] = 0.05,
    sampling: Sampling = "unknown",
    selected_among: Annotated[
        int,
        typer.Option(
            help="how many classifiers could have been picked by comparing them on these labels, a "
            "list fixed before",
            rich_help_panel=DATA,
        ),
    ] = 1,
    follow: Annotated[
        float | None,
        typer.Option(
            help="read the file again every so many seconds, until the goal is reached",
            rich_help_panel=DATA,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="csv file for all looks")] = None,
) -> None:
    """Limit an error rate while rows are labelled: the limit holds at every look.

    The order of the rows is drawn at random before labelling, nobody picks the next one, and a row
    that cannot be labelled is an error.
    """
    with user_errors():
        from ncbounds.comparison.looks import anytime
        from ncbounds.data.label_file import read_labelled
        from ncbounds.files import write_text
        from ncbounds.results import MARK
        from ncbounds.tables.programs import csv_text

        if follow is not None and not follow > 0:
            raise NcboundsError(f"--follow is a number of seconds above 0, found {follow:g}")
        before: tuple[int, int] | None = None
        while True:
            rows = read_labelled(file, against)
            now = (len(rows.wrong), int(rows.wrong.sum()))
            if now != before:
                found = anytime(
                    rows.wrong,
                    against=rows.against,
                    delta=delta,
                    sampling=sampling,
                    selected_among=selected_among,
                    ids=rows.ids,
                    unlabelled=rows.passed_over,
                )
                show(str(found))
                if out is not None:
                    write_text(out, csv_text(found.to_frame()))
            before = now
            at = None if goal is None else found.reached(goal)
            if at is not None:
                echo(f"{MARK[found.kind]} at most {goal:g}: shown after {at:,} rows")
            elif goal is not None and follow is None:
                echo(f"at most {goal:g}: not shown yet; {rows.waiting:,} rows wait for a label")
            if follow is None or at is not None:
                return
            time.sleep(follow)
