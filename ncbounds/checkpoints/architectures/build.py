"""From tensors to a network: registered architectures, user functions, transformers folders."""

import ast
import copy
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from ncbounds.checkpoints.architectures.arguments import check_arguments, said_otherwise
from ncbounds.checkpoints.architectures.bounded_build import check_counts, counted
from ncbounds.checkpoints.architectures.guess import guess_architecture
from ncbounds.checkpoints.architectures.match import check_size, fit
from ncbounds.checkpoints.architectures.transformers_folder import (
    build_transformer,
    config_identity,
)
from ncbounds.checkpoints.head.classifier import Classifier
from ncbounds.checkpoints.head.passes import HeadFunction, unwrapped
from ncbounds.checkpoints.head.state import (
    reseeded,
    tensors_outside,
    to_eval,
    weights_outside,
)
from ncbounds.checkpoints.loaded import Loaded
from ncbounds.data.user import NamedCode
from ncbounds.errors import CheckpointMismatch, UnknownArchitecture, few, suggest

__all__ = ["Classifier", "build_classifier", "build_module"]

Model = str | nn.Module | Callable[..., nn.Module]
NAME_KEYS = ("arch", "architecture", "model", "model_name")
ARGS_KEYS = ("args", "model_args", "hyper_parameters", "config", "metadata")
LONGEST_TEXT = 2000


def build_classifier(
    checkpoint: Loaded,
    model: Model | None = None,
    args: Mapping[str, Any] | None = None,
    *,
    head: str | HeadFunction | None = None,
    output: str | int | None = None,
) -> Classifier:
    """Build the network of a checkpoint and wrap it; see :meth:`Checkpoint.build`."""
    module, architecture, notes = build_module(checkpoint, model, args)

    def twin() -> nn.Module:
        with reseeded():
            return build_module(checkpoint, model, args)[0]

    made = model is not None and not isinstance(model, nn.Module)  # by a function, which may draw
    return Classifier(
        module,
        head,
        output,
        state_sha256=":".join(filter(None, (checkpoint.sha256, checkpoint.place))),
        architecture=architecture,
        notes=(*checkpoint.notes, *notes),
        remarks=(*_said_otherwise(checkpoint, model, architecture), *weights_outside(module)),
        twin=twin if made else None,
    )


def build_module(
    checkpoint: Loaded, model: Model | None = None, args: Mapping[str, Any] | None = None
) -> tuple[nn.Module, dict[str, Any], tuple[str, ...]]:
    """Build the network of a checkpoint and load its tensors, completely or not at all.

    Parameters
    ----------
    checkpoint : Checkpoint
    model : str, nn.Module or callable, optional
        See :meth:`Checkpoint.build`.
    args : mapping, optional

    Returns
    -------
    module : nn.Module
        In eval mode.
    architecture : dict
        Name and arguments.
    notes : tuple of str

    Raises
    ------
    UnknownArchitecture, CheckpointMismatch, MissingExtra
        See :meth:`Checkpoint.build`.
    """
    if model is None and checkpoint.format == "transformers folder":
        config = checkpoint.hints["config"]
        module, notes = build_transformer(config, checkpoint.tensors, checkpoint.path)
        return module.eval(), config_identity(config), notes
    module, architecture = _make(checkpoint, model, dict(args or {}))
    beside = checkpoint.hints.get("extra_state", {})
    try:
        notes = fit(module, checkpoint.tensors, checkpoint.path, beside)
    except CheckpointMismatch as error:
        raise CheckpointMismatch(f"{error}{_part_of(module, checkpoint)}") from error.__cause__
    if outside := tensors_outside(module):
        source = "taken from the module given" if isinstance(model, nn.Module) else "made by code"
        notes += (f"{source}, not from the file: {few(outside)}",)
    to_eval(module)
    return module, architecture, notes


def _said_otherwise(
    checkpoint: Loaded, model: Model | None, architecture: Mapping[str, Any]
) -> list[str]:
    """Arguments of the network that the file records with other values."""
    factory = model if callable(model) else registered_models().get(architecture.get("model", ""))
    if factory is None or isinstance(model, nn.Module):
        return []
    return said_otherwise(factory, architecture["args"], _settings(checkpoint))


def _part_of(module: nn.Module, checkpoint: Loaded) -> str:
    """How groups of a file are joined, where the one that was taken is a part of the model."""
    want = module.state_dict().keys()
    parts = list(dict.fromkeys(n.partition(".")[0] for n in want if "." in n))
    own = [p for p in parts if all(f"{p}.{n}" in want for n in checkpoint.tensors)]
    if not own or not checkpoint.others or not checkpoint.place:
        return ""
    rest = [p for p in parts if p != own[0]]
    named = dict(zip(rest, checkpoint.others)) if len(rest) == len(checkpoint.others) else {}
    called = {place.rpartition(".")[2]: place for place in checkpoint.others}
    named |= {part: called[part] for part in rest if part in called}
    pairs = ",".join(f"{p}={place}" for p, place in {own[0]: checkpoint.place, **named}.items())
    return (
        f". What was taken, {checkpoint.place!r}, is {own[0]}.* of the model, and the file has "
        f"{few(checkpoint.others)} beside it: --key {pairs} joins them"
    )


def _make(
    checkpoint: Loaded, model: Model | None, args: dict[str, Any]
) -> tuple[nn.Module, dict[str, Any]]:
    if isinstance(model, NamedCode):
        raise UnknownArchitecture(
            f"{checkpoint.path}: a manifest says that {model.spec} builds it, and a file alone "
            f"never runs code; name it yourself: --model {model.place}"
        )
    if isinstance(model, nn.Module):
        with torch.no_grad():  # a copy of an exported one would be the outcome of a graph
            return copy.deepcopy(unwrapped(model)), {"module": type(model).__qualname__}
    if callable(model):
        name = getattr(model, "__qualname__", type(model).__qualname__)
        return _run(model, args, name), {"function": name, "args": args}
    from_file, held = False, (checkpoint.tensors, checkpoint.path)
    if model is None or (model == named_in_file(checkpoint) and not args):
        from_file = not args
        model, args = _named_in_file(checkpoint, args)
    factory = _registered(model)
    if from_file:
        check_counts(args, *held)
    with counted(*held):  # shapes first: arguments of a file must not set memory aside
        check_size(_call(factory, args, model), checkpoint.tensors, checkpoint.path)
    return _call(factory, args, model), {"model": model, "args": args}


def registered_models() -> dict[str, Callable[..., nn.Module]]:
    """Return the registered architectures by name."""
    from ncbounds.checkpoints.architectures.small import MODELS

    return dict(MODELS)


def named_in_file(checkpoint: Loaded) -> str | None:
    """Return the architecture that a file names, if it names one."""
    hints = checkpoint.hints
    places = [hints, *(hints[k] for k in ARGS_KEYS if isinstance(hints.get(k), dict))]
    names = [p[k] for p in places for k in NAME_KEYS if isinstance(p.get(k), str)]
    known = [n for n in names if n in registered_models()]
    return next(iter([*known, *names]), None)


def _named_in_file(checkpoint: Loaded, args: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    name = named_in_file(checkpoint)
    guessed = guess_architecture(checkpoint.tensors)
    if name is None or name not in registered_models():
        said = f"names the architecture {name!r}, not registered" if name else "names none"
        raise UnknownArchitecture(
            f"{checkpoint.path} needs an architecture and {said}; its tensors are {guessed}. Pass "
            "model=function (--model file.py:function), a function that returns the nn.Module, or "
            f"a registered name: {', '.join(sorted(registered_models()))}"
        )
    if args:
        return name, args
    accepted = inspect.signature(registered_models()[name]).parameters
    found: dict[str, Any] = {}
    for place in _settings(checkpoint):
        found |= {k: v for k, v in place.items() if k in accepted and isinstance(v, int)}
    return name, found


def _settings(checkpoint: Loaded) -> list[dict[str, Any]]:
    """What a file holds beside its weights that may be arguments of its network."""
    places = [_mapping(checkpoint.hints.get(k)) for k in ARGS_KEYS]
    return places + [_mapping(place.get(k)) for place in places for k in ARGS_KEYS]


def _mapping(value: Any) -> dict[str, Any]:
    """A mapping, also one that is written as text, as safetensors metadata can only hold text."""
    if isinstance(value, str) and value.startswith("{") and len(value) <= LONGEST_TEXT:
        try:
            value = json.loads(value)
        except ValueError:
            try:
                value = ast.literal_eval(value)  # literals only: nothing is run
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                return {}
        except RecursionError:
            return {}
    return value if isinstance(value, dict) else {}


def _registered(name: str) -> Callable[..., nn.Module]:
    models = registered_models()
    if name not in models:
        raise UnknownArchitecture(
            f"no model {name!r} is registered; {suggest(name, list(models))}. Or pass a function "
            "that returns the nn.Module (--model file.py:function)"
        )
    return models[name]


def _call(factory: Callable[..., Any], args: Mapping[str, Any], name: str) -> nn.Module:
    try:
        return _run(factory, args, name)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise UnknownArchitecture(f"model {name!r} with args {dict(args)}: {error}") from error


def _run(factory: Callable[..., Any], args: Mapping[str, Any], name: str) -> nn.Module:
    """Call a factory without moving the random state of the process."""
    check_arguments(factory, args, name)
    with torch.random.fork_rng(devices=[]):
        module = factory(**args)
    if not isinstance(module, nn.Module):
        raise UnknownArchitecture(
            f"model {name!r} returned {type(module).__name__}; needed is a torch.nn.Module"
        )
    return unwrapped(module)
