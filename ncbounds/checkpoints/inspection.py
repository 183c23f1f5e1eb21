"""What an inspection found, and how it is written."""

from collections.abc import Sequence
from dataclasses import dataclass

from ncbounds.checkpoints.architectures.likely_head import LikelyHead
from ncbounds.checkpoints.head.head import HeadReport
from ncbounds.errors import printable


@dataclass(frozen=True)
class Inspection:
    """What :func:`inspect_checkpoint` found.

    Attributes
    ----------
    path, format, sha256, safety : str
    tensors : tuple of (name, shape, dtype)
    parameters : int
        Numbers in all tensors.
    notes : tuple of str
    guess : str
        What the tensors look like.
    model : str or None
        Architecture that was built, or that the file names.
    head : HeadReport or None
        None if no network could be built or run; ``problem`` or ``unverified`` says why.
    classes, dim : int or None
        C and d of the head.
    has_bias : bool or None
    inputs : str
        What the head was checked on.
    undecided : (int, int) or None
        Rows of these inputs whose prediction float64 rounding decides, and rows in all.
    likely : tuple of LikelyHead
        What may be the head by its name and shape, where none was verified.
    unverified : str or None
        Why a head was not verified, where only a guess failed: no architecture was given, or no
        input of a fitting shape was found.
    problem : str or None
        What is wrong with the file, or with what was given for it.
    """

    path: str
    format: str
    sha256: str
    safety: str
    tensors: tuple[tuple[str, tuple[int, ...], str], ...]
    parameters: int
    notes: tuple[str, ...]
    guess: str
    model: str | None
    head: HeadReport | None
    classes: int | None
    dim: int | None
    has_bias: bool | None
    inputs: str
    undecided: tuple[int, int] | None
    likely: tuple[LikelyHead, ...]
    unverified: str | None
    problem: str | None


def render(inspection: Inspection, tensors: int = 12) -> str:
    """Return the findings as text of at most ``tensors`` tensor lines.

    Parameters
    ----------
    inspection : Inspection
    tensors : int

    Returns
    -------
    str
    """
    i = inspection
    lines = [
        f"{i.path}",
        f"  format     {i.format}",
        f"  safety     {i.safety}",
        f"  sha256     {i.sha256}",
        f"  tensors    {len(i.tensors)} with {i.parameters:,} numbers",
        *(f"             {line}" for line in _ends([_line(*t) for t in i.tensors], tensors)),
        f"  looks like {i.guess}",
        f"  model      {i.model or 'not named in the file'}",
    ]
    if i.head is not None:
        bias = "with bias" if i.has_bias else "without bias"
        lines += [f"  output     {i.head.output}"] if i.head.output else []
        lines += [
            f"  head       {i.head.name} ({i.head.kind}): {i.classes} classes, {i.dim} features, "
            f"{bias}",
            f"  exactness  max|logits - (W f + b)| = {i.head.max_abs_diff:.3g}, allowed "
            f"{i.head.tolerance:.2g}, on {i.inputs}",
            *_rounding(i.undecided),
            *(f"  note       {note}" for note in i.head.notes),
        ]
    lines += [f"  perhaps    {_likely(head)}" for head in i.likely]
    lines += [f"  note       {note}" for note in i.notes]
    if i.unverified is not None:
        lines.append(f"  unverified {i.unverified}")
    if i.problem is not None:
        lines.append(f"  problem    {i.problem}")
    return "\n".join(lines)


def _rounding(undecided: tuple[int, int] | None) -> list[str]:
    if undecided is None:
        return []
    rows, of = undecided
    counted = "; these count as errors" if rows else ""
    return [f"  rounding   decides about the prediction of {rows} of {of} rows{counted}"]


def _likely(head: LikelyHead) -> str:
    bias = "with bias" if head.has_bias else "without bias"
    return (
        f"head {printable(head.name)}: {head.classes} classes, {head.dim} features, {bias} "
        f"({head.why}, not verified)"
    )


def _line(name: str, shape: tuple[int, ...], dtype: str) -> str:
    return f"{printable(name)} {sides(shape) or 'scalar'} {dtype}"


def _ends(lines: list[str], count: int) -> list[str]:
    if len(lines) <= count:
        return lines
    gap = f"... {len(lines) - count} more ..."
    return [*lines[: count // 2], gap, *lines[len(lines) - (count - count // 2) :]]


def sides(shape: Sequence[int]) -> str:
    """Write a shape as in ``3x32x32``."""
    return "x".join(map(str, shape))
