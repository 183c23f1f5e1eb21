"""What a network keeps besides its input: stored tensors, modes, what the file does not hold."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ncbounds.checkpoints.head.steadiness import largest, largest_change
from ncbounds.errors import HeadNotFound

OTHER_SEED = 0x5EED_0F_A7713

State = list[tuple[str, int, int, int]]


def state_of(module: nn.Module) -> State:
    """Return what tells whether a stored tensor was replaced or written to: place and version."""
    found = []
    for prefix, layer in module.named_modules(remove_duplicate=False):
        passing = layer._non_persistent_buffers_set
        for name, tensor in (*layer._parameters.items(), *layer._buffers.items()):
            if isinstance(tensor, Tensor) and name not in passing:
                version = -1 if tensor.is_inference() else tensor._version
                full = f"{prefix}.{name}" if prefix else name
                found.append((full, id(tensor), tensor.data_ptr(), version))
    return found


def to_eval(module: nn.Module) -> bool:
    """Put a network into eval mode; False where it has one mode only, that of its export."""
    try:
        module.eval()
    except NotImplementedError:
        return False
    return True


@contextmanager
def evaluating(module: nn.Module, verified: State | None) -> Iterator[None]:
    """Run a pass in eval mode, and see that the network leaves the pass as it entered it.

    Parameters
    ----------
    module : nn.Module
    verified : list, optional
        State of the network when its head was verified.

    Raises
    ------
    HeadNotFound
        If a stored tensor was changed since then or by this pass, or a layer left eval mode.
    """
    modes = not any(m.training for m in module.modules()) or to_eval(module)
    before = state_of(module)
    if verified is not None and before != verified:
        changed = [a[0] for a, b in zip(before, verified, strict=False) if a != b]
        raise HeadNotFound(
            f"the network changed after its head was verified ({', '.join(changed[:3]) or 'layers'}"
            "): it is trained or loaded anew meanwhile. Make a new Classifier, of a "
            "copy.deepcopy(module) if training goes on"
        )
    yield
    training = [name or "the model" for name, m in module.named_modules() if m.training]
    if training and modes:
        module.eval()
        raise HeadNotFound(
            f"{', '.join(training[:3])} left eval mode during a forward pass; take self.train() "
            "out of forward"
        )
    moved = [a[0] for a, b in zip(before, state_of(module), strict=False) if a != b]
    if moved:
        raise HeadNotFound(
            f"a forward pass in eval mode changed {', '.join(moved[:3])}; needed is a network that "
            "its own passes leave alone"
        )


@contextmanager
def reseeded() -> Iterator[None]:
    """Give torch, NumPy and Python other random states for a while, and put theirs back."""
    ours, python = np.random.get_state(), random.getstate()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(OTHER_SEED)
        np.random.seed(OTHER_SEED % 2**32)  # noqa: NPY002
        random.seed(OTHER_SEED)
        try:
            yield
        finally:
            np.random.set_state(ours)  # noqa: NPY002
            random.setstate(python)


def tensors_outside(module: nn.Module) -> list[str]:
    """Name the tensors and arrays of a network that a file of its state does not hold."""
    found = []
    for prefix, layer in module.named_modules():
        plain = {k: v for k, v in vars(layer).items() if isinstance(v, Tensor | np.ndarray)}
        passing = {k: layer._buffers[k] for k in layer._non_persistent_buffers_set}
        for name, value in (*plain.items(), *passing.items()):
            if value is not None:
                full = f"{prefix}.{name}" if prefix else name
                found.append(f"{full} ({'x'.join(map(str, value.shape)) or 'one number'})")
    return found


def check_twin(module: nn.Module, first: Tensor, second: Tensor) -> None:
    """Raise if a network that was built once more from the same file gives other logits.

    Raises
    ------
    HeadNotFound
        Naming the tensors that the file does not hold.
    """
    if first.shape == second.shape and largest_change(first, second, largest(first)) <= 1.0:
        return
    outside = tensors_outside(module)
    where = f" (outside its state_dict: {', '.join(outside[:4])})" if outside else ""
    raise HeadNotFound(
        "the network built twice from the same file gives different logits: it depends on numbers "
        f"that are drawn when it is built and not in the file{where}. Keep them in the network "
        "with self.register_buffer(name, tensor) and save it again, or pass the module that still "
        "holds them, model=module"
    )


def draws(device: torch.device) -> tuple[Any, ...]:
    """Return what changes whenever a random number is drawn from one of the shared generators.

    Those of torch on the CPU and on ``device``, of NumPy and of Python.
    """
    there = torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.empty(0)
    shared = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    return (
        torch.get_rng_state().numpy().tobytes(),
        there.numpy().tobytes(),
        (shared["pos"], shared["key"].tobytes()),
        random.getstate(),
    )
