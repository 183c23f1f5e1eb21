"""Arguments of the function that builds a network: whether they fit it, and the file."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ncbounds.errors import UnknownArchitecture, few, shown, suggest

#: Longest value that is shown.
SHOWN_VALUE = 40


def check_arguments(factory: Callable[..., Any], args: Mapping[str, Any], name: str) -> None:
    """Raise if a function cannot be called with these arguments.

    Raises
    ------
    UnknownArchitecture
        Naming the argument at fault and those that the function takes.
    """
    takes = _signature(factory)
    if takes is None:
        return
    try:
        takes.bind(**args)
    except TypeError as error:
        known = [p.name for p in takes.parameters.values() if p.kind is not p.VAR_KEYWORD]
        wrong = next((a for a in args if a not in known), "")
        listed = suggest(wrong, known) if wrong and known else f"it takes {few(known) or 'none'}"
        raise UnknownArchitecture(
            f"{name} with args {dict(args)}: {error}; {listed}. Arguments are typed as --args "
            "width=64,depth=2 (args={'width': 64, 'depth': 2})"
        ) from None


def said_otherwise(
    factory: Callable[..., Any], args: Mapping[str, Any], places: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Say which arguments a file records with other values than a function was called with.

    Tensors of the same shapes fit a network with another activation, stride or number of heads as
    well, so that nothing else would show it.

    Parameters
    ----------
    factory : callable
    args : mapping
        What it was called with; its defaults are the rest.
    places : sequence of mapping
        What the file holds beside its weights (``hyper_parameters``, ``args``, ...).

    Returns
    -------
    list of str
        At most one sentence.
    """
    takes = _signature(factory)
    if takes is None:
        return []
    named = {p.name: p.default for p in takes.parameters.values() if p.default is not p.empty}
    used = {**named, **{n: v for n, v in args.items() if n in takes.parameters}}
    found = {n: v for place in reversed(places) for n, v in place.items() if n in used}
    differ = {n: v for n, v in found.items() if _unlike(used[n], v)}
    if not differ:
        return []
    pairs = [f"{n}={_short(v)} (built with {_short(used[n])})" for n, v in differ.items()]
    return [
        f"the file says {few(pairs)}; if these are arguments of the network, rows are about "
        "another network than the one that was trained: give them with --args NAME=VALUE (args={})"
    ]


def _signature(factory: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(factory)
    except (TypeError, ValueError):
        return None


def _unlike(used: Any, said: Any) -> bool:
    """Whether two plain values differ; of others, and of None, nothing is known."""
    if isinstance(used, list | tuple) and isinstance(said, list):
        return len(used) != len(said) or any(map(_unlike, used, said))
    if not isinstance(used, str | int | float) or not isinstance(said, str | int | float):
        return False
    return bool(used != said) and str(used) != str(said)


def _short(value: Any) -> str:
    return shown(repr(value), SHOWN_VALUE)
