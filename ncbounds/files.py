"""Files: regular ones only, read once, written whole or not at all."""

import errno
import hashlib
import io
import json
import os
import stat
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import plain_array
from ncbounds.budgets import JSON_BYTES, MEMORY_SHARE, SETTLED_SECONDS

#: Name of the hash in a file of results.
SEAL = "sha256"

_CHUNK = 1 << 20
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
}


@dataclass(frozen=True, eq=False)
class Content:
    """The bytes of a file as they were at one moment, and their hash.

    Attributes
    ----------
    path : Path
        Where they came from; it is not opened again.
    data : array of uint8
        Nobody else can change it.
    sha256 : str
    stamp : tuple of int
        Size, time of the last change and number of the file.
    """

    path: Path
    data: NDArray[np.uint8] = field(repr=False)
    sha256: str
    stamp: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of bytes."""
        return int(self.data.size)

    def check(self) -> None:
        """Raise OSError if another file stands at the path by now."""
        if _stamp(os.stat(self.path)) != self.stamp:
            raise _changed(self.path)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading; never wait for a pipe or read from a device.

    Raises
    ------
    OSError
        If it is missing or something else, with ``strerror`` in words.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | os.O_CLOEXEC)
    except ValueError as error:  # a NUL or a character that no file name holds
        raise OSError(errno.EINVAL, f"no file can have this name ({error})") from None
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    what = _KINDS.get(stat.S_IFMT(mode), "something else")
    raise OSError(errno.EINVAL, f"it is {what}, needed is a regular file", str(path))


def read_bounded(path: str | os.PathLike[str], limit: int) -> bytes:
    """Return the bytes of a small regular file.

    Raises
    ------
    OSError
        As :func:`open_regular` does, and if there are more than ``limit`` bytes.
    """
    with open_regular(path) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes", str(path))
    return data


def read_content(path: str | os.PathLike[str]) -> Content:
    """Read a whole file into memory and hash exactly the bytes that were read.

    Raises
    ------
    OSError
        As :func:`open_regular` does; if the file does not fit into memory; if it changed while it
        was read, so that the bytes may be of no one file.
    """
    limit = int(MEMORY_SHARE * _memory())
    with open_regular(path) as stream:
        before = os.fstat(stream.fileno())
        fresh = time.time_ns() - before.st_mtime_ns < SETTLED_SECONDS * 1e9
        if before.st_size > limit:
            raise OSError(
                errno.EFBIG,
                f"it has {before.st_size} bytes, at most {limit} fit into the memory here",
                str(path),
            )
        data, digest = _read_hashed(stream, before.st_size)
        stream.seek(0)
        again = _hash(stream) if fresh else digest
        after = os.fstat(stream.fileno())
    if _stamp(before) != _stamp(after) or again != digest or data.size != before.st_size:
        raise _changed(path)
    return Content(Path(path), data, digest, _stamp(before))


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return found.st_size, found.st_mtime_ns, found.st_ino


def _changed(path: str | os.PathLike[str]) -> OSError:
    text = "it changed while it was read; wait until it is written"
    return OSError(errno.EBUSY, text, str(path))


def _read_hashed(stream: BinaryIO, size: int) -> tuple[NDArray[np.uint8], str]:
    """Read ``size`` bytes; each chunk is hashed while the next one is read."""
    data = np.empty(size, np.uint8)
    view, digest, done = data.data, hashlib.sha256(), 0
    raw = stream.raw  # type: ignore[attr-defined]  # no second copy through a buffer
    with ThreadPoolExecutor(1) as pool:  # its thread starts with the first task
        pending: Future[None] | None = None
        while count := raw.readinto(view[done : done + _CHUNK]):
            if pending is not None:
                pending.result()
            chunk = view[done : done + count]
            done += count
            if done == size <= _CHUNK:
                digest.update(chunk)
            else:
                pending = pool.submit(digest.update, chunk)
        if pending is not None:
            pending.result()
    return data[:done], digest.hexdigest()


def _hash(stream: BinaryIO) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def _memory() -> int:
    """Bytes of memory of this machine, or of the container that the process is confined to."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path("/sys/fs/cgroup", name).read_text()))
        except (OSError, ValueError):
            continue
    return total


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as :func:`write_bytes` does; what is no text is escaped."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write ``data`` to ``path`` atomically: an interruption leaves the old file or the new one.

    Without ``sync`` that holds if this process ends, not if the machine does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def npz_bytes(**arrays: Any) -> bytes:
    """Return named arrays as the bytes of an npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def json_text(data: Any) -> str:
    """Return JSON of printable characters; keys sorted, so that equal data give equal bytes."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
    return text + "\n"


def write_json(path: Path, data: Any) -> None:
    """Write :func:`json_text` atomically."""
    write_text(path, json_text(data))


def write_sealed(path: Path, data: Mapping[str, Any], *, sync: bool = True) -> None:
    """Write a JSON object with the hash of its content; :func:`read_sealed` reads it back."""
    write_bytes(path, json_text(sealed(data)).encode("utf-8", "backslashreplace"), sync=sync)


def sealed(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``data`` with its hash under ``sha256``."""
    rest = {name: value for name, value in data.items() if name != SEAL}
    digest = hashlib.sha256(json_text(rest).encode())
    return {**rest, SEAL: digest.hexdigest()}


def read_sealed(path: Path) -> dict[str, Any] | None:
    """Return the object in ``path``; None if it is absent, not whole, or is not what was written.

    The hash finds damage and what was changed by hand; who wants to deceive can write it anew.
    """
    try:
        found = json.loads(read_bounded(path, JSON_BYTES))
        if not isinstance(found, dict) or sealed(found)[SEAL] != found.pop(SEAL, None):
            return None
    except (OSError, ValueError, RecursionError):
        return None
    return found


def file_hash(path: Path) -> str:
    """Return the sha256 of a file, or of all files of a folder with their names."""
    if path.is_dir():
        lines = [f"{p.name} {file_hash(p)}" for p in sorted(path.iterdir()) if p.is_file()]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
    with open_regular(path) as stream:
        return _hash(stream)


def exactly(value: Any) -> Any:
    """What stands for a value that JSON has no form of where a hash is taken; ``default=`` of json.

    Arrays and tensors count with every number, of which their texts leave some out.
    """
    if not hasattr(value, "__array__"):
        return str(value)
    array = plain_array(value, "an argument")
    if array.dtype.kind == "O":
        return [array.shape, array.ravel().tolist()]
    return [array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).hexdigest()]


Stamp = tuple[Any, ...]


def stamp(path: Path) -> Stamp:
    """What tells a state of a file, or of the files of a folder, from another within a process.

    The time of the last change of any kind is part of it, which nobody can set back.
    """
    if path.is_dir():
        return tuple((p.name, *stamp(p)) for p in sorted(path.iterdir()) if p.is_file())
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def known_hash(path: Path) -> str:
    """Return :func:`file_hash`, taken once for each state of a file."""
    return _hash_at(path, stamp(path))


@cache
def _hash_at(path: Path, at: Stamp) -> str:
    return file_hash(path)
