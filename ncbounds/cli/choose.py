"""``ncbounds choose``."""

from pathlib import Path
from typing import Annotated

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
    declarations,
    declared,
    model_arguments,
    running,
)
from ncbounds.cli.console import check_format, echo, show, show_table, user_errors


def choose(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="pretrained checkpoints: files, folders, patterns; or a zoo (folder or zoo.toml)"
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="rows of the new task: FILE.py:FUNCTION that returns {'holdout': (inputs, "
            "labels), 'test': ...}, or a file with --role",
            rich_help_panel=DATA,
        ),
    ],
    layers: Annotated[
        str,
        typer.Option(help="all (outputs of blocks are found), or modules and patterns with commas"),
    ] = "all",
    heads: Annotated[
        str, typer.Option(help="what may be fitted on a layer, with commas")
    ] = "ncm,ridge,logistic",
    delta: Annotated[
        float, typer.Option(help="probability with which a statement may fail")
    ] = 0.05,
    share: Annotated[
        float,
        typer.Option(
            help="of the rows that heads are fitted on, fixed beforehand; 0.3 for one network "
            "that is known to be collapsed"
        ),
    ] = 0.5,
    out: Annotated[
        Path | None, typer.Option(help="folder for the page, the tables and the chosen head")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="folder that keeps the features (default: removed)")
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
) -> None:
    """Choose which layer of which checkpoint to tap for a new task, with a certificate.

    Heads are fitted on half of the labelled rows at every layer, on raw inputs, and on untrained
    copies; five are shortlisted there by leave-one-out error, and the one with the fewest errors on
    the other half is certified, at delta over the number of the shortlisted. Beside it stand the
    regret within the shortlist, what the certificate is worth in labels, and whether the choice is
    shown to beat raw inputs, an untrained network and its own last layer. --out writes the tables
    and head.npz, which nb.load_chosen puts back on its network. What the scores are: `ncbounds
    explain logme`.
    """
    with user_errors():
        from ncbounds.runs.choose import choose_files

        check_format(format)
        said = declarations(declared(locals()))
        del said["names"]
        how = running(device, precision, batch_size, None, None, None)
        several = len(paths) > 1 or any(path.is_dir() for path in paths)
        found = choose_files(
            paths,
            data=data,
            manifest=manifest,
            model=model,
            args=model_arguments(args),
            trust=trust,
            layers="all" if layers == "all" else _words(layers),
            heads=_words(heads),
            delta=delta,
            share=share,
            store=store,
            device=how.device,
            precision=how.precision,
            batch_size=how.batch_size,
            failed=(lambda name, error: echo(f"{name}: {error}", err=True)) if several else None,
            say=lambda line: echo(line, err=True),
            **said,
            **choice(key, ema, head, output, part),
        )
        if format is None:
            show(str(found))
        else:
            show_table(found.table(), format)
        if out is not None:
            echo(f"written to {out}: {', '.join(found.write(out))}", err=format is not None)
            if found.head is not None:
                loader = f"{found.loader(out)}.predict(inputs)"
                echo(f"predict with it: {loader}", err=format is not None)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
