"""What every command says on the screen: errors in one line, progress, tables of one width."""

import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import typer

from ncbounds.errors import NcboundsError, printable
from ncbounds.lines import WIDTH

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from ncbounds.tables import Table


#: Exit codes: rows were shown, nothing could be evaluated, an option or an input is wrong.
DONE, NOTHING, WRONG = 0, 1, 2
#: What a shell calls a program that a signal has ended.
ENDED = {signal.SIGINT: 130, signal.SIGTERM: 143}
#: Whether ``ncbounds --traceback`` was typed.
TRACEBACK: ContextVar[bool] = ContextVar("traceback", default=False)


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a run as Ctrl-C does."""


@contextmanager
def user_errors() -> Iterator[None]:
    """Show an error as one line and exit with 2, an interruption with 130 or 143.

    With ``ncbounds --traceback`` the line stands under where the error was raised.
    """
    try:
        with _sigterm_interrupts():
            yield
    except (typer.Exit, BrokenPipeError):  # who reads the output has seen enough
        raise
    except KeyboardInterrupt as error:
        typer.echo(
            "interrupted; finished work is kept, the same command goes on from there", err=True
        )
        by = signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
        raise typer.Exit(ENDED[by]) from None
    except Exception as error:
        asked = TRACEBACK.get()
        if asked:
            typer.echo("".join(traceback.format_exception(error)), err=True, nl=False)
        echo(f"ncbounds: {_in_words(error, asked)}", err=True)
        raise typer.Exit(WRONG) from None


def _in_words(error: Exception, asked: bool) -> str:
    if isinstance(error, NcboundsError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    hint = "" if asked else " (`ncbounds --traceback ...` shows where)"
    return f"{type(error).__name__}: {error}{hint}"


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what a signal does
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def echo(line: str, *, err: bool = False) -> None:
    """Write one line; what is no printable character, in a name or a path, is escaped."""
    typer.echo(printable(line), err=err)


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int, str], None]]:
    """Progress bar on a terminal; silent elsewhere."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class _Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(shown_rate(task.finished_speed or task.speed))

    columns = (
        TextColumn("checkpoints"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[name]}", markup=False),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        job = bar.add_task("", total=None, name="")
        yield lambda done, total, name: bar.update(
            job, completed=done, total=total, name=printable(name)
        )


def shown_rate(a_second: float | None) -> str:
    """Checkpoints a second, a minute or an hour, whatever is a number of at least 1."""
    if not a_second:
        return ""
    for unit, seconds in (("s", 1), ("min", 60)):
        if a_second * seconds >= 1:
            return f"{a_second * seconds:.3g}/{unit}"
    return f"{a_second * 3600:.2g}/h"


def check_format(name: str | None) -> None:
    """Raise before anything is computed where a table cannot be printed in a format.

    Raises
    ------
    UnknownName
        With the nearest known name.
    """
    from ncbounds.errors import UnknownName, suggest
    from ncbounds.tables import FORMATS

    texts = [f.name for f in FORMATS if f.text]
    if name is not None and name not in texts:
        raise UnknownName(f"no format {name!r} to print; {suggest(name, texts)}")


def show_table(table: "Table", name: str) -> None:
    """Print a table in a format, and nothing else."""
    from ncbounds.tables import written

    typer.echo(written(table, name), nl=False)


def show(text: "str | Text") -> None:
    """Print what may hold names: no markup, no emoji codes, no colours but those of ``text``.

    A pipe or a file, which has no width of its own, gets every line whole.
    """
    from rich.text import Text

    plain = text if isinstance(text, Text) else Text(text)
    screen = console()
    screen.print(plain, soft_wrap=not screen.is_terminal)


def console() -> "Console":
    """Return the screen; a pipe or a file, which has no width of its own, has 120 columns.

    ``COLUMNS`` in the environment says otherwise.
    """
    from rich.console import Console

    found = Console()
    narrow = os.environ.get("COLUMNS", "").isdecimal()  # which rich has read
    return found if found.is_terminal or narrow else Console(width=WIDTH)
