"""Data that are named beside checkpoints, as the task of a manifest in memory."""

import os
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ncbounds.data.fashion_mnist import installed_folder
from ncbounds.data.given import UserData, data_at
from ncbounds.data.manifest import ALL_ROWS, FASHION_MNIST, Manifest, Task
from ncbounds.data.parts import Folder
from ncbounds.data.role_names import by_role
from ncbounds.data.tables import TABLES
from ncbounds.data.user import UserCode, is_code, locate
from ncbounds.errors import DataError, InvalidSample
from ncbounds.evidence.roles import SAMPLINGS, Role


def task_of(
    data: Any,
    roles: Mapping[str, str],
    role_names: Mapping[str, str],
    *,
    args: Mapping[str, Any],
    transform: str | None,
    sampling: str,
    priors: Any,
) -> tuple[Task, dict[Role, str]]:
    """Return the task of data that are named, and the rows of each role where these are needed.

    Raises
    ------
    DataError
        If there are no such data, or options do not go with them.
    InvalidSample
        If sampling is none.
    RoleError
        If a name is no role and mapped to none.
    """
    if sampling not in SAMPLINGS:
        raise InvalidSample(f"--sampling is one of {', '.join(SAMPLINGS)}, found {sampling!r}")
    rows = by_role(roles, role_names, "--role", all_named=False)
    found = _at(data, role_names, transform)
    if isinstance(found, Path):
        if not rows:
            raise DataError(
                f"{found} needs the rows of each role: --role holdout=0:4000 --role test=4000:8000 "
                "(in Python roles={'holdout': '0:4000', ...}), or --role holdout for all of them"
            )
    else:
        found = UserData(
            found.source, args=dict(args), role_names=role_names, only=_only(rows, found)
        )
    parts = isinstance(found, UserData) and isinstance(found.source, Folder)
    if transform is not None and not parts:
        raise DataError(
            "--transform goes with a folder of images or one that datasets saved; a function or "
            "file gives inputs as the network reads them"
        )
    if args and not (isinstance(found, UserData) and callable_source(found)):
        raise DataError("--data-args goes with --data FILE.py:FUNCTION")
    task = Task(
        name="data",
        data=found,
        sampling=sampling,
        priors=priors,
        role_names=role_names,
    )
    return task, rows if isinstance(found, Path) else {}


def callable_source(data: UserData) -> bool:
    """Whether data come from a function, which may take arguments."""
    return isinstance(data.source, UserCode) or callable(data.source)


def _at(data: Any, names: Mapping[str, str], transform: str | None) -> Path | UserData:
    path = Path(data).expanduser() if isinstance(data, str | Path) else None
    if path is not None and (os.path.exists(path) or not (path.suffix == ".py" or is_code(data))):
        return _file(path, str(data), names, transform)
    if isinstance(data, str | Path):
        locate(str(data))
        return UserData(UserCode(str(data)))
    if data is None or isinstance(data, int | float):
        raise DataError(
            f"data is 'FILE.py:FUNCTION', a file, a folder, a function or a dict such as "
            f"{{'holdout': (inputs, labels)}}; found {type(data).__name__}"
        )
    return UserData(data)


def _file(
    path: Path, typed: str, names: Mapping[str, str], transform: str | None
) -> Path | UserData:
    if typed == FASHION_MNIST and not path.exists():
        path = installed_folder()
    if path.suffix == ".py":
        locate(typed)  # says that the function is missing
    if not path.exists():
        raise DataError(f"no data at {path}; needed a file, a folder or FILE.py:FUNCTION")
    if path.suffix == ".npy":
        raise DataError(
            f"{path} is one array, without labels; needed a folder with inputs.npy and labels.npy, "
            f"or one of {', '.join(t for t in TABLES if t != '.npy')}"
        )
    return data_at(path.resolve(), names, transform)


def _only(rows: Mapping[Role, str], data: UserData) -> Role | None:
    """The role of data that are one sample; rows cannot be picked from them."""
    if not rows:
        return None
    if [*rows.values()] != [ALL_ROWS]:
        raise DataError(
            f"--role gives rows of a file or of a folder of idx files; {data.name} returns each "
            "role by itself, or is one sample, whose role is named without rows: --role holdout"
        )
    return next(iter(rows))


def kept_by_name(book: Manifest) -> Manifest:
    """Give data of one's own that were not hashed a name under which one process keeps them."""
    tasks = {
        name: replace(task, data=replace(task.data, key=uuid.uuid4().hex))
        if isinstance(task.data, UserData) and not task.data.key
        else task
        for name, task in book.tasks.items()
    }
    return replace(book, tasks=tasks)
