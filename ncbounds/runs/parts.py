"""A checkpoint's features in parts: one folder for each role, by the road of every checkpoint."""

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncbounds.data.manifest import Manifest
from ncbounds.data.points import Points, entry_points
from ncbounds.errors import DataError, ManifestError, suggest
from ncbounds.evidence.roles import Role, check_role
from ncbounds.extraction.parts import extract_parts
from ncbounds.extraction.running import USUAL, Running
from ncbounds.runs.own_data import kept_by_name
from ncbounds.runs.subject import network_of

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier


def ranks(environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """Number of this process and how many there are, as torchrun and its like say it.

    Raises
    ------
    DataError
        If they do not fit each other.
    """
    try:
        rank, world = (int(environment.get(k, d)) for k, d in (("RANK", "0"), ("WORLD_SIZE", "1")))
    except ValueError:
        rank, world = -1, 0
    if not 0 <= rank < world:
        raise DataError(
            f"RANK={environment.get('RANK')} and WORLD_SIZE={environment.get('WORLD_SIZE')} in the "
            "environment: needed is 0 <= RANK < WORLD_SIZE, as torchrun sets them, or neither"
        )
    return rank, world


def own_device(device: str, environment: Mapping[str, str] = os.environ) -> str:
    """Resolve a device as it was typed; on CUDA each process of one machine takes its own."""
    found = Running(device).resolved().device
    local = environment.get("LOCAL_RANK", "")
    return f"cuda:{local}" if found == "cuda" and local.isdecimal() else found


def extract_entry(
    book: Manifest,
    name: str,
    out: "str | Path",
    *,
    parts: int,
    roles: Iterable[str] = (),
    rank: int = 0,
    world: int = 1,
    executor: Executor | None = None,
    running: Running = USUAL,
    done: Callable[[str, int], None] | None = None,
) -> list[Role]:
    """Extract the features of one checkpoint of a manifest, each role into a folder of its name.

    Parameters
    ----------
    book, name
        A manifest, and which of its checkpoints.
    out : path
    roles : iterable of str
        Which; by default all.
    rank, world : int
        This process makes parts ``rank``, ``rank + world``, ...
    parts, executor
        See :func:`ncbounds.extraction.parts.extract_parts`.
    running : Running
    done : callable, optional
        Called with the role and the number of each part that is there.

    Raises
    ------
    NcboundsError
        If the checkpoint or its data cannot be read, or as ``extract_parts`` says.
    """
    book = kept_by_name(book)
    entry = book.checkpoints[name]
    task = book.tasks[entry.task]
    build: Callable[[], Classifier] = partial(network_of, entry, running)
    read: Callable[[], dict[Role, Points]] = partial(entry_points, entry, task)
    if executor is None:  # other processes build and read for themselves
        build, read = cache(build), cache(read)
    known = list(read())
    chosen = [check_role(role) for role in roles] or known
    for role in chosen:
        if role not in known:
            raise ManifestError(f"{name} has no role {role!r}; {suggest(role, [*known])}")
    for role in chosen:
        extract_parts(
            partial(_source, build, read, role),
            Path(out) / role,
            parts=parts,
            numbers=range(rank, parts, world),
            executor=executor,
            batch_size=running.batch_size,
            workers_per_loader=running.workers_per_loader,
            dtype=running.store_dtype,
            done=None if done is None else partial(done, role),
        )
    return chosen


def _source(
    build: "Callable[[], Classifier]", read: Callable[[], dict[Role, Points]], role: Role
) -> "tuple[Classifier, Any]":
    return build(), read()[role].loader
