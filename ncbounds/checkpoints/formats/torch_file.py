"""Files written by ``torch.save``: sizes checked, names checked, then ``weights_only``."""

import argparse
import pickle
import struct
import tarfile
import threading
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ncbounds.checkpoints.formats.allowed_names import FACTORIES
from ncbounds.checkpoints.formats.pickles import Audit, PickleDamaged, audit
from ncbounds.errors import CheckpointRefused, CheckpointUnreadable

PICKLE_LIMIT = 1 << 28  # the description of the tensors; theirs is a few hundred bytes each
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LOCK = threading.Lock()  # torch's allow-list is a global; two loads must not undo each other


def _plain_dict(*ignored: object) -> dict[Any, Any]:
    """Stand in for ``defaultdict``, whose factory is not needed to read a file."""
    return {}


def _no_factory(*args: object) -> None:
    raise CheckpointRefused(f"a builtin factory is called with {len(args)} arguments")


_SAFE: list[Any] = [
    (argparse.Namespace, "argparse.Namespace"),
    (_plain_dict, "collections.defaultdict"),
    *((_no_factory, f"builtins.{name}") for name in FACTORIES if name != "set"),
]


def load_torch(path: Path) -> tuple[Any, str]:
    """Read a file written by ``torch.save`` without running code from it.

    Parameters
    ----------
    path : Path

    Returns
    -------
    content : object
        What was saved; zip archives are memory-mapped.
    kind : {"zip", "legacy"}
        ``"legacy"`` is the layout from before torch 1.6.

    Raises
    ------
    CheckpointRefused
        If reading it would need names beyond tensors and plain containers.
    CheckpointUnreadable
        If it is truncated, declares sizes that it does not have, or is something else.
    """
    kind = "zip" if _starts_with(path, b"PK\x03\x04") else "legacy"
    check = _check_zip if kind == "zip" else _check_legacy
    try:
        check(path)
    except PickleDamaged as error:
        raise CheckpointUnreadable(f"{path} is damaged: {error}; copy or save it again") from None
    with _LOCK, torch.serialization.safe_globals(_SAFE):
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=kind == "zip")
        except pickle.UnpicklingError as error:
            raise CheckpointRefused(refusal(path, {_short(error)})) from None
        except CheckpointRefused as error:
            raise CheckpointRefused(refusal(path, {str(error)})) from None
        except Exception as error:  # whatever a damaged file makes the reader stumble over
            raise CheckpointUnreadable(
                f"{path} cannot be read ({_short(error)}); copy or save it again"
            ) from None
    return content, kind


def refusal(path: Path, names: set[str]) -> str:
    """Say what blocks a file and how to save it so that it can be read."""
    listed = ", ".join(sorted(names)[:12])
    return (
        f"{path} can only be read by running code from it: it needs {listed}. Only tensors and "
        "plain Python values are read. If you trust the file, save its weights again, where its "
        f"classes can be imported: c = torch.load({path.name!r}, weights_only=False, "
        "map_location='cpu'); torch.save(c.state_dict() if hasattr(c, 'state_dict') else "
        "c['state_dict'], 'weights.pt')"
    )


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and not line.startswith("Check the documentation")]
    return (lines[-1] if lines else type(error).__name__)[:200]


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(magic)) == magic


def _refuse(path: Path, found: Audit) -> None:
    if found.blocked:
        raise CheckpointRefused(refusal(path, found.blocked))


def _check_zip(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - 22))
        if stream.read(4) != b"PK\x05\x06":
            raise CheckpointUnreadable(
                f"{path} is truncated: a zip archive of {size} bytes without its directory at the "
                "end; copy or save it again"
            )
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive, size)
            found = _audit_zip(path, archive, members)
    except (zipfile.BadZipFile, struct.error, EOFError, NotImplementedError, ValueError) as error:
        raise CheckpointUnreadable(
            f"{path} is no readable zip archive ({_short(error)}); copy or save it again"
        ) from None
    _refuse(path, found)
    for key, declared in found.storages.items():
        stored = members.get(f"data/{key}")
        if stored is None or stored.file_size != declared:
            held = "nothing" if stored is None else f"{stored.file_size} bytes"
            raise CheckpointUnreadable(
                f"{path}: tensor storage {key} declares {declared} bytes, the archive holds "
                f"{held}; copy or save it again"
            )


def _members(path: Path, archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if any(info.filename.endswith("/constants.pkl") for info in infos):
        raise CheckpointRefused(
            f"{path} is a TorchScript archive, which holds a program. Load it with torch.jit.load "
            "where you trust it and save its weights: torch.save(m.state_dict(), 'weights.pt')"
        )
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise CheckpointUnreadable(
                f"{path}: member {info.filename!r} unpacks from {info.compress_size} to "
                f"{info.file_size} bytes; torch.save never compresses, so this is no checkpoint "
                "of torch or one that should not be opened"
            )
    total = sum(info.file_size for info in infos)
    if total > size:
        raise CheckpointUnreadable(
            f"{path}: its members declare {total} bytes, the file has {size}; copy or save it again"
        )
    names = [info.filename.partition("/")[2] for info in infos]
    if len(set(names)) < len(names) or len({i.filename.partition("/")[0] for i in infos}) > 1:
        raise CheckpointUnreadable(f"{path}: members twice or in several folders, not from torch")
    return dict(zip(names, infos, strict=True))


def _audit_zip(path: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> Audit:
    if "data.pkl" not in members:
        raise CheckpointUnreadable(
            f"{path} is a zip archive without data.pkl, so not written by torch.save; "
            f"it holds {', '.join(i.filename for i in archive.infolist()[:4])}"
        )
    info = members["data.pkl"]
    if info.file_size > PICKLE_LIMIT:
        raise CheckpointUnreadable(
            f"{path}: its description takes {info.file_size} bytes, more than {PICKLE_LIMIT}; "
            "save the state_dict alone"
        )
    with archive.open(info) as stream:
        found = audit(stream, info.file_size)  # type: ignore[arg-type]
        if stream.read(1):
            raise PickleDamaged("its pickle goes on after its end")
    return found


def _check_legacy(path: Path) -> None:
    size = path.stat().st_size
    if tarfile.is_tarfile(path):
        raise CheckpointUnreadable(
            f"{path} is a tar archive; unpack it, or, if torch before 0.1.10 wrote it, load it "
            "where you trust it and save its state_dict again"
        )
    with path.open("rb") as stream:
        first = _first_pickle(path, stream, size)
        _refuse(path, first)
        if first.first != LEGACY_MAGIC:
            raise CheckpointUnreadable(
                f"{path} is a plain pickle that torch.save did not write; save it with "
                "torch.save(model.state_dict(), 'weights.pt')"
            )
        storages: dict[str, int] = {}
        for _ in range(4):  # protocol version, system information, content, keys of storages
            part = audit(stream, size)
            _refuse(path, part)
            storages |= part.storages
        _check_storages(path, stream, size, storages)


def _first_pickle(path: Path, stream: BinaryIO, size: int) -> Audit:
    try:
        return audit(stream, size)
    except PickleDamaged:
        stream.seek(0)
        start = stream.read(8)
        if start.startswith(b"\x80"):
            raise
        raise CheckpointUnreadable(
            f"{path} is of an unknown format (it starts with {start!r}); needed is safetensors or "
            "a file written by torch.save"
        ) from None


def _check_storages(path: Path, stream: BinaryIO, size: int, storages: dict[str, int]) -> None:
    left = size - stream.tell()
    needed = sum(storages.values()) + 8 * len(storages)  # each is preceded by its length
    if needed != left:
        raise CheckpointUnreadable(
            f"{path}: its tensors declare {needed} bytes, the file has {left} for them; copy or "
            "save it again"
        )
