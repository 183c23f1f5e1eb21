"""``ncbounds plot``."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncbounds.cli.console import echo, user_errors
from ncbounds.errors import NcboundsError

if TYPE_CHECKING:
    from ncbounds.report import Report

#: Endings of files that figures are written to.
FORMATS = (".pdf", ".svg", ".png")


class What(StrEnum):
    """What is drawn."""

    series = "series"
    layers = "layers"
    bounds_vs_error = "bounds-vs-error"
    bounds = "bounds"
    terms = "terms"
    margins = "margins"
    pairs = "pairs"
    ranking = "ranking"


class Pairs(StrEnum):
    """What is drawn of pairs of classes."""

    confusion = "confusion"
    means = "means"
    head = "head"


def plot(
    run: Annotated[Path, typer.Argument(help="a run folder")],
    what: Annotated[
        What,
        typer.Option(
            help="a series along its steps, the layers of a checkpoint, bounds over measured "
            "errors, the bounds of a checkpoint, the terms of bounds, margins by sample, pairs of "
            "classes, or how bounds rank checkpoints"
        ),
    ] = What.series,
    out: Annotated[
        Path | None, typer.Option(help="figure: .pdf, .svg or .png (default: WHAT.pdf in the run)")
    ] = None,
    series: Annotated[str | None, typer.Option(help="which series, if the run has several")] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="whose layers, bounds, margins or pairs, if the run has several"),
    ] = None,
    bound: Annotated[str | None, typer.Option(help="whose terms (default: of all)")] = None,
    of: Annotated[
        Pairs,
        typer.Option(help="of pairs: what is taken for what, cosines of class means or head rows"),
    ] = Pairs.confusion,
    role: Annotated[
        str | None, typer.Option(help="of pairs: whose answers, holdout or test")
    ] = None,
) -> None:
    """Draw what a run has stored: series, layers, bounds, terms, margins, class pairs, ranking."""
    from ncbounds.report.plot import Plots
    from ncbounds.report.plot.style import save

    with user_errors():
        path = out or run / f"{what.value}.pdf"
        if path.suffix.lower() not in FORMATS:
            raise NcboundsError(
                f"{path} is no figure; --out ends in {', '.join(FORMATS)}, as in --out "
                f"{what.value}.pdf"
            )
        plots = Plots(_stored(run, what))
        draw: dict[What, Callable[[], Any]] = {
            What.series: lambda: plots.series(series)[0],
            What.layers: lambda: plots.layers(checkpoint)[0],
            What.bounds_vs_error: plots.bounds_vs_error,
            What.bounds: lambda: plots.bounds(checkpoint),
            What.terms: lambda: plots.terms(bound),
            What.margins: lambda: plots.margins(checkpoint),
            What.pairs: lambda: plots.pairs(checkpoint, of.value, role),
            What.ranking: plots.ranking,
        }
        ax = draw[what]()
        path.parent.mkdir(parents=True, exist_ok=True)
        save(ax.figure, path, dpi=200)
        echo(f"written to {path}")


def _stored(run: Path, what: What) -> "Report":
    """The report of a run, or the layers that ``ncbounds layers --out`` left in a folder."""
    from ncbounds.report import Report, load_report
    from ncbounds.runs.layers import FILE, stored_layers

    if what is What.layers and (run / FILE).exists():
        return Report((), facts={n: {"layers": x} for n, x in stored_layers(run).items()})
    return load_report(run)
