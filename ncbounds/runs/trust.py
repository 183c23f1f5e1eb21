"""Code that a manifest names runs only when a person names it too, or trusts the manifest."""

import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ncbounds.data.given import UserData
from ncbounds.data.manifest import Entry, Manifest, Task
from ncbounds.data.user import NamedCode, UserCode, is_code, locate
from ncbounds.errors import ManifestError


def with_code(
    book: Manifest,
    *,
    model: Any = None,
    args: Mapping[str, Any] | None = None,
    data: str | None = None,
    trust: bool = False,
) -> Manifest:
    """Return a manifest with the code that a person named, or trusts.

    Parameters
    ----------
    book : Manifest
    model : optional
        Code that the manifest names itself is allowed where it does; whatever else it is, all
        checkpoints are built by it.
    args : mapping, optional
        Of that model: beside the manifest's own where it names the model itself, else in their
        place.
    data : str, optional
        Code for data that the manifest names itself.
    trust : bool
        Whether all code that it names is allowed.

    Raises
    ------
    ManifestError
        If the manifest does not name that code for data.
    DataError
        If the code does not exist.
    """
    if model is not None:
        book = _with_model(book, model, args or {})
    if data is not None:
        tasks = {name: _allowed(task, data) for name, task in book.tasks.items()}
        if all(tasks[name] is task for name, task in book.tasks.items()):
            raise ManifestError(
                f"{book.path} names data, roles and selected_among itself, and --data would pass "
                "over them: leave --data out (--model may stay), or name the checkpoint files "
                "without it and declare --sampling and --selected-among"
            )
        book = replace(book, tasks=tasks)
    if trust:
        entries = {name: _trusted(e) for name, e in book.checkpoints.items()}
        tasks = {name: _allowed(task, None) for name, task in book.tasks.items()}
        book = replace(book, checkpoints=entries, tasks=tasks)
    return book


def user_code(model: Any) -> Any:
    """A model as it was passed; of code, that it exists is checked, and it is not run yet."""
    if not is_code(model):
        return model
    locate(model)
    return UserCode(model)


def refuse_untrusted(book: Manifest, entries: Iterable[Entry]) -> None:
    """Raise ManifestError if these checkpoints need code that only the manifest names."""
    entries = list(entries)
    models = {e.model: None for e in entries if isinstance(e.model, NamedCode)}
    sources = (book.tasks[name].data for name in dict.fromkeys(e.task for e in entries))
    data = {
        d.source: None
        for d in sources
        if isinstance(d, UserData) and isinstance(d.source, NamedCode)
    }
    if not models and not data:
        return
    named = ", ".join(code.spec for code in (models | data))
    words = [f"--model {_typed(code)}" for code in models]
    words += [f"--data {_typed(code)}" for code in data]
    by_name = (
        f"name it yourself ({' '.join(words)}), or " if max(map(len, (models, data))) < 2 else ""
    )
    raise ManifestError(
        f"{book.path} names code to run: {named}. A file alone never runs code: if you know this "
        f"code, {by_name}say that you trust the manifest (--trust; in Python trust=True)"
    )


def _with_model(book: Manifest, model: Any, args: Mapping[str, Any]) -> Manifest:
    entries = {}
    for name, e in book.checkpoints.items():
        code = _asked_for(e.model, model)
        entries[name] = e if code is None else replace(e, model=code, args={**e.args, **args})
    if all(entries[name] is e for name, e in book.checkpoints.items()):
        code = user_code(model)
        entries = {
            name: replace(e, model=code, args=dict(args)) for name, e in book.checkpoints.items()
        }
    return replace(book, checkpoints=entries)


def _trusted(entry: Entry) -> Entry:
    return replace(entry, model=_at(entry.model)) if isinstance(entry.model, NamedCode) else entry


def _allowed(task: Task, typed: str | None) -> Task:
    """The task with its own code, if that was typed; None stands for any."""
    if not isinstance(task.data, UserData) or not isinstance(task.data.source, NamedCode):
        return task
    source = task.data.source
    code = _at(source) if typed is None else _asked_for(source, typed)
    return task if code is None else replace(task, data=replace(task.data, source=code))


def _at(code: NamedCode) -> UserCode:
    locate(code.place)
    return UserCode(code.place)


def _asked_for(code: object, typed: object) -> UserCode | None:
    """The code of a manifest, if it is what a person typed; what was typed is read from here."""
    if not isinstance(code, NamedCode) or not isinstance(typed, str):
        return None
    place, _, name = typed.rpartition(":")
    file = Path(place).expanduser()
    if file.suffix == ".py":
        if file.exists():
            same = f"{file.resolve()}:{name}" == code.place
            return UserCode(typed) if same else None
        return _at(code) if typed == code.spec else None
    if typed != code.spec:
        return None
    here = Path.cwd().joinpath(*place.split("."))
    found_here = here.with_suffix(".py").exists() or (here / "__init__.py").exists()
    return UserCode(typed) if found_here else _at(code)


def _typed(code: NamedCode) -> str:
    """How a person names the code from here."""
    file, colon, name = code.place.rpartition(":")
    if file.endswith(".py"):
        near = os.path.relpath(file)
        file = file if near.startswith(os.pardir) else near
    return shlex.quote(f"{file}{colon}{name}")
