"""Every group of named tensors in a checkpoint, so that what is passed over has a name."""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from ncbounds.errors import CheckpointUnreadable, few, shown

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


def key_text(name: object) -> str:
    """A key as text; only texts can be tensors' names."""
    return name if isinstance(name, str) else shown(name)


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
    known: dict[int, Tensors] = {}
    out = {}
    for path, value in _places(content):
        if id(value) not in known:  # one container may stand under many names
            found = named_tensors(value)
            real = any(t.is_floating_point() for t in found.values())
            known[id(value)] = found if real else {}
        if known[id(value)]:
            out[path] = known[id(value)]
    return out


def _places(content: Any) -> Iterator[tuple[str, Any]]:
    waiting, seen = deque([("", content, 0)]), set[int]()
    for _ in range(MOST):
        if not waiting:
            return
        path, value, depth = waiting.popleft()
        yield path, value
        # a container that stands under many names is looked into once
        if depth < DEEPEST and id(value) not in seen:
            seen.add(id(value))
            inside = _inside(path, value)[: MOST - len(waiting)]
            waiting.extend((p, v, depth + 1) for p, v in inside)


def _inside(path: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        named = ((key_text(k), v) for k, v in value.items())
        items = [(k, v) for k, v in named if "optim" not in k]
    elif isinstance(value, list | tuple):
        items = [(str(i), v) for i, v in enumerate(value)]
    else:
        return []
    held = [(k, v) for k, v in items if isinstance(v, Mapping | list | tuple)]
    return [(f"{path}.{k}" if path else k, v) for k, v in held]


def pairs_of(key: str) -> dict[str, str]:
    """Read ``backbone=model,classifier=head``: beginning of names, and the path of their group.

    Returns
    -------
    dict from beginning (empty: none) to path
        Empty if it is a path alone.

    Raises
    ------
    CheckpointUnreadable
        If only some of it are pairs, or one beginning stands twice.
    """
    words = [word.partition("=") for word in key.split(",")]
    pairs = {name.strip().rstrip("."): path.strip() for name, equals, path in words if equals}
    if pairs and (len(pairs) < len(words) or not all(pairs.values())):
        raise CheckpointUnreadable(
            "a key that joins groups of weights is PREFIX=PLACE with commas between them, each "
            f"prefix once, as in backbone=model,classifier=classifier; found {shown(key)}"
        )
    return pairs


def averages(groups: Mapping[str, Tensors]) -> list[str]:
    """Return the paths that say that averaged weights stand there."""
    return [path for path in groups if AVERAGE.search(path)]


def passed_over(groups: Mapping[str, Tensors], taken: str) -> list[str]:
    """Note every group but the one that was taken."""
    rest = [f"'{shown(p)}' ({len(t)} tensors)" for p, t in groups.items() if p not in (taken, "")]
    more = f" and {len(rest) - SHOWN} more" if len(rest) > SHOWN else ""
    return [f"passed over: {', '.join(rest[:SHOWN])}{more}"] if rest else []


def under_prefix(tensors: Tensors, prefix: str) -> tuple[Tensors, list[str]]:
    """Return the tensors whose names begin with a prefix, without it, and a note on the others."""
    chosen = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    others = dict.fromkeys(_beginning(n) for n in tensors if not n.startswith(prefix))
    if not chosen or not others:
        return chosen, []
    return chosen, [f"names under {prefix} taken; passed over: {few(others)}"]


def prefixes(tensors: Tensors) -> list[str]:
    """Return the beginnings of names, up to their first point."""
    return list(dict.fromkeys(_beginning(n) for n in tensors))


def _beginning(name: str) -> str:
    first, point, _ = name.partition(".")
    return first + point
