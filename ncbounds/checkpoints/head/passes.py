"""Checks around a forward pass: what was passed in, and what the network says that it is for."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from ncbounds.checkpoints.head.arithmetic import comparable, device_of, dtype_of
from ncbounds.checkpoints.head.reading import Reading
from ncbounds.errors import HeadNotFound, NcboundsError

HeadFunction = Callable[[Any], tuple[Tensor, Tensor]]


def unwrapped(module: nn.Module) -> nn.Module:
    """Take the network out of the wrappers of torch.compile and of data parallel training."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def given(function: HeadFunction, batch: Any) -> Reading:
    """Return what the user's head function gives, if it has the right form."""
    result = function(batch)
    if not isinstance(result, tuple) or len(result) != 2:
        raise HeadNotFound("head= is a function that returns (features, logits)")
    features, logits = result
    if features.ndim != 2 or logits.ndim != 2 or len(features) != len(logits):
        raise HeadNotFound(
            "head= must return features (n, d) and logits (n, C); found "
            f"{tuple(features.shape)} and {tuple(logits.shape)}"
        )
    return Reading(comparable(features), comparable(logits))


OTHER_TASKS = {
    "TokenClassification": "labels every token",
    "AudioFrameClassification": "labels every frame",
    "ObjectDetection": "returns boxes",
    "Segmentation": "labels every pixel",
    "MultipleChoice": "scores the answers of each question by one number",
    "QuestionAnswering": "marks a span of text",
    "CausalLM": "generates text",
    "LMHeadModel": "generates text",
    "ConditionalGeneration": "generates text",
    "MaskedLM": "fills in words",
}
#: What a configuration calls a network with a logit for each of several labels, none of which
#: excludes another.
SEVERAL_LABELS = "multi_label_classification"
OTHER_PROBLEMS = {"regression": "its answers are numbers"}


def check_task(kind: str, problem: Any, what: str, error: type[NcboundsError]) -> None:
    """Raise if a configuration says that the network gives no labels per row.

    Parameters
    ----------
    kind : str
        Name of the class of the network.
    problem : object
        The ``problem_type`` of its configuration, or None.
    what : str
        The network, or its folder, for the message.
    error : type
        What to raise.

    Raises
    ------
    NcboundsError
        Of the type ``error``.
    """
    why = next((why for end, why in OTHER_TASKS.items() if kind.endswith(end)), None)
    named = kind
    if why is None and isinstance(problem, str) and problem in OTHER_PROBLEMS:
        named, why = f"problem_type {problem!r}", OTHER_PROBLEMS[problem]
    if why is not None:
        raise error(
            f"{what}: {named}: {why}. Needed is a classifier of whole rows: one label, the class "
            "of its largest logit, or several, by a logit each. A loss of each row in [0, 1] is "
            "enough to bound its mean: ncbounds evaluate-losses FILE, in Python "
            "nb.Evidence.from_losses(...)"
        )


def shapes(batch: Any) -> str:
    """Describe a batch for messages."""
    if isinstance(batch, Mapping):
        return ", ".join(f"{n} {tuple(v.shape)}" for n, v in batch.items() if hasattr(v, "shape"))
    if isinstance(batch, tuple | list):
        return ", ".join(str(tuple(v.shape)) for v in batch if hasattr(v, "shape"))
    return f"{tuple(batch.shape)} of {batch.dtype}"


def in_precision_of(module: nn.Module, batch: Any) -> Any:
    """Bring inputs to the module's device, and floating-point ones to its precision."""
    dtype, device = dtype_of(module), device_of(module)

    def cast(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        wanted = dtype if value.is_floating_point() else None
        if device.type == "cuda":  # there first: it rounds faster, and nothing waits
            value = value.to(device, non_blocking=True)
        return value.to(device, wanted)

    if isinstance(batch, Mapping):
        return {name: cast(value) for name, value in batch.items()}
    if isinstance(batch, tuple | list):
        return type(batch)(cast(value) for value in batch)
    return cast(batch)
