"""``ncbounds init``."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from ncbounds.cli.arguments import Arguments, Spec, model_arguments
from ncbounds.cli.console import echo, user_errors
from ncbounds.errors import NcboundsError


def init(
    folder: Annotated[Path, typer.Argument(help="a folder with checkpoints")],
    model: Spec = None,
    args: Arguments = "",
    data: Annotated[
        str | None, typer.Option(help="an npz file or FILE.py:FUNCTION, in place of what is found")
    ] = None,
    sampling: Annotated[
        str | None, typer.Option(help="how points were drawn: iid, stratified or unknown")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="replace a zoo.toml")] = False,
) -> None:
    """Write a zoo.toml from what a folder holds; what is missing stands in it behind '#'."""
    with user_errors():
        from ncbounds.data.manifest import load_manifest
        from ncbounds.files import write_text
        from ncbounds.runs.draft import draft

        path = folder / "zoo.toml"
        if os.path.lexists(path) and not force:
            raise NcboundsError(f"{path} is there already; --force writes it anew")
        if args and model is None:
            raise NcboundsError("--args goes with --model")
        found = draft(folder, model=model, args=model_arguments(args), data=data, sampling=sampling)
        write_text(path, found.text)
        echo(f"written to {path}: {found.series} series, {found.checkpoints} other checkpoints")
        trust = ""
        if found.missing:
            echo(f"to be written into it (see its lines behind '#'): {', '.join(found.missing)}")
        else:
            book = load_manifest(path)
            code = any(e.model and not isinstance(e.model, str) for e in book.checkpoints.values())
            code |= any(not isinstance(t.data, Path) for t in book.tasks.values())
            trust = " --trust" if code else ""
        echo(f"then: ncbounds evaluate {shlex.quote(str(folder))}{trust}")
