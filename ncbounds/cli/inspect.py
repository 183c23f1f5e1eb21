"""``ncbounds inspect``."""

import re
from pathlib import Path
from typing import Annotated

import typer

from ncbounds.cli.arguments import (
    Arguments,
    Averaged,
    Head,
    Key,
    Output,
    Parts,
    Spec,
    architecture,
    choice,
)
from ncbounds.cli.console import NOTHING, show, user_errors
from ncbounds.errors import NcboundsError


def inspect(
    checkpoint: Annotated[Path, typer.Argument(help="a checkpoint file or folder")],
    model: Spec = None,
    args: Arguments = "",
    manifest: Annotated[Path | None, typer.Option(help="zoo.toml that names its model")] = None,
    key: Key = None,
    ema: Averaged = None,
    head: Head = None,
    output: Output = None,
    part: Parts = None,
    input_shape: Annotated[
        str | None, typer.Option(help="of one input, such as 3x32x32, to check the head on")
    ] = None,
) -> None:
    """Show what is in a file, whether it is safe, and how exactly a head reproduces the logits.

    Without a model the likely heads are named and not verified; exits with 1 on a real problem.

    Formats: safetensors, state_dict files, training checkpoints (nested, EMA, Lightning, .pth.tar,
    prefixes module. and _orig_mod.), transformers folders, npz, folders of
    torch.distributed.checkpoint. A file that would need code execution is refused, with what blocks
    it and how to re-save it; a foreign format is named with the line that converts it. --part names
    another file of the same network: its head, or the base of a LoRA adapter, which is merged.
    """
    with user_errors():
        from ncbounds.checkpoints.inspect import inspect_checkpoint
        from ncbounds.checkpoints.inspection import render

        chosen, given = architecture(checkpoint, model, args, manifest)
        picked = choice(key, ema, head, output, part)
        shape = None if input_shape is None else _sides(input_shape)
        found = inspect_checkpoint(checkpoint, chosen, given, input_shape=shape, **picked)
        show(render(found))
        if found.problem is not None:
            raise typer.Exit(NOTHING)


def _sides(text: str) -> tuple[int, ...]:
    """Read ``3x32x32`` or ``3,32,32``."""
    words = re.split("[x,]", text)
    if not all(word.strip().isdecimal() and int(word) for word in words):
        raise NcboundsError(
            f"--input-shape is the shape of one input, such as 3x32x32; found {text!r}"
        )
    return tuple(map(int, words))
