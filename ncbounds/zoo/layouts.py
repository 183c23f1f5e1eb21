"""The file layouts that people's checkpoints come in, written with fp16 tensors.

The zoo uses all of them, so that every reader meets real files. Reading here is for the zoo's own
files only: the layout is known.
"""

import argparse
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

State = Mapping[str, Tensor]
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Layout:
    """Where a layout keeps the weights and what stands beside them.

    Parameters
    ----------
    suffix : str
        File suffix with its dot.
    container : str or None
        Key of the state dict in the saved dict; None: the file is the state dict.
    prefix : str
        Put in front of every tensor's name.
    beside : function
        From the facts of a run (``epoch``, ``args``, ...) to the other entries of the dict.
    """

    suffix: str
    container: str | None = None
    prefix: str = ""
    beside: Callable[[Facts], dict[str, Any]] = lambda facts: {}


def _optimizer(facts: Facts) -> dict[str, Any]:
    """State of a fresh optimizer: its settings, without momentum buffers, which would be large."""
    return torch.optim.SGD(
        [torch.nn.Parameter(torch.zeros(()))],
        lr=facts["lr"],
        momentum=facts["momentum"],
        weight_decay=facts["weight_decay"],
    ).state_dict()


LAYOUTS = {
    "safetensors": Layout(".safetensors"),
    "state_dict": Layout(".pt"),
    "training": Layout(
        ".pt",
        "model",
        beside=lambda facts: {"optimizer": _optimizer(facts), "epoch": facts["epoch"]},
    ),
    "model_state_dict": Layout(
        ".pth", "model_state_dict", beside=lambda facts: {"epoch": facts["epoch"]}
    ),
    "data_parallel": Layout(
        ".pth", "state_dict", "module.", lambda facts: {"epoch": facts["epoch"]}
    ),
    "compiled": Layout(".pt", None, "_orig_mod."),
    "namespace": Layout(
        ".pth.tar",
        "state_dict",
        "module.",
        lambda facts: {
            "epoch": facts["epoch"],
            "arch": facts["model"],
            "args": argparse.Namespace(**facts["args"], lr=facts["lr"]),
        },
    ),
    "ema": Layout(
        ".pth",
        "state_dict_ema",
        beside=lambda facts: {
            "epoch": facts["epoch"],
            "state_dict": halve(facts["last"]),
        },
    ),
    "lightning": Layout(
        ".ckpt",
        "state_dict",
        "model.",
        lambda facts: {
            "epoch": facts["epoch"],
            "global_step": facts["steps"],
            "pytorch-lightning_version": "2.5.0",
            "hyper_parameters": {"model": facts["model"], **facts["args"]},
            "optimizer_states": [_optimizer(facts)],
            "lr_schedulers": [],
            "callbacks": {},
            "loops": {},
        },
    ),
}
"""By name. In ``ema`` the averaged weights are the model; the last ones stand beside them."""


def halve(state: State) -> "OrderedDict[str, Tensor]":
    """Copy with floating-point tensors rounded to fp16."""
    return OrderedDict(
        (name, tensor.detach().to(torch.float16 if tensor.is_floating_point() else tensor.dtype))
        for name, tensor in state.items()
    )


def write(state: State, path: Path, layout: Layout, facts: Facts) -> None:
    """Write ``state`` as fp16; the file appears under its name only when it is complete."""
    half = halve(state)
    named = OrderedDict((layout.prefix + name, tensor) for name, tensor in half.items())
    unfinished = path.with_name(path.name + ".part")
    if layout.suffix == ".safetensors":
        safetensors.torch.save_file(named, unfinished)
    else:
        beside = layout.beside(facts)
        torch.save({**beside, layout.container: named} if layout.container else named, unfinished)
    os.replace(unfinished, path)


def read(path: Path, layout: Layout) -> dict[str, Tensor]:
    """Read the weights back, as stored, without their prefix."""
    if layout.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    with torch.serialization.safe_globals([argparse.Namespace]):
        loaded = torch.load(path, weights_only=True)
    state = loaded[layout.container] if layout.container else loaded
    return {name.removeprefix(layout.prefix): tensor for name, tensor in state.items()}
