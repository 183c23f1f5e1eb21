"""``zoo.toml``: which checkpoints there are, on which data, and what each row was used for."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ncbounds.arrays import Ints
from ncbounds.budgets import MANIFEST_BYTES
from ncbounds.data.fashion_mnist import installed_folder
from ncbounds.data.fields import (
    beside,
    by_role,
    class_names,
    known,
    priors,
    procedure,
    renamed,
    typed,
)
from ncbounds.data.given import UserData, data_at
from ncbounds.data.role_names import check_role_names
from ncbounds.data.user import UserCode
from ncbounds.errors import ManifestError, RoleError, shown, suggest
from ncbounds.evidence.roles import REPEATS, SAMPLINGS, Repeats, Role, Sampling
from ncbounds.files import read_bounded

#: Name that stands for the folder where the idx files of Fashion-MNIST are installed.
FASHION_MNIST = "fashion-mnist"
#: What stands for all rows of the data.
ALL_ROWS = "all"


@dataclass(frozen=True)
class Task:
    """Data and its declarations, shared by checkpoints.

    ``data`` is an ``.npz``, ``.csv`` or ``.parquet`` file, a folder of idx files, or
    ``"fashion-mnist"`` for the folder where these are installed; or, as :class:`UserData`, a folder
    whose parts are the samples; in memory only, also a person's own. ``label_noise`` is
    the probability with which a label is redrawn uniformly, with seed ``noise_seed``; ``priors``
    the law's class probabilities (``"balanced"`` or a list); ``sampling`` how rows were drawn;
    ``classes`` the names of the classes, in the order of their numbers; ``repeats`` says why points
    stand more than once (``"by chance"`` or ``"copies"``), ``ignore_label`` which label marks rows
    to be left out; ``role_names`` maps a person's names for parts of the data to roles.
    """

    name: str
    data: Path | UserData
    label_noise: float = 0.0
    noise_seed: int = 0
    priors: Any = None
    sampling: Sampling = "unknown"
    classes: tuple[str, ...] = ()
    repeats: Repeats | None = None
    ignore_label: int | None = None
    role_names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One checkpoint: its file, task, architecture and which rows had which role.

    ``model`` is a registered name; in memory only, also code that a person named, a function or a
    module. A file never names code.
    ``roles`` maps a role to row ranges such as ``"0:4000"`` or ``"0:500,900:1000"``;
    ``selected_among`` maps a role to the number of candidates compared on it (1 if absent);
    ``classes = {fit = [0, 1]}`` keeps the rows of these classes only; ``procedure`` names how the
    head was fitted, with settings fixed before the head sample, e.g.
    ``{name = "ridge", penalty = 0.01}``. ``code_word`` is a file in which few bytes describe a
    network like this one, ``tried`` the number of such networks that could have been compared on
    the unlabelled rows, a list complete before these were read (None: unknown).
    Where the file leaves a choice, ``key`` says where its weights stand, ``weights`` whether the
    averaged (``"ema"``) or the ``"raw"`` ones are meant, ``head`` names the layer and ``output``
    the name or index of the logits.
    """

    name: str
    file: Path
    task: str
    model: str | UserCode | Callable[..., Any] | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = "whole"
    roles: Mapping[Role, str] = field(default_factory=dict)
    group: Mapping[str, Any] = field(default_factory=dict)
    selected_among: Mapping[Role, int] = field(default_factory=dict)
    procedure: Mapping[str, Any] = field(default_factory=dict)
    classes: Mapping[Role, list[int]] = field(default_factory=dict)
    code_word: Path | None = None
    tried: int | None = None
    key: str | None = None
    weights: Literal["ema", "raw"] | None = None
    head: str | None = None
    output: str | int | None = None


@dataclass(frozen=True)
class Manifest:
    """A parsed manifest, whose paths are absolute; one made in memory has no path of its own."""

    path: Path | None
    tasks: Mapping[str, Task]
    checkpoints: Mapping[str, Entry]


def load_manifest(path: "str | Path") -> Manifest:
    """Read and check a manifest.

    Raises
    ------
    ManifestError
        If the file is missing or not TOML, or an entry has an unknown key, a wrong type, or a task
        that is not there. A *checkpoint file* that is missing is no error here: it becomes a row
        with its reason.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "zoo.toml"
    try:
        raw = tomllib.loads(read_bounded(path, MANIFEST_BYTES).decode("utf-8"))
    except FileNotFoundError:
        raise ManifestError(
            f"no manifest at {path}; a folder of checkpoints needs a zoo.toml, or pass "
            "--model file.py:function and --data file.py:function"
        ) from None
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{path} is not TOML: {error}") from None
    known(raw, {"tasks", "checkpoints", "title"}, str(path))
    tasks = {name: _task(name, t, path) for name, t in _table(raw, "tasks", path).items()}
    entries = {n: _entry(n, e, path, tasks) for n, e in _table(raw, "checkpoints", path).items()}
    if not entries:
        raise ManifestError(f"{path} lists no checkpoint: add [checkpoints.NAME] tables")
    return Manifest(path.resolve(), tasks, entries)


def row_ids(text: str, total: int, where: str = "roles") -> Ints:
    """Row numbers of ranges such as ``"0:4000"`` or ``"0:500,900:1000"``, or ``"all"``, (n,).

    Raises
    ------
    ManifestError
        If a range is malformed, empty or beyond ``total`` rows.
    """
    if text.strip() == ALL_ROWS:
        return np.arange(total, dtype=np.int64)
    parts, named = [], 0
    for piece in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18}):(\d{1,18})\s*", piece, re.ASCII)
        if not match:
            raise ManifestError(f"{where}: rows are ranges like '0:4000', found {piece.strip()!r}")
        a, b = int(match[1]), int(match[2])
        if not a < b <= total:
            raise ManifestError(f"{where}: rows {a}:{b} do not fit data of {total} rows")
        parts.append(np.arange(a, b, dtype=np.int64))
        named += b - a
        if named > total:
            raise ManifestError(f"{where}: its ranges name a row twice")
    rows = np.concatenate(parts)
    if len(np.unique(rows)) < len(rows):
        raise ManifestError(f"{where}: {text!r} names a row twice")
    return rows


def entry_rows(entry: Entry, labels: Ints) -> dict[Role, Ints]:
    """Row numbers of each role of a checkpoint, given the labels of all rows of its task.

    Raises
    ------
    ManifestError
        If a range does not fit the data.
    """
    found = {}
    for role, text in entry.roles.items():
        rows = row_ids(text, len(labels), f"{entry.name} roles.{role}")
        kept = entry.classes.get(role)
        found[role] = rows if kept is None else rows[np.isin(labels[rows], kept)]
    return found


def _table(raw: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    table = raw.get(key, {})
    if not isinstance(table, dict) or not all(isinstance(v, dict) for v in table.values()):
        raise ManifestError(f"{path}: [{key}] holds one table per name, as in [{key}.NAME]")
    return table


def _task(name: str, raw: Mapping[str, Any], path: Path) -> Task:
    where = f"{path} [tasks.{name}]"
    known(raw, _keys(Task), where)
    if "data" not in raw:
        raise ManifestError(f"{where}: data = 'file.npz' is missing")
    typed(raw["data"], str, f"{where} data")
    typed(raw.get("label_noise", 0.0), (int, float), f"{where} label_noise")
    typed(raw.get("noise_seed", 0), int, f"{where} noise_seed")
    if not 0 <= raw.get("label_noise", 0.0) <= 1:
        raise ManifestError(f"{where} label_noise: a probability, found {raw['label_noise']}")
    if raw.get("sampling", "unknown") not in SAMPLINGS:
        raise ManifestError(
            f"{where} sampling: one of {', '.join(SAMPLINGS)}, found {raw['sampling']!r}"
        )
    if raw.get("repeats", REPEATS[0]) not in REPEATS:
        raise ManifestError(
            f"{where} repeats: one of {', '.join(REPEATS)}, found {shown(raw['repeats'])!r}"
        )
    typed(raw.get("ignore_label", 0), int, f"{where} ignore_label")
    if raw.get("noise_seed", 0) not in range(1 << 32):
        raise ManifestError(f"{where} noise_seed: 0 to 2^32 - 1, found {shown(raw['noise_seed'])}")
    typed(raw.get("role_names", {}), dict, f"{where} role_names")
    if "priors" in raw:
        priors(raw["priors"], f"{where} priors")
    classes = class_names(raw.get("classes", []), f"{where} classes")
    data = beside(path, raw["data"], f"{where} data")
    if raw["data"] == FASHION_MNIST and not data.exists():
        data = installed_folder().resolve()
    try:
        names = check_role_names(raw.get("role_names", {}))
    except RoleError as error:
        raise ManifestError(f"{where} role_names: {error}") from None
    declared = {**raw, "name": name, "classes": classes, "role_names": names}
    return Task(**{**declared, "data": data_at(data, names)})


def _keys(table: type[Task] | type[Entry]) -> set[str]:
    return {f.name for f in fields(table)} - {"name"}


def _entry(name: str, raw: Mapping[str, Any], path: Path, tasks: Mapping[str, Task]) -> Entry:
    where = f"{path} [checkpoints.{name}]"
    known(raw, _keys(Entry), where)
    by_part = raw.get("task") in tasks and isinstance(tasks[raw["task"]].data, UserData)
    for key in ("file", "task", *(() if by_part else ("roles",))):
        if key not in raw:
            raise ManifestError(f"{where}: {key} is missing")
    words = ("file", "task", "model", "protocol", "code_word", "key", "weights", "head")
    kinds: dict[str, type | tuple[type, ...]]
    kinds = {**dict.fromkeys(words, str), "tried": int, "output": (str, int)}
    for key, kind in kinds.items():
        if key in raw:
            typed(raw[key], kind, f"{where} {key}")
    for key in ("roles", "args", "group", "selected_among", "procedure", "classes"):
        typed(raw.get(key, {}), dict, f"{where} {key}")
    if "tried" in raw and (raw["tried"] < 1 or "code_word" not in raw):
        raise ManifestError(
            f"{where} tried: counts decoded networks, this code_word included, so it is at least 1 "
            f"and goes with code_word = 'FILE.ncz'; found {raw['tried']}"
        )
    if raw.get("weights", "ema") not in ("ema", "raw"):
        raise ManifestError(f"{where} weights: 'ema' or 'raw', found {raw['weights']!r}")
    if raw["task"] not in tasks:
        raise ManifestError(f"{where}: no task {raw['task']!r}; {suggest(raw['task'], [*tasks])}")
    raw = {**raw, **renamed(raw, tasks[raw["task"]].role_names, where)}
    if by_part and raw.get("roles"):
        raise ManifestError(
            f"{where} roles: the parts of {tasks[raw['task']].data.name} are the samples; leave "
            "roles out (role_names of the task maps their names to roles)"
        )
    by_role(raw, where)
    procedure(raw.get("procedure", {}), where)
    files: dict[str, Path]
    files = {k: beside(path, raw[k], f"{where} {k}") for k in ("file", "code_word") if k in raw}
    return Entry(**{**raw, "name": name, **files})
