"""``ncbounds evaluate-features``."""

from pathlib import Path
from typing import Annotated

import typer

from ncbounds.cli.arguments import (
    DATA,
    Bounds,
    Claims,
    Decision,
    Delta,
    IgnoreLabel,
    Priors,
    ProbabilityThreshold,
    Ranked,
    Repeats,
    Sampling,
    Simultaneous,
    Threshold,
    best_among,
    candidates,
    chosen_of,
    class_priors,
    label_choice,
    role_names,
    role_rows,
)
from ncbounds.cli.console import user_errors
from ncbounds.cli.report import evaluate_and_show


def evaluate_features(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="npz, csv or parquet with features (n, d) and labels (n,); several files are a "
            "role each, by name: fit.npz holdout.npz test.npz; or what ncbounds extract wrote"
        ),
    ],
    head: Annotated[
        Path | None,
        typer.Option(
            help="npz or checkpoint with a weight (C, d) and perhaps a bias (C,); default: of what "
            "ncbounds extract wrote"
        ),
    ] = None,
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
    bounds: Bounds = "default",
    claim: Claims = None,
    delta: Delta = 0.05,
    simultaneous: Simultaneous = False,
    sampling: Sampling = "unknown",
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
    ignore_label: IgnoreLabel = None,
    priors: Priors = None,
    decision: Decision = None,
    threshold: Threshold = None,
    probability_threshold: ProbabilityThreshold = None,
    ranked: Ranked = False,
    out: Annotated[Path | None, typer.Option(help="folder for the tables")] = None,
) -> None:
    """Evaluate bounds on a given linear head and features that it did not see."""
    with user_errors():
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
            decision=decision,
            **label_choice(threshold, probability_threshold, ranked),
        )
        evaluate_and_show(evidence.asking(claim), bounds, delta, simultaneous, out)
