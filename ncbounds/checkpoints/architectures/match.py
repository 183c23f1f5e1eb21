"""Fit the tensors of a file to an architecture: completely, or not at all."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ncbounds.checkpoints.architectures.extra_state import SUFFIX, check_extra_state
from ncbounds.errors import CheckpointMismatch, few

OPTIONAL = "num_batches_tracked"  # counts training steps; eval mode never reads it


def fit(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    path: object,
    beside: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """Put all tensors of a file into a module.

    Parameters
    ----------
    module : nn.Module
        Changed in place, only if everything fits.
    tensors : mapping of str to Tensor
        Values are kept exactly: the module is widened where its type could not hold them.
    path : object
        Name of the file, for messages.
    beside : mapping, optional
        Extra state that the file holds beside its tensors, by name.

    Returns
    -------
    notes : tuple of str

    Raises
    ------
    CheckpointMismatch
        If names are missing or left over, shapes or the number of classes differ, or a value is
        not finite; if the module keeps another state beside its tensors than the file, or its
        own loading makes other values of them.
    """
    extra = check_extra_state(module, {**(beside or {}), **tensors}, path)
    state = module.state_dict().items()
    want = {n: t for n, t in state if isinstance(t, Tensor) and n not in extra}
    _check_made(want, path)
    if extra:
        tensors = {n: t for n, t in tensors.items() if n.rpartition(".")[2] != SUFFIX}
    kept = {t.dtype for t in tensors.values() if t.is_floating_point()}
    named, notes = _matched(module, want, widened(tensors), path)
    check_shapes(want, named, path)
    check_finite(named, path)
    _check_shared(module, named, path)
    notes += _widen(module, want, named, kept)
    module.load_state_dict(named, strict=not extra)
    _check_loaded(module, named, path)
    return tuple(notes)


def check_size(module: nn.Module, tensors: Mapping[str, Tensor], path: object) -> None:
    """Raise if a network, built without memory, is far larger than the file.

    Raises
    ------
    CheckpointMismatch
        Naming both numbers of values.
    """
    needed = sum(t.numel() for t in module.state_dict().values())
    held = sum(t.numel() for t in tensors.values())
    if needed > 10 * held + 1_000_000:
        raise CheckpointMismatch(
            f"{path} holds {held} numbers, the model would need {needed}: pass the args that the "
            "file was saved from"
        )


def check_finite(tensors: Mapping[str, Tensor], path: object) -> None:
    """Raise if a tensor holds NaN or infinity.

    Raises
    ------
    CheckpointMismatch
        Naming the tensors and how many of their values are not finite.
    """
    bad = []
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            bad.append(f"{name} ({int((~torch.isfinite(tensor)).sum())} of {tensor.numel()})")
    if bad:
        raise CheckpointMismatch(
            f"{path} holds NaN or infinite values in {few(bad)}; a model that diverged has no "
            "error to bound: take an earlier checkpoint"
        )


def check_shapes(want: Mapping[str, Tensor], have: Mapping[str, Tensor], path: object) -> None:
    """Raise if shapes differ, with a message of its own for a wrong number of classes.

    Raises
    ------
    CheckpointMismatch
        Naming tensors with both shapes.
    """
    wrong = [n for n in want if want[n].shape != have[n].shape]
    if not wrong:
        kinds = [n for n in want if want[n].is_floating_point() != have[n].is_floating_point()]
        if kinds:
            raise CheckpointMismatch(
                f"{path}: integers where numbers are needed, or the reverse, in {few(kinds)}"
            )
        return
    last = [n for n in want if n.rpartition(".")[0] == wrong[-1].rpartition(".")[0]]
    a, b = want[wrong[0]].shape, have[wrong[0]].shape
    if set(wrong) <= set(last) and a[1:] == b[1:] and wrong[-1] in [*want][-2:]:
        raise CheckpointMismatch(
            f"{path} has {b[0]} classes (tensor {wrong[0]} of shape {tuple(b)}), the model was "
            f"built with {a[0]}: pass the number of classes in args"
        )
    shapes = [f"{n}: file {tuple(have[n].shape)}, model {tuple(want[n].shape)}" for n in wrong]
    raise CheckpointMismatch(
        f"{path}: shapes differ: {few(shapes)}; pass the args it was "
        "made of, e.g. args={'width': 64} (--args width=64)"
    )


def _matched(
    module: nn.Module, want: Mapping[str, Tensor], tensors: Mapping[str, Tensor], path: object
) -> tuple[dict[str, Tensor], list[str]]:
    """Rename tensors to the module's names, stripping a shared prefix only where that fits."""
    twins = _shared(module)
    best: tuple[int, dict[str, Tensor], str] | None = None
    for stripped, candidate in _candidates(tensors):
        named, notes = _completed(want, candidate, twins)
        if named.keys() == want.keys():
            return named, notes + ([f"prefix {stripped} stripped"] if stripped else [])
        overlap = len(named.keys() & want.keys())
        if best is None or overlap > best[0]:
            best = (overlap, named, stripped)
    assert best is not None
    _check_neighbours(want, tensors, path)
    missing = [n for n in want if n not in best[1]]
    extra = [n for n in best[1] if n not in want]
    parts = [f"the model needs {few(missing)}, which the file has not"] * bool(missing)
    parts += [f"the file has {few(extra)}, which the model has not"] * bool(extra)
    elsewhere = ", or name the file that holds the rest of it (--part FILE, parts=['FILE'])"
    raise CheckpointMismatch(
        f"{path} does not fit the model: {'; '.join(parts)}. Nothing was loaded; pass the model "
        f"and the args that the file was saved from{elsewhere * (not extra)}"
    )


def _check_neighbours(
    want: Mapping[str, Tensor], tensors: Mapping[str, Tensor], path: object
) -> None:
    """Raise if all that the model needs stands under one prefix, with something else beside it."""
    prefixes = dict.fromkeys(n.partition(".")[0] + "." for n in tensors if "." in n)
    needed = [n for n in want if not n.endswith(OPTIONAL)]
    fitting = [p for p in prefixes if all(p + n in tensors for n in needed)]
    if fitting:
        beside = [n for n in tensors if not n.startswith(fitting[0])]
        shown = beside if len(fitting) == 1 else [f"{p}*" for p in fitting[1:]]
        raise CheckpointMismatch(
            f"{path} holds what the model needs under {fitting[0]}* and beside it {few(shown)}, "
            f"which the model has not. Nothing was loaded; take load_checkpoint(path, "
            f"key={fitting[0]!r}) (--key {fitting[0]}) if that is the network"
        )


def _check_made(want: Mapping[str, Tensor], path: object) -> None:
    """Raise if layers wait for a first batch to learn their shapes."""
    if lazy := [n for n, t in want.items() if is_lazy(t)]:
        raise CheckpointMismatch(
            f"{path}: {few(lazy)} of the model get their shapes from a first batch (lazy layers): "
            "run one through the network in the function that builds it, before it is returned"
        )


def _check_loaded(module: nn.Module, named: Mapping[str, Tensor], path: object) -> None:
    """Raise unless the module holds what the file does: its own hooks may have changed it."""
    held = module.state_dict()
    differ = [n for n, t in named.items() if not torch.equal(held[n], t.to(held[n]))]
    if differ:
        raise CheckpointMismatch(
            f"{path}: the model's own load_state_dict, or a hook of it, put other values into "
            f"{few(differ)} than the file holds; let it load them as they are, or load the network "
            "yourself and pass it in Python: nb.extract(nb.Classifier(module), ...)"
        )


def _candidates(tensors: Mapping[str, Tensor]) -> list[tuple[str, dict[str, Tensor]]]:
    found = [("", dict(tensors))]
    while True:
        prefix, current = found[-1]
        first = next(iter(current)).partition(".")[0] + "."
        if not all(n.startswith(first) and len(n) > len(first) for n in current):
            return found
        found.append((prefix + first, {n.removeprefix(first): t for n, t in current.items()}))


def _completed(
    want: Mapping[str, Tensor], have: dict[str, Tensor], twins: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, Tensor], list[str]]:
    """Add what a file may leave out: names of shared parameters and batch counters."""
    full, notes = dict(have), []
    for name in want:
        if name in full:
            continue
        twin = next((t for t in twins.get(name, ()) if t in have), None)
        if twin is not None:
            full[name] = have[twin]
        elif name.endswith(OPTIONAL):
            full[name] = want[name]
            notes.append("batch counters missing in the file (not used in eval mode)")
    return full, list(dict.fromkeys(notes))


def _shared(module: nn.Module) -> dict[str, tuple[str, ...]]:
    """For each name of a parameter that has several: the others."""
    groups: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(name)
    return {n: tuple(m for m in group if m != n) for group in groups.values() for n in group}


def _check_shared(module: nn.Module, named: Mapping[str, Tensor], path: object) -> None:
    for name, others in _shared(module).items():
        for other in others:
            if not torch.equal(named[name], named[other]):
                raise CheckpointMismatch(
                    f"{path}: {name} and {other} share one parameter in the model, but differ in "
                    "the file; pass the model that it was saved from"
                )


def widened(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of which those in 8-bit floating point, which has no arithmetic, are float32.

    Every such value is a float32.
    """
    return {
        n: t.float() if t.is_floating_point() and t.element_size() == 1 else t
        for n, t in tensors.items()
    }


def _widen(
    module: nn.Module,
    want: Mapping[str, Tensor],
    have: Mapping[str, Tensor],
    kept: set[torch.dtype],
) -> list[str]:
    """Make the module wide enough to hold the stored values exactly."""
    stored = {t.dtype for t in have.values() if t.is_floating_point()}
    own = {t.dtype for t in want.values() if t.is_floating_point()}
    if not stored or not own:
        return []
    widest = None
    for dtype in (*own, *stored):
        widest = dtype if widest is None else torch.promote_types(widest, dtype)
    assert widest is not None
    if own != {widest}:
        module.to(widest)
    return list(precision_note(kept, widest))


def precision_note(stored: set[torch.dtype], used: torch.dtype) -> tuple[str, ...]:
    """Say in which precision stored numbers are computed with, where it is a wider one."""
    names = ", ".join(sorted(str(d).removeprefix("torch.") for d in stored))
    wide = str(used).removeprefix("torch.")
    return () if stored <= {used} else (f"stored as {names}, computed in {wide} (exact)",)
