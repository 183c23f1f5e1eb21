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
    TableRole,
    TableRoles,
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
from ncbounds.errors import NcboundsError


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
    use: Annotated[
        str | None,
        typer.Option(
            help="where the file has several: predicted, logits or probabilities",
            rich_help_panel=DATA,
        ),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            help="of one number per row, or of several labels (one, or one for each with commas "
            "between); default: 0 for logits, 0.5 for probabilities",
            rich_help_panel=DATA,
        ),
    ] = None,
    decision: Decision = None,
    ranked: Ranked = False,
    classes: Annotated[
        int | None,
        typer.Option(
            help="how many classes, or labels, there are, of which predicted ones may lack some",
            rich_help_panel=DATA,
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
        from ncbounds.data.prediction_file import read_predictions
        from ncbounds.evidence.decision import MultiClass, MultiLabel
        from ncbounds.evidence.evidence import Evidence

        found = read_predictions(file, use, decision=check_decision(decision), count=classes)
        labels = label_choice(threshold, None, ranked)
        several = MultiLabel(found.names, **_labels(labels)) if found.several else None
        one = None if several else _one_threshold(labels)
        among = best_among(candidates(selected_among or []), chosen_of(best_of))
        declared: dict[str, Any] = {
            "sampling": sampling,
            "selected_among": of_each_role(among),
            "repeats": repeats,
            "ignore_label": ignore_label,
        }
        evidence = Evidence.from_predictions(
            **found.by_role(role, role_names(roles) if roles else {}),
            threshold=one,
            classes=None if several and found.kind != "predicted" else classes,
            priors=class_priors(priors),
            claims=claim,
            decision=several or (MultiClass(found.names) if found.names else None),
            checkpoint=name or file.stem,
            provenance={"predictions": str(file.name), "columns": found.said},
            **declared,
        )
        said = f"taken from {file}: {found.said}"
        evaluate_and_show(evidence, bounds, delta, simultaneous, out, said)


def _labels(typed: dict[str, Any]) -> dict[str, Any]:
    """Arguments of ``MultiLabel``; thresholds are of the logits or probabilities in the file."""
    return {"threshold": typed.get("thresholds"), "ranked": typed.get("ranked", False)}


def _one_threshold(typed: dict[str, Any]) -> float | None:
    """The threshold of one number per row.

    Raises
    ------
    NcboundsError
        If what was typed is of several labels.
    """
    threshold = typed.get("thresholds")
    if typed.get("ranked") or isinstance(threshold, tuple):
        raise NcboundsError(
            "--ranked, and a threshold for each label, are of rows with several labels, and these "
            "have one each; type --decision multi-label if their labels are sets"
        )
    return threshold
