"""What is in a checkpoint, whether it is safe, which head it has and how exactly."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from ncbounds.checkpoints.architectures.build import build_classifier, named_in_file
from ncbounds.checkpoints.architectures.guess import guess_architecture
from ncbounds.checkpoints.architectures.likely_head import likely_heads
from ncbounds.checkpoints.architectures.match import check_finite, widened
from ncbounds.checkpoints.checkpoint import Checkpoint
from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.checkpoints.inspection import Inspection, sides
from ncbounds.checkpoints.read import load_checkpoint
from ncbounds.checkpoints.trial_inputs import trial_inputs
from ncbounds.errors import HeadNotFound, MissingExtra, NcboundsError, NoLinearHead
from ncbounds.evidence.sample import Sample

SAFE = "read without running code from the file"


class _OnlyGuessed(NcboundsError):
    """What failed was a guess, which says nothing against the file."""


def inspect_checkpoint(
    path: str | os.PathLike[str],
    model: Any = None,
    args: Mapping[str, Any] | None = None,
    batch: Any = None,
    *,
    input_shape: Sequence[int] | None = None,
    key: str | None = None,
    weights: str | None = None,
    parts: Sequence[str | os.PathLike[str]] = (),
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
    input_shape : sequence of int, optional
        Of one input, without the batch, such as ``(3, 32, 32)``: random ones of it are taken.
    key, weights, parts : optional
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
    checkpoint = load_checkpoint(path, key=key, weights=weights, parts=parts)
    classifier, inputs, undecided = None, "nothing", None
    unverified, problem = None, None
    alone: tuple[str, ...] = ()
    try:
        check_finite(widened(checkpoint.tensors), checkpoint.path)
        classifier = _built(checkpoint, model, args, head, output)
        inputs, undecided = _verify(classifier, checkpoint, batch, input_shape)
    except NoLinearHead as error:
        says = f"no linear head ({error.why}): errors are counted among predictions only"
        alone, problem = (says,), None if head is None else str(error)
    except _OnlyGuessed as error:
        unverified = str(error)
    except NcboundsError as error:
        problem = str(error)
    verified = classifier is not None and unverified is None and problem is None and not alone
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
        likely=() if verified else likely_heads(checkpoint.tensors),
        unverified=unverified,
        problem=problem,
    )


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


def _built(
    checkpoint: Checkpoint,
    model: Any,
    args: Mapping[str, Any] | None,
    head: str | None,
    output: str | int | None,
) -> Classifier:
    """Build the network; one that only the file names is a guess, unless it is a whole folder."""
    try:
        return build_classifier(checkpoint, model, args, head=head, output=output)
    except MissingExtra as error:
        raise _OnlyGuessed(str(error)) from None
    except NcboundsError as error:
        if model is None and checkpoint.format != "transformers folder":
            raise _OnlyGuessed(str(error)) from None
        raise


def _verify(
    classifier: Classifier, checkpoint: Checkpoint, batch: Any, shape: Sequence[int] | None
) -> tuple[str, tuple[int, int]]:
    """Check the head; say on what, and how many predictions there are within rounding."""
    if batch is not None:
        classifier.verify(batch)
        return "the given inputs", _undecided(classifier, batch)
    failures: list[NcboundsError] = []
    for trial in trial_inputs(classifier.module, checkpoint.hints, shape):
        try:
            classifier.verify(trial)
        except NcboundsError as error:
            failures.append(error)
            continue
        tensor = next(iter(trial.values())) if isinstance(trial, dict) else trial
        return f"random inputs {sides(tensor.shape)}", _undecided(classifier, trial)
    for failure in failures:  # the network ran on this shape, so that it is no matter of a guess
        if shape is not None or isinstance(failure, HeadNotFound):
            raise failure
    last = f"{failures[-1]}; " if failures else "no shape can be guessed from the first layer; "
    raise _OnlyGuessed(
        f"{last}pass the shape of one input, such as --input-shape 3x32x32 (input_shape=), or "
        "batch=inputs"
    )


def _undecided(classifier: Classifier, batch: Any) -> tuple[int, int]:
    features = classifier.features_and_logits(batch)[0].double().cpu().numpy()
    sample = Sample.from_arrays(features, role="unlabelled")
    return sample.undecided(classifier.head), sample.n
