"""What every command says on the screen: errors in one line, progress, tables of one width."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from ncbounds.errors import NcboundsError

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def user_errors() -> Iterator[None]:
    """Show an error of the input as one line and exit with 2, an interruption with 130."""
    try:
        yield
    except NcboundsError as error:
        typer.echo(f"ncbounds: {error}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        typer.echo(
            "interrupted; finished work is kept, the same command goes on from there", err=True
        )
        raise typer.Exit(130) from None


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int, str], None]]:
    """Progress bar on a terminal; silent elsewhere."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("checkpoints"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[name]}", markup=False),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        job = bar.add_task("", total=None, name="")
        yield lambda done, total, name: bar.update(job, completed=done, total=total, name=name)


def console() -> "Console":
    """Return the screen; a pipe or a file, which has no width of its own, has 120 columns."""
    from rich.console import Console

    found = Console()
    return found if found.is_terminal else Console(width=120)
