"""``ncbounds evaluate-features``."""

from pathlib import Path
from typing import Annotated

import typer

from ncbounds.cli.arguments import (
    DATA,
    Repeats,
    best_among,
    candidates,
    chosen_of,
    class_priors,
    role_names,
    role_rows,
)
from ncbounds.cli.console import NOTHING, echo, user_errors
from ncbounds.cli.report import show_report


def evaluate_features(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="npz, csv or parquet with features (n, d) and labels (n,); several files are a "
            "role each, by name: fit.npz holdout.npz test.npz"
        ),
    ],
    head: Annotated[
        Path, typer.Option(help="npz or checkpoint with a weight (C, d) and perhaps a bias (C,)")
    ],
    role: Annotated[
        list[str] | None,
        typer.Option(
            help="of one file: its role, as in holdout, or the rows of a role, as in "
            "holdout=0:4000; repeatable",
            rich_help_panel=DATA,
        ),
    ] = None,
    roles: Annotated[
        str | None,
        typer.Option(
            help="roles of files that have other names: val=holdout", rich_help_panel=DATA
        ),
    ] = None,
    bounds: Annotated[
        str, typer.Option(help="default, all, a family, or ids separated by commas")
    ] = "default",
    delta: Annotated[float, typer.Option(help="probability with which a row may fail")] = 0.05,
    simultaneous: Annotated[
        bool, typer.Option("--simultaneous", help="divide delta over all rows")
    ] = False,
    sampling: Annotated[
        str,
        typer.Option(
            help="how the points were drawn: iid, stratified or unknown", rich_help_panel=DATA
        ),
    ] = "unknown",
    selected_among: Annotated[
        list[str] | None,
        typer.Option(
            help="how many heads could have been picked by comparing them, a list fixed before; a "
            "number, or ROLE=NUMBER for the sample that they were compared on",
            rich_help_panel=DATA,
        ),
    ] = None,
    best_of: Annotated[
        int,
        typer.Option(
            help="heads of which this one is the best on the holdout sample", rich_help_panel=DATA
        ),
    ] = 1,
    repeats: Repeats = None,
    ignore_label: Annotated[
        int | None,
        typer.Option(help="label of rows to leave out, such as 255", rich_help_panel=DATA),
    ] = None,
    priors: Annotated[
        str | None,
        typer.Option(help="balanced, or class probabilities 0.5,0.3,0.2", rich_help_panel=DATA),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the tables")] = None,
) -> None:
    """Evaluate bounds on a given linear head and features that it did not see."""
    with user_errors():
        from ncbounds.evaluation.evaluate import evaluate
        from ncbounds.evaluation.facts import facts_of
        from ncbounds.report.report import Report
        from ncbounds.report.write import write_report
        from ncbounds.runs.feature_files import evidence_of_features

        evidence = evidence_of_features(
            files,
            head,
            roles=role_rows(role or []),
            role_names=None if roles is None else role_names(roles),
            sampling=sampling,
            selected_among=best_among(candidates(selected_among or []), chosen_of(best_of)),
            repeats=repeats,
            ignore_label=ignore_label,
            priors=class_priors(priors),
        )
        rows = evaluate(evidence, bounds, delta, simultaneous)
        facts = {evidence.checkpoint: facts_of(evidence)}
        report = Report(rows.rows, facts=facts, simultaneous=simultaneous, planned=rows.planned)
        show_report(report)
        if out is not None:
            echo(f"written to {out}: {', '.join(write_report(report, out))}")
        if not report.rows:
            raise typer.Exit(NOTHING)
