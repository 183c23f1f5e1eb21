"""What is in a checkpoint, whether it is safe, which head it has and how exactly."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ncbounds.budgets import GUESSED_NUMBERS
from ncbounds.checkpoints.architectures.build import build_classifier, named_in_file
from ncbounds.checkpoints.architectures.guess import guess_architecture
from ncbounds.checkpoints.checkpoint import Checkpoint
from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.checkpoints.head.head import HeadReport
from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.errors import DataError, NcboundsError, NoLinearHead, printable
from ncbounds.evidence.sample import Sample

ROWS = 16
SAFE = "read without running code from the file"


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
        None if no network could be built or run; ``problem`` says why.
    classes, dim : int or None
        C and d of the head.
    has_bias : bool or None
    inputs : str
        What the head was checked on.
    undecided : (int, int) or None
        Rows of these inputs whose prediction float64 rounding decides, and rows in all.
    problem : str or None
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
    problem: str | None


def inspect_checkpoint(
    path: str | os.PathLike[str],
    model: Any = None,
    args: Mapping[str, Any] | None = None,
    batch: Any = None,
    *,
    key: str | None = None,
    weights: str | None = None,
    head: str | None = None,
    output: str | int | None = None,
) -> Inspection:
    """Read a checkpoint and, where the architecture is known, check its head on random inputs.

    Parameters
    ----------
    path : path
    model, args : optional
        See :meth:`Checkpoint.build`.
    batch : Tensor or mapping, optional
        Inputs to check the head on; by default random ones, of a shape guessed from the first
        layer.
    key, weights : str, optional
        See :func:`load_checkpoint`.
    head, output : optional
        See :class:`Classifier`.

    Returns
    -------
    Inspection

    Raises
    ------
    CheckpointRefused, CheckpointUnreadable, CheckpointMismatch
        If the file cannot be read. What goes wrong after that stands in ``problem``.
    """
    checkpoint = load_checkpoint(path, key=key, weights=weights)
    problem, classifier, inputs, undecided = None, None, "nothing", None
    alone: tuple[str, ...] = ()
    try:
        classifier = build_classifier(checkpoint, model, args, head=head, output=output)
        inputs, undecided = _verify(classifier, checkpoint, batch)
    except NoLinearHead as error:
        says = f"no linear head ({error.why}): errors are counted among predictions only"
        alone, problem = (says,), None if head is None else str(error)
    except NcboundsError as error:
        problem = str(error)
    verified = classifier is not None and problem is None and not alone
    linear = classifier.head if classifier is not None and verified else None
    return Inspection(
        path=str(checkpoint.path),
        format=checkpoint.format,
        sha256=checkpoint.sha256,
        safety=SAFE,
        tensors=tuple(
            (name, tuple(t.shape), str(t.dtype).removeprefix("torch."))
            for name, t in checkpoint.tensors.items()
        ),
        parameters=sum(t.numel() for t in checkpoint.tensors.values()),
        notes=(*(checkpoint.notes if classifier is None else classifier.notes), *alone),
        guess=guess_architecture(checkpoint.tensors),
        model=_model_name(model, checkpoint),
        head=classifier.head_report if classifier is not None and verified else None,
        classes=None if linear is None else linear.classes,
        dim=None if linear is None else linear.dim,
        has_bias=None if linear is None else linear.has_bias,
        inputs=inputs,
        undecided=undecided,
        problem=problem,
    )


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
    lines += [f"  note       {note}" for note in i.notes]
    if i.problem is not None:
        lines.append(f"  problem    {i.problem}")
    return "\n".join(lines)


def _rounding(undecided: tuple[int, int] | None) -> list[str]:
    if undecided is None:
        return []
    rows, of = undecided
    counted = "; these count as errors" if rows else ""
    return [f"  rounding   decides about the prediction of {rows} of {of} rows{counted}"]


def _line(name: str, shape: tuple[int, ...], dtype: str) -> str:
    return f"{printable(name)} {'x'.join(map(str, shape)) or 'scalar'} {dtype}"


def _ends(lines: list[str], count: int) -> list[str]:
    if len(lines) <= count:
        return lines
    gap = f"... {len(lines) - count} more ..."
    return [*lines[: count // 2], gap, *lines[len(lines) - (count - count // 2) :]]


def _model_name(model: Any, checkpoint: Checkpoint) -> str | None:
    if isinstance(model, str):
        return model
    if isinstance(model, nn.Module):
        return type(model).__qualname__
    if callable(model):
        return str(getattr(model, "__qualname__", type(model).__qualname__))
    architectures = checkpoint.hints.get("config", {})
    if isinstance(architectures, dict) and architectures.get("architectures"):
        return str(architectures["architectures"][0])
    return named_in_file(checkpoint)


def _verify(
    classifier: Classifier, checkpoint: Checkpoint, batch: Any
) -> tuple[str, tuple[int, int]]:
    """Check the head; say on what, and how many predictions there are within rounding."""
    if batch is not None:
        classifier.verify(batch)
        return "the given inputs", _undecided(classifier, batch)
    last: NcboundsError | None = None
    for guess in random_inputs(classifier.module, checkpoint.hints):
        try:
            classifier.verify(guess)
        except NcboundsError as error:
            last = error
            continue
        shape = next(iter(guess.values())).shape if isinstance(guess, dict) else guess.shape
        return f"random inputs {'x'.join(map(str, shape))}", _undecided(classifier, guess)
    raise last or DataError(
        "no shape of random inputs can be guessed from the first layer; pass batch=inputs"
    )


def _undecided(classifier: Classifier, batch: Any) -> tuple[int, int]:
    features = classifier.features_and_logits(batch)[0].double().cpu().numpy()
    sample = Sample.from_arrays(features, role="unlabelled")
    return sample.undecided(classifier.head), sample.n


def random_inputs(module: nn.Module, hints: Mapping[str, Any]) -> Iterator[Any]:
    """Yield batches to try, likeliest first, guessed from the first layer or a config.json."""
    generator = torch.Generator().manual_seed(0)
    config = hints.get("config")
    if isinstance(config, dict) and _is_count(config.get("vocab_size")):
        yield _tokens(config, generator)
        return
    if isinstance(config, dict) and _is_count(config.get("num_channels")):
        sides = [config["image_size"]] if _is_count(config.get("image_size")) else [32, 224]
        options = [(ROWS, config["num_channels"], side, side) for side in sides]
        yield from ({"pixel_values": batch} for batch in _normal(options, generator))
        return
    first = next((p for p in module.parameters() if p.ndim >= 2), None)
    if first is None:
        return
    axes = first.ndim - 2
    widths = (14, 28, 32, 64, 224) if axes else (1,)
    yield from _normal([(ROWS, first.shape[1], *(side,) * axes) for side in widths], generator)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 < value < 1 << 31


def _normal(shapes: Sequence[tuple[int, ...]], generator: torch.Generator) -> Iterator[Tensor]:
    """Random inputs of each shape that is not absurdly large, one at a time."""
    for shape in shapes:
        if math.prod(shape) <= GUESSED_NUMBERS:
            yield torch.randn(shape, generator=generator)


def _tokens(config: Mapping[str, Any], generator: torch.Generator) -> dict[str, Tensor]:
    special = {v for k, v in config.items() if k.endswith("_token_id") and isinstance(v, int)}
    ids = torch.randint(0, config["vocab_size"], (ROWS, 8), generator=generator)
    plain = next((i for i in range(config["vocab_size"]) if i not in special), 0)
    for token in special:
        ids[ids == token] = plain
    end = config.get("eos_token_id")
    if isinstance(end, int) and config.get("is_encoder_decoder"):
        ids[:, -1] = end
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
