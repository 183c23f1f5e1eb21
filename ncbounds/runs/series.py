"""Series in a report: which run each row belongs to, at which step, in the order of the steps."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ncbounds.data.manifest import Entry
from ncbounds.data.run_log import read_log
from ncbounds.data.series import in_order, last_ones, series_among, steps_of
from ncbounds.errors import DataError, few
from ncbounds.report import Report


def found_series(files: dict[str, Path]) -> dict[str, str]:
    """Series of each of these files, by name, that looks like a checkpoint of one run."""
    folder = next(iter(files.values())).parent.name if files else ""
    return series_among(files, folder)


def along_steps(
    report: Report, entries: Sequence[Entry], planned: Mapping[str, int], delta: float
) -> Report:
    """Name the series and the step in every row, and put those of a series in the order of steps.

    Steps are what is declared, else what the files that were read say, else what their names say.
    ``planned`` is the number of checkpoints that each series has, evaluated or not, and ``delta``
    what was asked for; facts keep both for what is said of a series as a whole.
    """
    series: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.series:
            series.setdefault(entry.series, []).append(entry)
    if not series:
        return report
    read = {r.checkpoint: r.provenance.get("progress", {}) for r in report.rows}
    place = {entry.name: (i, 0) for i, entry in enumerate(entries)}
    marks: dict[str, dict[str, Any]] = {}
    facts = {name: dict(about) for name, about in report.facts.items()}
    for name, members in series.items():
        labels = _labels(members)
        steps = steps_of({labels[e.name]: read.get(e.name) for e in members})
        known = {labels[e.name]: e.step for e in members if e.step is not None}
        order = in_order(labels.values(), steps.of | known)
        ends = last_ones(label for label in order if label not in steps.of | known)
        logged = _logged(members, labels, steps.of | known, ends)
        common = {"planned": planned.get(name, len(members)), "delta": delta}
        first = min(place[e.name] for e in members)[0]
        for e in members:
            label = labels[e.name]
            step = float((steps.of | known).get(label, np.nan))
            marks[e.name] = {"series": name, "step": step}
            place[e.name] = (first, order.index(label))
            if e.name in facts:
                facts[e.name]["step_unit"] = "" if label in known else steps.unit
                facts[e.name]["steps"] = {**common, "last": label in ends}
                if e.log is not None:
                    facts[e.name]["log"] = {"file": e.log.name, "values": logged.get(label, {})}
    return Report(
        sorted(
            (replace(r, **marks.get(r.checkpoint, {})) for r in report.rows),
            key=lambda r: place[r.checkpoint],
        ),
        sorted(
            (replace(f, **marks.get(f.checkpoint, {})) for f in report.failures),
            key=lambda f: place[f.checkpoint],
        ),
        facts,
        simultaneous=report.simultaneous,
        planned=report.planned,
        plan=report.plan,
    )


def check_logs(entries: Sequence[Entry]) -> None:
    """Read the logs of all series, so that one that cannot be read is known before a run.

    Raises
    ------
    DataError
        If a log cannot be read, or it is not known of which series it is.
    """
    of: dict[Path, set[str]] = {}
    for e in entries:
        if e.log is not None:
            of.setdefault(e.log, set()).update({e.series} - {""})
    for log, series in of.items():
        if len(series) != 1:
            raise DataError(
                f"log {log.name} is that of one run, and these checkpoints are of "
                + (f"{len(series)}: {few(sorted(series))}" if series else "no series")
                + "; log = 'run.csv' in [series.NAME] of a zoo.toml names one for each"
            )
        read_log(log)


def _logged(
    members: Sequence[Entry], labels: Mapping[str, str], steps: Mapping[str, float], last: set[str]
) -> dict[str, dict[str, float]]:
    """Numbers of a series' log at its checkpoints, by label."""
    log = next((e.log for e in members if e.log is not None), None)
    if log is None:
        return {}
    return read_log(log).at({x: s for x, s in steps.items() if x in labels.values()}, last)


def _labels(members: Sequence[Entry]) -> dict[str, str]:
    """What each checkpoint is called on disk: its file, or the folder of files of one name."""
    files = {e.name: e.file.name for e in members}
    if len({*files.values()}) == len(files):
        return files
    folders = {e.name: e.file.parent.name for e in members}
    apart = len({*folders.values()}) == len(folders)
    return folders if apart else {e.name: str(e.file) for e in members}
