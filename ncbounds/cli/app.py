"""The command line: parsing and printing only; one file a command."""

from typing import Annotated

import typer

from ncbounds.cli.catalogue import explain, list_bounds
from ncbounds.cli.code_words import compress, verify
from ncbounds.cli.evaluate import evaluate
from ncbounds.cli.heads import certify_head
from ncbounds.cli.inspect import inspect
from ncbounds.cli.report import report

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


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="show it and exit")
    ] = False,
) -> None:
    """What can be guaranteed about a saved classifier's error, and under which assumption."""


app.command()(evaluate)
app.command()(inspect)
app.command("certify-head")(certify_head)
app.command("list")(list_bounds)
app.command()(explain)
app.command()(report)
app.command()(compress)
app.command()(verify)


def main() -> None:
    """Entry point of the ``ncbounds`` command."""
    app()


if __name__ == "__main__":
    main()
