"""``ncbounds evaluate-predictions``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ncbounds.cli.arguments import (
    DATA,
    Bounds,
    Claims,
    Decision,
    Delta,
    IgnoreLabel,
    Priors,
    Ranked,
    Repeats,
    Sampling,
    Simultaneous,
    TableClasses,
    TableRole,
    TableRoles,
    TableThreshold,
    Use,
    best_among,
    candidates,
    chosen_of,
    class_priors,
    label_choice,
    of_each_role,
    role_names,
)
from ncbounds.cli.console import user_errors
from ncbounds.cli.report import evaluate_and_show


def evaluate_predictions(
    file: Annotated[
        Path,
        typer.Argument(
            help="csv, tsv, parquet or npz with 'label' and 'predicted', 'logits' or "
            "'probabilities' (an array, or one column for each class); 'role' and 'id' if there; "
            "several labels as cat|dog, lists, or 0 and 1 in columns label_cat, label_dog"
        ),
    ],
    role: TableRole = None,
    roles: TableRoles = None,
    use: Use = None,
    threshold: TableThreshold = None,
    decision: Decision = None,
    ranked: Ranked = False,
    classes: TableClasses = None,
    bounds: Bounds = "default",
    claim: Claims = None,
    delta: Delta = 0.05,
    simultaneous: Simultaneous = False,
    sampling: Sampling = "unknown",
    selected_among: Annotated[
        list[str] | None,
        typer.Option(
            help="how many classifiers could have been picked by comparing them, a list fixed "
            "before; a number, or ROLE=NUMBER for the sample that they were compared on",
            rich_help_panel=DATA,
        ),
    ] = None,
    best_of: Annotated[
        int,
        typer.Option(
            help="this is the best, on the holdout sample, of so many classifiers",
            rich_help_panel=DATA,
        ),
    ] = 1,
    repeats: Repeats = None,
    ignore_label: IgnoreLabel = None,
    priors: Priors = None,
    name: Annotated[
        str | None, typer.Option(help="of the classifier (default: the file's)")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the tables and the page")] = None,
) -> None:
    """Count errors among predictions, with exact bounds: no network, head or feature is needed.

    A tie, and a value that is not finite, are errors. Without --classes the worst of the classes
    that are predicted is a plug-in.
    """
    with user_errors():
        from ncbounds.data.fields import check_decision
        from ncbounds.runs.predictions import of_prediction_file

        among = best_among(candidates(selected_among or []), chosen_of(best_of))
        declared: dict[str, Any] = {
            "sampling": sampling,
            "selected_among": of_each_role(among),
            "repeats": repeats,
            "ignore_label": ignore_label,
        }
        evidence = of_prediction_file(
            file,
            name=name or "",
            role=role,
            roles=role_names(roles) if roles else None,
            use=use,
            decision=check_decision(decision),
            classes=classes,
            priors=class_priors(priors),
            claims=claim,
            **label_choice(threshold, None, ranked),
            **declared,
        )
        said = f"taken from {file}: {evidence.provenance['columns']}"
        evaluate_and_show(evidence, bounds, delta, simultaneous, out, said)
