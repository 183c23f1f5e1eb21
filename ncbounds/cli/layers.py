"""``ncbounds layers``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncbounds.cli.arguments import (
    DATA,
    Arguments,
    Averaged,
    BatchSize,
    BestOf,
    DataArgs,
    DeclaredIgnoreLabel,
    DeclaredSampling,
    Device,
    Format,
    Head,
    Key,
    Limit,
    LoaderWorkers,
    Output,
    Parts,
    Precision,
    Repeats,
    Roles,
    Rows,
    SelectedAmong,
    Spec,
    Transform,
    Trust,
    ZooFile,
    choice,
    declared,
    model_arguments,
    running,
)
from ncbounds.cli.checkpoints import open_checkpoints
from ncbounds.cli.console import NOTHING, check_format, echo, show, show_table, user_errors

if TYPE_CHECKING:
    from ncbounds.data.manifest import Manifest
    from ncbounds.depth.layers import LayerReport


def layers(
    paths: Annotated[
        list[Path],
        typer.Argument(help="a zoo (folder or zoo.toml), or checkpoints: files, folders, patterns"),
    ],
    at: Annotated[
        list[str] | None,
        typer.Option(
            help="a module, or a pattern such as 'layer*' (default: outputs of blocks, which are "
            "found and shown); repeatable"
        ),
    ] = None,
    delta: Annotated[
        float, typer.Option(help="probability with which a statement may fail")
    ] = 0.05,
    simultaneous: Annotated[
        bool, typer.Option("--simultaneous", help="divide delta over the checkpoints")
    ] = False,
    eps: Annotated[
        float,
        typer.Option(
            help="early exit: what a probe may err more often than the network; fixed before the "
            "held-out rows are looked at"
        ),
    ] = 0.01,
    probe: Annotated[
        str, typer.Option(help="early exit: ridge or ncm, fixed before too")
    ] = "ridge",
    token: Annotated[
        str,
        typer.Option(
            help="of places with tokens: mean, class (the first), last, or a position; fixed "
            "before too"
        ),
    ] = "mean",
    out: Annotated[Path | None, typer.Option(help="folder for layers.json")] = None,
    store: Annotated[
        Path | None, typer.Option(help="folder that keeps the views (default: they are removed)")
    ] = None,
    format: Format = None,
    manifest: ZooFile = None,
    model: Spec = None,
    args: Arguments = "",
    key: Key = None,
    ema: Averaged = None,
    head: Head = None,
    output: Output = None,
    part: Parts = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="FILE.py:FUNCTION that returns {'fit': ..., 'holdout': ..., 'test': ...}, or a "
            "file with --role; for checkpoints that no zoo.toml describes",
            rich_help_panel=DATA,
        ),
    ] = None,
    data_args: DataArgs = "",
    transform: Transform = None,
    role: Rows = None,
    roles: Roles = None,
    sampling: DeclaredSampling = None,
    selected_among: SelectedAmong = None,
    best_of: BestOf = None,
    repeats: Repeats = None,
    ignore_label: DeclaredIgnoreLabel = None,
    trust: Trust = False,
    device: Device = "auto",
    precision: Precision = None,
    batch_size: BatchSize = None,
    workers_per_loader: LoaderWorkers = None,
    limit: Limit = None,
) -> None:
    """Show collapse from the input to the logits, and certify linear probes of every layer.

    Probes (nearest class mean, ridge) are fitted on the fit sample; limits of their errors hold for
    all layers at once; an early exit says from which layer on every probe is within --eps of the
    network, and a * marks probes that are shown to err less often than it. NC1 and CDNV stand
    beside them, from the input to the logits, all from one pass. Places with tokens are read at
    their mean, or at --token class, last or a position.
    """
    with user_errors():
        check_format(format)
        typed = declared(locals())
        picked = choice(key, ema, head, output, part)
        code: dict[str, Any] = {"model": model, "args": model_arguments(args), "trust": trust}
        book, names = open_checkpoints(paths, manifest, data, typed, picked, **code)
        show_layers(
            book,
            names,
            out,
            format,
            delta=delta,
            simultaneous=simultaneous,
            at=at or None,
            eps=eps,
            exit_probe=probe,
            token=token,
            store=store,
            running=running(device, precision, batch_size, workers_per_loader, limit, None),
        )


def show_layers(
    book: "Manifest",
    names: list[str],
    out: Path | None = None,
    format: str | None = None,
    **asked: Any,
) -> "dict[str, LayerReport]":
    """Show layers of checkpoints one after the other, and write them into a folder.

    With a format all of them are one table, which is printed in the end.

    A checkpoint of several that has none is named with the reason, on standard error.

    Raises
    ------
    typer.Exit
        If no checkpoint has layers.
    """
    from ncbounds.depth.curve import curve
    from ncbounds.depth.layers import layer_table
    from ncbounds.runs.layers import each_layers, write_layers

    reports = each_layers(
        book,
        names,
        done=lambda report: (
            None if format else show(f"\n{report.checkpoint}\n{report}\n\n{curve(report)}")
        ),
        failed=(lambda name, error: echo(f"{name}: {error}", err=True)) if names[1:] else None,
        say=lambda line: echo(line, err=True),
        **asked,
    )
    if not reports:
        raise typer.Exit(NOTHING)
    if format:
        show_table(layer_table(reports), format)
    if out is not None:
        echo(f"written to {write_layers(reports, out)}", err=format is not None)
    return reports
