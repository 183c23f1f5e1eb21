"""``ncbounds shift``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ncbounds.cli.arguments import (
    DATA,
    Arguments,
    BatchSize,
    DataArgs,
    Decision,
    DeclaredIgnoreLabel,
    DeclaredSampling,
    Device,
    Names,
    Repeats,
    Roles,
    Rows,
    SelectedAmong,
    Spec,
    TableClasses,
    Transform,
    Trust,
    Use,
    ZooFile,
    class_priors,
    declared,
    model_arguments,
    running,
)
from ncbounds.cli.checkpoints import open_checkpoints, picked_of
from ncbounds.cli.compare import of_tables
from ncbounds.cli.console import echo, show, user_errors


def shift(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="tables of predictions (csv, tsv, parquet, npz), one a classifier; or checkpoints "
            "with --data, or a zoo; with holdout rows, and rows of role target for --label-shift"
        ),
    ],
    new_priors: Annotated[
        str | None,
        typer.Option(help="class proportions of the target: balanced, or 0.5,0.3,0.2"),
    ] = None,
    radius: Annotated[
        list[float] | None,
        typer.Option(help="also all proportions so near in total variation; repeatable"),
    ] = None,
    label_shift: Annotated[
        bool,
        typer.Option(
            "--label-shift",
            help="your declaration: inside each class, predictions have the same law on the target",
        ),
    ] = False,
    delta: Annotated[
        float, typer.Option(help="probability with which each statement may be wrong")
    ] = 0.05,
    only: Annotated[
        list[str] | None, typer.Option(help="of a zoo: a checkpoint (default: all); repeatable")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="csv file for the table")] = None,
    use: Use = None,
    classes: TableClasses = None,
    name: Names = None,
    manifest: ZooFile = None,
    model: Spec = None,
    args: Arguments = "",
    data: Annotated[
        str | None,
        typer.Option(
            help="for checkpoints: as for evaluate, with a part called target", rich_help_panel=DATA
        ),
    ] = None,
    data_args: DataArgs = "",
    transform: Transform = None,
    role: Rows = None,
    roles: Roles = None,
    sampling: DeclaredSampling = None,
    selected_among: SelectedAmong = None,
    repeats: Repeats = None,
    ignore_label: DeclaredIgnoreLabel = None,
    decision: Decision = None,
    trust: Trust = False,
    device: Device = "auto",
    batch_size: BatchSize = None,
) -> None:
    """Limit errors on a target of other class proportions, or without any labels.

    Held-out rows judge the source; what they say of a target rests on what is declared to be
    unchanged, and is printed as refuted where the target's rows speak against it.
    """
    with user_errors():
        from ncbounds.comparison.shift import shifted
        from ncbounds.files import write_text
        from ncbounds.runs.compare import evidences
        from ncbounds.runs.predictions import is_predictions
        from ncbounds.tables.programs import csv_text

        typed = declared(locals())
        if data is None and manifest is None and all(map(is_predictions, paths)):
            found = of_tables(paths, typed, use=use, labels=None, classes=classes)
        else:
            code: dict[str, Any] = {"model": model, "args": model_arguments(args), "trust": trust}
            book, names = open_checkpoints(paths, manifest, data, typed, {}, **code)
            how = running(device, None, batch_size, None, None, None)
            found = evidences(book, picked_of(names, only), how)
        answer = shifted(
            found,
            priors=class_priors(new_priors),
            radius=radius or (),
            label_shift_declared=label_shift,
            delta=delta,
        )
        show(str(answer))
        if out is not None:
            write_text(out, csv_text(answer.to_frame()))
            echo(f"written to {out}")
