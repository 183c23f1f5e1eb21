"""Folders of ``torch.distributed.checkpoint``: pieces, and ``.metadata`` that places them.

The metadata is a pickle. It is audited as every pickle is, with a few names more, and then read by
a machine in which all of these names stand for records of this module: nothing of torch's own
reader, and nothing that the file brings along, is called. Each piece is a file of ``torch.save``.
"""

import hashlib
import io
import math
import pickle
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ncbounds.budgets import PICKLE_BYTES, TENSORS
from ncbounds.checkpoints.formats.allowed_names import DTYPES, LARGEST_RANK
from ncbounds.checkpoints.formats.beside import path_text
from ncbounds.checkpoints.formats.pickles import PickleDamaged, audit
from ncbounds.checkpoints.formats.torch_file import load_torch
from ncbounds.errors import CheckpointRefused, CheckpointUnreadable, few, shown
from ncbounds.files import Content, read_bounded, read_content

METADATA = ".metadata"
_METADATA_NAMES = (
    *("Metadata", "MetadataIndex", "StorageMeta", "TensorProperties", "_MEM_FORMAT_ENCODING"),
    *("TensorStorageMetadata", "BytesStorageMetadata", "ChunkStorageMetadata"),
)
_RECORDS = frozenset(
    (
        *(f"torch.distributed.checkpoint.metadata.{name}" for name in _METADATA_NAMES),
        "torch.distributed.checkpoint.filesystem._StorageInfo",
        "torch.distributed._shard.sharded_tensor.metadata.TensorProperties",
        "torch.distributed._shard.sharded_tensor.metadata.MEM_FORMAT_ENCODING",
        "torch.serialization._get_layout",
    )
)
_PATHS = frozenset(f"pathlib.{name}" for name in ("PosixPath", "WindowsPath", "PurePosixPath"))
#: Every name that the metadata may hold.
NAMES = _RECORDS | _PATHS | DTYPES | {"torch.Size"}


class Distributed(NamedTuple):
    """What a folder of pieces holds.

    Attributes
    ----------
    content : dict
        Nested as it was saved; tensors only, without states of optimizers.
    size : int
        Bytes of all files.
    hashes : dict of str to str
        sha256 of every file that was read, by its name.
    """

    content: dict[str, Any]
    size: int
    hashes: dict[str, str]


class _Piece(NamedTuple):
    tensor: str
    offset: tuple[int, ...]
    start: int
    length: int


def load_distributed(folder: Path) -> Distributed:
    """Read the tensors of a folder that ``torch.distributed.checkpoint`` saved; run nothing.

    Raises
    ------
    CheckpointRefused
        If the metadata has other names than plain metadata has.
    CheckpointUnreadable
        If it is damaged, or pieces are missing, overlap or do not fit.
    OSError
        If a file cannot be read.
    """
    raw = read_bounded(folder / METADATA, PICKLE_BYTES)
    hashes = {METADATA: hashlib.sha256(raw).hexdigest()}
    try:
        shapes, pieces, places = _plan(_unpickled(raw, folder))
        tensors = _assembled(folder, shapes, pieces, hashes)
        content: dict[str, Any] = {}
        for name, tensor in tensors.items():
            _put(content, places.get(name, (name,)), tensor)
    except PickleDamaged as error:
        raise CheckpointUnreadable(f"{folder} is damaged: {error}; copy or save it again") from None
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
        raise CheckpointUnreadable(
            f"{folder}: its {METADATA} cannot be followed ({shown(error)}); copy or save it again"
        ) from None
    size = sum((folder / name).stat().st_size for name in hashes)
    return Distributed(content, size, hashes)


def _unpickled(raw: bytes, folder: Path) -> Any:
    stream = io.BytesIO(raw)
    blocked = audit(stream, len(raw), NAMES).blocked
    if blocked:
        raise CheckpointRefused(
            f"{folder}: its {METADATA} needs {few(sorted(blocked))}, which is run on reading. If "
            "you trust it: python -m torch.distributed.checkpoint.format_utils dcp_to_torch "
            f"{folder} model.pt"
        )
    try:
        return _Reader(io.BytesIO(raw)).load()
    except (pickle.UnpicklingError, EOFError) as error:
        raise PickleDamaged(f"its {METADATA} cannot be read ({shown(error)})") from None


class _Reader(pickle._Unpickler):  # its memo is a dictionary, not an array of the file's size
    """A pickle machine that knows :data:`NAMES`, and none by looking it up."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        # classes of this one load: whatever it does to them ends with it
        self._known: dict[str, Any] = {name: type(name, (_Record,), {}) for name in _RECORDS}
        self._known |= dict.fromkeys(_PATHS, path_text)
        self._known |= {name: getattr(torch, name.rpartition(".")[2], None) for name in DTYPES}
        self._known["torch.Size"] = lambda sizes: tuple(sizes)

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name."""
        found = self._known.get(f"{module}.{name}")
        if found is None:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return found

    def persistent_load(self, pid: Any) -> Any:
        """Refuse: metadata have no storages."""
        raise pickle.UnpicklingError("a persistent id")


class _Record:
    """Attributes of an object, by name; of one with another state, that state."""

    def __new__(cls, *args: object) -> "_Record":
        return super().__new__(cls)

    def __init__(self, *args: object) -> None:
        self.held: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        self.held = state if isinstance(state, dict) else {"state": state}


def _field(record: object, name: str) -> Any:
    held = getattr(record, "held", None)
    return held.get(name) if isinstance(held, dict) else None


def _plan(
    metadata: object,
) -> tuple[
    dict[str, tuple[tuple[int, ...], torch.dtype]],
    dict[str, list[_Piece]],
    dict[str, tuple[str, ...]],
]:
    """Shapes and types by name, pieces by file, and the path of every tensor."""
    described, stored = (_field(metadata, f) for f in ("state_dict_metadata", "storage_data"))
    if not isinstance(described, Mapping) or not isinstance(stored, Mapping):
        raise PickleDamaged(f"its {METADATA} describes no tensors")
    places = {n: tuple(map(str, p)) for n, p in (_field(metadata, "planner_data") or {}).items()}
    shapes = {}
    for name, entry in described.items():
        size, state = _field(entry, "size"), _field(_field(entry, "properties"), "state")
        dtype = state[0] if isinstance(state, tuple) and state else None
        if size is None or "optim" in places.get(name, (name,))[0]:
            continue  # no tensor, or of an optimizer
        if not isinstance(name, str) or not isinstance(dtype, torch.dtype) or not _are_counts(size):
            raise PickleDamaged(f"its {METADATA} describes {shown(name)} without shape and type")
        shapes[name] = (tuple(size), dtype)
    if len(shapes) > TENSORS:
        raise PickleDamaged(f"it has {len(shapes)} tensors, at most {TENSORS} are read")
    pieces = defaultdict(list)
    for index, info in stored.items():
        name, offset = _field(index, "fqn"), _field(index, "offset")
        file, *span = (_field(info, f) for f in ("relative_path", "offset", "length"))
        if name not in shapes:
            continue
        if not isinstance(file, str) or not _are_counts(span) or not _are_counts(offset):
            raise PickleDamaged(f"its {METADATA} gives no place for {shown(name)}")
        if _field(info, "transform_descriptors"):
            raise PickleDamaged(f"{shown(name)} is packed; save it without transforms")
        pieces[file].append(_Piece(name, tuple(offset), *span))
    return shapes, pieces, places


def _are_counts(value: object) -> bool:
    return (
        isinstance(value, tuple | list)
        and len(value) <= LARGEST_RANK
        and all(type(n) is int and 0 <= n < 1 << 63 for n in value)
    )


def _assembled(
    folder: Path,
    shapes: Mapping[str, tuple[tuple[int, ...], torch.dtype]],
    pieces: Mapping[str, list[_Piece]],
    hashes: dict[str, str],
) -> dict[str, torch.Tensor]:
    """Read the files one after the other and put every piece in its place, each number once."""
    for file in pieces:
        if Path(file).name != file or file in (".", ".."):
            raise PickleDamaged(f"its {METADATA} names {shown(file)}, not in this folder")
    held = sum((folder / file).stat().st_size for file in pieces)
    needed = sum(math.prod(shape) * dtype.itemsize for shape, dtype in shapes.values())
    if needed > held:
        raise PickleDamaged(f"its tensors take {needed} bytes, its files have {held}")
    out = {name: torch.empty(shape, dtype=dtype) for name, (shape, dtype) in shapes.items()}
    # one byte for each number, in place of one box for each pair of pieces
    missing = {name: torch.ones(shape, dtype=torch.bool) for name, (shape, _) in shapes.items()}
    for file, inside in pieces.items():
        read = read_content(folder / file)
        end = 0
        for piece in sorted(inside, key=lambda p: p.start):
            if piece.start < end:  # what is stored once could be asked for again and again
                raise PickleDamaged(f"{file} holds pieces that overlap")
            end = piece.start + piece.length
            part = _read(read, piece)
            target, left = out[piece.tensor], missing[piece.tensor]
            if part.dtype != target.dtype or not part.ndim == target.ndim == len(piece.offset):
                raise PickleDamaged(f"a piece of {shown(piece.tensor)} has another type or rank")
            box = tuple(slice(o, o + n) for o, n in zip(piece.offset, part.shape, strict=True))
            if target[box].shape != part.shape or not left[box].all():
                raise PickleDamaged(f"pieces of {shown(piece.tensor)} overlap or lie outside of it")
            target[box], left[box] = part, False
        read.check()
        hashes[file] = read.sha256
    gaps = [name for name, left in missing.items() if left.any()]
    if gaps:
        raise PickleDamaged(f"pieces of {few(gaps)} are missing")
    return out


def _read(read: Content, piece: _Piece) -> torch.Tensor:
    data = read.data[piece.start : piece.start + piece.length]
    if data.size != piece.length or not piece.length:
        raise PickleDamaged(f"{read.path.name} ends before a piece of {shown(piece.tensor)}")
    found = load_torch(Content(read.path, data, read.sha256, read.stamp)).content
    if not isinstance(found, torch.Tensor) or found.layout != torch.strided:
        raise PickleDamaged(f"a piece of {shown(piece.tensor)} is no tensor")
    if found.numel() * found.element_size() > data.size:
        raise PickleDamaged(f"a piece of {shown(piece.tensor)} claims more than it holds")
    return found


def _put(content: dict[str, Any], path: tuple[str, ...], tensor: torch.Tensor) -> None:
    for key in path[:-1]:
        content = content.setdefault(key, {})
        if not isinstance(content, dict):
            raise PickleDamaged(f"{shown('.'.join(path))} is inside of a tensor")
    if not path or path[-1] in content:
        raise PickleDamaged(f"{shown('.'.join(path))} is there twice")
    content[path[-1]] = tensor
