"""Networks that a file describes by numbers are not built larger than the file."""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules import module as registration

from ncbounds.budgets import LAYERS, PARTS, SPARE_PARTS
from ncbounds.errors import CheckpointMismatch, shown

_COUNTS = re.compile("layer|depth|block|head|expert|label|class|stage|group|level", re.IGNORECASE)


def check_counts(settings: object, tensors: Mapping[str, Tensor], path: object) -> None:
    """Refuse numbers of layers, heads, classes, ... that no tensor of the file goes with.

    Parameters
    ----------
    settings : object
        What a file says about its architecture: mappings, lists and plain values.
    tensors : mapping of str to Tensor
    path : object
        Name of the file, for messages.

    Raises
    ------
    CheckpointMismatch
        Naming the setting, its number and the largest that the file allows.
    """
    largest = max([LAYERS, len(tensors), *(n for t in tensors.values() for n in t.shape)])
    waiting: list[tuple[str, object]] = [("", settings)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(str(n), v) for n, v in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [(name, v) for v in value]
        elif isinstance(value, int) and abs(value) > largest and _COUNTS.search(name):
            raise CheckpointMismatch(
                f"{path} asks for {shown(name)} = {shown(value)}; its tensors allow {largest} at "
                "most. Pass the args that the file was saved from"
            )


@contextmanager
def counted(tensors: Mapping[str, Tensor], path: object) -> Iterator[None]:
    """Build on the meta device; stop where a network gets far more parts than the file has tensors.

    Raises
    ------
    CheckpointMismatch
        Naming both numbers.
    """
    allowed, parts, thread = PARTS * len(tensors) + SPARE_PARTS, 0, threading.get_ident()

    def count(*_: Any) -> None:
        nonlocal parts
        parts += threading.get_ident() == thread
        if parts > allowed:
            raise CheckpointMismatch(
                f"{path} holds {len(tensors)} tensors, the model would need more than {allowed} "
                "modules and parameters: pass the args that the file was saved from"
            )

    with ExitStack() as stack:
        for name in ("module", "parameter", "buffer"):
            register = getattr(registration, f"register_module_{name}_registration_hook")
            stack.callback(register(count).remove)
        stack.enter_context(torch.device("meta"))
        yield
