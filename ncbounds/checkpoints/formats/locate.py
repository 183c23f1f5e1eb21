"""Find the weights in what a file holds, and name everything that was passed over."""

import argparse
from collections.abc import Mapping
from itertools import islice
from typing import Any

import torch

from ncbounds.errors import CheckpointMismatch, CheckpointUnreadable

AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema")
CURRENT = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "model_weights",
)
INNER = ("state_dict", "model_state_dict", "model", "module", "shadow", "params")
WRAPPERS = ("module.", "_orig_mod.")
HINT_ITEMS = 2_000  # hints are read by people; a file cannot make them large
Tensors = dict[str, torch.Tensor]


def locate_weights(content: Any, path: object, key: str | None = None) -> tuple[Tensors, list[str]]:
    """Return the weights of a loaded checkpoint and notes on what was done.

    Parameters
    ----------
    content : object
        What ``torch.load`` returned.
    path : object
        Name of the file, for messages.
    key : str, optional
        Take the weights under this key instead of searching.

    Returns
    -------
    tensors : dict of str to Tensor
        Without the prefixes of wrappers (``module.``, ``_orig_mod.``).
    notes : list of str

    Raises
    ------
    CheckpointUnreadable
        If there are no named tensors, or several groups of them to choose from.
    """
    if not isinstance(content, Mapping):
        raise CheckpointUnreadable(
            f"{path} holds a {type(content).__name__}; needed is a dict of named tensors: "
            "torch.save(model.state_dict(), 'weights.pt')"
        )
    groups = {str(name): _group(value) for name, value in content.items()}
    groups = {name: group for name, group in groups.items() if group}
    optimizer = [str(n) for n in content if "optim" in str(n)]
    notes = [f"optimizer state ignored: {', '.join(optimizer)}"] if optimizer else []
    if key is not None:
        if key not in groups:
            raise CheckpointUnreadable(
                f"{path} has no tensors under {key!r}; it has {', '.join(groups) or 'none'}"
            )
        return normalise(groups[key], notes)
    averaged = next((n for n in AVERAGED if n in groups), None)
    current = next((n for n in CURRENT if n in groups), None)
    if averaged is not None:
        tensors, notes = normalise(groups[averaged], notes)
        notes.append(f"averaged (EMA) weights used, from {averaged!r}")
        full = _with_buffers(tensors, groups.get(current or "", {}))
        if len(full) > len(tensors):
            notes.append(f"its batch-norm statistics taken from {current!r}")
        return full, notes
    if current is not None:
        notes.append(f"weights found under {current!r}")
        return normalise(groups[current], notes)
    top = _tensors(content)
    if top:
        return normalise(top, notes + _skipped(content))
    others = [n for n in groups if n not in optimizer]
    if len(others) == 1:
        notes.append(f"weights found under {others[0]!r}")
        return normalise(groups[others[0]], notes)
    raise CheckpointUnreadable(
        f"{path} has {'several groups of tensors' if others else 'no named tensors'}; found "
        f"{', '.join(others or map(str, list(content)[:8])) or 'an empty dict'}"
        + ("; choose one with load_checkpoint(path, key=...)" if others else "")
    )


def normalise(tensors: Tensors, notes: list[str]) -> tuple[Tensors, list[str]]:
    """Strip wrapper prefixes that all names share; return new tensors and notes."""
    notes = list(notes)
    if "n_averaged" in tensors and len(tensors) > 1:
        tensors = {n: t for n, t in tensors.items() if n != "n_averaged"}
        notes.append("counter n_averaged of the averaged model ignored")
    while prefix := next((w for w in WRAPPERS if all(n.startswith(w) for n in tensors)), None):
        tensors = {name.removeprefix(prefix): t for name, t in tensors.items()}
        notes.append(f"prefix {prefix} stripped")
    return tensors, notes


def check_tensors(tensors: Tensors, path: object, size: int) -> None:
    """Refuse tensors that are no plain arrays, or that claim more than the file holds.

    Raises
    ------
    CheckpointMismatch
        If a tensor is sparse, quantised or without data.
    CheckpointUnreadable
        If a view repeats a small storage into something larger than the file.
    """
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise CheckpointMismatch(
                f"{path}: tensor {name} is sparse, quantised or without data; save the plain "
                "weights"
            )
        if tensor.numel() * tensor.element_size() > size:
            raise CheckpointUnreadable(
                f"{path}: tensor {name} of shape {tuple(tensor.shape)} claims more than the "
                f"{size} bytes of the file"
            )


def hints_of(content: Any) -> dict[str, Any]:
    """Return the plain values beside the weights: arch, args, hyper_parameters, epoch, ..."""
    budget = [HINT_ITEMS]
    if not isinstance(content, Mapping):
        return {}
    kept = {}
    for name, value in content.items():
        if isinstance(value, torch.Tensor) or "optim" in str(name) or _group(value):
            continue
        kept[str(name)] = _plain(value, budget)
    return kept


def _tensors(value: Any) -> Tensors:
    if not isinstance(value, Mapping):
        return {}
    return {
        n: t.detach()
        for n, t in value.items()
        if isinstance(n, str) and isinstance(t, torch.Tensor)
    }


def _group(value: Any) -> Tensors:
    """Named tensors of a container, or of a container one level inside it."""
    direct = _tensors(value)
    if direct or not isinstance(value, Mapping):
        return direct
    return next((t for n in INNER if (t := _tensors(value.get(n)))), {})


def _with_buffers(tensors: Tensors, current: Tensors) -> Tensors:
    """Add batch-norm statistics where only parameters were averaged."""
    full, _ = normalise(current, [])
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    added = {n: t for n, t in full.items() if n not in tensors and n.endswith(buffers)}
    return {**tensors, **added} if set(tensors) < set(full) else tensors


def _skipped(content: Mapping[Any, Any]) -> list[str]:
    names = [str(n) for n, v in content.items() if not isinstance(v, torch.Tensor)]
    return [f"entries that are no tensors ignored: {', '.join(names[:8])}"] if names else []


def _plain(value: Any, budget: list[int], depth: int = 0) -> Any:
    budget[0] -= 1
    if budget[0] < 0 or depth > 6:
        return "..."
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if isinstance(value, Mapping):
        return {str(n)[:200]: _plain(v, budget, depth + 1) for n, v in _few(value.items(), budget)}
    if isinstance(value, list | tuple | set):
        return [_plain(v, budget, depth + 1) for v in _few(value, budget)]
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, torch.Tensor):
        return f"tensor {tuple(value.shape)}"
    return value[:1000] if isinstance(value, str) else type(value).__name__


def _few(items: Any, budget: list[int]) -> list[Any]:
    return list(islice(items, max(0, budget[0])))
