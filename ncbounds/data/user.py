"""Code and data that a person names on the command line or passes in Python; never a manifest."""

import importlib
import importlib.util
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from ncbounds.errors import DataError, suggest
from ncbounds.evidence.roles import Role, check_role

NEEDED = "FILE.py:FUNCTION or package.module:FUNCTION, for example data.py:load"


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


@dataclass(frozen=True, eq=False)
class UserData:
    """Samples by role that a person's function returns, or that were passed in Python.

    ``source`` is the name of a function, a function, or what it returns; ``key`` a hash of all
    samples, known when they have been read once.
    """

    source: "UserCode | NamedCode | Callable[[], Any] | Mapping[str, Any]"
    key: str = ""

    @property
    def name(self) -> str:
        """What provenance calls it."""
        if isinstance(self.source, UserCode | NamedCode):
            file, _, function = self.source.spec.rpartition(":")
            return f"{Path(file).name}:{function}"
        return getattr(self.source, "__qualname__", type(self.source).__name__)


class Located(NamedTuple):
    """A function of a person's own: ``root`` is the folder that dotted names start from."""

    root: Path
    module: str
    name: str
    path: Path | None


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
    """Import the function that a person has named; the file's code is run.

    Its folder (of a package: the folder above) is put on ``sys.path``, as for a script, so that it
    can import its neighbours.

    Raises
    ------
    DataError
        If the file, or a callable of that name in it, does not exist, or if importing fails.
    """
    found = locate(spec)
    if str(found.root) not in sys.path:
        sys.path.insert(0, str(found.root))
    try:
        module = _imported(found)
    except (Exception, SystemExit) as error:
        what = found.path or found.module
        raise DataError(f"importing {what} raised {type(error).__name__}: {error}") from error
    function = getattr(module, found.name, None)
    if not callable(function):
        public = [k for k, v in vars(module).items() if callable(v) and not k.startswith("_")]
        raise DataError(
            f"{found.path or found.module} has no function {found.name!r}; "
            f"{suggest(found.name, public)}"
        )
    return function  # type: ignore[no-any-return]


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


def user_data(spec: str) -> Any:
    """Call the function that a person has named without arguments; return what it returns."""
    return user_function(spec)()


def read_samples(data: UserData) -> dict[Role, Any]:
    """Read a person's samples by role: loaders, or pairs of arrays, or ``(x, labels, groups)``.

    Raises
    ------
    DataError
        If it is not a dict, or is empty.
    RoleError
        If a key is no role.
    """
    source = data.source
    if isinstance(source, NamedCode):
        raise DataError(f"{source.spec} is named by a manifest only; pass --trust (trust=True)")
    if isinstance(source, UserCode):
        source = user_function(source.spec)
    found = source() if callable(source) else source
    if not isinstance(found, Mapping) or not found:
        what = "an empty dict" if isinstance(found, Mapping) else type(found).__name__
        raise DataError(
            f"{data.name} returned {what}; needed a dict such as "
            "{'holdout': (inputs, labels), 'test': loader}"
        )
    # what can be read only once is kept, since every checkpoint reads it
    return {
        check_role(role): list(value) if hasattr(value, "__next__") else value
        for role, value in found.items()
    }


#: The samples read last, by their key: one process reads them once, not once a checkpoint.
_kept: dict[str, dict[Role, Any]] = {}


def keep_samples(key: str, samples: dict[Role, Any]) -> None:
    """Keep samples for the checkpoints to come, in place of those kept before."""
    _kept.clear()
    _kept[key] = samples


def user_samples(data: UserData) -> dict[Role, Any]:
    """Samples by role, read once per process; see :func:`read_samples`."""
    if data.key not in _kept:
        keep_samples(data.key, read_samples(data))
    return _kept[data.key]
