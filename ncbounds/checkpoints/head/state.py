"""What a network keeps besides its input: stored tensors, modes, what the file does not hold."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ncbounds.checkpoints.head.steadiness import largest, largest_change
from ncbounds.errors import HeadNotFound, few

OTHER_SEED = 0x5EED_0F_A7713
#: What every layer keeps in its own dictionaries; parameters and buffers stand among them.
MODULE_ATTRIBUTES = frozenset(vars(nn.Module()))

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
    return [_shaped(name, value) for name, value in _outside(module).items()]


def weights_outside(module: nn.Module) -> list[str]:
    """Say which parameters a network has that a file of its state does not hold.

    Those of layers in a plain list, which is no ``nn.ModuleList``, or of a ``state_dict`` of its
    own that leaves some out.

    Returns
    -------
    list of str
        At most one sentence.
    """
    found = [_shaped(n, v) for n, v in _outside(module).items() if isinstance(v, nn.Parameter)]
    if not found:
        return []
    return [
        f"weights that no file of its state holds are those that the code makes: {few(found)}; "
        "rows are about the saved network only if these are the ones that it was trained with"
    ]


def _outside(module: nn.Module) -> dict[str, Tensor | np.ndarray]:
    stored, known = module.state_dict().keys(), {*module.modules()}
    found: dict[str, Tensor | np.ndarray] = {}
    for prefix, layer in module.named_modules():
        passing = {k: layer._buffers[k] for k in layer._non_persistent_buffers_set}
        own = {**layer._parameters, **passing, **_plain(layer, known)}
        for name, value in own.items():
            full = f"{prefix}.{name}" if prefix else name
            made = any(n.startswith(f"{full}_") for n in stored)  # by weight norm, pruning, ...
            if value is not None and full not in stored and not made:
                found[full] = value
    return found


def _plain(layer: nn.Module, known: set[nn.Module]) -> dict[str, Any]:
    """Tensors and arrays among the attributes of a layer, in lists and hidden layers too."""
    found: dict[str, Any] = {}
    if isinstance(layer, torch.jit.ScriptModule):  # whose attributes are views of itself
        return found
    for name, value in vars(layer).items():
        if name in MODULE_ATTRIBUTES:
            continue
        items: list[tuple[str, Any]] = [("", value)]
        if isinstance(value, list | tuple | dict):
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            items = [(f".{key}", item) for key, item in pairs]
        for key, item in items:
            full = f"{name}{key}"
            if isinstance(item, nn.Module) and item not in known:
                inside = (*item.named_parameters(), *item.named_buffers())
                found |= {f"{full}.{n}": t for n, t in inside}
            elif isinstance(item, Tensor | np.ndarray):
                found[full] = item
    return found


def _shaped(name: str, value: Tensor | np.ndarray) -> str:
    return f"{name} ({'x'.join(map(str, value.shape)) or 'one number'})"


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
