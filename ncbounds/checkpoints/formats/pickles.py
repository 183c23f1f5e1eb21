"""Look at a pickle without running it.

``torch.load(weights_only=True)`` is what keeps a file from running code. This audit runs before
it, for three things that it does not give: the complete list of names that block a file (also in
files older than torch 1.6), independence of what other code in the process has allow-listed, and
a check of every size that a file declares before memory is set aside for it. A value that is
stored once can be named again by two bytes, so what calls and dictionary keys read is counted too.
"""

import pickletools
import time
from collections.abc import Set
from dataclasses import dataclass, field
from typing import BinaryIO

from ncbounds.budgets import (
    DEPTH,
    PICKLE_CALLS,
    PICKLE_SECONDS,
    PICKLE_STEPS,
    PICKLE_WORK,
)
from ncbounds.checkpoints.formats.allowed_names import (
    ALLOWED,
    CALLS,
    STORAGE_BYTES,
    Name,
    Storage,
    modern_name,
    unbacked,
)
from ncbounds.errors import shown

SIZE_LIMIT = 10_000  # bytes of a bytearray may come from the file, never from a bare number


class PickleDamaged(Exception):
    """The stream ends early or holds something that no saved checkpoint holds."""


class _Other:
    """A value whose content does not matter here."""


class _Box(list[object]):
    """What was put into a list, dictionary or set."""


OTHER = _Other()


@dataclass
class Audit:
    """What a pickle refers to.

    Parameters
    ----------
    blocked : set of str
        Names outside the allow-list, ``module.name``.
    storages : dict
        Declared bytes of every tensor storage, by key.
    first : object
        The value at the top of the stack at the end if it is a plain number.
    """

    blocked: set[str] = field(default_factory=set)
    storages: dict[str, int] = field(default_factory=dict)
    first: object = None


class BoundedReader:
    """Reads from a stream, but never more than is left of it."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size

    def read(self, count: int) -> bytes:
        """Return ``count`` bytes; raise where the file is shorter than it says."""
        if count > self._size - self._stream.tell():
            raise PickleDamaged(f"it ends before the {count} bytes that it announces")
        return self._stream.read(count)

    def readline(self) -> bytes:
        """Return one line; a global's name is never longer than 10,000 bytes."""
        return self._stream.readline(SIZE_LIMIT)

    def tell(self) -> int:
        """Return the position in the stream."""
        return self._stream.tell()


def audit(stream: BinaryIO, size: int, names: Set[str] = frozenset()) -> Audit:
    """Read one pickle, up to its STOP, without building anything from it.

    Parameters
    ----------
    stream : binary file
        Positioned at the start of the pickle; afterwards at its end.
    size : int
        Bytes in the whole stream.
    names : set of str, optional
        Names that are allowed too, and may be called with anything.

    Returns
    -------
    Audit

    Raises
    ------
    PickleDamaged
        If the stream ends early, declares more than it holds, or is no pickle.
    """
    machine = _Machine(size, names)
    try:
        for opcode, arg, _ in pickletools.genops(BoundedReader(stream, size)):  # type: ignore[arg-type]
            machine.count()
            machine.step(opcode.name, arg)
    except PickleDamaged:
        if not machine.audit.blocked:
            raise
    except (ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        if not machine.audit.blocked:
            raise PickleDamaged(f"its pickle cannot be followed ({error})") from None
    return machine.audit


class _Machine:
    """The pickle machine on stand-ins: names, numbers, strings and containers of them."""

    def __init__(self, size: int, names: Set[str] = frozenset()) -> None:
        self.audit, self.names = Audit(), names
        self.steps = self.calls = self.work = 0
        self.allowed = PICKLE_WORK + size
        self.deadline = time.monotonic() + PICKLE_SECONDS
        self.stack: list[object] = []
        self.marks: list[list[object]] = []
        self.memo: dict[int, object] = {}

    def count(self) -> None:
        """Count one instruction, and look at the clock now and then."""
        self.steps += 1
        if self.steps > PICKLE_STEPS:
            raise PickleDamaged(f"its pickle has more than {PICKLE_STEPS} instructions")
        if self.steps % 10_000 == 0 and time.monotonic() > self.deadline:
            raise PickleDamaged(f"its pickle takes longer than {PICKLE_SECONDS:.0f} s to look at")

    def step(self, op: str, arg: object) -> None:
        """Apply one instruction."""
        if op in ("GLOBAL", "INST"):
            module, _, name = str(arg).partition(" ")
            if op == "INST":
                self._pop_mark()
            self._push_name(module, name)
        elif op == "STACK_GLOBAL":
            top, below = self.stack.pop(), self.stack.pop()
            self._push_name(str(below), str(top))
        elif op in ("REDUCE", "NEWOBJ"):
            args = self.stack.pop()
            self._call(self.stack.pop(), args)
            self.stack.append(OTHER)
        elif op == "BINPERSID":
            self._storage(self.stack.pop())
        elif op == "STOP":
            self.audit.first = self.stack[-1] if self.stack else None
        elif op == "BUILD":
            self._build(self.stack.pop())
        elif op in ("APPEND", "SETITEM", "POP"):
            count = 2 if op == "SETITEM" else 1
            put = self.stack[-count:]
            del self.stack[-count:]
            self._put(op, put)
        else:
            self._shape(op, arg)

    def _shape(self, op: str, arg: object) -> None:
        if op == "MARK":
            self.marks.append(self.stack)
            self.stack = []
        elif op == "TUPLE":
            items = tuple(self._pop_mark())
            self.stack.append(items)
        elif op in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(op[-1])
            items = tuple(self.stack[-count:])
            del self.stack[-count:]
            self.stack.append(items)
        elif op in ("APPENDS", "SETITEMS", "ADDITEMS", "POP_MARK"):
            self._put(op, self._pop_mark())
        elif op in ("LIST", "DICT", "FROZENSET"):
            put = self._pop_mark()
            self.stack.append(_Box())
            self._put({"LIST": "APPENDS", "DICT": "SETITEMS"}.get(op, "ADDITEMS"), put)
        elif op in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.memo[int(str(arg))] = self.stack[-1]
        elif op == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif op in ("BINGET", "LONG_BINGET", "GET"):
            self.stack.append(self.memo[int(str(arg))])
        elif op == "EMPTY_TUPLE":
            self.stack.append(())
        elif op == "NONE":
            self.stack.append(None)
        elif op not in ("PROTO", "FRAME"):
            self._value(op, arg)

    def _value(self, op: str, arg: object) -> None:
        if op in ("EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"):
            self.stack.append(_Box())
        elif op in ("NEWTRUE", "NEWFALSE"):
            self.stack.append(OTHER)
        elif op in ("EXT1", "EXT2", "EXT4", "OBJ", "NEWOBJ_EX", "PERSID"):
            self.audit.blocked.add(f"pickle instruction {op}")
            self.stack.append(OTHER)
        else:  # numbers, strings and bytes carry their value as the argument
            self.stack.append(arg if isinstance(arg, int | str | bytes) else OTHER)

    def _put(self, op: str, items: list[object]) -> None:
        """Put items into the container on top; keys are hashed, so what they hold is counted."""
        if op in ("POP", "POP_MARK"):
            return
        hashed = items if op == "ADDITEMS" else items[::2] if op.startswith("SETITEM") else []
        for key in hashed:
            if isinstance(key, tuple):
                self._spend(key)
        if isinstance(self.stack[-1], _Box):
            self.stack[-1].extend(items)

    def _spend(self, value: object) -> None:
        """Count all that a value holds, what is named twice twice.

        A call copies containers; hashing walks tuples, and does so by recursion.
        """
        waiting = [(value, 0)]
        while waiting:
            item, depth = waiting.pop()
            if not isinstance(item, tuple | _Box):
                continue
            if depth >= DEPTH:
                raise PickleDamaged(f"its pickle has keys nested deeper than {DEPTH}")
            self.work += 1 + len(item)
            for part in item:
                if isinstance(part, tuple | _Box):
                    waiting.append((part, depth + 1))
                elif isinstance(part, str | bytes):
                    self.work += len(part)
            if self.work > self.allowed:
                raise PickleDamaged(
                    f"its pickle makes calls and keys read more than {self.allowed} values"
                )

    def _build(self, state: object) -> None:
        """Set attributes: dictionaries of them are copied, a tensor's storage must hold it."""
        self.work += len(state) if isinstance(state, _Box) else 1
        if isinstance(self.stack[-1], Name):
            self.audit.blocked.add(f"attributes of {self.stack[-1].path}")
        if isinstance(state, tuple):
            self._spend(state)
            if missing := unbacked(state):
                raise PickleDamaged(missing)

    def _pop_mark(self) -> list[object]:
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def _push_name(self, module: str, name: str) -> None:
        path = modern_name(module, name)
        if path not in ALLOWED and path not in self.names:
            self.audit.blocked.add(path)
        self.stack.append(Name(path))

    def _call(self, target: object, args: object) -> None:
        self.calls += 1
        if self.calls > PICKLE_CALLS:
            raise PickleDamaged(f"its pickle makes more than {PICKLE_CALLS} calls")
        self._spend(args)
        if not isinstance(target, Name):
            self.audit.blocked.add("a call of something that is not a name")
        elif target.path in self.audit.blocked or target.path in self.names:
            return
        elif target.path not in CALLS or not isinstance(args, tuple):
            self.audit.blocked.add(f"a call of {target.path}")
        elif not CALLS[target.path](args):
            self.audit.blocked.add(f"a call of {target.path} with unusual arguments")

    def _storage(self, value: object) -> None:
        self.stack.append(OTHER)
        if not isinstance(value, tuple) or len(value) < 5 or value[0] != "storage":
            self.audit.blocked.add("a persistent id that is no tensor storage")
            return
        kind, key, count = value[1], value[2], value[4]
        if not isinstance(kind, Name) or kind.path not in STORAGE_BYTES:
            self.audit.blocked.add(f"a storage of kind {shown(getattr(kind, 'path', kind))}")
        elif not isinstance(count, int) or count < 0:
            raise PickleDamaged(f"storage {shown(key)} declares {shown(count)} elements")
        else:
            item = STORAGE_BYTES[kind.path]
            declared = count * item
            if self.audit.storages.setdefault(str(key), declared) != declared:
                raise PickleDamaged(f"storage {shown(key)} is declared with two sizes")
            self.stack[-1] = Storage(declared, item)
