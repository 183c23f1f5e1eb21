"""What builds a network, as a hash: code that a person named, and files that this code reads."""

import hashlib
import inspect
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ncbounds.data.manifest import Entry
from ncbounds.data.sources import files_of, named_files, source_hash
from ncbounds.data.user import Located, UserCode, locate
from ncbounds.files import known_hash


def builder_key(entry: Entry) -> str:
    """Hash of what builds the network of a checkpoint; of an object that nobody can know, new.

    Nothing tells what an object made in this process will build another time, so that its rows are
    computed anew in every run; its features are found again, since they are kept under the hash of
    the network itself.
    """
    if entry.model is None or isinstance(entry.model, str):
        return str(entry.model)
    return code_key(entry) or uuid.uuid4().hex


def code_key(entry: Entry) -> str:
    """Hash of the code that builds a network; empty where it is not known, or none of a person's.

    That is what was named, all that it imports, and the files that these sources, or the arguments,
    name: what a configuration says of a network may be in no tensor.
    """
    found = _located(entry.model)
    if found is None:
        return ""
    source = source_hash([found.module], found.root, found.package)
    if not isinstance(entry.model, UserCode) and _first_seen(entry.model, source) != source:
        return ""  # the function is of a file that has been changed since
    named = named_files([found.module], found.root, found.package)
    named |= files_of(_words(entry.args), Path.cwd())
    # the checkpoint itself may be among them, and is known already
    named -= {path.resolve() for path in (entry.file, *entry.parts)}
    parts = [found.module, found.name, source, [known_hash(path) for path in sorted(named)]]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


#: Functions by their id, and the hash of their sources when they were first seen.
_seen: dict[int, tuple[object, str]] = {}


def _first_seen(function: object, source: str) -> str:
    """Hash of a function's sources when this process met it first."""
    return _seen.setdefault(id(function), (function, source))[1]


def _words(value: Any) -> Iterator[str]:
    """Texts in arguments, however deep."""
    if isinstance(value, str | Path):
        yield str(value)
    elif isinstance(value, Mapping):
        yield from _words([*value.values()])
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _words(one)


def _located(model: object) -> Located | None:
    """Where the code that builds a network stands, if it does so in a file."""
    if model is None or isinstance(model, str):
        return None
    return locate(model.spec) if isinstance(model, UserCode) else _place(model)


def _place(function: object) -> Located | None:
    """Where a function or class at the top of a file is defined; None for all others."""
    module = inspect.getmodule(function)
    name = getattr(function, "__qualname__", "")
    file = getattr(module, "__file__", None)
    if module is None or file is None or not file.endswith(".py"):
        return None
    if module.__name__ == "__main__" or getattr(module, name, None) is not function:
        return None  # what a script or a notebook set beforehand is in no file
    return locate(f"{file}:{name}")
