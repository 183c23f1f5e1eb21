"""Find the weights in what a file holds, and name everything that was passed over."""

import argparse
from collections.abc import Mapping
from itertools import islice
from typing import Any

import torch

from ncbounds.budgets import ALIASED_BYTES, ALIASES, NAME_LENGTH, TENSORS, WRAPPERS
from ncbounds.errors import CheckpointMismatch, CheckpointUnreadable, few, shown

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
EXTRA = "_extra_state"  # the end of names under which modules keep what is no tensor
WRAPPER_NAMES = ("module.", "_orig_mod.")
LONGEST_NUMBER = 1024  # bits; what Python writes as text without refusing
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
    groups = _groups(content)
    optimizer = [name for name in map(_key, content) if "optim" in name]
    notes = [f"optimizer state ignored: {few(optimizer)}"] if optimizer else []
    if key is not None:
        if key not in groups:
            raise CheckpointUnreadable(
                f"{path} has no tensors under {shown(key)}; it has {few(groups) or 'none'}"
            )
        return normalise(groups[key], notes, path)
    averaged = next((n for n in AVERAGED if n in groups), None)
    current = next((n for n in CURRENT if n in groups), None)
    if averaged is not None:
        tensors, notes = normalise(groups[averaged], notes, path)
        notes.append(f"averaged (EMA) weights used, from {averaged!r}")
        full = _with_buffers(tensors, groups.get(current or "", {}), path)
        if len(full) > len(tensors):
            notes.append(f"its batch-norm statistics taken from {current!r}")
        return full, notes
    if current is not None:
        notes.append(f"weights found under {current!r}")
        return normalise(groups[current], notes, path)
    top = _tensors(content)
    if top:
        return normalise(top, notes + _skipped(content), path)
    others = [n for n in groups if n not in optimizer]
    if len(others) == 1:
        notes.append(f"weights found under '{shown(others[0])}'")
        return normalise(groups[others[0]], notes, path)
    raise CheckpointUnreadable(
        f"{path} has {'several groups of tensors' if others else 'no named tensors'}; found "
        f"{few(others or map(_key, content)) or 'an empty dict'}"
        + ("; choose one with load_checkpoint(path, key=...)" if others else "")
    )


def normalise(
    tensors: Tensors, notes: list[str], path: object = "the file"
) -> tuple[Tensors, list[str]]:
    """Strip wrapper prefixes that all names share; return new tensors and notes.

    Raises
    ------
    CheckpointUnreadable
        If there are absurdly many tensors or prefixes, or a name is absurdly long.
    """
    notes = list(notes)
    if len(tensors) > TENSORS:
        raise CheckpointUnreadable(
            f"{path} holds {len(tensors)} tensors, at most {TENSORS} are read"
        )
    longest = max(tensors, key=len, default="")
    if len(longest) > NAME_LENGTH:
        raise CheckpointUnreadable(
            f"{path}: a tensor's name has {len(longest)} characters ({shown(longest, 40)}), "
            f"at most {NAME_LENGTH} are read"
        )
    if "n_averaged" in tensors and len(tensors) > 1:
        tensors = {n: t for n, t in tensors.items() if n != "n_averaged"}
        notes.append("counter n_averaged of the averaged model ignored")
    for _ in range(WRAPPERS + 1):
        prefix = next((w for w in WRAPPER_NAMES if all(n.startswith(w) for n in tensors)), None)
        if prefix is None or not tensors:
            return tensors, notes
        tensors = {name.removeprefix(prefix): t for name, t in tensors.items()}
        notes.append(f"prefix {prefix} stripped")
    raise CheckpointUnreadable(
        f"{path}: names begin with more than {WRAPPERS} prefixes of wrappers, as "
        f"{shown(longest, 60)} does"
    )


def check_tensors(tensors: Tensors, path: object, size: int) -> None:
    """Refuse tensors that are no plain arrays, or that claim more than the file holds.

    Raises
    ------
    CheckpointMismatch
        If a tensor is sparse, quantised or without data.
    CheckpointUnreadable
        If a view repeats a small storage into something larger than the file, or many tensors
        share one.
    """
    claimed = 0
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise CheckpointMismatch(
                f"{path}: tensor {shown(name)} is sparse, quantised or without data; save "
                "the plain weights"
            )
        claimed += tensor.numel() * tensor.element_size()
        if tensor.numel() * tensor.element_size() > size:
            raise CheckpointUnreadable(
                f"{path}: tensor {shown(name)} of shape {tuple(tensor.shape)} claims more than the "
                f"{size} bytes of the file"
            )
    if claimed > (allowed := max(ALIASES * size, ALIASED_BYTES)):
        raise CheckpointUnreadable(
            f"{path}: its {len(tensors)} tensors share storage so that they claim {claimed} bytes; "
            f"for a file of {size} bytes at most {allowed} are built"
        )


def hints_of(content: Any) -> dict[str, Any]:
    """Return the plain values beside the weights: arch, args, hyper_parameters, epoch, ..."""
    budget = [HINT_ITEMS]
    if not isinstance(content, Mapping):
        return {}
    groups = _groups(content)
    kept: dict[str, Any] = {}
    for key, value in content.items():
        name = _key(key)
        if isinstance(value, torch.Tensor) or "optim" in name or name in groups:
            continue
        if budget[0] <= 0:
            break
        kept[name[:NAME_LENGTH]] = _plain(value, budget)
    return kept


def extra_state(content: Any, tensors: Tensors) -> dict[str, Any]:
    """Return what stands beside the chosen tensors under names that end in ``_extra_state``."""
    if not isinstance(content, Mapping):
        return {}
    places = {t.data_ptr() for t in tensors.values()} - {0}
    outer = [content, *(v for v in content.values() if isinstance(v, Mapping))]
    inner = [v.get(n) for v in outer for n in INNER]
    found: dict[str, Any] = {}
    for place in {id(c): c for c in (*outer, *inner) if isinstance(c, Mapping)}.values():
        beside = {n: v for n, v in place.items() if isinstance(n, str) and n.endswith(EXTRA)}
        if beside and any(t.data_ptr() in places for t in _tensors(place).values()):
            found |= {n: v for n, v in beside.items() if not isinstance(v, torch.Tensor)}
    return found


def _key(name: object) -> str:
    """A key as text; only texts can be tensors' names."""
    return name if isinstance(name, str) else shown(name)


def _tensors(value: Any) -> Tensors:
    if not isinstance(value, Mapping):
        return {}
    return {
        n: t.detach()
        for n, t in value.items()
        if isinstance(n, str) and isinstance(t, torch.Tensor)
    }


def _groups(content: Mapping[Any, Any]) -> dict[str, Tensors]:
    """Named tensors of each entry, or of a container one level inside it.

    A container that is there under many names is looked through once.
    """
    known: dict[int, Tensors] = {}

    def tensors(value: Any) -> Tensors:
        if id(value) not in known:
            known[id(value)] = _tensors(value)
        return known[id(value)]

    def group(value: Any) -> Tensors:
        direct = tensors(value)
        if direct or not isinstance(value, Mapping):
            return direct
        return next((t for n in INNER if (t := tensors(value.get(n)))), {})

    found = {_key(name): group(value) for name, value in content.items()}
    return {name: tensors for name, tensors in found.items() if tensors}


def _with_buffers(tensors: Tensors, current: Tensors, path: object) -> Tensors:
    """Add batch-norm statistics where only parameters were averaged."""
    full, _ = normalise(current, [], path)
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    added = {n: t for n, t in full.items() if n not in tensors and n.endswith(buffers)}
    return {**tensors, **added} if set(tensors) < set(full) else tensors


def _skipped(content: Mapping[Any, Any]) -> list[str]:
    names = [_key(n) for n, v in content.items() if not isinstance(v, torch.Tensor)]
    return [f"entries that are no tensors ignored: {few(names)}"] if names else []


def _plain(value: Any, budget: list[int], depth: int = 0) -> Any:
    budget[0] -= 1
    if budget[0] < 0 or depth > 6:
        return "..."
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if isinstance(value, Mapping):
        return {_key(n)[:200]: _plain(v, budget, depth + 1) for n, v in _few(value.items(), budget)}
    if isinstance(value, list | tuple | set):
        return [_plain(v, budget, depth + 1) for v in _few(value, budget)]
    if isinstance(value, int) and value.bit_length() > LONGEST_NUMBER:
        return shown(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, torch.Tensor):
        return f"tensor {tuple(value.shape)}"
    return value[:1000] if isinstance(value, str) else type(value).__name__


def _few(items: Any, budget: list[int]) -> list[Any]:
    return list(islice(items, max(0, budget[0])))
