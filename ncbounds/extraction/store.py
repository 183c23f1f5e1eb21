"""Features on disk: one folder per key, complete or absent.

A folder is written under a temporary name and renamed when everything in it, and last of all
``meta.json``, has reached the disk. A process that is killed leaves a temporary folder, which is
never read and is removed by the next writer on the same machine.
"""

import hashlib
import json
import os
import shutil
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import StoreError
from ncbounds.extraction.growing_array import GrowingArray, sync
from ncbounds.files import file_hash, read_sealed, write_sealed

STORE_VERSION = 2
FEATURES, LABELS, HASHES, META = "features.npy", "labels.npy", "input_hash.npy", "meta.json"


@dataclass(frozen=True, eq=False)
class Stored:
    """What one folder of the store holds; the arrays are memory-mapped and read-only.

    Attributes
    ----------
    features : array of shape (n, d)
    labels : int64 array of shape (n,)
    input_hashes : uint64 array of shape (n,)
    meta : dict
    """

    features: NDArray[Any]
    labels: NDArray[np.int64]
    input_hashes: NDArray[np.uint64]
    meta: dict[str, Any]


def store_key(parts: Mapping[str, Any]) -> str:
    """Return the sha256 of everything that the features depend on, with the store's version."""
    content = {"version": STORE_VERSION, **parts}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def store_size(path: str | os.PathLike[str]) -> int:
    """Bytes of all files under a store; 0 if there is none."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.stat(os.path.join(folder, name)).st_size
            except FileNotFoundError:  # another process renamed it
                continue
    return total


def read_stored(store: str | os.PathLike[str], key: str) -> Stored | None:
    """Return what is stored under a key, or None.

    Raises
    ------
    StoreError
        If the folder is complete by its own account, but a file is missing or has another size, or
        the labels, the hashes of the inputs or ``meta.json`` are not what was written.
    """
    folder = Path(store) / key
    if not os.path.lexists(folder / META):
        return None
    meta = read_sealed(folder / META)
    if meta is None:
        raise StoreError(_damaged(folder, f"{META} is not what was written"))
    sizes, digests = meta["sizes"], meta["digests"]
    for name in (FEATURES, LABELS, HASHES):
        file = folder / name
        found = file.stat().st_size if file.is_file() else None
        if found != sizes.get(name):
            raise StoreError(_damaged(folder, f"{name}: {sizes.get(name)} bytes, found {found}"))
    for name, digest in digests.items():
        if file_hash(folder / name) != digest:
            raise StoreError(_damaged(folder, f"{name} is not what was written"))
    try:
        features, labels, hashes = (_open(folder / n) for n in (FEATURES, LABELS, HASHES))
    except ValueError as error:
        raise StoreError(_damaged(folder, str(error))) from None
    if not len(features) == len(labels) == len(hashes):
        raise StoreError(_damaged(folder, "arrays of different lengths"))
    return Stored(features, labels, hashes, meta)


class StoreWriter:
    """Writes one folder of the store, batch by batch; use it as a context manager.

    Nothing is visible under the key before :meth:`commit`; leaving the context without it removes
    what was written.

    Parameters
    ----------
    store : path
        Made if it is not there.
    """

    def __init__(self, store: str | os.PathLike[str]) -> None:
        self._store = Path(store)
        self._store.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(self._store)
        self._folder = self._store / f"{_prefix()}{uuid.uuid4().hex[:8]}"
        self._folder.mkdir()
        self._features: GrowingArray | None = None

    def __enter__(self) -> "StoreWriter":
        """Return the writer."""
        return self

    def __exit__(self, *error: object) -> None:
        """Remove what was not committed."""
        if self._features is not None:
            self._features.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def append(self, features: NDArray[Any]) -> None:
        """Append rows of shape (n, d)."""
        if self._features is None:
            self._features = GrowingArray(self._folder / FEATURES, features)
        self._features.append(features)

    def commit(
        self,
        key: str,
        labels: NDArray[np.int64],
        hashes: NDArray[np.uint64],
        meta: Mapping[str, Any],
    ) -> None:
        """Make the folder visible under ``key``; if another process was faster, keep its folder."""
        if self._features is None:
            raise StoreError("no rows were extracted, so there is nothing to store")
        self._features.finish()
        for name, array in ((LABELS, labels), (HASHES, hashes)):
            with open(self._folder / name, "wb") as stream:
                np.save(stream, array)
                sync(stream)
        names = (FEATURES, LABELS, HASHES)
        sizes = {name: (self._folder / name).stat().st_size for name in names}
        digests = {name: file_hash(self._folder / name) for name in (LABELS, HASHES)}
        write_sealed(self._folder / META, {**meta, "sizes": sizes, "digests": digests})
        _sync_folder(self._folder)
        target = self._store / key
        if target.is_dir() and not (target / META).is_file():
            shutil.rmtree(target, ignore_errors=True)
        try:
            os.replace(self._folder, target)
        except OSError:
            if not (target / META).is_file():
                raise
        _sync_folder(self._store)


def _open(path: Path) -> NDArray[Any]:
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _damaged(folder: Path, what: str) -> str:
    return f"the store folder {folder} is damaged: {what}; delete it and run again"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prefix() -> str:
    return f".unfinished-{socket.gethostname()}-{os.getpid()}-"


def _remove_abandoned(store: Path) -> None:
    """Remove temporary folders of processes on this machine that no longer run."""
    start = f".unfinished-{socket.gethostname()}-"
    for folder in store.glob(f"{start}*"):
        pid = folder.name.removeprefix(start).partition("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
