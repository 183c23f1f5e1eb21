"""``ncbounds inspect``."""

from pathlib import Path
from typing import Annotated

import typer

from ncbounds.cli.arguments import (
    Arguments,
    Averaged,
    Head,
    Key,
    Output,
    Spec,
    architecture,
    choice,
)
from ncbounds.cli.console import show, user_errors


def inspect(
    checkpoint: Annotated[Path, typer.Argument(help="a checkpoint file or folder")],
    model: Spec = None,
    args: Arguments = "",
    manifest: Annotated[Path | None, typer.Option(help="zoo.toml that names its model")] = None,
    key: Key = None,
    ema: Averaged = None,
    head: Head = None,
    output: Output = None,
) -> None:
    """Show what is in a file, whether it is safe, and how exactly a head reproduces the logits."""
    with user_errors():
        from ncbounds.checkpoints.inspect import inspect_checkpoint, render

        chosen, given = architecture(checkpoint, model, args, manifest)
        picked = choice(key, ema, head, output)
        show(render(inspect_checkpoint(checkpoint, chosen, given, **picked)))
