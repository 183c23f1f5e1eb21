"""Samples by role that a person hands over: by a function, in Python, or as a folder of parts."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ncbounds.data.batched import LABELS, is_array, is_one_sample, is_pair
from ncbounds.data.parts import Folder, is_idx, read_parts
from ncbounds.data.role_names import by_role
from ncbounds.data.user import NamedCode, UserCode, user_data
from ncbounds.errors import DataError
from ncbounds.evidence.roles import LABELS_OPTIONAL, ROLES, Role

NEEDED_DICT = "needed a dict such as {'holdout': (inputs, labels), 'test': loader}"


@dataclass(frozen=True, eq=False)
class UserData:
    """Samples by role that a person's function returns, or that were passed in Python.

    ``source`` is the name of a function or object, a folder of parts, or what these give; ``key`` a
    hash of all samples, known when they have been read once; ``args`` are arguments of a function;
    ``role_names`` maps names of parts to roles; ``only`` is the role of data that are one sample.
    """

    source: "UserCode | NamedCode | Folder | Callable[..., Any] | Mapping[str, Any] | Any"
    key: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    role_names: Mapping[str, str] = field(default_factory=dict)
    only: Role | None = None

    @property
    def name(self) -> str:
        """What provenance calls it."""
        if isinstance(self.source, UserCode | NamedCode):
            file, _, function = self.source.spec.rpartition(":")
            return f"{Path(file).name}:{function}"
        if isinstance(self.source, Folder):
            return self.source.path.name
        return getattr(self.source, "__qualname__", type(self.source).__name__)


def data_at(path: Path, names: Mapping[str, str], transform: str | None = None) -> Path | UserData:
    """Return the path of data whose rows are named, or a folder whose parts are the samples."""
    if not path.is_dir() or is_idx(path):
        return path
    return UserData(Folder(path, transform), role_names=names)


def read_samples(data: UserData) -> dict[Role, Any]:
    """Read a person's samples by role: whatever :func:`ncbounds.data.batched.as_batches` reads.

    Raises
    ------
    DataError
        If there is no role for what was found, no sample, or no labels where there have to be.
    RoleError
        If a name is no role and not mapped to one.
    """
    found = _by_role(_found(data), data)
    if isinstance(data.source, Folder):  # only now: parts that are left out are never read
        found = {role: v() if isinstance(v, partial) else v for role, v in found.items()}
    for role, value in found.items():
        if role not in LABELS_OPTIONAL and is_array(value):
            raise DataError(
                f"{data.name}: the {role} sample is one array of shape {tuple(value.shape)}, "
                "without labels; needed (inputs, labels)"
            )
    # what can be read only once is kept, since every checkpoint reads it
    return {r: list(v) if isinstance(v, Iterator) else v for r, v in found.items()}


def _found(data: UserData) -> Any:
    source = data.source
    if isinstance(source, NamedCode):
        raise DataError(f"{source.spec} is named by a manifest only; pass --trust (trust=True)")
    if isinstance(source, UserCode):
        return user_data(source.spec, data.args)
    if isinstance(source, Folder):
        parts = read_parts(source)
        return parts[""]() if "" in parts else parts
    return source(**data.args) if callable(source) else source


def _by_role(found: Any, data: UserData) -> dict[Role, Any]:
    roles = {*ROLES} - {*LABELS}  # labels may be called "target"
    if isinstance(found, Mapping) and not (is_one_sample(found) and not roles & {*found}):
        if not found:
            raise DataError(f"{data.name} returned an empty dict; {NEEDED_DICT}")
        parts = by_role(found, data.role_names, data.name)
        if data.only is not None:
            if [*parts] == [data.only]:
                return parts
            raise DataError(
                f"{data.name} gives {', '.join(parts)} by itself: leave --role {data.only} out "
                "(--roles maps other names to roles)"
            )
        return parts
    if data.only is not None and (is_pair(found) or _is_data(found)):
        return {data.only: found}
    what = type(found).__name__
    if is_pair(found) or _is_data(found):
        raise DataError(
            f"{data.name} is one {what} and has no role, which says what it was used for: add "
            f"--role holdout, say (in Python roles='holdout'); or {NEEDED_DICT}"
        )
    raise DataError(
        f"{data.name} returned {what}; {NEEDED_DICT} (a batch with labels inside is a mapping with "
        f"{' or '.join(map(repr, LABELS[:2]))})"
    )


def _is_data(found: Any) -> bool:
    """Whether something can be read as one sample: arrays, frames, batches, rows."""
    if isinstance(found, str | bytes):
        return False
    return any(hasattr(found, name) for name in ("shape", "__iter__", "__getitem__"))


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
