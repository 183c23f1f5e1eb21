"""The run folder: what is stored, where, and what is still to do."""

from collections.abc import Iterable, Mapping
from typing import Any

from ncbounds.bounds.bound import Bound
from ncbounds.data.manifest import Entry, Manifest
from ncbounds.evaluation.plan import Plan, listed
from ncbounds.files import file_hash, read_json
from ncbounds.report import Failure, Report
from ncbounds.results import result_from_dict
from ncbounds.runs.keys import row_key

#: Version of the layout of a run folder.
FORMAT = 1


def collect(
    plan: Plan,
    entries: Iterable[Entry],
    keys: Mapping[str, str],
    failures: Mapping[str, Failure],
) -> Report:
    """Read the stored rows of a plan back into a report, in the manifest's order."""
    rows, facts = [], {}
    for entry in entries:
        if entry.name in failures:
            continue
        stored = read_json(plan.folder(entry) / "facts.json") or {}
        facts[entry.name] = {**stored, "group": dict(entry.group), "protocol": entry.protocol}
        for b in plan.bounds:
            found = _stored(plan, entry, b, keys[entry.name])
            rows += listed([result_from_dict(r) for r in (found or [])], plan.asked)
    ordered = [failures[e.name] for e in entries if e.name in failures]
    return Report(rows, ordered, facts, simultaneous=plan.simultaneous)


def _stored(plan: Plan, entry: Entry, b: Bound, key: str) -> list[dict[str, Any]] | None:
    found = read_json(plan.folder(entry) / f"{b.id}.json")
    if not isinstance(found, dict) or found.get("key") != row_key(plan, b, key):
        return None
    rows: list[dict[str, Any]] = found["rows"]
    return rows


def pending_bounds(plan: Plan, entry: Entry, key: str) -> list[Bound]:
    """Bounds of the plan whose rows are not stored, or are stale."""
    missing = [b for b in plan.bounds if _stored(plan, entry, b, key) is None]
    facts = read_json(plan.folder(entry) / "facts.json")
    if not missing and (not facts or facts.get("key") != key):
        return list(plan.bounds[-1:])  # facts are written with the last bound
    return missing


def description(plan: Plan, manifest: Manifest) -> dict[str, Any]:
    """What ``run.json`` says about a plan."""
    from ncbounds import __version__

    return {
        "format": FORMAT,
        "version": __version__,
        "manifest": manifest.path.name,
        "manifest_sha256": file_hash(manifest.path),
        "bounds": [b.id for b in plan.bounds],
        "delta": plan.delta,
        "simultaneous": plan.simultaneous,
        "planned_rows": plan.planned,
        "delta_each": plan.each,
        "checkpoints": len(manifest.checkpoints),
    }
