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
    """Write a zoo.toml from what a folder holds; what is missing stands in it behind '#'.

    In it, "parts" names other files of a network (its head, the base of a LoRA adapter, which is
    merged into it), "key" where weights stand, "role_names" which role each part of the data has,
    "classes" what classes are called, "loss" what was trained with, "code_word" a file that
    `ncbounds compress` made, "log" a CSV beside a series.
    """
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
