"""Find the weights in what a file holds, and name everything that was passed over."""

import argparse
from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

import torch

from ncbounds.budgets import ALIASED_BYTES, ALIASES, NAME_LENGTH, TENSORS, WRAPPERS
from ncbounds.checkpoints.formats.groups import (
    Tensors,
    averages,
    key_text,
    named_tensors,
    pairs_of,
    passed_over,
    prefixes,
    tensor_groups,
    under_prefix,
)
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
WEIGHTS = ("ema", "raw")
EXTRA = "_extra_state"  # the end of names under which modules keep what is no tensor
WRAPPER_NAMES = ("module.", "_orig_mod.")
LONGEST_NUMBER = 1024  # bits; what Python writes as text without refusing
HINT_ITEMS = 2_000  # hints are read by people; a file cannot make them large


class Located(NamedTuple):
    """Weights that were found in a file.

    Attributes
    ----------
    tensors : dict of str to Tensor
    notes : list of str
        What was done.
    place : str
        Path of the group; empty at the top.
    others : tuple of str
        Paths of the groups that were passed over.
    averaged : bool
        Whether averaged (EMA) weights were taken.
    """

    tensors: Tensors
    notes: list[str]
    place: str
    others: tuple[str, ...] = ()
    averaged: bool = False


def locate_weights(
    content: Any, path: object, key: str | None = None, weights: str | None = None
) -> Located:
    """Return the weights of a loaded checkpoint and notes on what was done.

    Parameters
    ----------
    content : object
        What ``torch.load`` returned.
    path : object
        Name of the file, for messages.
    key : str, optional
        Take the weights under this key instead of searching: the name of a group, a path to one
        (``callbacks.EMA.weights``), or a beginning of names that ends with a point (``model.``);
        or several groups that are joined, each with what its names begin with in the network
        (``backbone=model,classifier=classifier``).
    weights : {"ema", "raw"}, optional
        Averaged weights, or those that the optimizer moved; by default averaged ones where a
        usual name says so.

    Returns
    -------
    Located
        Tensors without the prefixes of wrappers (``module.``, ``_orig_mod.``).

    Raises
    ------
    CheckpointUnreadable
        If there are no named tensors, several groups of them to choose from, or not those that
        were asked for.
    """
    if weights is not None and weights not in WEIGHTS:
        raise CheckpointUnreadable(f"weights is 'ema' or 'raw', found {weights!r}")
    if not isinstance(content, Mapping):
        raise CheckpointUnreadable(
            f"{path} holds a {type(content).__name__}; needed is a dict of named tensors: "
            "torch.save(model.state_dict(), 'weights.pt')"
        )
    groups = tensor_groups(content)
    optimizer = [name for name in map(key_text, content) if "optim" in name]
    notes = [f"optimizer state ignored: {few(optimizer)}"] if optimizer else []
    if key not in groups and (pairs := pairs_of(key or "")):
        return _joined(pairs, groups, path, notes)
    if key is not None and not key.endswith("."):
        taken = _with_inner(key, groups)
        if taken is None:
            raise _absent(path, f"no tensors under '{shown(key)}'", groups)
        notes = [*notes, f"weights taken from {taken!r}", *passed_over(groups, taken)]
        return Located(*normalise(groups[taken], notes, path), taken, _others(groups, taken))
    found = _searched(content, groups, path, weights, notes)
    return found if key is None else located_under(found, key, path)


def _joined(
    pairs: Mapping[str, str], groups: dict[str, Tensors], path: object, notes: list[str]
) -> Located:
    """Join groups, each under what its names begin with."""
    whole: Tensors = {}
    taken = []
    for prefix, place in pairs.items():
        group = _with_inner(place, groups)
        if group is None:
            raise _absent(path, f"no tensors under '{shown(place)}'", groups)
        tensors, notes = normalise(groups[group], notes, path)
        named = {f"{prefix}.{n}" if prefix else n: t for n, t in tensors.items()}
        if twice := whole.keys() & named.keys():
            raise CheckpointUnreadable(
                f"{path}: {few(sorted(twice))} stand in several of the groups that are joined"
            )
        whole |= named
        taken.append(group)
        notes = [*notes, f"weights taken from {group!r}" + f", as {prefix}.*" * bool(prefix)]
    rest = {p: tensors for p, tensors in groups.items() if p not in taken}
    others = _others(rest, "")
    return Located(whole, [*notes, *passed_over(rest, "")], " and ".join(taken), others)


def located_under(found: Located, prefix: str, path: object) -> Located:
    """Return the tensors whose names begin with ``prefix``, without it.

    Raises
    ------
    CheckpointUnreadable
        If there are none.
    """
    chosen, notes = under_prefix(found.tensors, prefix)
    if not chosen:
        raise CheckpointUnreadable(
            f"{path} has no tensors whose names begin with {prefix!r}; they begin with "
            f"{few(prefixes(found.tensors))}"
        )
    return Located(chosen, found.notes + notes, f"{found.place}:{prefix}", *found[3:])


def _searched(
    content: Mapping[Any, Any],
    groups: dict[str, Tensors],
    path: object,
    weights: str | None,
    notes: list[str],
) -> Located:
    """Choose among groups by their usual names, averaged weights first unless asked otherwise."""
    averaged = next((n for a in AVERAGED if (n := _with_inner(a, groups)) is not None), None)
    current = next((n for c in CURRENT if (n := _with_inner(c, groups)) is not None), None)
    if weights == "ema" and averaged is None:
        named = averages(groups)
        if len(named) != 1:
            raise _absent(path, f"{'several' if named else 'no'} averaged weights", groups)
        averaged = named[0]
    if averaged is not None and weights != "raw":
        tensors, notes = normalise(groups[averaged], notes, path)
        notes.append(f"averaged (EMA) weights used, from {_outer(averaged)!r}")
        full = _with_buffers(tensors, groups.get(current or "", {}), path)
        if len(full) > len(tensors):
            notes.append(f"its batch-norm statistics taken from {_outer(current or '')!r}")
        notes += passed_over(groups, averaged)
        return Located(full, notes, averaged, _others(groups, averaged), averaged=True)
    if current is not None:
        notes.append(f"weights found under {_outer(current)!r}")
        kept = notes + passed_over(groups, current)
        return Located(*normalise(groups[current], kept, path), current, _others(groups, current))
    if "" in groups:
        kept = notes + _skipped(content) + passed_over(groups, "")
        return Located(*normalise(groups[""], kept, path), "", _others(groups, ""))
    if len(groups) == 1:
        only = next(iter(groups))
        notes.append(f"weights found under '{shown(only)}'")
        return Located(*normalise(groups[only], notes, path), only)
    raise CheckpointUnreadable(
        f"{path} has {'several groups of tensors' if groups else 'no named tensors'}; found "
        f"{few(groups or map(key_text, content)) or 'an empty dict'}"
        + (_choice(groups) if groups else "")
    )


def _others(groups: Mapping[str, Tensors], taken: str) -> tuple[str, ...]:
    return tuple(shown(path) for path in groups if path not in (taken, ""))


def _with_inner(name: str, groups: Mapping[str, Tensors]) -> str | None:
    """Return the path of a group, which may stand one level inside its container."""
    inside = (f"{name}.{n}" for n in INNER)
    return next((p for p in (name, *inside) if p in groups), None) if name else None


def _outer(path: str) -> str:
    return path.partition(".")[0]


def _absent(path: object, what: str, groups: Mapping[str, Tensors]) -> CheckpointUnreadable:
    listed = few(p for p in groups if p)
    hint = _choice(groups) if listed else ""
    return CheckpointUnreadable(f"{path} has {what}; it has {listed or 'no groups'}{hint}")


def _choice(groups: Mapping[str, Tensors]) -> str:
    """How one of the groups is chosen, or several are joined."""
    named = [p for p in groups if p]
    pairs = ",".join(f"{p.rpartition('.')[2]}={p}" for p in named[:2])
    join = f", or join several under what their names begin with in the model (--key {pairs})"
    return "; choose one with load_checkpoint(path, key=...) (--key ...)" + join * (len(named) > 1)


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
    kept: dict[str, Any] = {}
    for key, value in content.items():
        name = key_text(key)
        if isinstance(value, torch.Tensor) or "optim" in name or _holds_weights(value):
            continue
        if budget[0] <= 0:
            break
        kept[name[:NAME_LENGTH]] = _plain(value, budget)
    return kept


def _holds_weights(value: Any) -> bool:
    inner = [value.get(n) for n in INNER] if isinstance(value, Mapping) else []
    return any(named_tensors(v) for v in (value, *inner))


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
        if beside and any(t.data_ptr() in places for t in named_tensors(place).values()):
            found |= {n: v for n, v in beside.items() if not isinstance(v, torch.Tensor)}
    return found


def _with_buffers(tensors: Tensors, current: Tensors, path: object) -> Tensors:
    """Add batch-norm statistics where only parameters were averaged."""
    full, _ = normalise(current, [], path)
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    added = {n: t for n, t in full.items() if n not in tensors and n.endswith(buffers)}
    return {**tensors, **added} if set(tensors) < set(full) else tensors


def _skipped(content: Mapping[Any, Any]) -> list[str]:
    names = [key_text(n) for n, v in content.items() if not isinstance(v, torch.Tensor)]
    return [f"entries that are no tensors ignored: {few(names)}"] if names else []


def _plain(value: Any, budget: list[int], depth: int = 0) -> Any:
    budget[0] -= 1
    if budget[0] < 0 or depth > 6:
        return "..."
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if isinstance(value, Mapping):
        return {
            key_text(n)[:200]: _plain(v, budget, depth + 1) for n, v in _few(value.items(), budget)
        }
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
