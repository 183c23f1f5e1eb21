"""``ncbounds evaluate-predictions``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ncbounds.cli.arguments import DATA, Repeats, best_among, candidates, chosen_of, class_priors
from ncbounds.cli.console import NOTHING, echo, user_errors
from ncbounds.cli.report import show_report
from ncbounds.errors import NcboundsError
from ncbounds.evidence.roles import ROLES


def evaluate_predictions(
    file: Annotated[
        Path,
        typer.Argument(
            help="csv, tsv, parquet or npz with 'label' and 'predicted', 'logits' or "
            "'probabilities' (an array, or one column for each class); 'role' and 'id' if there"
        ),
    ],
    role: Annotated[
        list[str] | None,
        typer.Option(
            help="what the rows were used for: holdout for all of them, or holdout=0:4000, "
            "repeatable; not needed with a column 'role'",
            rich_help_panel=DATA,
        ),
    ] = None,
    roles: Annotated[
        str | None,
        typer.Option(
            help="what words of the column 'role' mean: train=fit,val=holdout", rich_help_panel=DATA
        ),
    ] = None,
    use: Annotated[
        str | None,
        typer.Option(
            help="where the file has several: predicted, logits or probabilities",
            rich_help_panel=DATA,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="of one number per row (default: 0 for logits, 0.5 for probabilities)",
            rich_help_panel=DATA,
        ),
    ] = None,
    classes: Annotated[
        int | None,
        typer.Option(
            help="how many classes there are, of which predicted ones may lack some",
            rich_help_panel=DATA,
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
    ignore_label: Annotated[
        int | None,
        typer.Option(help="label of rows to leave out, such as 255", rich_help_panel=DATA),
    ] = None,
    priors: Annotated[
        str | None,
        typer.Option(help="balanced, or class probabilities 0.5,0.3,0.2", rich_help_panel=DATA),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="of the classifier (default: the file's)")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the tables and the page")] = None,
) -> None:
    """Count errors among predictions, with exact bounds: no network, head or feature is needed."""
    with user_errors():
        from ncbounds.data.prediction_file import read_predictions
        from ncbounds.evaluation.evaluate import evaluate
        from ncbounds.evaluation.facts import facts_of
        from ncbounds.evidence.decision import MultiClass
        from ncbounds.evidence.evidence import Evidence
        from ncbounds.report.report import Report
        from ncbounds.report.write import write_report

        found = read_predictions(file, use)
        among = best_among(candidates(selected_among or ["1"]), chosen_of(best_of))
        declared: dict[str, Any] = {
            "sampling": sampling,
            "selected_among": dict.fromkeys(ROLES, 1) | among if isinstance(among, dict) else among,
            "repeats": repeats,
            "ignore_label": ignore_label,
        }
        evidence = Evidence.from_predictions(
            **found.by_role(role, _renamed(roles)),
            threshold=threshold,
            classes=classes,
            priors=class_priors(priors),
            decision=MultiClass(found.names) if found.names else None,
            checkpoint=name or file.stem,
            provenance={"predictions": str(file.name), "columns": found.said},
            **declared,
        )
        rows = evaluate(evidence, bounds, delta, simultaneous)
        facts = {evidence.checkpoint: facts_of(evidence)}
        report = Report(rows.rows, facts=facts, simultaneous=simultaneous, planned=rows.planned)
        show_report(report)
        echo(f"taken from {file}: {found.said}")
        if out is not None:
            echo(f"written to {out}: {', '.join(write_report(report, out))}")
        if not report.rows:
            raise typer.Exit(NOTHING)


def _renamed(words: str | None) -> dict[str, str]:
    pairs = [word.partition("=") for word in words.split(",")] if words else []
    if any(not (a.strip() and b.strip()) for a, _, b in pairs):
        raise NcboundsError(f"--roles is WORD=ROLE with commas between, found {words!r}")
    return {a.strip(): b.strip() for a, _, b in pairs}
