"""Functions in the user's own Python files."""

import importlib.util
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ncbounds.errors import DataError, suggest


def user_function(spec: str) -> Callable[..., Any]:
    """Import ``FILE.py:FUNCTION``, which a person has named; the file's code is run.

    The file's folder is put on ``sys.path``, as for a script, so that it can import its neighbours.

    Raises
    ------
    DataError
        If the file, or a callable of that name in it, does not exist, or if importing fails.
    """
    file, colon, name = spec.rpartition(":")
    path = Path(file).expanduser()
    if not colon or not name or path.suffix != ".py":
        raise DataError(f"found {spec!r}, needed FILE.py:FUNCTION, for example data.py:load")
    if not path.is_file():
        raise DataError(f"{path} does not exist (needed for {spec!r})")
    if (folder := str(path.resolve().parent)) not in sys.path:
        sys.path.insert(0, folder)
    module_name = f"_ncbounds_user_{zlib.crc32(str(path.resolve()).encode()):08x}"
    found = importlib.util.spec_from_file_location(module_name, path)
    if found is None or found.loader is None:
        raise DataError(f"{path} cannot be imported as a Python file")
    module = importlib.util.module_from_spec(found)
    sys.modules[module_name] = module  # dataclasses and pickle look a class's module up here
    try:
        found.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise DataError(f"importing {path} raised {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        public = [k for k, v in vars(module).items() if callable(v) and not k.startswith("_")]
        raise DataError(f"{path} has no function {name!r}; {suggest(name, public)}")
    return function  # type: ignore[no-any-return]


def user_data(spec: str) -> Any:
    """Call the function ``FILE.py:FUNCTION`` without arguments and return what it returns."""
    return user_function(spec)()
