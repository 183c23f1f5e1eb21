"""``ncbounds evaluate``."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncbounds.cli.arguments import (
    DATA,
    RUNNING,
    Arguments,
    Averaged,
    BatchSize,
    BestOf,
    Bounds,
    Claims,
    DataArgs,
    DeclaredDecision,
    DeclaredIgnoreLabel,
    DeclaredSampling,
    Delta,
    Device,
    Format,
    Head,
    Key,
    Limit,
    LoaderWorkers,
    Out,
    Output,
    Parts,
    Precision,
    ProbabilityThreshold,
    Ranked,
    Repeats,
    Roles,
    Rows,
    SelectedAmong,
    Simultaneous,
    Spec,
    Store,
    Threshold,
    Transform,
    Trust,
    Verbose,
    ZooFile,
    choice,
    declarations,
    declared,
    label_choice,
    model_arguments,
    refuse_trust,
    running,
)
from ncbounds.cli.checkpoints import open_checkpoints
from ncbounds.cli.console import NOTHING, check_format, echo, progress_bar, user_errors
from ncbounds.cli.report import show_report, show_series
from ncbounds.errors import NcboundsError, printable

if TYPE_CHECKING:
    from ncbounds.depth.layers import LayerReport
    from ncbounds.extraction.running import Running
    from ncbounds.report import Report


def evaluate(
    paths: Annotated[
        list[Path],
        typer.Argument(help="a zoo (folder or zoo.toml), or checkpoints: files, folders, patterns"),
    ],
    manifest: ZooFile = None,
    bounds: Bounds = "default",
    claim: Claims = None,
    delta: Delta = 0.05,
    simultaneous: Simultaneous = False,
    out: Out = None,
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
            help="FILE.py:FUNCTION that returns {role: (inputs, labels)} or loaders; a file of "
            "arrays (npz, csv, parquet) with --role; a folder whose parts are such files, images "
            "by class, or datasets; for checkpoints that no zoo.toml describes",
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
    decision: DeclaredDecision = None,
    threshold: Threshold = None,
    probability_threshold: ProbabilityThreshold = None,
    ranked: Ranked = False,
    priors: Annotated[
        str | None,
        typer.Option(
            help="with --data: balanced, or class probabilities 0.5,0.3,0.2", rich_help_panel=DATA
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="with --data: what the networks were trained with: cross-entropy (assumed), "
            "label-smoothing:0.1, focal:2, mse, binary, pick-all-label",
            rich_help_panel=DATA,
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="with --data: name of a checkpoint, once for each (default: its path)",
            rich_help_panel=DATA,
        ),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            help="of a series: CSV with a column step and any numbers (loss, learning rate), to "
            "stand beside",
            rich_help_panel=DATA,
        ),
    ] = None,
    trust: Trust = False,
    workers: Annotated[
        int | None,
        typer.Option(help="processes (default: one per core; 0: none)", rich_help_panel=RUNNING),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            help="where to run: processes, threads, loky, dask://HOST:PORT", rich_help_panel=RUNNING
        ),
    ] = "processes",
    layers: Annotated[
        str | None,
        typer.Option(
            help="also show layers: all, or a pattern of modules (see ncbounds layers)",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="compute again what is already there", rich_help_panel=RUNNING
        ),
    ] = False,
    device: Device = "auto",
    precision: Precision = None,
    batch_size: BatchSize = None,
    workers_per_loader: LoaderWorkers = None,
    limit: Limit = None,
    store: Store = None,
    verbose: Verbose = False,
    format: Format = None,
) -> None:
    """Evaluate bounds on checkpoints, beside their measured error; resumes what was interrupted.

    A checkpoint is called by its path from what all paths have in common, or by --name. What an own
    function or file raises is that checkpoint's row, and the others go on. Rows of earlier runs
    into the same --out stay in its tables; rows on other evidence are never put under one name.
    """
    from ncbounds.report.write import write_report
    from ncbounds.runs.folder import default_folder

    with user_errors():
        from ncbounds.runs.paths import described_by_zoo

        check_format(format)
        aside = format is not None
        if aside and layers is not None:
            raise NcboundsError(
                "--format prints one table: leave --layers out, and type `ncbounds layers ... "
                f"--format {format}` for the other"
            )
        stated = declared(locals())
        labels = label_choice(threshold, probability_threshold, ranked)
        _refuse_features(paths)
        folder = out or default_folder(paths[0])
        how = running(device, precision, batch_size, workers_per_loader, limit, store)
        heard: list[int] = []
        with progress_bar() as bar:

            def progress(done: int, total: int, name: str) -> None:
                heard.append(done)
                bar(done, total, name)

            typed = Typed(
                paths=paths,
                manifest=manifest,
                model=model,
                args=model_arguments(args),
                data=data,
                trust=trust,
                declared=stated,
                changes=choice(key, ema, head, output, part) | labels | _log(log),
                run={
                    "bounds": bounds,
                    "claims": claim,
                    "delta": delta,
                    "simultaneous": simultaneous,
                    "workers": workers,
                    "executor": engine,
                    "fresh": fresh,
                    "progress": progress,
                    **vars(how),
                },
                out=folder,
            )
            zoo = data is None or described_by_zoo(paths, manifest)
            report = _zoo(typed) if zoo else _files(typed)
        echo(f"device: {how}{' (auto)' if device == 'auto' else ''}", err=True)
        if heard and heard[0]:
            echo(FOUND_DONE.format(heard[0]), err=True)
        everything, said = _with_earlier(report, folder)
        written = write_report(everything, folder)
        show_report(report, series=layers is None, verbose=verbose, format=format)
        for line in said:
            echo(line, err=aside)
        echo(f"written to {folder}: {', '.join(written)}", err=aside)
        if layers is not None:
            found = {
                name: {"layers": x.to_dict()} for name, x in _layers(typed, layers, how).items()
            }
            write_report(everything.with_facts(found), folder)
            show_series(report.with_facts(found))
        if hint := _drawn(everything, report, folder):
            echo(hint, err=aside)
        echo(_stored(folder), err=aside)
        if not report.rows:
            raise typer.Exit(NOTHING)


#: What a run that goes on says of work that it did not do again.
FOUND_DONE = (
    "found done: {} checkpoint(s), of the same file, code, data and options (a file or variable "
    "that code of your own reads is not compared; another --out computes all anew)"
)


@dataclass(frozen=True, kw_only=True)
class Typed:
    """What was typed.

    ``declared`` holds declarations by their option, ``changes`` fields of the entries, ``run`` what
    :func:`ncbounds.sweep` takes beside them.
    """

    paths: list[Path]
    manifest: Path | None
    model: str | None
    args: dict[str, Any]
    data: str | None
    trust: bool
    declared: dict[str, Any]
    changes: dict[str, Any]
    run: dict[str, Any]
    out: Path


def _with_earlier(report: "Report", folder: Path) -> tuple["Report", list[str]]:
    """What the folder's tables hold: rows of earlier runs too, with a line that says how many."""
    from ncbounds.report import load_report
    from ncbounds.report.merge import with_earlier

    if not (folder / "report.json").exists():
        return report, []
    try:
        before = load_report(folder)
    except NcboundsError:
        return report, [f"{folder / 'report.json'} of an earlier run cannot be read: replaced"]
    everything, said = with_earlier(report, before)
    more = len(everything) - len(report)
    names = {r.checkpoint for r in everything} - {r.checkpoint for r in report}
    if not more:
        return everything, [*said]
    what = f" of {len(names)} other checkpoint{'s' * (len(names) > 1)}" if names else ""
    return everything, [
        *said,
        f"{more} more rows{what} of earlier runs stand in the tables of {folder}; "
        f"`ncbounds report {shlex.quote(str(folder))}` shows all",
    ]


def _refuse_features(paths: list[Path]) -> None:
    """Raise where folders hold features, not checkpoints."""
    from ncbounds.extraction.part_folder import folders_of_parts

    found = [shlex.quote(str(p)) for p in paths if folders_of_parts(p)]
    if found:
        raise NcboundsError(
            f"{' and '.join(found)} holds features that ncbounds extract wrote: type "
            f"`ncbounds evaluate-features {' '.join(found)} --sampling iid` (iid if the rows were "
            "drawn independently)"
        )


def _log(log: Path | None) -> dict[str, Path]:
    return {} if log is None else {"log": log.resolve()}


def _zoo(typed: Typed) -> "Report":
    """Evaluate checkpoints that a zoo.toml describes."""
    from ncbounds.runs.files import of_zoo
    from ncbounds.runs.sweep import sweep

    code: dict[str, Any] = {"model": typed.model, "args": typed.args, "data": typed.data}
    book, only = of_zoo(typed.paths, typed.manifest, **code, trust=typed.trust, **typed.changes)
    if typed.declared:
        raise NcboundsError(
            f"{' and '.join(typed.declared)} {'goes' if len(typed.declared) == 1 else 'go'} with "
            "--data file.py:function and checkpoint files; "
            "a zoo.toml says what they say itself (sampling, priors, roles, selected_among, the "
            "name of a checkpoint)"
        )
    return sweep(book, typed.out, only=only, **typed.run)


def _files(typed: Typed) -> "Report":
    """Evaluate checkpoints on data that are named beside them."""
    from ncbounds.runs.files import evaluate_files

    refuse_trust(typed.trust)
    return evaluate_files(
        typed.paths,
        data=typed.data,
        model=typed.model,
        args=typed.args,
        **declarations(typed.declared),
        **typed.changes,
        out=typed.out,
        **typed.run,
    )


def _layers(typed: Typed, which: str, how: "Running") -> "dict[str, LayerReport]":
    """Show the layers of the same checkpoints; their views are kept beside the features."""
    from ncbounds.cli.layers import show_layers

    book, names = open_checkpoints(
        typed.paths,
        typed.manifest,
        typed.data,
        typed.declared,
        typed.changes,
        model=typed.model,
        args=typed.args,
        trust=typed.trust,
    )
    return show_layers(
        book,
        names,
        typed.out,
        delta=typed.run["delta"],
        simultaneous=typed.run["simultaneous"],
        at=None if which == "all" else which,
        store=typed.out / "store",
        running=how,
    )


def _drawn(everything: "Report", report: "Report", folder: Path) -> str:
    """What draws a series of ``report``: one is named where the run has several."""
    mine = next((r.series for r in report.rows if r.series), "")
    if not mine:
        return ""
    several = len({r.series for r in everything.rows if r.series}) > 1
    which = f" --series {shlex.quote(mine)}" if several else ""
    return (
        f"`ncbounds plot {shlex.quote(str(folder))} --what series{which}` draws "
        f"{printable(mine) if several else 'it'}"
    )


def _stored(folder: Path) -> str:
    from ncbounds.extraction.store import store_size

    size = store_size(folder / "store") / 2**20
    return (
        f"features kept in {folder / 'store'}: {size:.0f} MiB "
        f"(`ncbounds store {shlex.quote(str(folder))}` lists them)"
    )
