"""Which source files a module rests on: its imports, followed by parsing, never by importing.

A name that a package's ``__init__`` only passes on is followed to the module that defines it, so
that a row does not depend on all that stands behind the same face. Imports inside functions count;
those for type checkers alone do not.
"""

import ast
import hashlib
import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ncbounds.data.user import is_library
from ncbounds.files import Stamp, stamp

#: The folder that holds the package, and the package's name.
ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "ncbounds"
#: Characters from which a text is no name of a file.
LONGEST = 250


class Import(NamedTuple):
    """One imported name: ``from module import name as alias``; name is empty for ``import``."""

    module: str
    name: str
    alias: str


def source_hash(
    modules: Iterable[str], root: Path = ROOT, only: str = PACKAGE, leaves: tuple[str, ...] = ()
) -> str:
    """Hash of the sources of modules and of all that they import.

    Parameters
    ----------
    modules : iterable of str
        Dotted names, found under ``root``.
    root : Path
        Folder that dotted names start from.
    only : str
        The package to stay in; an empty one stands for all that lies under ``root``.
    leaves : tuple of str
        Modules, or packages, that count themselves but whose imports are not followed.
    """
    digest = hashlib.sha256()
    for name, path in sorted(sources(modules, root, only, leaves).items()):
        digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:32]


def sources(
    modules: Iterable[str], root: Path = ROOT, only: str = PACKAGE, leaves: tuple[str, ...] = ()
) -> dict[str, Path]:
    """Return the files of modules and of all that they import, by dotted name."""
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = None if name in found else _file(name, root, only)
        if path is not None:
            found[name] = path
            if any(f"{name}.".startswith(f"{leaf}.") for leaf in leaves):
                continue
            waiting += _direct(path, name, stamp(path), root, only)
    return found


def named_files(modules: Iterable[str], root: Path, only: str) -> set[Path]:
    """Files, other than modules, that the sources of modules and of all that they import name.

    A text in them is taken for the name of a file where there is one: in the folder of the source,
    in the current one, or in a folder below these that another of its texts names.
    """
    found: set[Path] = set()
    for path in sources(modules, root, only).values():
        found.update(files_of(_texts(path, stamp(path)), path.parent))
    return {p for p in found if p.suffix not in (".py", ".pyc")}


def files_of(texts: Iterable[str], folder: Path) -> set[Path]:
    """Files that texts name, in a folder, in the current one, or in one that they name there."""
    texts = [t for t in texts if t and len(t) < LONGEST and t.isprintable()]
    bases = {
        p for base in (folder, Path.cwd()) for p in (base, *_there(base, texts, os.path.isdir))
    }
    return {p for base in bases for p in _there(base, texts, os.path.isfile)}


def _there(base: Path, texts: Iterable[str], kind: Callable[[Path], bool]) -> Iterator[Path]:
    return (p.resolve() for t in texts if kind(p := base / t))


@cache
def _texts(path: Path, at: Stamp) -> tuple[str, ...]:
    """Texts that stand in a source file."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return ()
    return tuple(
        {
            n.value
            for n in ast.walk(tree)
            if isinstance(n, ast.Constant) and isinstance(n.value, str)
        }
    )


@cache
def _direct(path: Path, name: str, at: Stamp, root: Path, only: str) -> tuple[str, ...]:
    """Modules that one module imports itself."""
    found = (t for i in _imports(path, name, at) for t in _targets(i, root, only))
    return tuple(dict.fromkeys(found))


def _targets(statement: Import, root: Path, only: str) -> Iterator[str]:
    """Modules that one imported name leads to, through faces that only pass it on."""
    module, name, _ = statement
    if name and _file(f"{module}.{name}", root, only) is not None:
        yield f"{module}.{name}"
        return
    path = _file(module, root, only)
    if path is None:
        return
    if name and path.name == "__init__.py":
        passed = [i for i in _imports(path, module, stamp(path)) if i.alias == name]
        if passed:
            for one in passed:
                yield from _targets(one, root, only)
            return
    yield module


def _file(name: str, root: Path, only: str) -> Path | None:
    top = name.partition(".")[0]
    if only and top != only:
        return None
    base = (root if only else _own_root(top, root)).joinpath(*name.split("."))
    for path in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _own_root(top: str, root: Path) -> Path:
    """Folder that a person's own module lies in: beside the others, or where it is installed from.

    Libraries in site-packages and Python's own modules are not followed.
    """
    if (root / top).is_dir() or (root / f"{top}.py").is_file():
        return root
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return root
    places = [] if spec is None else [*(spec.submodule_search_locations or [spec.origin or ""])]
    places = [p for p in places if Path(p).exists() and not is_library(Path(p))]
    return Path(places[0]).parent if places else root


@cache
def _imports(path: Path, module: str, at: Stamp) -> tuple[Import, ...]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # a user's file; importing it will say what is wrong
        return ()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return tuple(_statements(tree, package))


def _statements(node: ast.AST, package: str) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(a.name, "", a.asname or a.name) for a in child.names)
        elif isinstance(child, ast.ImportFrom):
            # one dot is the package itself, each further one its parent
            parts = package.split(".")[: package.count(".") + 2 - child.level]
            names = [*(parts if child.level else []), *([child.module] if child.module else [])]
            module = ".".join(n for n in names if n)
            yield from (Import(module, a.name, a.asname or a.name) for a in child.names)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for branch in child.orelse:
                yield from _statements(ast.Module([branch], []), package)
        elif not isinstance(child, ast.expr):  # no expression holds an import
            yield from _statements(child, package)
