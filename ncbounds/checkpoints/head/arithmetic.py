"""In which numbers a network computes: their names, and settings that keep them what they are."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

#: Precisions that may be asked for, and the others that a network may have by itself.
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_NAMES = {**{dtype: name for name, dtype in PRECISIONS.items()}, torch.float64: "fp64"}
#: Devices whose arithmetic has no float64; what is compared in it is compared on the host.
WITHOUT_FLOAT64 = ("mps",)

#: How a setting is read and written, and a value for it.
Setting = tuple[Callable[[], Any], Callable[[Any], None], Any]

_lock = threading.Lock()
_inside = 0
_before: list[tuple[Callable[[Any], None], Any]] = []


def dtype_of(module: nn.Module) -> torch.dtype | None:
    """Return the type of the first floating-point parameter; None if there is none."""
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), None)


def device_of(module: nn.Module) -> torch.device:
    """Return where the first parameter or buffer is; the CPU if there is none."""
    first = next(chain(module.parameters(), module.buffers()), None)
    return torch.device("cpu") if first is None else first.device


def precision_of(module: nn.Module) -> str:
    """Name the precision of a network, such as ``"bf16"``; one without weights has ``"fp32"``."""
    dtype = dtype_of(module) or torch.float32
    return _NAMES.get(dtype, str(dtype).removeprefix("torch."))


def rounding_share(module: nn.Module) -> float:
    """Share of the largest value of a pass by which rounding may change any: half the digits.

    Each operation rounds by u, and the layers behind it may make that larger, or smaller; passes of
    other batch sizes, which sum in other orders, were never seen to differ by as much as sqrt(u).
    """
    return math.sqrt(torch.finfo(dtype_of(module) or torch.float32).eps)


def comparable(tensor: Tensor) -> Tensor:
    """Bring a tensor to where float64 can be computed, if its own device cannot."""
    return tensor.cpu() if tensor.device.type in WITHOUT_FLOAT64 else tensor


@contextmanager
def as_named() -> Iterator[None]:
    """Let products be those of their type: no TF32 for float32, sums of half precision in float32.

    TF32 rounds both factors to 11 bits and passes for float32; tensor cores may add up partial sums
    of half precision in half precision. The settings belong to the whole process; they are put back
    when the last thread leaves.
    """
    global _inside
    with _lock:
        if _inside == 0:
            found = _settings()
            _before[:] = [(write, read()) for read, write, _ in found]
            for _, write, value in found:
                write(value)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                for write, value in _before:
                    write(value)


def _settings() -> list[Setting]:
    """Settings of this version of torch, with the values that they take here."""
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    mkldnn: Any = torch.backends.mkldnn
    sums = ("fp16_reduced_precision_reduction", "bf16_reduced_precision_reduction")
    names = [f"allow_{name}" for name in (*sums, "fp16_accumulation")]
    found = [_setting(matmul, name, False) for name in names if hasattr(matmul, name)]
    if hasattr(matmul, "fp32_precision"):
        places = (matmul, cudnn.conv, cudnn.rnn, mkldnn.matmul, mkldnn.conv, mkldnn.rnn)
        return [*found, *(_setting(place, "fp32_precision", "ieee") for place in places)]
    highest = (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest")
    return [
        *found,
        highest,
        _setting(matmul, "allow_tf32", False),
        _setting(cudnn, "allow_tf32", False),
    ]


def _setting(place: Any, name: str, value: Any) -> Setting:
    return lambda: getattr(place, name), lambda new: setattr(place, name, new), value
