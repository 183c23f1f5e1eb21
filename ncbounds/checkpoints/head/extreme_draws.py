"""Passes in which every random number is as small, or as large, as it gets.

What a network does by chance, and rarely, is not seen by running it a few times.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
UNIFORM = (aten.rand, aten.rand_like, aten.uniform_, aten.uniform)
BERNOULLI = (aten.bernoulli, aten.bernoulli_)


class Extreme(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Replaces uniform and 0-or-1 draws of torch by their smallest, or largest, value.

    Parameters
    ----------
    largest : bool
    """

    def __init__(self, largest: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._largest = largest

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run ``func``, and write over what it has drawn."""
        made = func(*args, **(kwargs or {}))
        kind = getattr(func, "overloadpacket", None)
        if kind in BERNOULLI:
            usual = args[0] if kind is aten.bernoulli else 0.5
            share = torch.as_tensor(args[1] if len(args) > 1 else usual)
            made.copy_(share > 0 if self._largest else share >= 1)
        elif kind in UNIFORM and made.numel():
            low, high = (*args[1:], 0.0, 1.0)[:2] if kind in UNIFORM[2:] else (0.0, 1.0)
            below = high - (high - low) * torch.finfo(made.dtype).eps  # 1 itself is never drawn
            made.fill_(below if self._largest else low)
        return made
