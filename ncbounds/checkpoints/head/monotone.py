"""The numbers that a last softmax or sigmoid was taken of.

Both keep the order of a row, so that these numbers say what the network decides.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

SOFTMAX = (torch.softmax, Tensor.softmax, F.softmax)
LOG_SOFTMAX = (torch.log_softmax, Tensor.log_softmax, F.log_softmax)
SIGMOID = (torch.sigmoid, Tensor.sigmoid, F.sigmoid, torch.special.expit)
#: What each of them is called.
KEPT: dict[Any, str] = {
    **dict.fromkeys(SOFTMAX, "softmax"),
    **dict.fromkeys(LOG_SOFTMAX, "log-softmax"),
    **dict.fromkeys(SIGMOID, "sigmoid"),
}

#: The same by what they are called, over rows of shape (n, C).
BY_NAME: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda x: torch.softmax(x, 1),
    "log-softmax": lambda x: torch.log_softmax(x, 1),
    "sigmoid": torch.sigmoid,
}


class Monotone:
    """The last softmax or sigmoid of a pass that gave one row of numbers per row.

    Attributes
    ----------
    name : str
        ``"softmax"``, ``"log-softmax"`` or ``"sigmoid"``; empty where there was none.
    """

    def __init__(self) -> None:
        self.name = ""
        self._pair: tuple[Tensor, Tensor] | None = None

    def run(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Run ``func``; keep what went in and out if it is one that keeps the order of a row."""
        name = KEPT.get(func)
        if name is None:
            return func(*args, **kwargs)
        x = args[0] if args else kwargs.get("input")
        kept = isinstance(x, Tensor) and x.ndim in (1, 2)
        before = x.detach().clone() if kept and isinstance(x, Tensor) else None
        out = func(*args, **kwargs)
        if before is not None and (func in SIGMOID or _over_rows(before, args, kwargs)):
            self.name = name
            # clones: what is written into the output later is another output
            self._pair = (before, out.detach().clone())
        return out

    def before(self, output: Tensor) -> Tensor:
        """Return what ``output`` of shape (n, C) was made of, or itself if by something else."""
        if self._pair is None:
            return output
        into, out = self._pair
        if out.numel() != output.numel() or len(out) != len(output) or out.dtype != output.dtype:
            return output
        out = out.reshape(output.shape)
        same = (out == output) | (torch.isnan(out) & torch.isnan(output))
        return into.reshape(output.shape) if bool(same.all()) else output


def _over_rows(x: Tensor, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return x.ndim == 2 and dim in (1, -1, None)
