"""``ncbounds evaluate``."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncbounds.cli.arguments import (
    Arguments,
    Averaged,
    BatchSize,
    Device,
    Head,
    Key,
    Limit,
    LoaderWorkers,
    Out,
    Output,
    Precision,
    Repeats,
    Spec,
    best_among,
    by_role,
    candidates,
    choice,
    chosen_of,
    class_priors,
    model_arguments,
    running,
)
from ncbounds.cli.console import NOTHING, echo, progress_bar, user_errors
from ncbounds.cli.report import show_report
from ncbounds.errors import NcboundsError

if TYPE_CHECKING:
    from ncbounds.report import Report

#: Options that say what a zoo.toml says itself, as they are typed.
DECLARATIONS = (
    *("--role", "--sampling", "--selected-among", "--best-of"),
    *("--repeats", "--ignore-label", "--priors", "--name"),
)


def evaluate(
    paths: Annotated[
        list[Path],
        typer.Argument(help="a zoo (folder or zoo.toml), or checkpoints: files, folders, patterns"),
    ],
    manifest: Annotated[Path | None, typer.Option(help="zoo.toml that describes them")] = None,
    bounds: Annotated[
        str, typer.Option(help="default, all, a family, or ids separated by commas")
    ] = "default",
    delta: Annotated[float, typer.Option(help="probability with which a row may fail")] = 0.05,
    simultaneous: Annotated[bool, typer.Option(help="divide delta over all rows")] = False,
    out: Out = None,
    model: Spec = None,
    args: Arguments = "",
    key: Key = None,
    ema: Averaged = None,
    head: Head = None,
    output: Output = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="FILE.py:FUNCTION that returns {role: (inputs, labels)}, or an npz file with "
            "--role; for checkpoints that no zoo.toml describes"
        ),
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(help="with an npz file: rows of a role, such as holdout=0:4000; repeatable"),
    ] = None,
    sampling: Annotated[
        str | None, typer.Option(help="with --data: iid, stratified or unknown (default)")
    ] = None,
    selected_among: Annotated[
        list[str] | None,
        typer.Option(
            help="with --data: how many checkpoints could have been picked by comparing them, a "
            "list fixed before; a number, or ROLE=NUMBER for the sample that they were compared on"
        ),
    ] = None,
    best_of: Annotated[
        int | None,
        typer.Option(
            help="with --data: these are the best, on the holdout sample, of so many checkpoints "
            "(in place of --selected-among holdout=NUMBER; beside it the two are multiplied)"
        ),
    ] = None,
    repeats: Repeats = None,
    ignore_label: Annotated[
        int | None, typer.Option(help="with --data: label of rows to leave out, such as 255")
    ] = None,
    priors: Annotated[
        str | None, typer.Option(help="with --data: balanced, or class probabilities 0.5,0.3,0.2")
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="with --data: name of a checkpoint, once for each (default: its path)"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="processes (default: one per core; 0: none)")
    ] = None,
    fresh: Annotated[bool, typer.Option(help="compute again what is already there")] = False,
    device: Device = "auto",
    precision: Precision = None,
    batch_size: BatchSize = None,
    workers_per_loader: LoaderWorkers = None,
    limit: Limit = None,
) -> None:
    """Evaluate bounds on checkpoints, beside their measured error; resumes what was interrupted."""
    from ncbounds.report.write import write_report
    from ncbounds.runs.folder import default_folder

    with user_errors():
        folder = out or default_folder(paths[0])
        common: dict[str, Any] = {
            "bounds": bounds,
            "delta": delta,
            "simultaneous": simultaneous,
            "workers": workers,
            "fresh": fresh,
        }
        how = running(device, precision, batch_size, workers_per_loader, limit)
        common |= vars(how)
        echo(f"device: {how}{' (auto)' if device == 'auto' else ''}", err=True)
        typed = (role, sampling, selected_among, best_of, repeats, ignore_label, priors, name)
        declared = dict(zip(DECLARATIONS, typed, strict=True))
        picked = choice(key, ema, head, output)
        with progress_bar() as progress:
            common["progress"] = progress
            if data is None:
                report = _zoo(paths, manifest, model, args, picked, declared, folder, common)
            else:
                report = _files(
                    paths, manifest, model, args, picked, data, declared, folder, common
                )
        written = write_report(report, folder)
        show_report(report)
        echo(f"written to {folder}: {', '.join(written)}")
        echo(_stored(folder))
        if not report.rows:
            raise typer.Exit(NOTHING)


def _zoo(
    paths: list[Path],
    manifest: Path | None,
    model: str | None,
    args: str,
    picked: dict[str, Any],
    declared: dict[str, Any],
    folder: Path,
    common: dict[str, Any],
) -> "Report":
    """Evaluate checkpoints that a zoo.toml describes."""
    from ncbounds.runs.files import changed, with_model
    from ncbounds.runs.paths import select_files
    from ncbounds.runs.sweep import sweep

    typed = [option for option, value in declared.items() if value not in (None, [])]
    if typed:
        raise NcboundsError(
            f"{' and '.join(typed)} go with --data file.py:function; a zoo.toml says what they say "
            "itself (sampling, priors, roles, selected_among, the name of a checkpoint)"
        )
    if args and model is None:
        raise NcboundsError("--args goes with --model; a zoo.toml names args beside its models")
    book, only = select_files(paths, manifest)
    if model is not None:
        book = with_model(book, model, model_arguments(args))
    if picked:
        book = changed(book, **picked)
    return sweep(book, folder, only=only, **common)


def _files(
    paths: list[Path],
    manifest: Path | None,
    model: str | None,
    args: str,
    picked: dict[str, Any],
    data: str,
    declared: dict[str, Any],
    folder: Path,
    common: dict[str, Any],
) -> "Report":
    """Evaluate checkpoints on data that are named beside them."""
    from ncbounds.runs.files import evaluate_files

    zoo = [p for p in paths if p.suffix == ".toml" or (p / "zoo.toml").is_file()]
    if manifest is not None or zoo:
        raise NcboundsError(
            f"{manifest or zoo[0]} names data, roles and selected_among itself, and --data would "
            "pass over them: leave --data out (--model may stay), or name the checkpoint files "
            "without it and declare --sampling and --selected-among"
        )
    readers: dict[str, Callable[[Any], Any]] = {
        "--role": lambda words: by_role("--role", words, str),
        "--selected-among": candidates,
        "--best-of": chosen_of,
        "--priors": class_priors,
    }
    given = {
        o: readers.get(o, lambda v: v)(value)
        for o, value in declared.items()
        if value not in (None, [])
    }
    return evaluate_files(
        paths,
        data=data,
        model=model,
        args=model_arguments(args),
        roles=given.get("--role"),
        sampling=given.get("--sampling", "unknown"),
        selected_among=best_among(given.get("--selected-among", 1), given.get("--best-of", 1)),
        repeats=given.get("--repeats"),
        ignore_label=given.get("--ignore-label"),
        priors=given.get("--priors"),
        names=given.get("--name"),
        **picked,
        out=folder,
        **common,
    )


def _stored(folder: Path) -> str:
    from ncbounds.extraction.store import store_size

    size = store_size(folder / "store") / 2**20
    return f"features kept in {folder / 'store'}: {size:.0f} MiB (delete it when you are done)"
