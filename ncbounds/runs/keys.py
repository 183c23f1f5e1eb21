"""What a stored row depends on, as a hash: inputs, declarations, and the code that reads them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ncbounds.bounds.bound import Bound
from ncbounds.data.given import UserData, keep_samples, read_samples
from ncbounds.data.manifest import Entry, Task
from ncbounds.data.sources import PACKAGE, ROOT, source_hash
from ncbounds.evaluation.plan import Plan
from ncbounds.extraction.running import USUAL, Running
from ncbounds.files import exactly, known_hash
from ncbounds.runs.builders import builder_key

#: What makes evidence, what measures errors beside a bound, and what facts are made by.
EVIDENCE = "ncbounds.runs.subject"
ROWS = "ncbounds.evaluation.rows"
FACTS = "ncbounds.evaluation.facts"
#: What a complexity measure passes by, since no error is measured beside it.
MEASURED = (ROWS, f"{PACKAGE}.claims")
#: What a bound from outside the package may have imported: its own imports are not followed.
PUBLIC = tuple(f"{PACKAGE}.{name}" for name in ("bounds", "geometry", "numerics"))


def with_key(task: Task, limit: int | None = None) -> Task:
    """Read a task's own data once, if it has such, and return it with the hash of all samples.

    With ``limit`` only the first rows of each sample are read.

    Raises
    ------
    Exception
        Whatever a person's function or loader raises.
    """
    if not isinstance(task.data, UserData):
        return task
    from ncbounds.data.points import own_points
    from ncbounds.extraction.batches import as_array, data_parts, first_rows

    samples = read_samples(task.data)
    parts = {}
    for role, value in samples.items():
        points = own_points(value)
        groups = None if points.groups is None else as_array(points.groups).tolist()
        names = [points.classes] if points.classes else []
        parts[role] = [data_parts(first_rows(points.loader, limit)), groups, *names]
    key = hashlib.sha256(_json(parts).encode()).hexdigest()
    keep_samples(key, samples)
    return replace(task, data=replace(task.data, key=key))


def entry_key(entry: Entry, task: Task, running: Running = USUAL) -> str:
    """Hash of all that the evidence of a checkpoint depends on."""
    own = isinstance(task.data, UserData)
    # what a checkpoint is called beside others, and where it stands, changes no row
    hidden: dict[str, Any] = dict.fromkeys(
        ("file", "parts", "code_word", "group", "model", "series", "step", "log"), ""
    )
    parts = {
        "file": [known_hash(file) for file in (entry.file, *entry.parts)],
        "data": task.data.key if isinstance(task.data, UserData) else known_hash(task.data),
        "code_word": _word_hash(entry.code_word),
        "model": builder_key(entry),
        "entry": _json({**vars(entry), **hidden}),
        "task": _json({**vars(task), "data": task.data.name if own else ""}),
        "code": _code(EVIDENCE),
        "running": running.key,
    }
    return hashlib.sha256(_json(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Keys:
    """Keys of all that is stored of one checkpoint: its evidence, rows by bound, and facts.

    A worker is given them: to find them it would have to parse the package's sources again.
    """

    evidence: str
    rows: Mapping[str, str]
    facts: str


def checkpoint_keys(plan: Plan, entry: Entry, task: Task) -> Keys:
    """Keys of what a plan stores of one checkpoint."""
    key = entry_key(entry, task, plan.running)
    return Keys(key, {b.id: row_key(plan, b, key) for b in plan.bounds}, facts_key(key))


def row_key(plan: Plan, b: Bound, key: str, layer: str = "") -> str:
    """Hash of all that the rows of one bound at one place of a checkpoint depend on."""
    text = f"{key} {b.id} {b.source_hash} {bound_code(b)} {plan.each!r}"
    text += f" {layer}" if layer else ""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def facts_key(key: str) -> str:
    """Hash of all that the facts about a checkpoint depend on."""
    return hashlib.sha256(f"{key} {_code(FACTS)}".encode()).hexdigest()[:32]


def bound_code(b: Bound, root: Path = ROOT) -> str:
    """Hash of the package's files that the rows of a bound rest on.

    Rows on the error scale stand beside a measured error, so that they rest on what measures it;
    rows of a complexity measure do not.
    """
    module = b.function.__module__
    modules = [module] if module.partition(".")[0] == PACKAGE else [*PUBLIC]
    return _code(*modules, ROWS, root=root, leaves=MEASURED if b.kind == "measure" else ())


@cache
def _code(*modules: str, root: Path = ROOT, leaves: tuple[str, ...] = ()) -> str:
    return source_hash(modules, root, leaves=leaves)


def _json(data: Any) -> str:
    return json.dumps(data, sort_keys=True, default=exactly)


def _word_hash(path: Path | None) -> str:
    """Hash of a code word, or why there is none: that is a row's reason, not a failure."""
    try:
        return "" if path is None else known_hash(path)
    except OSError as error:
        return str(error.strerror)
