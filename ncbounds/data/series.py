"""Checkpoints of one run: their natural order, which files look like one, which step each is."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

#: Words before a number that counts the progress of a run, the ones to be believed first.
_WORDS = (
    ("epoch", "epochs", "ep", "e"),
    ("step", "steps", "globalstep", "iteration", "iterations", "iter", "it"),
    ("checkpoint", "ckpt", "chkpt", "check"),
)
_PADDED, _BARE = len(_WORDS), len(_WORDS) + 1
#: Names, beside numbered ones, of a run's last or best checkpoint.
_BEST = re.compile(r"(.*[-_.])?best([-_.](model|weights|checkpoint))?")
_ENDS = re.compile(r"(.*[-_.])?(final|last|latest|best|end)([-_.](model|weights|checkpoint))?")
#: What a file may say of its progress, in the order in which it is believed.
_SAID = ("epoch", "global_step", "step", "iteration", "iter")
#: Entries of a file that training loops keep such numbers under.
_INSIDE = ("meta", "trainer_state", "metadata")
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


class Steps(NamedTuple):
    """Steps of the checkpoints of a series by name, and what they count (empty: the names say)."""

    of: dict[str, float]
    unit: str = ""


def natural(name: str) -> list[tuple[int, int, str]]:
    """Key that sorts ``epoch-2`` before ``epoch-10``."""
    parts = re.split(r"(\d{1,18})", name, flags=re.ASCII)
    return [(0, int(p), "") if i % 2 else (1, 0, p) for i, p in enumerate(parts)]


def in_order(names: Iterable[str], steps: Mapping[str, float] | None = None) -> list[str]:
    """Names by their steps (by default, those that they say), then those without one."""
    names = list(names)
    steps = named_steps(names) if steps is None else steps
    return sorted(names, key=lambda n: (steps.get(n, math.inf), natural(n)))


def named_steps(names: Iterable[str]) -> dict[str, float]:
    """Steps that names of files say: the number, of those that tell them apart, that counts best.

    Names of another form than most (``final.pt``) have none.
    """
    forms: dict[str, list[str]] = {}
    for name in names:
        if _NUMBER.search(_stem(name)):
            forms.setdefault(_NUMBER.sub("*", _stem(name)), []).append(name)
    same = max(forms.values(), key=len, default=[])
    numbers = {name: _numbers(_stem(name)) for name in same}
    places = sorted(
        range(len(numbers[same[0]])) if same else (),
        key=lambda i: min(n[i].rank for n in numbers.values()),
    )
    for i in places:
        found = {name: float(n[i].value) for name, n in numbers.items()}
        if len({*found.values()}) == len(same):
            return found
    return {}


def last_ones(names: Iterable[str]) -> set[str]:
    """Of names without a step the one that is a run's last checkpoint, if it is the only one.

    The best one may be of any step.
    """
    names = list(names)
    ends = [n for n in names if _is_end(n) and not _BEST.fullmatch(_stem(n).lower())]
    return {*ends} if len(ends) == 1 else set()


def progress(hints: Mapping[str, Any]) -> dict[str, float]:
    """What a file says of its progress (epoch, step, ...), of the plain values beside its weights.

    Parameters
    ----------
    hints : mapping
        See :class:`~ncbounds.checkpoints.loaded.Loaded`.
    """
    inside = (hints.get(key) for key in _INSIDE)
    places = [*(place for place in inside if isinstance(place, Mapping)), hints]
    found = {}
    for key in _SAID:
        for place in places:
            value = place.get(key)
            if isinstance(value, str) and _NUMBER.fullmatch(value):
                value = int(value)
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if 0 <= value < 10**18:
                found[key] = float(value)
    return found


def steps_of(said: Mapping[str, Mapping[str, float] | None]) -> Steps:
    """Steps of the checkpoints of one series, all in one unit.

    Parameters
    ----------
    said : mapping from name to :func:`progress`
        None for a checkpoint that could not be read.

    Returns
    -------
    Steps
        What all files that could be read say and tell them apart by; else what names say.
    """
    read = {name: found for name, found in said.items() if found is not None}
    apart = [name for name in read if not _is_end(name)]  # the last or best one may be another's
    for unit in _SAID:
        steps = {name: found[unit] for name, found in read.items() if unit in found}
        if steps and len({steps.get(name) for name in apart} - {None}) == len(apart):
            return Steps(steps, unit)
    return Steps(named_steps(said))


def series_among(names: Iterable[str], folder: str) -> dict[str, str]:
    """Name of the series of each file that looks like a checkpoint of one run among others.

    Parameters
    ----------
    names : iterable of str
        Paths with ``/`` from a common folder.
    folder : str
        Name of that folder, for a series right in it.

    Returns
    -------
    dict from str to str
        A series is called by its folder; where there are several in one, by its pattern there.
        Files with the same numbers after the same words (``epoch-2.pt``, ``checkpoint-500/``) are
        one run, and so is the last or best one beside a single run.
    """
    by_folder: dict[str, list[str]] = {}
    for name in names:
        by_folder.setdefault(name.rpartition("/")[0], []).append(name)
    found: dict[str, str] = {}
    for parent, members in by_folder.items():
        runs = _runs(members)
        for form, run in runs.items():
            called = (parent or folder) if len(runs) == 1 else f"{parent}/{form}".lstrip("/")
            found |= dict.fromkeys(run, called)
        if len(runs) == 1:
            ends = [n for n in members if n not in found and _is_end(n)]
            found |= dict.fromkeys(ends, parent or folder)
    return {name: found[name] for name in names if name in found}


class _Number(NamedTuple):
    rank: int
    value: int
    start: int
    end: int


def _stem(name: str) -> str:
    """Last part of a path without endings such as ``.pt`` and ``.pth.tar``."""
    return re.sub(r"(\.[A-Za-z]+)+$", "", name.rpartition("/")[2])


def _is_end(name: str) -> bool:
    return _ENDS.fullmatch(_stem(name).lower()) is not None


def _numbers(stem: str) -> list[_Number]:
    """Numbers of a name, each with how well it counts progress (the least counts best)."""
    found = []
    for match in _NUMBER.finditer(stem):
        before = re.search(r"([a-z_]+?)[-_=. ]*$", stem[: match.start()].lower())
        word = "" if before is None else before[1].rpartition("_")[2]
        rank = next((i for i, words in enumerate(_WORDS) if word in words), _BARE)
        padded = len(match[0]) > 2 and match[0][0] == "0"
        if rank == _BARE and (padded or match[0] == stem):
            rank = _PADDED
        found.append(_Number(rank, int(match[0]), *match.span()))
    return found


def _runs(names: list[str]) -> dict[str, list[str]]:
    """Files of one folder that differ in the number that counts, by their pattern."""
    counted: dict[str, tuple[_Number, str]] = {}
    for name in names:
        stem = _stem(name)
        best = min(_numbers(stem), default=None, key=lambda n: (n.rank, n.start))
        if best is not None and best.rank < _BARE:
            counted[name] = best, f"{stem[: best.start]}*{stem[best.end :]}"
    runs: dict[str, list[str]] = {}
    exact = Counter(form for _, form in counted.values())
    for name, (_, form) in counted.items():
        # other numbers may vary too, as the step does in epoch=3-step=1200
        key = form if exact[form] > 1 else _NUMBER.sub("*", form)
        runs.setdefault(key, []).append(name)
    return {
        form: run
        for form, run in runs.items()
        if len(run) > 1 and len({counted[n][0].value for n in run}) == len(run)
    }
