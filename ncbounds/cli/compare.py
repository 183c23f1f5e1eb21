"""``ncbounds compare``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncbounds.cli.arguments import (
    DATA,
    RUNNING,
    Arguments,
    BatchSize,
    BestOf,
    DataArgs,
    Decision,
    DeclaredIgnoreLabel,
    DeclaredSampling,
    Device,
    Format,
    Names,
    Ranked,
    Repeats,
    Roles,
    Rows,
    SelectedAmong,
    Spec,
    TableClasses,
    TableThreshold,
    Transform,
    Trust,
    Use,
    ZooFile,
    declarations,
    declared,
    label_choice,
    model_arguments,
    of_each_role,
    role_names,
    running,
)
from ncbounds.cli.checkpoints import open_checkpoints, picked_of
from ncbounds.cli.console import check_format, echo, progress_bar, show, show_table, user_errors
from ncbounds.errors import NcboundsError

if TYPE_CHECKING:
    from ncbounds.evidence.evidence import Evidence


def compare(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="run folders; tables of predictions (csv, tsv, parquet, npz), one a classifier; "
            "or checkpoints with --data, or a zoo"
        ),
    ],
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="of a run or a zoo: a checkpoint to compare (default: all); may be picked by "
            "looking at the run, unless --among says otherwise; repeatable"
        ),
    ] = None,
    on: Annotated[str, typer.Option(help="role of the rows; others make plug-ins")] = "holdout",
    delta: Annotated[
        float, typer.Option(help="probability with which each statement may be wrong")
    ] = 0.05,
    requirement: Annotated[
        float | None,
        typer.Option(
            help="list all that are shown to err at most so often, such as 0.1; fixed before the "
            "rows were looked at"
        ),
    ] = None,
    in_order: Annotated[
        bool,
        typer.Option(
            "--in-order",
            help="list in the order given, fixed before too, up to the first that fails",
        ),
    ] = False,
    chosen: Annotated[
        str | None,
        typer.Option(help="whose distance from the best is bounded (default: fewest errors)"),
    ] = None,
    among: Annotated[
        int | None,
        typer.Option(
            help="how many could have been compared (default: all that the runs have judged); the "
            "number of those named says that they were named before the rows were looked at"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for pairs.csv, candidates.csv, comparison.txt")
    ] = None,
    format: Format = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="file of ids and labels, for tables of predictions without", rich_help_panel=DATA
        ),
    ] = None,
    use: Use = None,
    classes: TableClasses = None,
    name: Names = None,
    manifest: ZooFile = None,
    model: Spec = None,
    args: Arguments = "",
    data: Annotated[
        str | None,
        typer.Option(help="for checkpoints: as for evaluate", rich_help_panel=DATA),
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
    decision: Decision = None,
    threshold: TableThreshold = None,
    ranked: Ranked = False,
    trust: Trust = False,
    device: Device = "auto",
    batch_size: BatchSize = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="processes that evaluate checkpoints (default: one per core; 0: none)",
            rich_help_panel=RUNNING,
        ),
    ] = None,
) -> None:
    """Say who errs less often than whom, which may be the best, and which meet a requirement.

    All on the same held-out rows, which none of the classifiers was fitted, stopped or chosen on.
    """
    with user_errors():
        from ncbounds.comparison.candidates import candidates_of
        from ncbounds.comparison.comparison import compared
        from ncbounds.runs.compare import is_run, of_runs, write_comparison
        from ncbounds.runs.predictions import is_predictions

        check_format(format)
        typed = declared(locals())
        judged = label_choice(threshold, None, ranked)
        runs = [path for path in paths if is_run(path)]
        rest = [path for path in paths if not is_run(path)]
        if runs and not rest and (said := [*typed, *judged]):
            raise NcboundsError(
                f"{' and '.join(said)} go with tables and checkpoints; a run keeps what was said "
                "when it was evaluated: leave them out"
            )
        tables = data is None and manifest is None and all(map(is_predictions, rest))
        found, beside = of_runs(runs, only or [], on) if runs else ([], 0)
        if rest and tables:
            how: dict[str, Any] = {"use": use, "labels": labels, "classes": classes, **judged}
            found += candidates_of(of_tables(rest, typed, **how), on, delta)
        elif rest:
            folder, named, left_out = _evaluated(
                rest,
                only,
                typed,
                manifest,
                out,
                judged,
                model=model,
                args=model_arguments(args),
                data=data,
                trust=trust,
                workers=workers,
                **vars(running(device, None, batch_size, None, None, None)),
            )
            echo(f"evaluated into {folder}", err=True)
            evaluated, more = of_runs([folder], named, on)
            found, beside = found + evaluated, beside + max(more, left_out)
        comparison = compared(
            found,
            delta=delta,
            requirement=requirement,
            in_order=in_order,
            chosen=chosen,
            among=among,
            beside=beside,
        )
        if format is None:
            show(str(comparison))
        else:
            show_table(comparison.table(), format)
        if out is not None:
            names = ", ".join(write_comparison(comparison, out))
            echo(f"written to {out}: {names}", err=format is not None)


def of_tables(paths: list[Path], typed: dict[str, Any], **how: Any) -> "dict[str, Evidence]":
    """Evidence of tables of predictions, one a classifier; ``typed`` are declarations by option."""
    from ncbounds.data.fields import check_decision
    from ncbounds.runs.predictions import of_prediction_files

    if odd := {"--data-args", "--transform"} & typed.keys():
        raise NcboundsError(f"{' and '.join(sorted(odd))} go with checkpoints and --data")
    said = declarations({k: v for k, v in typed.items() if k not in ("--role", "--roles")})
    return of_prediction_files(
        paths,
        role=typed.get("--role"),
        roles=role_names(typed["--roles"]) if "--roles" in typed else {},
        names=said["names"],
        sampling=said["sampling"],
        selected_among=of_each_role(said["selected_among"]),
        repeats=said["repeats"],
        ignore_label=said["ignore_label"],
        decision=check_decision(said["decision"]),
        **how,
    )


def _evaluated(
    paths: list[Path],
    only: list[str] | None,
    typed: dict[str, Any],
    manifest: Path | None,
    out: Path | None,
    judged: dict[str, Any],
    *,
    model: str | None,
    args: dict[str, Any],
    data: str | None,
    trust: bool,
    **how: Any,
) -> tuple[Path, list[str], int]:
    """Count the errors of checkpoints; the run folder, their names, and how many were left out.

    Raises
    ------
    NcboundsError
        If none of them could be evaluated.
    """
    from ncbounds.report.write import write_report
    from ncbounds.runs.folder import default_folder
    from ncbounds.runs.sweep import sweep

    book, known = open_checkpoints(
        paths, manifest, data, typed, judged, model=model, args=args, trust=trust
    )
    names = picked_of(known, only)
    tasks = {book.checkpoints[n].task for n in names}
    others = sum(book.checkpoints[n].task in tasks for n in {*known} - {*names})
    folder = default_folder(paths[0]) if out is None else out
    with progress_bar() as progress:
        report = sweep(book, folder, only=names, bounds="binomial", progress=progress, **how)
    for failure in report.failures:
        echo(f"{failure.checkpoint}: {failure.reason}", err=True)
    write_report(report, folder)
    failed = {f.checkpoint for f in report.failures}
    evaluated = [n for n in names if n not in failed]
    if not evaluated:
        raise NcboundsError(
            f"none of {len(names)} checkpoints could be evaluated, so there is nothing to compare; "
            "the reasons stand above"
        )
    return folder, evaluated, others
