"""Every group of named tensors in a checkpoint, so that what is passed over has a name."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch

Tensors = dict[str, torch.Tensor]

DEEPEST = 6
MOST = 20_000  # places looked at: a file cannot make this long
SHOWN = 8
AVERAGE = re.compile(r"(^|[^a-z])(ema|swa|averaged?|shadow)([^a-z]|$)", re.IGNORECASE)


def named_tensors(value: Any) -> Tensors:
    """Return the tensors of a mapping by their names; empty for anything else."""
    if not isinstance(value, Mapping):
        return {}
    return {
        n: t.detach()
        for n, t in value.items()
        if isinstance(n, str) and isinstance(t, torch.Tensor)
    }


def tensor_groups(content: Any) -> dict[str, Tensors]:
    """Return the groups of floating-point tensors by path, as in ``callbacks.EMA.weights``.

    Parameters
    ----------
    content : object
        What ``torch.load`` returned. States of optimizers are left out.

    Returns
    -------
    dict of str to dict of str to Tensor
        Tensors at the top stand under the empty path.
    """
    named = ((path, named_tensors(value)) for path, value in _places(content))
    return {p: found for p, found in named if any(t.is_floating_point() for t in found.values())}


def _places(content: Any) -> Iterator[tuple[str, Any]]:
    waiting: list[tuple[str, Any, int]] = [("", content, 0)]
    for _ in range(MOST):
        if not waiting:
            return
        path, value, depth = waiting.pop(0)
        yield path, value
        if depth < DEEPEST:
            waiting += [(p, v, depth + 1) for p, v in _inside(path, value)][: MOST - len(waiting)]


def _inside(path: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        items = [(str(k), v) for k, v in value.items() if "optim" not in str(k)]
    elif isinstance(value, list | tuple):
        items = [(str(i), v) for i, v in enumerate(value)]
    else:
        return []
    held = [(k, v) for k, v in items if isinstance(v, Mapping | list | tuple)]
    return [(f"{path}.{k}" if path else k, v) for k, v in held]


def averages(groups: Mapping[str, Tensors]) -> list[str]:
    """Return the paths that say that averaged weights stand there."""
    return [path for path in groups if AVERAGE.search(path)]


def passed_over(groups: Mapping[str, Tensors], taken: str) -> list[str]:
    """Note every group but the one that was taken."""
    rest = [f"{p!r} ({len(t)} tensors)" for p, t in groups.items() if p not in (taken, "")]
    more = f" and {len(rest) - SHOWN} more" if len(rest) > SHOWN else ""
    return [f"passed over: {', '.join(rest[:SHOWN])}{more}"] if rest else []


def under_prefix(tensors: Tensors, prefix: str) -> tuple[Tensors, list[str]]:
    """Return the tensors whose names begin with a prefix, without it, and a note on the others."""
    chosen = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    others = dict.fromkeys(_beginning(n) for n in tensors if not n.startswith(prefix))
    if not chosen or not others:
        return chosen, []
    return chosen, [f"names under {prefix} taken; passed over: {', '.join(list(others)[:SHOWN])}"]


def prefixes(tensors: Tensors) -> list[str]:
    """Return the beginnings of names, up to their first point."""
    return list(dict.fromkeys(_beginning(n) for n in tensors))


def _beginning(name: str) -> str:
    first, point, _ = name.partition(".")
    return first + point
