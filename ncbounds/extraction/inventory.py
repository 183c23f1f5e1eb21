"""What a store holds, who uses it, and what can go.

Where a checkpoint has used another entry in the same role and place since, the earlier one is no
longer its.
"""

import json
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncbounds.errors import StoreError
from ncbounds.extraction.store import ARRAYS, FEATURES, array_path, locked, store_size
from ncbounds.files import read_sealed

#: Files by which a folder of the second version of the store is told.
_OLDER = ("meta.json", "features.npy")


@dataclass(frozen=True)
class Item:
    """One thing in a store.

    Attributes
    ----------
    path : Path
        Of an entry, or of a folder of an older version.
    what : str
        In words.
    arrays : tuple of Path
        That it names; other entries may name them too.
    size : int
        Bytes of it and its arrays.
    written : float
        When, in seconds since 1970.
    used_by : tuple of str
        Checkpoints with the role in which they use it; empty where nobody has said so.
    goes : str
        Why it can go; empty if it stays.
    """

    path: Path
    what: str
    arrays: tuple[Path, ...]
    size: int
    written: float
    used_by: tuple[str, ...]
    goes: str


def inventory(store: Path, checkpoints: Collection[str] | None = None) -> list[Item]:
    """List what a store holds, the newest first.

    Parameters
    ----------
    store : Path
    checkpoints : collection of str, optional
        Those of a manifest: entries that none of them uses can go. Without it, entries go only
        where each checkpoint that used them has another one by now.
    """
    uses: dict[Path, list[tuple[tuple[str, str, str], float]]] = {}
    latest: dict[tuple[str, str, str], float] = {}
    folders = _folders(store)
    older = [folder for folder in folders if _is_older(folder)]
    entries = [e for f in folders if f not in older for e in sorted(f.glob("*.json"))]
    for entry in entries:
        uses[entry] = list(_uses(entry))
        for use, when in uses[entry]:
            latest[use] = max(latest.get(use, when), when)
    found = [_older(folder) for folder in older]
    for entry in entries:
        mine = [use for use, when in uses[entry] if latest[use] == when]
        found.append(_item(store, entry, bool(uses[entry]), mine, checkpoints))
    return sorted(found, key=lambda item: -item.written)


def prune(store: Path, checkpoints: Collection[str] | None = None) -> tuple[list[Item], int]:
    """Remove what can go, and arrays that no entry names; return what went, and how many bytes.

    Raises
    ------
    StoreError
        If the file system has no locks, so that it is not known whether somebody writes.
    """
    with locked(store, alone=True) as held:
        if not held:
            raise StoreError(
                f"the file system of {store} has no locks, and somebody may be writing; delete the "
                "whole folder when nobody is"
            )
        before = store_size(store)
        items = inventory(store, checkpoints)
        gone = [item for item in items if item.goes]
        for item in gone:
            _remove(item.path)
        kept = {path for item in items if not item.goes for path in item.arrays}
        for path in (store / ARRAYS).glob("*"):
            if path not in kept:
                path.unlink()
        for folder in _folders(store):
            for used in folder.glob("*.used"):
                if not used.with_suffix(".json").exists():
                    shutil.rmtree(used, ignore_errors=True)
        return gone, before - store_size(store)


def freed(store: Path, items: Iterable[Item]) -> int:
    """Bytes that :func:`prune` would free, if nothing changes before."""
    listed = list(items)
    kept = {path for item in listed if not item.goes for path in item.arrays}
    older = sum(item.size for item in listed if item.goes and not item.arrays)
    lost = [p for p in (store / ARRAYS).glob("*") if p not in kept]
    return older + sum(p.stat().st_size for p in lost)


def _folders(store: Path) -> list[Path]:
    """All folders but those that are being written, which come and go."""
    return sorted(p for p in store.iterdir() if not p.name.startswith(".") and p.is_dir())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    path.unlink()
    shutil.rmtree(path.with_suffix(".used"), ignore_errors=True)
    if not any(path.parent.iterdir()):
        path.parent.rmdir()


def _uses(entry: Path) -> Iterable[tuple[tuple[str, str, str], float]]:
    for file in entry.with_suffix(".used").glob("*.json"):
        use: dict[str, Any] = json.loads(file.read_text())
        yield (use["checkpoint"], use["role"], use["tap"]), file.stat().st_mtime


def _item(
    store: Path,
    entry: Path,
    used: bool,
    mine: list[tuple[str, str, str]],
    checkpoints: Collection[str] | None,
) -> Item:
    meta = read_sealed(entry)
    written = entry.stat().st_mtime
    if meta is None:
        return Item(entry, "an entry that is damaged", (), 0, written, (), "it is damaged")
    paths = tuple(
        array_path(store, digest, name in meta["packed"]) for name, digest in meta["arrays"].items()
    )
    size = sum(path.stat().st_size for path in paths if path.is_file())
    n, dim = meta["shape"]
    what = f"{n} x {dim} {meta['dtype']}" + (", packed" if FEATURES in meta["packed"] else "")
    users = tuple(f"{name} ({role})" for name, role, _ in sorted(mine))
    goes = ""
    if used and not mine:
        goes = "all that used it have others by now"
    elif checkpoints is not None and not any(name in checkpoints for name, _, _ in mine):
        goes = "no checkpoint of the manifest uses it"
    return Item(entry, what, paths, size, written, users, goes)


def _is_older(folder: Path) -> bool:
    return all((folder / name).is_file() for name in _OLDER)


def _older(folder: Path) -> Item:
    when = folder.stat().st_mtime
    what, why = "an entry of an older version", "this version does not read it"
    return Item(folder, what, (), store_size(folder), when, (), why)
