"""Files written by ``torch.save``: sizes checked, names checked, then ``weights_only``."""

import argparse
import io
import pickle
import sys
import tarfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import _weights_only_unpickler  # what torch.load runs; it takes no bytes by itself

from ncbounds.budgets import PICKLE_BYTES
from ncbounds.checkpoints.formats.allowed_names import FACTORIES
from ncbounds.checkpoints.formats.beside import STAND_INS, plain_dict
from ncbounds.checkpoints.formats.foreign import TORCHSCRIPT, WRITERS, instead_of
from ncbounds.checkpoints.formats.format import Nested
from ncbounds.checkpoints.formats.locate import AVERAGED, CURRENT, INNER
from ncbounds.checkpoints.formats.pickles import Audit, PickleDamaged, audit
from ncbounds.checkpoints.formats.stored_zip import Member, NotPlain, Truncated, members
from ncbounds.errors import CheckpointRefused, CheckpointUnreadable, few, shown
from ncbounds.files import Content

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LOCK = threading.Lock()  # torch's allow-list is a global; two loads must not undo each other


def _no_factory(*args: object) -> None:
    raise CheckpointRefused(f"a builtin factory is called with {len(args)} arguments")


_SAFE: list[Any] = [
    (argparse.Namespace, "argparse.Namespace"),
    (frozenset, "builtins.frozenset"),
    (plain_dict, "collections.defaultdict"),
    *((_no_factory, f"builtins.{name}") for name in FACTORIES if name != "set"),
    *((stand_in, name) for name, stand_in in STAND_INS.items()),
]


@contextmanager
def _allowed() -> Iterator[None]:
    """Allow our names in torch's list, each for what it means here, whatever else it may mean."""
    names = {name for _, name in _SAFE}
    with _LOCK:
        before = torch.serialization.get_safe_globals()
        taken = [g for g in before if _path(g) in names]
        if taken:
            torch.serialization.clear_safe_globals()
            torch.serialization.add_safe_globals([g for g in before if g not in taken])
        try:
            with torch.serialization.safe_globals(_SAFE):
                yield
        finally:
            torch.serialization.add_safe_globals(taken)


def _path(allowed: Any) -> str:
    """The name under which something on torch's list is found."""
    if isinstance(allowed, tuple):
        return str(allowed[1])
    return f"{allowed.__module__}.{allowed.__qualname__}"


def load_torch(content: Content) -> Nested:
    """Read a file written by ``torch.save`` without running code from it.

    Parameters
    ----------
    content : Content
        Audited and loaded from the same bytes; the file is not opened again.

    Returns
    -------
    Nested
        What was saved; of zip archives, tensors are views of ``content.data``. Its kind is
        ``"zip"``, or ``"legacy"`` for the layout from before torch 1.6.

    Raises
    ------
    CheckpointRefused
        If reading it would need names beyond tensors and plain containers.
    CheckpointUnreadable
        If it is truncated, declares sizes that it does not have, is laid out so that two readers
        could differ, or is something else.
    """
    path, is_zip = content.path, content.data[:4].tobytes() == b"PK\x03\x04"
    check, load = (_check_zip, _load_zip) if is_zip else (_check_legacy, _load_legacy)
    try:
        check(content)
    except PickleDamaged as error:
        raise CheckpointUnreadable(f"{path} is damaged: {error}; copy or save it again") from None
    with _allowed(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about protocols and types that are read all the same
        try:
            found = load(content)
        except pickle.UnpicklingError as error:
            raise CheckpointRefused(refusal(path, {_short(error)})) from None
        except CheckpointRefused as error:
            raise CheckpointRefused(refusal(path, {str(error)})) from None
        except Exception as error:  # whatever a damaged file makes the reader stumble over
            raise CheckpointUnreadable(
                f"{path} cannot be read ({_short(error)}); copy or save it again"
            ) from None
    return Nested("zip" if is_zip else "legacy", found)


#: What names in pickles of scikit-learn and joblib begin with.
ESTIMATORS = ("sklearn.", "joblib.")


def refusal(path: Path, names: set[str]) -> str:
    """Say what blocks a file and how to save it so that it can be read."""
    blocked = f"{path} can only be read by running code from it: it needs {few(sorted(names))}. "
    if any(name.startswith(ESTIMATORS) for name in names):
        return (
            f"{blocked}It holds an estimator of scikit-learn; if you trust the file, evaluate it "
            f"in Python: import joblib, ncbounds as nb; nb.evaluate(nb.from_sklearn(joblib.load("
            f"{str(path)!r}), holdout=(X, y), sampling='iid'))"
        )
    keys = tuple(dict.fromkeys((*AVERAGED, *CURRENT, *INNER)))
    written = [way for start, way in WRITERS.items() if any(n.startswith(start) for n in names)]
    return (
        f"{blocked}Only tensors and plain Python values are read. {''.join(written)}If you trust "
        "the file, save its weights again, where its classes can be imported: "
        f"import torch; c = torch.load({str(path)!r}, weights_only=False, map_location='cpu'); "
        f"f = lambda c: next((v for k in {keys} if isinstance(c, dict) and (hasattr(v := c.get(k), "
        "'state_dict') or isinstance(v, dict))), c); c = f(f(c)); c = c.state_dict() if "
        "hasattr(c, 'state_dict') else c; torch.save({k: v for k, v in c.items() if "
        "isinstance(v, torch.Tensor)}, 'weights.pt')"
    )


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and not line.startswith("Check the documentation")]
    return (lines[-1] if lines else type(error).__name__)[:200]


def _refuse(path: Path, found: Audit) -> None:
    if found.blocked:
        raise CheckpointRefused(refusal(path, found.blocked))


def _check_zip(content: Content) -> None:
    path, parts = content.path, _members(content)
    if "data.pkl" not in parts:
        raise CheckpointUnreadable(
            f"{path} is a zip archive without data.pkl, so not written by torch.save; "
            f"it holds {few(sorted(parts))}"
        )
    size = parts["data.pkl"].size
    if size > PICKLE_BYTES:
        raise CheckpointUnreadable(
            f"{path}: its description takes {size} bytes, more than {PICKLE_BYTES}; "
            "save the state_dict alone"
        )
    stream = io.BytesIO(_bytes(content, parts["data.pkl"]))
    found = audit(stream, size)
    _refuse(path, found)
    if stream.read(1):
        raise PickleDamaged("its pickle goes on after its end")
    for key, declared in found.storages.items():
        stored = parts.get(f"data/{key}")
        if stored is None or stored.size != declared:
            held = "nothing" if stored is None else f"{stored.size} bytes"
            raise CheckpointUnreadable(
                f"{path}: tensor storage {shown(key)} declares {declared} bytes, the archive "
                f"holds {held}; copy or save it again"
            )


def _members(content: Content) -> dict[str, Member]:
    """Members by their name inside of the one folder that torch puts them in."""
    path = content.path
    try:
        found = members(content.data.data)
    except Truncated:
        raise CheckpointUnreadable(
            f"{path} is truncated: a zip archive of {content.size} bytes without its directory at "
            "the end; copy or save it again"
        ) from None
    except NotPlain as error:
        raise CheckpointUnreadable(
            f"{path} is no zip archive as torch.save writes it: {error}; copy or save it again"
        ) from None
    if any(name.endswith("/constants.pkl") for name in found):
        raise CheckpointRefused(instead_of(TORCHSCRIPT, path))
    for member in found.values():
        if member.packed:
            raise CheckpointUnreadable(
                f"{path}: member {shown(member.name)} unpacks from {member.size} to "
                f"{member.unpacked} bytes; torch.save never compresses, so this is no checkpoint "
                "of torch or one that should not be opened"
            )
    if len({name.partition("/")[0] for name in found}) > 1:
        raise CheckpointUnreadable(f"{path}: its members are in several folders, not from torch")
    return {name.partition("/")[2]: member for name, member in found.items()}


def _bytes(content: Content, member: Member) -> bytes:
    return content.data[member.start : member.start + member.size].tobytes()


def _load_zip(content: Content) -> Any:
    """Unpickle what was audited; tensors are views of the bytes that were hashed."""
    parts = _members(content)
    order = _bytes(content, parts["byteorder"]) if "byteorder" in parts else b"little"
    if order not in (b"little", b"big"):
        raise ValueError(f"byte order {order[:20]!r}")
    loaded: dict[str, torch.storage.TypedStorage] = {}

    def storage(described: Any) -> torch.storage.TypedStorage:
        _, kind, key, _, count, *_ = described
        dtype = torch.uint8 if kind is torch.UntypedStorage else kind.dtype
        if key not in loaded:
            member = parts[f"data/{key}"]
            if member.size != count * dtype.itemsize:
                raise ValueError(f"storage {key} of {count} numbers has {member.size} bytes")
            raw = content.data[member.start : member.start + member.size]
            untyped = torch.from_numpy(raw).untyped_storage()
            if order.decode() != sys.byteorder:
                untyped = untyped.clone()  # type: ignore[no-untyped-call]
                untyped.byteswap(dtype)
            loaded[key] = torch.storage.TypedStorage(  # type: ignore[no-untyped-call]
                wrap_storage=untyped, dtype=dtype, _internal=True
            )
        return loaded[key]

    unpickler = _weights_only_unpickler.Unpickler(
        io.BytesIO(_bytes(content, parts["data.pkl"])), encoding="utf-8"
    )
    unpickler.persistent_load = storage  # type: ignore[method-assign]
    return unpickler.load()  # type: ignore[no-untyped-call]


def _load_legacy(content: Content) -> Any:
    return torch.load(io.BytesIO(content.data.data), map_location="cpu", weights_only=True)


def _is_tar(data: BinaryIO) -> bool:
    try:
        tarfile.open(fileobj=data, mode="r:").close()
    except (tarfile.TarError, ValueError, OverflowError):
        return False
    finally:
        data.seek(0)
    return True


def _check_legacy(content: Content) -> None:
    path, size, stream = content.path, content.size, io.BytesIO(content.data.data)
    if _is_tar(stream):
        raise CheckpointUnreadable(
            f"{path} is a tar archive; unpack it, or, if torch before 0.1.10 wrote it, load it "
            "where you trust it and save its state_dict again"
        )
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
