"""What a stored row depends on, as a hash."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from ncbounds.bounds.bound import Bound
from ncbounds.data.manifest import Entry, Task
from ncbounds.evaluation.plan import Plan
from ncbounds.files import file_hash


def entry_key(entry: Entry, task: Task) -> str:
    """Hash of all that the results of a checkpoint depend on, besides the bound and delta."""
    parts = {
        "file": _file_hash(entry.file),
        "data": _file_hash(task.data),
        "code_word": _word_hash(entry.code_word),
        "entry": _json({**vars(entry), "file": "", "code_word": "", "group": {}}),
        "task": _json({**vars(task), "data": ""}),
        "code": code_hash(),
    }
    return hashlib.sha256(_json(parts).encode()).hexdigest()[:32]


@cache
def code_hash() -> str:
    """Hash of the package's source, except what only parses arguments or prints."""
    import ncbounds

    root = Path(ncbounds.__file__).parent
    skipped = {"cli.py", "cli_zoo.py"}
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if relative.parts[0] == "report" or relative.name in skipped:
            continue
        digest.update(str(relative).encode() + path.read_bytes())
    return digest.hexdigest()[:32]


def row_key(plan: Plan, b: Bound, key: str) -> str:
    """Hash of all that the rows of one bound on one checkpoint depend on."""
    text = f"{key} {b.id} {b.source_hash} {plan.each!r}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _json(data: Any) -> str:
    return json.dumps(data, sort_keys=True, default=str)


@cache
def _hash_at(path: Path, size: int, time_ns: int) -> str:
    return file_hash(path)


def _word_hash(path: Path | None) -> str:
    """Hash of a code word, or why there is none: that is a row's reason, not a failure."""
    try:
        return "" if path is None else _file_hash(path)
    except OSError as error:
        return str(error.strerror)


def _file_hash(path: Path) -> str:
    if path.is_dir():
        return file_hash(path)
    stat = path.stat()
    return _hash_at(path, stat.st_size, stat.st_mtime_ns)
