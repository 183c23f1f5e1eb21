"""``ncbounds evaluate-losses``."""

from pathlib import Path
from typing import Annotated

import typer

from ncbounds.cli.arguments import (
    DATA,
    Bounds,
    Delta,
    Repeats,
    Sampling,
    Simultaneous,
    TableRole,
    TableRoles,
    best_among,
    candidates,
    chosen_of,
    of_each_role,
    role_names,
)
from ncbounds.cli.console import user_errors
from ncbounds.cli.report import evaluate_and_show


def evaluate_losses(
    file: Annotated[
        Path,
        typer.Argument(
            help="csv, tsv, parquet or npz with a column of losses in [0, 1] (true and false: "
            "wrong and right); 'role', 'id' and 'label' if there"
        ),
    ],
    column: Annotated[
        str | None, typer.Option(help="name of the column (default: loss)", rich_help_panel=DATA)
    ] = None,
    role: TableRole = None,
    roles: TableRoles = None,
    bounds: Bounds = "default",
    delta: Delta = 0.05,
    simultaneous: Simultaneous = False,
    sampling: Sampling = "unknown",
    selected_among: Annotated[
        list[str] | None,
        typer.Option(
            help="how many models could have been picked by comparing them, a list fixed before; a "
            "number, or ROLE=NUMBER for the sample that they were compared on",
            rich_help_panel=DATA,
        ),
    ] = None,
    best_of: Annotated[
        int,
        typer.Option(
            help="this is the best, on the holdout sample, of so many models", rich_help_panel=DATA
        ),
    ] = 1,
    repeats: Repeats = None,
    name: Annotated[str | None, typer.Option(help="of the model (default: the file's)")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the tables and the page")] = None,
) -> None:
    """Bound the mean of any loss between 0 and 1: of a tagger, a detector, a regression, ..."""
    with user_errors():
        from ncbounds.data.prediction_file import read_losses
        from ncbounds.evidence.evidence import Evidence

        found = read_losses(file, column)
        among = best_among(candidates(selected_among or []), chosen_of(best_of))
        evidence = Evidence.from_losses(
            **found.by_role(role, role_names(roles) if roles else {}),
            name=column or "loss",
            sampling=sampling,
            selected_among=of_each_role(among),
            repeats=repeats,
            checkpoint=name or file.stem,
            provenance={"losses": str(file.name), "columns": found.said},
        )
        said = f"taken from {file}: {found.said}"
        evaluate_and_show(evidence, bounds, delta, simultaneous, out, said)
