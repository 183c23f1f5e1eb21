"""Layers of checkpoints of a manifest: the road of every checkpoint, up to the places."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ncbounds.data.manifest import Entry, Manifest, Task
from ncbounds.data.points import entry_points
from ncbounds.depth.layers import LayerReport
from ncbounds.errors import NcboundsError
from ncbounds.evaluation.layers import layers
from ncbounds.evidence.roles import check_repeats
from ncbounds.extraction.running import USUAL, Running
from ncbounds.runs.files import chosen_among
from ncbounds.runs.parts import described
from ncbounds.runs.paths import find_checkpoints
from ncbounds.runs.subject import classifier_of, draw_of

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
    _, classifier = classifier_of(entry)
    classifier.to(running.device, running.precision)
    points = entry_points(entry, task)
    return layers(
        classifier,
        {role: drawn.loader for role, drawn in points.items()},
        at,
        draws={role: draw_of(entry, task, role, drawn) for role, drawn in points.items()},
        ignore_label=task.ignore_label,
        batch_size=running.batch_size,
        checkpoint=entry.name,
        **asked,
    )


def described_files(
    paths: Iterable["str | Path"],
    *,
    data: Any,
    sampling: str = "unknown",
    selected_among: "int | Mapping[str, int]" = 1,
    repeats: str | None = None,
    ignore_label: int | None = None,
    **given: Any,
) -> Manifest:
    """Checkpoint files and data as a manifest; see :func:`ncbounds.evaluate_files`.

    Parameters
    ----------
    paths, data, sampling, selected_among, repeats, ignore_label
        As there.
    **given
        What :func:`ncbounds.runs.parts.described` takes.
    """
    files = find_checkpoints(list(paths))
    book = described(next(iter(files.values())), data, sampling=sampling, **given)
    (task,), (entry,) = book.tasks.values(), book.checkpoints.values()
    task = replace(task, repeats=check_repeats(repeats), ignore_label=ignore_label)
    among = chosen_among(selected_among, given.get("role_names") or {})
    entry = replace(entry, selected_among=among)
    entries = {name: replace(entry, name=name, file=file) for name, file in files.items()}
    return replace(book, tasks={task.name: task}, checkpoints=entries)


def write_layers(reports: Mapping[str, LayerReport], folder: Path) -> Path:
    """Write all reports into one JSON file of a folder, and return its path."""
    from ncbounds.files import write_json

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FILE, {name: report.to_dict() for name, report in reports.items()})
    return folder / FILE


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
    chosen = list(names)
    each = delta / len(chosen) if simultaneous and chosen else delta
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
