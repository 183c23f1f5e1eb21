"""``ncbounds certify-head``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ncbounds.cli.arguments import Delta, Repeats, Simultaneous, chosen_of
from ncbounds.cli.console import echo, show, user_errors


def certify_head(
    data: Annotated[Path, typer.Argument(help="npz with features (n, d) and labels (n,)")],
    unlabelled: Annotated[
        Path | None, typer.Option(help="npz with features of fresh points")
    ] = None,
    test: Annotated[Path | None, typer.Option(help="npz like DATA; measures errors only")] = None,
    head: Annotated[
        Path | None, typer.Option(help="npz with weight and bias of a head that used all labels")
    ] = None,
    estimator: Annotated[
        str, typer.Option(help="how a head is fitted: ncm, ridge or logistic")
    ] = "ncm",
    delta: Delta = 0.05,
    simultaneous: Simultaneous = False,
    sampling: Annotated[
        str, typer.Option(help="how the points were drawn: iid, stratified or unknown")
    ] = "unknown",
    selected_among: Annotated[
        int, typer.Option(help="estimators that could have been compared on these labels")
    ] = 1,
    best_of: Annotated[
        int, typer.Option(help="runs of this command of which the smallest certificate is taken")
    ] = 1,
    repeats: Repeats = None,
    out: Annotated[Path | None, typer.Option(help="folder for the table and the heads")] = None,
) -> None:
    """Certify a linear head on frozen features, and say what each certificate is worth."""
    with user_errors():
        from ncbounds.certify.certify import certify_head as certify
        from ncbounds.data.npz import load_npz
        from ncbounds.evidence.head import LinearHead

        def arrays(path: Path, *names: str) -> tuple[Any, ...]:
            found = load_npz(path, names)
            return tuple(found[name] for name in names)

        features, labels = arrays(data, "features", "labels")
        found = certify(
            features,
            labels,
            estimator,
            None if unlabelled is None else arrays(unlabelled, "features")[0],
            delta=delta,
            head=None if head is None else LinearHead(*arrays(head, "weight", "bias")),
            test=None if test is None else arrays(test, "features", "labels"),
            sampling=sampling,
            selected_among=chosen_of(best_of) * selected_among,
            repeats=repeats,
            simultaneous=simultaneous,
        )
        show(repr(found))
        if out is not None:
            echo(f"written to {out}: {', '.join(found.write(out))}")
