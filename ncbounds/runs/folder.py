"""The run folder: what is stored, where, and what is still to do."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ncbounds.bounds.bound import Bound
from ncbounds.data.manifest import Entry, Manifest
from ncbounds.errors import NcboundsError
from ncbounds.evaluation.evaluate import nothing_found
from ncbounds.evaluation.plan import Plan, listed
from ncbounds.files import file_hash, read_sealed
from ncbounds.report import Failure, Report
from ncbounds.results import Row, result_from_dict
from ncbounds.runs.keys import Keys
from ncbounds.runs.series import along_steps

#: Version of the layout of a run folder.
FORMAT = 1


def collect(
    plan: Plan,
    entries: Iterable[Entry],
    keys: Mapping[str, Keys],
    failures: Mapping[str, Failure],
) -> Report:
    """Read the stored rows of a plan back into a report, in the manifest's order."""
    rows: list[Row] = []
    facts = {}
    failed = dict(failures)
    entries = list(entries)
    for entry in entries:
        if entry.name not in keys:
            continue
        found = stored_facts(plan, entry, keys[entry.name])
        before = len(rows)
        for b in _giving(plan, found):
            # of a checkpoint that failed on its way, what was finished before
            stored = stored_rows(plan, entry, b, keys[entry.name]) or []
            rows += listed(stored, plan.asked)
        known = found or {}
        facts[entry.name] = {
            **known,
            "key": keys[entry.name].facts,
            "group": dict(entry.group),
            "protocol": entry.protocol,
            "file": os.path.relpath(entry.file, plan.out),
        }
        if len(rows) == before and entry.name not in failed:
            reason = nothing_found(plan.bounds, known.get("n", {}))
            failed[entry.name] = Failure(entry.name, f"MissingEvidence: {reason}")
    ordered = [failed[e.name] for e in entries if e.name in failed]
    report = Report(
        rows,
        ordered,
        facts,
        simultaneous=plan.simultaneous,
        planned=plan.planned,
        plan=plan.identity,
    )
    return along_steps(report, entries, plan.series, plan.delta)


def stored_rows(plan: Plan, entry: Entry, b: Bound, keys: Keys) -> list[Row] | None:
    """Rows of one bound as they are stored; None if they are absent, damaged or stale."""
    found = read_sealed(plan.folder(entry) / f"{b.id}.json")
    if found is None or found.get("key") != keys.rows[b.id]:
        return None
    rows = found.get("rows")
    try:
        return [result_from_dict(row) for row in rows] if isinstance(rows, list) else None
    except NcboundsError:
        return None


def pending_bounds(plan: Plan, entry: Entry, keys: Keys) -> list[Bound]:
    """Bounds of the plan whose rows are not stored, or are stale."""
    facts = stored_facts(plan, entry, keys)
    given = _giving(plan, facts)
    missing = [b for b in given if stored_rows(plan, entry, b, keys) is None]
    if not missing and facts is None:
        return list(plan.bounds[-1:])  # facts are written with the last bound
    return missing


def _giving(plan: Plan, facts: Mapping[str, Any] | None) -> list[Bound]:
    """Bounds of the plan that give rows of a checkpoint, by its facts; all where none are known."""
    means = None if facts is None else facts.get("means")
    return [b for b in plan.bounds if means is None or plan.gives(b, means)]


def stored_facts(plan: Plan, entry: Entry, keys: Keys) -> dict[str, Any] | None:
    """Return the facts about a checkpoint as they are stored; None if absent, damaged or stale."""
    found = read_sealed(plan.folder(entry) / "facts.json")
    return found if found is not None and found.get("key") == keys.facts else None


def default_folder(path: Path) -> Path:
    """Run folder in the user's cache for what was typed."""
    from platformdirs import user_cache_path

    full = path.resolve()
    mark = hashlib.sha256(str(full).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return user_cache_path("ncbounds") / "runs" / f"{full.stem}-{mark}"


def description(plan: Plan, manifest: Manifest) -> dict[str, Any]:
    """What ``run.json`` says about a plan."""
    from ncbounds import __version__

    return {
        "format": FORMAT,
        "version": __version__,
        "manifest": None if manifest.path is None else manifest.path.name,
        "manifest_sha256": None if manifest.path is None else file_hash(manifest.path),
        "bounds": [b.id for b in plan.bounds],
        "delta": plan.delta,
        "running": vars(plan.running),
        "simultaneous": plan.simultaneous,
        "planned_rows": plan.planned,
        "delta_each": plan.each,
        "checkpoints": len(manifest.checkpoints),
    }
