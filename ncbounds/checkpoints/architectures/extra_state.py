"""State that a module keeps beside its tensors (``get_extra_state``).

It is compared, never set: code that sets it may do anything with what the file holds, and some
unpickle it.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ncbounds.errors import CheckpointMismatch, few

SUFFIX = "_extra_state"
COMPARED = 10_000  # values; what is larger counts as different


def check_extra_state(module: nn.Module, stored: Mapping[str, Any], path: object) -> set[str]:
    """Compare a module's extra state with that of a file, and return its names.

    Parameters
    ----------
    module : nn.Module
    stored : mapping
        Everything of the file that may be such state, by name; prefixes may differ.
    path : object
        Name of the file, for messages.

    Raises
    ------
    CheckpointMismatch
        If the module as it was built has another state than the file.
    """
    own = {
        f"{name}.{SUFFIX}".removeprefix("."): part.get_extra_state()
        for name, part in module.named_modules()
        if type(part).get_extra_state is not nn.Module.get_extra_state
    }
    differs = []
    for name, value in own.items():
        found = [v for n, v in stored.items() if n == name or n.endswith(f".{name}")]
        if not any(_same(value, v) for v in found):
            differs.append(name)
    if differs:
        raise CheckpointMismatch(
            f"{path}: the model keeps state beside its tensors, and that of the file is another "
            f"one or missing ({few(differs)}). It is not set from a file, because the code that "
            "does so may run anything: pass model=function, a function that returns the "
            "nn.Module with this state already in it"
        )
    return set(own)


def _same(a: object, b: object) -> bool:
    waiting, left = [(a, b)], COMPARED
    while waiting:
        x, y = waiting.pop()
        left -= 1
        if left < 0 or type(x) is not type(y):
            return False
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            if x.shape != y.shape or x.dtype != y.dtype or not torch.equal(x, y):
                return False
        elif isinstance(x, Mapping) and isinstance(y, Mapping):
            if x.keys() != y.keys():
                return False
            waiting += [(x[key], y[key]) for key in x]
        elif isinstance(x, list | tuple) and isinstance(y, list | tuple):
            if len(x) != len(y):
                return False
            waiting += zip(x, y, strict=True)
        elif not isinstance(x, str | bytes | int | float | None) or x != y:
            return False
    return True
