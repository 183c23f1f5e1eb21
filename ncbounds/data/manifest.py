"""``zoo.toml``: which checkpoints there are, on which data, and what each row was used for."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from glob import iglob
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Ints
from ncbounds.budgets import MANIFEST_BYTES
from ncbounds.data.fashion_mnist import installed_folder
from ncbounds.data.fields import (
    beside,
    by_role,
    claims,
    class_names,
    decision,
    known,
    loss,
    priors,
    procedure,
    renamed,
    thresholds,
    typed,
)
from ncbounds.data.given import UserData, data_at
from ncbounds.data.role_names import check_role_names
from ncbounds.data.series import in_order
from ncbounds.data.user import NamedCode, UserCode, is_code, named_by
from ncbounds.errors import ManifestError, RoleError, shown, suggest
from ncbounds.evidence.roles import REPEATS, SAMPLINGS, Repeats, Role, Sampling
from ncbounds.files import read_bounded

#: Name that stands for the folder where the idx files of Fashion-MNIST are installed.
FASHION_MNIST = "fashion-mnist"
#: Files of one series; more are a mistake in its pattern.
LONGEST_SERIES = 10_000
#: Fields of a checkpoint that name a file.
FILES = ("file", "code_word", "log")
#: What stands for all rows of the data.
ALL_ROWS = "all"


@dataclass(frozen=True)
class Task:
    """Data and its declarations, shared by checkpoints.

    ``data`` is an ``.npz``, ``.csv`` or ``.parquet`` file, a folder of idx files, or
    ``"fashion-mnist"`` for the folder where these are installed; or, as :class:`UserData`, a folder
    whose parts are the samples, ``FILE.py:FUNCTION``, which no file makes run (see
    :func:`ncbounds.runs.trust.with_code`), or in memory only, a person's own. ``label_noise`` is
    the probability with which a label is redrawn uniformly, with seed ``noise_seed``; ``priors``
    the law's class probabilities (``"balanced"`` or a list); ``sampling`` how rows were drawn;
    ``classes`` the names of the classes, in the order of their numbers; ``repeats`` says why points
    stand more than once (``"by chance"`` or ``"copies"``), ``ignore_label`` which label marks rows
    to be left out; ``role_names`` maps a person's names for parts of the data to roles; ``claims``
    lists what is asked beside the error (see :func:`ncbounds.evidence.asked.asked_for`).
    ``imbalance`` thins all rows of a file to a long tail, in which the first class is so many times
    as frequent as the last (see :func:`ncbounds.data.noise.long_tail`); ``pairs`` sets two images
    of a file side by side, with this probability, else one alone, in pictures that have several
    labels (see :func:`ncbounds.data.side_by_side.side_by_side`). ``decision`` says how many labels
    a point has: ``"multi-class"``, one, or ``"multi-label"``, any number; by default the labels'
    shape tells.
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
    claims: tuple[str, ...] = ()
    imbalance: float = 1.0
    pairs: float = 0.0
    decision: str | None = None


@dataclass(frozen=True)
class Entry:
    """One checkpoint: its file, task, architecture and which rows had which role.

    ``model`` is a registered name, or ``FILE.py:FUNCTION`` or ``package.module:FUNCTION``, which
    runs only if a person names it too or trusts the manifest. In memory also a function or a
    module.
    ``roles`` maps a role to row ranges such as ``"0:4000"`` or ``"0:500,900:1000"``;
    ``selected_among`` maps a role to the number of candidates compared on it (1 if absent);
    ``classes = {fit = [0, 1]}`` keeps the rows of these classes only; ``procedure`` names how the
    head was fitted, with settings fixed before the head sample, e.g.
    ``{name = "ridge", penalty = 0.01}``. ``loss`` is what the network was trained with, e.g.
    ``"label-smoothing:0.1"`` (see :class:`~ncbounds.Evidence`). Of points with several labels,
    ``thresholds`` are those of the logits, one for all labels or a list, fixed before the sample
    (0 is probability 1/2), ``probability_thresholds`` the same in probability, and ``ranked`` says
    that there are none: logits only order labels, as those of a pick-all-label loss do.
    ``code_word`` is a file in which
    few bytes describe a network like this one, ``tried`` the number of such networks that could
    have been compared on the unlabelled rows, a list complete before these were read (None:
    unknown).
    Where the file leaves a choice, ``key`` says where its weights stand, ``weights`` whether the
    averaged (``"ema"``) or the ``"raw"`` ones are meant, ``head`` names the layer and ``output``
    the name or index of the logits. ``parts`` are other files of the same network: of its head, or
    the base of an adapter. ``series`` names the run that it is one checkpoint of, ``step`` the
    epoch or step, if neither the file nor its name says it; ``log`` is a CSV file with the run's
    own numbers by step.
    """

    name: str
    file: Path
    task: str
    model: str | UserCode | NamedCode | Callable[..., Any] | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = "whole"
    roles: Mapping[Role, str] = field(default_factory=dict)
    group: Mapping[str, Any] = field(default_factory=dict)
    selected_among: Mapping[Role, int] = field(default_factory=dict)
    procedure: Mapping[str, Any] = field(default_factory=dict)
    classes: Mapping[Role, list[int]] = field(default_factory=dict)
    loss: str | None = None
    code_word: Path | None = None
    tried: int | None = None
    key: str | None = None
    weights: Literal["ema", "raw"] | None = None
    head: str | None = None
    output: str | int | None = None
    parts: tuple[Path, ...] = ()
    series: str = ""
    step: float | None = None
    log: Path | None = None
    thresholds: float | tuple[float, ...] | None = None
    probability_thresholds: float | tuple[float, ...] | None = None
    ranked: bool = False


@dataclass(frozen=True)
class Manifest:
    """A parsed manifest, whose paths are absolute; one made in memory has no path of its own."""

    path: Path | None
    tasks: Mapping[str, Task]
    checkpoints: Mapping[str, Entry]

    def chosen(self, only: Iterable[str] | None) -> list[Entry]:
        """Return the checkpoints of these names, or all for None.

        Raises
        ------
        ManifestError
            If there is no such name.
        """
        if only is None:
            return list(self.checkpoints.values())
        names = list(only)
        for name in names:
            if name not in self.checkpoints:
                raise ManifestError(
                    f"no checkpoint {name!r} in {self.path or 'this list'}; "
                    f"{suggest(name, list(self.checkpoints))}"
                )
        return [self.checkpoints[name] for name in names]


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
            f"no manifest at {path}; checkpoints need a zoo.toml, or on the command line "
            "--data file.py:function (with --model file.py:function, where the files do not name "
            "one)"
        ) from None
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{path} is not TOML: {error}") from None
    known(raw, {"tasks", "checkpoints", "series", "title"}, str(path))
    tasks = {name: _task(name, t, path) for name, t in _table(raw, "tasks", path).items()}
    entries = {n: _entry(n, e, path, tasks) for n, e in _table(raw, "checkpoints", path).items()}
    for name, table in _table(raw, "series", path).items():
        members = _members(name, table, path, tasks)
        if both := members.keys() & entries.keys():
            raise ManifestError(f"{path} names {min(both)!r} twice: call [series.{name}] otherwise")
        entries |= members
    if not entries:
        raise ManifestError(
            f"{path} lists no checkpoint: add [checkpoints.NAME] tables, or [series.NAME] with "
            "files = 'run/epoch-*.pt'"
        )
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


def entry_rows(
    entry: Entry, labels: NDArray[Any], kept: NDArray[np.bool_] | None = None
) -> dict[Role, Ints]:
    """Row numbers of each role of a checkpoint, given the labels of all rows of its task.

    Parameters
    ----------
    entry : Entry
    labels : integer array of shape (N,), or boolean of shape (N, L)
    kept : boolean array of shape (N,), optional
        Rows that the task has left.

    Raises
    ------
    ManifestError
        If a range does not fit the data.
    """
    found = {}
    for role, text in entry.roles.items():
        rows = row_ids(text, len(labels), f"{entry.name} roles.{role}")
        rows = rows if kept is None else rows[kept[rows]]
        classes = entry.classes.get(role)
        if classes is not None and labels.ndim == 2:
            raise ManifestError(
                f"{entry.name} classes.{role}: keeps rows of some classes, and rows have several "
                "labels; leave it out"
            )
        found[role] = rows if classes is None else rows[np.isin(labels[rows], classes)]
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
        raise ManifestError(
            f"{where}: data = 'file.npz' is missing; or 'FILE.py:FUNCTION', which returns "
            "{'holdout': (inputs, labels), 'test': loader} and runs with --trust"
        )
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
    typed(raw.get("imbalance", 1.0), (int, float), f"{where} imbalance")
    if not 1 <= raw.get("imbalance", 1.0) < 1e6:
        raise ManifestError(f"{where} imbalance: a ratio from 1 on, found {raw['imbalance']}")
    typed(raw.get("pairs", 0.0), (int, float), f"{where} pairs")
    if not 0 <= raw.get("pairs", 0.0) <= 1:
        raise ManifestError(f"{where} pairs: a probability, found {raw['pairs']}")
    decision(raw, where)
    typed(raw.get("ignore_label", 0), int, f"{where} ignore_label")
    if raw.get("noise_seed", 0) not in range(1 << 32):
        raise ManifestError(f"{where} noise_seed: 0 to 2^32 - 1, found {shown(raw['noise_seed'])}")
    typed(raw.get("role_names", {}), dict, f"{where} role_names")
    if "priors" in raw:
        priors(raw["priors"], f"{where} priors")
    classes = class_names(raw.get("classes", []), f"{where} classes")
    asked = claims(raw.get("claims", []), f"{where} claims")
    file = beside(path, raw["data"], f"{where} data")
    data: Path | UserData = file
    if is_code(raw["data"]) and not file.exists():
        if raw.get("label_noise"):
            raise ManifestError(f"{where} label_noise: labels are those that {raw['data']} returns")
        for key, usual in (("imbalance", 1), ("pairs", 0)):
            if raw.get(key, usual) != usual:
                raise ManifestError(f"{where} {key}: rows are those that {raw['data']} returns")
        data = UserData(named_by(path, raw["data"]))
    elif raw["data"] == FASHION_MNIST and not file.exists():
        data = installed_folder().resolve()
    try:
        names = check_role_names(raw.get("role_names", {}))
    except RoleError as error:
        raise ManifestError(f"{where} role_names: {error}") from None
    read = {"name": name, "classes": classes, "role_names": names, "claims": asked}
    declared = {**raw, **read}
    if isinstance(data, UserData):
        return Task(**{**declared, "data": replace(data, role_names=names)})
    return Task(**{**declared, "data": data_at(data, names)})


def _keys(table: type[Task] | type[Entry]) -> set[str]:
    return {f.name for f in fields(table)} - {"name"}


def _members(
    name: str, raw: Mapping[str, Any], path: Path, tasks: Mapping[str, Task]
) -> dict[str, Entry]:
    """Entries of the checkpoints of one run, in natural order, with the same declarations.

    A pattern that matches nothing is one of them, as a file that is missing would be.
    """
    where = f"{path} [series.{name}]"
    known(raw, _keys(Entry) - {"file", "series", "step"} | {"files"}, where)
    if "files" not in raw:
        raise ManifestError(f"{where}: files = 'run/epoch-*.pt' is missing")
    patterns = [raw["files"]] if isinstance(raw["files"], str) else raw["files"]
    typed(patterns, list, f"{where} files")
    found: list[str] = []
    for pattern in patterns:
        typed(pattern, str, f"{where} files")
        beside(path, pattern, f"{where} files")  # says what no file can be called
        found += [*islice(iglob(pattern, root_dir=path.parent), LONGEST_SERIES)] or [pattern]
    found = in_order(dict.fromkeys(found))
    if len(found) >= LONGEST_SERIES:
        raise ManifestError(f"{where}: its files match {LONGEST_SERIES} names or more")
    last = [PurePath(file).name for file in found]
    called = last if len({*last}) == len(last) else found
    rest = {k: v for k, v in raw.items() if k != "files"} | {"series": name}
    return {
        f"{name}/{each}": _entry(f"{name}/{each}", {**rest, "file": file}, path, tasks, where)
        for each, file in zip(called, found, strict=True)
    }


def _entry(
    name: str, raw: Mapping[str, Any], path: Path, tasks: Mapping[str, Task], where: str = ""
) -> Entry:
    where = where or f"{path} [checkpoints.{name}]"
    known(raw, _keys(Entry), where)
    for key in ("file", "task"):
        if key not in raw:
            raise ManifestError(f"{where}: {key} is missing")
    words = (
        *("file", "task", "model", "protocol", "loss", "code_word", "log"),
        *("key", "weights", "head", "series"),
    )
    kinds: dict[str, type | tuple[type, ...]]
    kinds = {**dict.fromkeys(words, str), "tried": int, "output": (str, int), "step": (int, float)}
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
    by_part = isinstance(tasks[raw["task"]].data, UserData)
    raw = {**raw, **renamed(raw, tasks[raw["task"]].role_names, where)}
    if by_part and ("roles" in raw or "classes" in raw):
        raise ManifestError(
            f"{where}: roles and classes pick rows of a file, and {tasks[raw['task']].data.name} "
            "gives each role by itself; leave them out (role_names of the task maps names to roles)"
        )
    if not by_part and "roles" not in raw:
        raise ManifestError(
            f"{where}: roles is missing; which rows of its data were used for what, for example "
            "roles = {fit = '0:4000', holdout = '4000:8000'}"
        )
    by_role(raw, where)
    procedure(raw.get("procedure", {}), where)
    if "loss" in raw:
        loss(raw["loss"], f"{where} loss")
    several_labels = thresholds(raw, where)
    files: dict[str, Path]
    files = {k: beside(path, raw[k], f"{where} {k}") for k in FILES if k in raw}
    typed(raw.get("parts", []), list, f"{where} parts")
    for part in raw.get("parts", []):
        typed(part, str, f"{where} parts")
    parts = tuple(beside(path, part, f"{where} parts") for part in raw.get("parts", []))
    code = {"model": named_by(path, raw["model"])} if is_code(raw.get("model")) else {}
    return Entry(**{**raw, "name": name, "parts": parts, **files, **code, **several_labels})
