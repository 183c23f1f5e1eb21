"""The run folder: what is stored, where, and what is still to do."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ncbounds.bounds.bound import Bound
from ncbounds.data.manifest import Entry, Manifest
from ncbounds.evaluation.evaluate import nothing_found
from ncbounds.evaluation.plan import Plan, listed
from ncbounds.files import file_hash, read_json
from ncbounds.report import Failure, Report
from ncbounds.results import Row, result_from_dict
from ncbounds.runs.keys import facts_key, row_key

#: Version of the layout of a run folder.
FORMAT = 1


def collect(
    plan: Plan,
    entries: Iterable[Entry],
    keys: Mapping[str, str],
    failures: Mapping[str, Failure],
) -> Report:
    """Read the stored rows of a plan back into a report, in the manifest's order."""
    rows: list[Row] = []
    facts = {}
    failed = dict(failures)
    for entry in entries:
        if entry.name in failed:
            continue
        stored = read_json(plan.folder(entry) / "facts.json") or {}
        facts[entry.name] = {**stored, "group": dict(entry.group), "protocol": entry.protocol}
        before = len(rows)
        for b in plan.bounds:
            found = _stored(plan, entry, b, keys[entry.name])
            rows += listed([result_from_dict(r) for r in (found or [])], plan.asked)
        if len(rows) == before:
            reason = nothing_found(plan.bounds, stored.get("n", {}))
            failed[entry.name] = Failure(entry.name, f"MissingEvidence: {reason}")
    ordered = [failed[e.name] for e in entries if e.name in failed]
    return Report(rows, ordered, facts, simultaneous=plan.simultaneous, planned=plan.planned)


def _stored(plan: Plan, entry: Entry, b: Bound, key: str) -> list[dict[str, Any]] | None:
    found = read_json(plan.folder(entry) / f"{b.id}.json")
    if not isinstance(found, dict) or found.get("key") != row_key(plan, b, key):
        return None
    rows: list[dict[str, Any]] = found["rows"]
    return rows


def pending_bounds(plan: Plan, entry: Entry, key: str) -> list[Bound]:
    """Bounds of the plan whose rows are not stored, or are stale."""
    missing = [b for b in plan.bounds if _stored(plan, entry, b, key) is None]
    if not missing and not facts_stored(plan, entry, key):
        return list(plan.bounds[-1:])  # facts are written with the last bound
    return missing


def facts_stored(plan: Plan, entry: Entry, key: str) -> bool:
    """Whether the facts about a checkpoint are stored and not stale."""
    facts = read_json(plan.folder(entry) / "facts.json")
    return isinstance(facts, dict) and facts.get("key") == facts_key(key)


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
        "simultaneous": plan.simultaneous,
        "planned_rows": plan.planned,
        "delta_each": plan.each,
        "checkpoints": len(manifest.checkpoints),
    }
