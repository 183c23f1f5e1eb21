"""How networks are run: where, in which numbers, and over how many rows."""

import ctypes
import sys
from dataclasses import dataclass, replace
from typing import Any

from ncbounds.errors import DataError
from ncbounds.extraction.rounding import checked_dtype

#: Rows of a forward pass where nothing else is said and data are whole arrays; of small rows of
#: numbers as many as fill so many bytes, since a pass of few costs what calling the network costs.
BATCH_ROWS, MOST_ROWS, BATCH_BYTES = 256, 1024, 2**20
AUTO = "auto"
_DRIVERS = ("libcuda.so.1", "nvcuda.dll", "libamdhip64.so")


@dataclass(frozen=True)
class Running:
    """What may be said about running a network.

    Attributes
    ----------
    device : str
        ``"auto"`` (CUDA where it is available, else the CPU), ``"cpu"``, ``"cuda"``, ``"cuda:1"``,
        ``"mps"``.
    precision : {"fp32", "bf16", "fp16"} or None
        None for that of the weights. In another one it is another network that is evaluated: its
        weights and all that it computes are rounded.
    batch_size : int, "auto" or None
        Rows of a forward pass at most. ``"auto"`` halves them where a device has no room. None
        takes batches of loaders as they are, and 256 rows of whole arrays, or up to 1,024 of
        less than 4 kB.
    workers_per_loader : int or None
        Processes that read a ``DataLoader``; None leaves it as it is.
    limit : int or None
        Only the first rows of each sample: a look, whose rows are plug-ins.
    store_dtype : "float16" or None
        What features are rounded to where they are kept; see :attr:`Sample.rounded`.

    Raises
    ------
    DataError
        If one of them is impossible.
    """

    device: str = AUTO
    precision: str | None = None
    batch_size: int | str | None = None
    workers_per_loader: int | None = None
    limit: int | None = None
    store_dtype: str | None = None

    def __post_init__(self) -> None:
        kind, colon, index = self.device.partition(":")
        if kind not in (AUTO, "cpu", "cuda", "mps") or (colon and not index.isdecimal()):
            raise DataError(
                f"a device is auto, cpu, cuda, cuda:0, ... or mps, found {self.device!r}"
            )
        if self.precision not in (None, "fp32", "bf16", "fp16"):
            raise DataError(f"precision is one of fp32, bf16, fp16, found {self.precision!r}")
        check_batch_size(self.batch_size)
        _check_count("workers_per_loader", self.workers_per_loader, 0)
        check_limit(self.limit)
        checked_dtype(self.store_dtype)

    def resolved(self) -> "Running":
        """Return the same with a device in place of ``"auto"``."""
        if self.device != AUTO:
            return self
        return replace(self, device="cuda" if _has_cuda() else "cpu")

    def check_here(self) -> None:
        """Raise DataError if this machine lacks the device; torch is not imported for a CPU."""
        if self.resolved().device != "cpu":
            from ncbounds.checkpoints.head.device import check_device

            check_device(self.device)

    @property
    def key(self) -> str:
        """What a row depends on of all this; empty for weights as they are, on a CPU, whole."""
        kind = self.device.partition(":")[0]
        parts = {"device": kind if kind != "cpu" else None, "precision": self.precision}
        parts["store"] = self.store_dtype
        parts["limit"] = None if self.limit is None else str(self.limit)
        return " ".join(f"{name}={value}" for name, value in parts.items() if value is not None)

    def __str__(self) -> str:
        """Say device and precision, as in ``cuda:0 (NVIDIA H100), fp32``."""
        return f"{_described(self.device)}, {self.precision or 'in the precision of its weights'}"


def check_batch_size(batch_size: Any) -> None:
    """Raise DataError unless it is a number of rows, ``"auto"`` or None."""
    if isinstance(batch_size, str) and batch_size != AUTO:
        raise DataError(f"batch_size is a number of rows or 'auto', found {batch_size!r}")
    if not isinstance(batch_size, str):
        _check_count("batch_size", batch_size, 1)


def check_limit(limit: Any) -> None:
    """Raise DataError unless it is a number of rows or None."""
    _check_count("limit", limit, 1)


def _check_count(name: str, value: Any, least: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise DataError(f"{name} is at least {least}, found {value!r}")


def _has_cuda() -> bool:
    """Whether torch finds CUDA; torch is imported only where there is a driver."""
    if "torch" not in sys.modules and not any(map(_loads, _DRIVERS)):
        return False
    import torch

    return torch.cuda.is_available()


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _described(device: str) -> str:
    if not device.startswith("cuda"):
        return device
    from ncbounds.checkpoints.head.device import describe, find_device

    try:
        return describe(find_device(device))
    except DataError:  # where the rows are made there may be one
        return device


#: On CUDA where it is available, whole samples, in the precision of the weights.
USUAL = Running()
