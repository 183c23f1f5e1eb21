"""Where a network runs: devices by name, what does not fit on them, and the way back from them."""

import torch
from torch import Tensor

from ncbounds.errors import DataError

#: What torch says, beside its own error, where memory ran out: on a CPU, in cuDNN, cuBLAS, on MPS.
OUT_OF_MEMORY = (
    "can't allocate memory",
    "out of memory",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


def find_device(name: str | torch.device) -> torch.device:
    """Return a device that is there.

    Parameters
    ----------
    name : str or torch.device
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, or ``"auto"`` for CUDA where it is
        available, else the CPU.

    Raises
    ------
    DataError
        If it is no device, or is not there.
    """
    device = check_device(name)
    if str(device) == "cuda":
        device = torch.device("cuda", torch.cuda.current_device())
    return device


def check_device(name: str | torch.device) -> torch.device:
    """See that a device is there, as :func:`find_device` does, without starting to use it."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda", "mps"):
        raise DataError(f"a device is auto, cpu, cuda, cuda:0, ... or mps, found {str(name)!r}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DataError(
            f"torch {torch.__version__} finds no CUDA device here; use device='cpu' (--device cpu)"
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DataError(
            f"there is no {device}: {torch.cuda.device_count()} CUDA devices, counted from cuda:0"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DataError(
            f"torch {torch.__version__} finds no MPS device here; use device='cpu' (--device cpu)"
        )
    return device


def describe(device: torch.device) -> str:
    """Name a device for people: ``cuda:0 (NVIDIA H100)``."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a batch was too large for the device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY)


class Fetch:
    """A tensor on its way to the host, while its device goes on with other work.

    Parameters
    ----------
    tensor : Tensor
        From a CUDA device it is copied to page-locked memory behind the work that makes it; from
        elsewhere at once.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._event: torch.cuda.Event | None = None
        if tensor.device.type != "cuda":
            self._host = tensor.cpu()
            return
        self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        self._host.copy_(tensor, non_blocking=True)
        self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._event.record(torch.cuda.current_stream(tensor.device))

    def wait(self) -> Tensor:
        """Return it when it is there; page-locked memory is given back, so what is kept is new."""
        if self._event is None:
            return self._host
        self._event.synchronize()
        return self._host.clone()
