"""Record the affine maps that a network computes while it runs.

A function mode sees every ``linear``, 1x1 convolution and matrix product of this thread, whether a
layer or plain code calls it, with the weight as it is used (after weight norm or normalisation).
It needs no hooks that could be left behind, and is off as soon as the forward pass ends.
"""

import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ncbounds.checkpoints.head.arithmetic import comparable
from ncbounds.checkpoints.head.monotone import Monotone
from ncbounds.errors import HeadNotFound, TapRefused, shown

PRODUCTS = (torch.matmul, torch.mm, Tensor.matmul, Tensor.mm, Tensor.__matmul__)
ADDED = (torch.addmm, Tensor.addmm)
BATCH_NORMS = (F.batch_norm, torch.batch_norm)
OF_THE_BATCH = (
    "a batch norm of the model computes its statistics from the rows beside it also in eval mode "
    "(it has no running statistics, or training=True is written in forward). Make the model a "
    "fixed function of each row"
)


#: What is kept of the outputs of named modules: from an output and the batch to (n, d).
Taps = Mapping[str, Callable[[Any, Any], Tensor]]


@dataclass(frozen=True, eq=False)
class Affine:
    """One affine map that was computed: ``output = input @ weight.T + bias``.

    Attributes
    ----------
    input : Tensor of shape (n, d), (n, T, d) or (n, d, height, width)
    output : Tensor
        Same layout with C in place of d.
    weight : Tensor of shape (C, d)
    bias : Tensor of shape (C,) or None
    channels : int
        Axis of d and C: 1 for a convolution, -1 otherwise.
    source : Tensor
        The weight as it was passed, by which its layer is found.
    owners : tuple of str
        Layers that were running, outermost first; empty unless they are watched.
    """

    input: Tensor
    output: Tensor
    weight: Tensor
    bias: Tensor | None
    channels: int
    source: Tensor
    owners: tuple[str, ...] = ()


class Tracer(TorchFunctionMode):
    """Collects the affine maps that pass ``keep``, in the order in which they are computed."""

    def __init__(self, keep: Callable[[torch.Size], bool]) -> None:
        super().__init__()
        self.calls: list[Affine] = []
        self.owners: list[str] = []
        self.monotone = Monotone()
        self._keep = keep

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run ``func`` and record it if it is an affine map with constant coefficients."""
        kwargs = kwargs or {}
        if func in BATCH_NORMS and _of_the_batch(args, kwargs):
            raise HeadNotFound(OF_THE_BATCH)
        parts = affine_parts(func, args, kwargs)
        if parts is None or not self._keep(parts[2].shape):
            return self.monotone.run(func, args, kwargs)
        x, source, weight, bias, channels = parts
        # A clone, because a later in-place operation may overwrite what the head multiplied.
        x = comparable(x.detach().clone())
        output = func(*args, **kwargs)
        kept = comparable(output.detach().clone())
        owners = tuple(self.owners)
        weight, bias = comparable(weight), None if bias is None else comparable(bias)
        self.calls.append(Affine(x, kept, weight, bias, channels, source, owners))
        return output


@contextmanager
def watched(module: nn.Module, tracer: Tracer) -> Iterator[None]:
    """Let the tracer know which layer is running; leaves no hook behind, whatever happens."""
    thread = threading.get_ident()

    def enter(name: str) -> None:
        if threading.get_ident() == thread:
            tracer.owners.append(name)

    def leave() -> None:
        if threading.get_ident() == thread and tracer.owners:
            tracer.owners.pop()

    handles = []
    try:
        for name, layer in module.named_modules():
            if name and not isinstance(layer, torch.jit.ScriptModule):  # which takes no hooks
                handles.append(layer.register_forward_pre_hook(lambda m, x, name=name: enter(name)))
                handles.append(layer.register_forward_hook(lambda m, x, y: leave()))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def tapped(module: nn.Module, taps: Taps, batch: Any) -> Iterator[dict[str, Tensor]]:
    """Read named modules while one pass over a batch runs; leaves no hook behind.

    Only what ``taps`` make of an output is kept, so that no whole layer stays in memory.

    Yields
    ------
    dict of str to Tensor
        Filled by the pass.

    Raises
    ------
    TapRefused
        If a module runs twice in the pass, or not at all, or its output is refused.
    """
    thread, found = threading.get_ident(), dict[str, Tensor]()

    def keep(name: str, output: Any) -> None:
        if threading.get_ident() != thread:
            return
        if name in found:
            raise TapRefused(
                f"the module {shown(name)!r} runs more than once in a forward pass, so that its "
                "output is not one thing; name the block around it"
            )
        found[name] = comparable(taps[name](output, batch))

    layers = dict(module.named_modules(remove_duplicate=False))
    handles = [
        layers[name].register_forward_hook(lambda m, x, y, name=name: keep(name, y))
        for name in taps
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
    silent = [shown(name) for name in taps if name not in found]
    if silent:
        raise TapRefused(
            f"the module {silent[0]!r} does not run by itself in a forward pass (its weights are "
            "used by the block around it, or not at all); name the block around it"
        )


def affine_parts(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, int] | None:
    """Return input, weight as passed, weight (C, d), bias and channel axis, or None."""
    if func is F.linear:
        return _linear(*args, **kwargs)
    if func is torch.conv2d:
        return _convolution(*args, **kwargs)
    if func in ADDED and not kwargs and len(args) == 3:
        bias, x, matrix = args
        if matrix.ndim == 2 and x.ndim == 2 and bias.shape == matrix.shape[1:]:
            return x, matrix, matrix.T, bias, -1
    if func in PRODUCTS and not kwargs and len(args) == 2:
        x, matrix = args
        if isinstance(x, Tensor) and isinstance(matrix, Tensor) and matrix.ndim == 2 <= x.ndim:
            return x, matrix, matrix.T, None, -1
    return None


def _of_the_batch(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a batch norm takes statistics of its input; it would move running ones unseen."""
    return bool(kwargs.get("training", args[5] if len(args) > 5 else False))


def _linear(
    input: Tensor, weight: Tensor, bias: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, int] | None:
    return (input, weight, weight, bias, -1) if weight.ndim == 2 and input.ndim >= 2 else None


def _convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, int] | None:
    plain = padding in (0, (0, 0), [0, 0], "valid", "same") and groups == 1
    whole = stride in (1, (1, 1), [1, 1]) or input.shape[-2:] == (1, 1)
    if weight.ndim == 4 and weight.shape[2:] == (1, 1) and plain and whole:
        return input, weight, weight[:, :, 0, 0], bias, 1
    return None


def run(module: nn.Module, batch: Any) -> Any:
    """Call a network on a batch: a mapping by keyword, a tuple or list by position.

    A mapping of one entry that the network has no keyword for is its one input.
    """
    if isinstance(batch, Mapping):
        return module(**batch) if _by_keyword(module, batch) else module(*batch.values())
    return module(*batch) if isinstance(batch, tuple | list) else module(batch)


def _by_keyword(module: nn.Module, batch: Mapping[str, Any]) -> bool:
    if len(batch) != 1:
        return True
    try:
        inspect.signature(module.forward).bind(**batch)
    except TypeError:
        return False
    except ValueError:  # nothing is known about its arguments
        return True
    return True


def rows_of(batch: Any) -> int:
    """Return the number of rows of a batch."""
    if isinstance(batch, Mapping):
        batch = next(iter(batch.values()))
    return len(batch[0] if isinstance(batch, tuple | list) else batch)


def first_rows(batch: Any, count: int) -> Any:
    """Return the first ``count`` rows of a batch, in the same form."""
    return rows_at(batch, slice(count))


def rows_at(batch: Any, rows: slice | list[int]) -> Any:
    """Return some rows of a batch, in the same form."""
    n = rows_of(batch)

    def cut(value: Any) -> Any:
        per_row = isinstance(value, Tensor) and value.ndim > 0 and len(value) == n
        return value[rows] if per_row else value

    if isinstance(batch, Mapping):
        return {name: cut(value) for name, value in batch.items()}
    if isinstance(batch, tuple | list):
        return type(batch)(cut(value) for value in batch)
    return cut(batch)
