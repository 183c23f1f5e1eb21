"""Code and data that a person names on the command line or passes in Python; never a manifest."""

import importlib
import importlib.util
import os
import sys
import sysconfig
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from ncbounds.errors import DataError, suggest

NEEDED = "FILE.py:FUNCTION or package.module:FUNCTION, for example data.py:load"
_STANDARD = tuple(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib"))

#: Size and time of the files of a person's own modules, by name, when these were imported.
_as_imported: dict[str, tuple[int, int]] = {}


@dataclass(frozen=True)
class UserCode:
    """``FILE.py:FUNCTION`` or ``package.module:FUNCTION`` as a person typed it."""

    spec: str


@dataclass(frozen=True)
class NamedCode:
    """Code that a manifest names, and that nobody has asked to run.

    ``spec`` is what is written there, ``place`` the same with a file's whole path.
    """

    spec: str
    place: str

    def __str__(self) -> str:
        return self.spec


def named_by(manifest: Path, spec: str) -> NamedCode:
    """Code as it stands in a manifest: files and modules are looked for from its folder."""
    place, _, name = spec.rpartition(":")
    file = Path(place) if place.endswith(".py") else Path(*place.split(".")).with_suffix(".py")
    path = manifest.parent / file
    if not place.endswith(".py") and not path.is_file():
        return NamedCode(spec, spec)
    return NamedCode(spec, f"{path.resolve()}:{name}")


class Located(NamedTuple):
    """A function of a person's own: ``root`` is the folder that dotted names start from."""

    root: Path
    module: str
    name: str
    path: Path | None

    @property
    def package(self) -> str:
        """Package in which imports are followed: its own in an installed library, else "", any."""
        return self.module.partition(".")[0] if is_library(self.root) else ""


def is_code(spec: object) -> bool:
    """Whether a word names code rather than a file or a registered model."""
    return isinstance(spec, str) and bool(spec.rpartition(":")[0])


def locate(spec: str) -> Located:
    """Find what ``FILE.py:FUNCTION`` or ``package.module:FUNCTION`` names, without importing it.

    A file in a package (a folder with ``__init__.py``) is that package's module, so that it can
    import its neighbours by a dot.

    Raises
    ------
    DataError
        If it is neither, or the file does not exist.
    """
    place, colon, name = spec.rpartition(":")
    path = Path(place).expanduser()
    if colon and name and path.suffix != ".py" and all(p.isidentifier() for p in place.split(".")):
        return Located(Path.cwd(), place, name, None)
    if not colon or not name or path.suffix != ".py":
        raise DataError(f"found {spec!r}, needed {NEEDED}")
    if not path.is_file():
        raise DataError(f"{path} does not exist (needed for {spec!r})")
    path = path.resolve()
    parts, root = [path.stem], path.parent
    while (root / "__init__.py").is_file():
        parts, root = [root.name, *parts], root.parent
    return Located(root, ".".join(parts), name, path)


def user_function(spec: str) -> Callable[..., Any]:
    """Import the function, class or other callable that a person has named.

    Raises
    ------
    DataError
        As :func:`user_object`, and if it cannot be called.
    """
    found = user_object(spec)
    if not callable(found):
        place, _, name = spec.rpartition(":")
        raise DataError(
            f"{place} has no function {name!r}, which is of type {type(found).__name__}; needed a "
            "function, a class or another callable"
        )
    return found  # type: ignore[no-any-return]


def user_object(spec: str) -> Any:
    """Import what a person has named; the file's code is run.

    Its folder (of a package: the folder above) is put on ``sys.path``, as for a script, so that it
    can import its neighbours. Neighbours that were changed since this process imported them are
    imported again, so that it is the code on disk that runs.

    Raises
    ------
    DataError
        If the file, or that name in it, does not exist, or if importing fails.
    """
    found = locate(spec)
    if str(found.root) not in sys.path:
        sys.path.insert(0, str(found.root))
    _forget_changed()
    before = {*sys.modules}
    try:
        module = _imported(found)
    except (Exception, SystemExit) as error:
        what = found.path or found.module
        raise DataError(f"importing {what} raised {type(error).__name__}: {error}") from error
    finally:
        _remember(found, before)
    if not hasattr(module, found.name):
        named = {k: v for k, v in vars(module).items() if callable(v) and not k.startswith("_")}
        own = [k for k, v in named.items() if getattr(v, "__module__", "") == module.__name__]
        public = own or [*named]  # what a module imports is rarely meant
        raise DataError(
            f"{found.path or found.module} has no function {found.name!r}; "
            f"{suggest(found.name, public)}"
        )
    return getattr(module, found.name)


def is_library(path: Path) -> bool:
    """Whether a file belongs to Python itself or to a package that was installed."""
    return str(path).startswith(_STANDARD) or not {"site-packages", "dist-packages"}.isdisjoint(
        path.parts
    )


def _forget_changed() -> None:
    """Drop a person's modules if the file of one has changed, as the others hold parts of it."""
    if all(_state(name) in (None, was) for name, was in _as_imported.items()):
        return
    for name in _as_imported:
        sys.modules.pop(name, None)
    _as_imported.clear()
    importlib.invalidate_caches()


def _remember(found: Located, before: set[str]) -> None:
    """Note the files of a person's modules: those beside what was named, and what it imported."""
    top = found.module.partition(".")[0]
    for name, module in [*sys.modules.items()]:
        file = getattr(module, "__file__", None) or ""
        own = name not in before or name.partition(".")[0] == top
        if (own or file.startswith(f"{found.root}{os.sep}")) and name not in _as_imported:
            state = None if not file or is_library(Path(file)) else _state(name)
            if state is not None and name.partition(".")[0] not in ("ncbounds", "__main__"):
                _as_imported[name] = state


def _state(name: str) -> tuple[int, int] | None:
    """Size and time of the file of an imported module, if it has one."""
    try:
        stat = os.stat(getattr(sys.modules[name], "__file__", None) or "")
    except (KeyError, OSError):
        return None
    return stat.st_size, stat.st_mtime_ns


def _imported(found: Located) -> ModuleType:
    if found.path is None or "." in found.module:
        module = importlib.import_module(found.module)
        file = Path(module.__file__ or "").resolve()
        if found.path is not None and file != found.path:
            raise ImportError(
                f"another module {found.module!r} is imported already, from {file}; "
                "evaluate the two in runs of their own"
            )
        return module
    # a file of its own has a name of its own, so that data.py hides no other data
    name = f"_ncbounds_user_{zlib.crc32(str(found.path).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, found.path)
    if spec is None or spec.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up here
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def user_data(spec: str, args: Mapping[str, Any] | None = None) -> Any:
    """Return what a person has named; a function or class is called, with ``args`` if any."""
    found = user_object(spec)
    return found(**(args or {})) if callable(found) else found
