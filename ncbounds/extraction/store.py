"""Features on disk: arrays under the hash of their content, and entries that name them.

::

    arrays/HASH.npy       an array; equal arrays are one file (HASH.packed where that is smaller)
    NETWORK/DATA.json     which arrays a network gives for some data, and what is known about them
    NETWORK/DATA.used/    by which checkpoint, in which role and at which place it was used

An entry is complete or absent: it is written, whole, after its arrays have reached the disk. A
process that is killed leaves a temporary folder, which is never read and is removed by the next
writer on the same machine, or arrays that no entry names, which ``ncbounds store --prune`` removes.
Writers hold a shared lock on ``.lock`` from looking for an array to naming it, who prunes holds it
alone.
"""

import fcntl
import hashlib
import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import StoreError
from ncbounds.extraction.content import content_hash
from ncbounds.extraction.growing_array import GrowingArray, sync
from ncbounds.extraction.packing import LEAST, MOST, pack, unpack
from ncbounds.files import exactly, json_text, read_sealed, write_sealed, write_text

STORE_VERSION = 3
ARRAYS, LOCK = "arrays", ".lock"
FEATURES, LABELS, HASHES = "features", "labels", "input_hashes"


@dataclass(frozen=True, eq=False)
class Stored:
    """What one entry of the store names; the arrays are read-only, and memory-mapped if not packed.

    Attributes
    ----------
    features : array of shape (n, d)
    labels : int64 array of shape (n,), or boolean of shape (n, L)
    input_hashes : uint64 array of shape (n,)
    meta : dict
    """

    features: NDArray[Any]
    labels: NDArray[Any]
    input_hashes: NDArray[np.uint64]
    meta: dict[str, Any]


def store_key(parts: Mapping[str, Any]) -> str:
    """Return the sha256 of everything in ``parts``, with the store's version."""
    content = {"version": STORE_VERSION, **parts}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=exactly)
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


def array_path(store: str | os.PathLike[str], digest: str, packed: bool = False) -> Path:
    """Where an array of this content stands."""
    return Path(store) / ARRAYS / f"{digest}.{'packed' if packed else 'npy'}"


def entry_path(store: str | os.PathLike[str], network: str, data: str) -> Path:
    """Where it stands what a network gives for some data."""
    return Path(store) / network / f"{data}.json"


def read_stored(store: str | os.PathLike[str], network: str, data: str) -> Stored | None:
    """Return what is stored of a network on some data, or None.

    Raises
    ------
    StoreError
        If an entry is there, but it is not what was written, or an array is missing or has another
        size, or the labels or the hashes of the inputs are not what was written.
    """
    path = entry_path(store, network, data)
    with locked(Path(store)):
        if not os.path.lexists(path):
            return None
        found, entry = _read(store, path)
        return Stored(**found, meta=entry)


def points_of(
    store: str | os.PathLike[str], network: str
) -> Iterator[tuple[NDArray[Any], NDArray[np.uint64]]]:
    """Labels and hashes of inputs of everything that is stored of a network.

    Raises
    ------
    StoreError
        See :func:`read_stored`.
    """
    for path in sorted((Path(store) / network).glob("*.json")):
        with locked(Path(store)):
            if os.path.lexists(path):
                found, _ = _read(store, path, (LABELS, HASHES))
                yield found[LABELS], found[HASHES]


def _read(
    store: str | os.PathLike[str], path: Path, names: tuple[str, ...] = (FEATURES, LABELS, HASHES)
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return arrays of an entry, and what is said about it."""
    entry = read_sealed(path)
    if entry is None:
        raise StoreError(_damaged(path, "it is not what was written"))
    found: dict[str, Any] = {}
    for name in names:
        digest, size, packed = entry["arrays"][name], entry["sizes"][name], name in entry["packed"]
        file = array_path(store, digest, packed)
        there = file.stat().st_size if file.is_file() else None
        if there != size and not (packed and there):  # another machine may pack more or less
            raise StoreError(_damaged(path, f"its {name} had {size} bytes, found {there}"))
        try:
            found[name] = unpack(file.read_bytes()) if packed else _mapped(file)
        except ValueError as error:
            raise StoreError(_damaged(path, f"its {name}: {error}")) from None
        mapped = name == FEATURES and not packed  # that would be all of it once more
        if not mapped and content_hash(found[name]) != digest:
            raise StoreError(_damaged(path, f"its {name} are not what was written"))
    if len({len(array) for array in found.values()}) != 1:
        raise StoreError(_damaged(path, "its arrays have different lengths"))
    return found, entry


class StoreWriter:
    """Writes one entry of the store and its arrays, batch by batch; use it as a context manager.

    Nothing is visible before :meth:`commit`; leaving the context without it removes what was
    written.

    Parameters
    ----------
    store : path
        Made if it is not there.
    packs : bool
        Whether features may be packed; what is packed is read into memory as a whole.
    """

    def __init__(self, store: str | os.PathLike[str], *, packs: bool = True) -> None:
        self._store, self._packs = Path(store), packs
        (self._store / ARRAYS).mkdir(parents=True, exist_ok=True)
        remove_abandoned(self._store)
        self._folder = unfinished(self._store)
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
        network: str,
        data: str,
        labels: NDArray[Any],
        hashes: NDArray[np.uint64],
        meta: Mapping[str, Any],
        use: Mapping[str, str] | None = None,
    ) -> None:
        """Make the entry visible; if another process was faster, keep its entry."""
        if self._features is None:
            raise StoreError("no rows were extracted, so there is nothing to store")
        digests = {FEATURES: self._features.finish()}
        for name, array in ((LABELS, labels), (HASHES, hashes)):
            digests[name] = content_hash(array)
            with open(self._folder / name, "wb") as stream:
                np.save(stream, array)
                sync(stream)
        path = entry_path(self._store, network, data)
        packed = self._packed()
        about = {"shape": self._features.shape, "dtype": self._features.dtype.name}
        sizes = {name: (self._folder / name).stat().st_size for name in digests}
        with locked(self._store):
            for name, digest in digests.items():
                # an array of this content that stands there already may have been damaged since
                target = array_path(self._store, digest, name in packed)
                os.replace(self._folder / name, target)
            sync_folder(self._store / ARRAYS)
            path.parent.mkdir(exist_ok=True)
            if use is not None:  # before the entry is seen, so that it is never nobody's
                note_use(self._store, network, data, use)
            if read_sealed(path) is None:
                named = {"arrays": digests, "sizes": sizes, "packed": packed}
                write_sealed(path, {**meta, **named, **about})
            sync_folder(path.parent)
        sync_folder(self._store)

    def _packed(self) -> list[str]:
        """Pack features that are worth it; return the names of what is packed."""
        file = self._folder / FEATURES
        if not self._packs or not LEAST <= file.stat().st_size <= MOST:
            return []
        packed = pack(_mapped(file))
        if packed is None:
            return []
        with open(self._folder / "packing", "wb") as stream:
            stream.write(packed)
            sync(stream)
        os.replace(self._folder / "packing", file)
        return [FEATURES]


def note_use(
    store: str | os.PathLike[str], network: str, data: str, use: Mapping[str, str]
) -> None:
    """Say who uses an entry: ``use`` has a ``checkpoint``, a ``role`` and a ``tap``."""
    text = json_text(use)
    name = hashlib.sha256(text.encode()).hexdigest()[:32]
    with locked(Path(store)):
        write_text(entry_path(store, network, data).with_suffix(".used") / f"{name}.json", text)


@contextmanager
def locked(store: Path, alone: bool = False) -> Iterator[bool]:
    """Hold the store's lock, shared or alone; yields whether the file system has locks."""
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(open(store / LOCK, "ab"))
            fcntl.flock(stream, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            held = True
        except OSError:
            held = False
        yield held


def _mapped(file: Path) -> NDArray[Any]:
    array: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    return array


def _damaged(path: Path, what: str) -> str:
    return f"the store entry {path} is damaged: {what}; delete it and run again"


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder have reached the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unfinished(store: Path) -> Path:
    """Make a temporary folder of this process."""
    folder = store / f".unfinished-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    return folder


def remove_abandoned(store: Path) -> None:
    """Remove temporary folders of processes on this machine that no longer run."""
    start = f".unfinished-{socket.gethostname()}-"
    for folder in store.glob(f"{start}*"):
        pid = folder.name.removeprefix(start).partition("-")[0]
        if pid.isdecimal() and not _alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
