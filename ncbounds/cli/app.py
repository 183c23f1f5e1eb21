"""The command line: parsing and printing only; one file a command."""

import io
import sys
from typing import Annotated

import typer

from ncbounds.cli import details
from ncbounds.cli.catalogue import explain, list_bounds
from ncbounds.cli.choose import choose
from ncbounds.cli.code_words import compress, verify
from ncbounds.cli.compare import compare
from ncbounds.cli.console import TRACEBACK
from ncbounds.cli.evaluate import evaluate
from ncbounds.cli.extract import extract
from ncbounds.cli.features import evaluate_features
from ncbounds.cli.heads import certify_head
from ncbounds.cli.init import init
from ncbounds.cli.inspect import inspect
from ncbounds.cli.layers import layers
from ncbounds.cli.losses import evaluate_losses
from ncbounds.cli.plot import plot
from ncbounds.cli.predictions import evaluate_predictions
from ncbounds.cli.rank import rank
from ncbounds.cli.report import report
from ncbounds.cli.shift import shift
from ncbounds.cli.store import store
from ncbounds.cli.watch import watch
from ncbounds.cli.which import which

EPILOG = (
    "Exit codes: 0 done; 1 nothing could be evaluated, or `inspect` found a problem; 2 an "
    "option or an input is wrong; 130 interrupted, 143 terminated (finished work is kept)."
)

app = typer.Typer(
    add_completion=True,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="What can be guaranteed about a saved classifier's error, under which assumption, "
    "beside the error that is measured.",
)


def _version(asked: bool) -> None:
    from ncbounds import __version__

    if asked:
        typer.echo(f"ncbounds {__version__}")
        raise typer.Exit


@app.callback(epilog=EPILOG)
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="show it and exit")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="show where in the code an error was raised")
    ] = False,
) -> None:
    """What can be guaranteed about a saved classifier's error, and under which assumption."""
    TRACEBACK.set(traceback)


app.command(epilog=details.EVALUATE)(evaluate)
app.command()(init)
app.command("evaluate-predictions")(evaluate_predictions)
app.command("evaluate-losses")(evaluate_losses)
app.command("evaluate-features")(evaluate_features)
app.command()(compare)
app.command()(inspect)
app.command()(layers)
app.command()(choose)
app.command()(extract)
app.command("certify-head")(certify_head)
app.command("list")(list_bounds)
app.command()(explain)
app.command()(which)
app.command()(report)
app.command()(plot)
app.command()(rank)
app.command()(shift)
app.command()(watch)
app.command()(store)
app.command()(compress)
app.command()(verify)


def main() -> None:
    """Entry point of the ``ncbounds`` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a screen that knows ASCII only
    app()


if __name__ == "__main__":
    main()
