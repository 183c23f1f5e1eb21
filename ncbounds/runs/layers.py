"""Layers of checkpoints of a manifest: the road of every checkpoint, up to the places."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ncbounds.budgets import JSON_BYTES
from ncbounds.data.manifest import Entry, Manifest, Task
from ncbounds.data.points import entry_points
from ncbounds.depth.layers import LayerReport
from ncbounds.errors import NcboundsError
from ncbounds.evaluation.layers import layers
from ncbounds.extraction.running import USUAL, Running
from ncbounds.files import read_bounded, write_json
from ncbounds.numerics.rounding import part_of
from ncbounds.runs.own_data import kept_by_name
from ncbounds.runs.subject import draw_of, first_points, network_of

#: Name of the file that :func:`write_layers` makes.
FILE = "layers.json"


def layers_of(
    entry: Entry,
    task: Task,
    at: str | Iterable[str] | None = None,
    running: Running = USUAL,
    **asked: Any,
) -> LayerReport:
    """Layers of one checkpoint; ``asked`` is what :func:`ncbounds.layers` takes beside its data.

    Raises
    ------
    NcboundsError
        If the checkpoint cannot be read or built, its head not be found, or its data not be read.
    """
    classifier = network_of(entry, running)
    points = {
        role: first_points(drawn, running.limit)
        for role, drawn in entry_points(entry, task).items()
    }
    return layers(
        classifier,
        {role: drawn.loader for role, drawn in points.items()},
        at,
        draws={role: draw_of(entry, task, role, drawn) for role, drawn in points.items()},
        ignore_label=task.ignore_label,
        batch_size=running.batch_size,
        workers_per_loader=running.workers_per_loader,
        limit=running.limit,
        store_dtype=running.store_dtype,
        checkpoint=entry.name,
        **asked,
    )


def write_layers(reports: Mapping[str, LayerReport], folder: Path) -> Path:
    """Write all reports into one JSON file of a folder, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FILE, {name: report.to_dict() for name, report in reports.items()})
    return folder / FILE


def stored_layers(folder: Path) -> dict[str, dict[str, Any]]:
    """Layers by checkpoint as :func:`write_layers` left them.

    Raises
    ------
    NcboundsError
        If they cannot be read.
    """
    try:
        found = json.loads(read_bounded(folder / FILE, JSON_BYTES))
        if not isinstance(found, dict) or not all(isinstance(x, dict) for x in found.values()):
            raise ValueError("it holds no layers by checkpoint")
    except (OSError, ValueError, RecursionError) as error:
        raise NcboundsError(
            f"{folder / FILE} cannot be read: {error}; `ncbounds layers` writes it again"
        ) from None
    return found


def each_layers(
    book: Manifest,
    names: Iterable[str],
    *,
    delta: float,
    simultaneous: bool = False,
    done: Callable[[LayerReport], None] | None = None,
    failed: Callable[[str, NcboundsError], None] | None = None,
    **asked: Any,
) -> dict[str, LayerReport]:
    """Layers of checkpoints of a manifest, one after the other.

    Parameters
    ----------
    book : Manifest
    names : iterable of str
    delta : float
        Of each statement of each checkpoint, or of all checkpoints together if ``simultaneous``.
    done : callable, optional
        Given each report as it is there.
    failed : callable, optional
        Given the name of a checkpoint without layers, and why; the others go on.
    **asked
        See :func:`layers_of`.
    """
    chosen, book = list(names), kept_by_name(book)
    asked.get("running", USUAL).check_here()
    each = part_of(delta, len(chosen)) if simultaneous and chosen else delta
    found = {}
    for name in chosen:
        entry = book.checkpoints[name]
        try:
            found[name] = layers_of(entry, book.tasks[entry.task], delta=each, **asked)
        except NcboundsError as error:
            if failed is None:
                raise
            failed(name, error)
            continue
        if done is not None:
            done(found[name])
    return found
