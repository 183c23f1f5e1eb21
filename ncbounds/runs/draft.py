"""The first draft of a ``zoo.toml``: what a folder holds, and what only its owner knows.

Files are read, never run. What is not known stands behind ``#``, with what to write there.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ncbounds.data.npz import load_npz
from ncbounds.data.series import in_order, named_steps
from ncbounds.data.user import is_code, locate
from ncbounds.errors import DataError, ManifestError, NcboundsError, printable
from ncbounds.evidence.roles import SAMPLINGS
from ncbounds.runs.paths import find_checkpoints
from ncbounds.runs.series import found_series

#: Which of 100 rows an example of roles names, by role.
_SHARES = {"fit": (0, 60), "holdout": (60, 80), "test": (80, 100)}
_IDX = "train-images-idx3-ubyte"


class Draft(NamedTuple):
    """A manifest in words: how many series and checkpoints it lists, and what it lacks."""

    text: str
    series: int
    checkpoints: int
    missing: tuple[str, ...]


class _Data(NamedTuple):
    name: str
    source: str
    rows: int | None
    says: str


def draft(
    folder: "str | Path",
    *,
    model: str | None = None,
    args: Mapping[str, Any] | None = None,
    data: str | None = None,
    sampling: str | None = None,
) -> Draft:
    """Draft a manifest for the checkpoints of a folder, and the data beside them.

    Parameters
    ----------
    folder : path
        Searched, with its folders, for checkpoints and for ``.npz`` files with labels.
    model : str, optional
        Registered name, ``FILE.py:FUNCTION`` or ``package.module:FUNCTION``; files from here.
    args : mapping, optional
        Of that model.
    data : str, optional
        Data file, folder of idx files, or code, in place of what is found.
    sampling : str, optional
        How the points were drawn, if that is known.

    Raises
    ------
    DataError
        If the folder does not exist or holds no checkpoint, or what was typed is not there.
    ManifestError
        If an argument cannot be written into a manifest.
    """
    if sampling is not None and sampling not in SAMPLINGS:
        raise ManifestError(f"--sampling is one of {', '.join(SAMPLINGS)}, found {sampling!r}")
    root = Path(folder).expanduser().resolve()
    files = find_checkpoints([root])
    series = found_series(files)
    sources = [_typed_data(root, data)] if data else [*_found_data(root, files.values())]
    task = sources[0] if sources else None
    groups: dict[tuple[bool, str], list[str]] = {}
    for name in files:
        groups.setdefault((name in series, series.get(name, name)), []).append(name)
    shared = _builder(root, model, args or {})
    tables = ["\n".join(_task(source, sampling)) for source in sources or (None,)]
    missing = [] if sources else ["data"]
    kinds = []
    for (run, called), names in groups.items():
        paths = [files[name] for name in in_order(names)]
        built, problem = _reads(paths)
        if problem:
            tables.append(f"# {printable(called)} is left out: {problem}")
            continue
        kinds.append(run)
        built = shared or built
        lines = [*_head(root, run, called, paths), f"task = {_toml(task.name if task else 'data')}"]
        missing += [] if built.known else ["model"]
        if task is None or task.rows is not None:
            missing.append("roles")
        tables.append("\n".join([*lines, *built.lines, *_declarations(task, len(names))]))
    if not kinds:
        missing = ["a checkpoint that can be read"]
    text = "\n\n".join([_FIRST, *tables]) + "\n"
    return Draft(text, kinds.count(True), kinds.count(False), tuple(dict.fromkeys(missing)))


_FIRST = """# What `ncbounds init` found; complete what stands behind '#'.
# Then: `ncbounds evaluate` with this folder, and --trust if code is named here."""


class _Built(NamedTuple):
    """Lines that say what builds a checkpoint, and whether that is known."""

    lines: tuple[str, ...]
    known: bool


def _builder(root: Path, model: str | None, args: Mapping[str, Any]) -> _Built | None:
    """What was typed, if anything was."""
    if model is None:
        return None
    lines = [f"model = {_toml(_from(root, model) if is_code(model) else model)}"]
    return _Built((*lines, f"args = {_toml(dict(args))}") if args else (*lines,), True)


def _head(root: Path, run: bool, called: str, paths: list[Path]) -> list[str]:
    files = [os.path.relpath(path, root) for path in paths]
    if run:
        return [f"[series.{_toml(called)}]", f"files = {_toml(_patterns(root, files))}"]
    return [f"[checkpoints.{_toml(called)}]", f"file = {_toml(files[0])}"]


def _declarations(task: "_Data | None", many: int) -> list[str]:
    """Lines that only the owner of the checkpoints can complete."""
    lines = [f"# selected_among = {{holdout = {many}}}  # if one was chosen by comparing as many"]
    if task is not None and task.rows is None:  # a function, which returns each role by itself
        return lines
    return [f"# roles = {_example(task)}  # needed: what rows were used for", *lines]


def _reads(paths: list[Path]) -> tuple[_Built, str]:
    """What builds the first of some checkpoints that can be read, or why none of them can be."""
    from ncbounds.checkpoints.architectures.build import named_in_file, registered_models
    from ncbounds.checkpoints.architectures.guess import guess_architecture
    from ncbounds.checkpoints.read import load_checkpoint

    problem = ""
    for path in paths:
        try:
            os.fsencode(path).decode("utf-8")
            checkpoint = load_checkpoint(path)
        except UnicodeDecodeError:
            problem = problem or "its name is no text"
        except NcboundsError as error:
            problem = problem or f"{type(error).__name__}: {error}"
        else:
            name = named_in_file(checkpoint)
            if checkpoint.format == "transformers folder":
                return _Built(("# model: its config.json says it",), True), ""
            if name in registered_models():
                return _Built((f"# model = {_toml(name)}  # as the file says",), True), ""
            looks = printable(guess_architecture(checkpoint.tensors))
            line = f'# model = "net.py:build"  # needed; the file has {looks}'
            return _Built((line,), False), ""
    return _Built((), False), problem


def _task(found: _Data | None, sampling: str | None) -> list[str]:
    drawn = "iid" if sampling is None else sampling
    if found is None:
        lines = ["[tasks.data]", '# data = "data.npz"  # needed: a file, or "data.py:function"']
    else:
        lines = [f"[tasks.{_toml(found.name)}]", f"data = {_toml(found.source)}{found.says}"]
    return [
        *lines,
        f"{'# ' * (sampling is None)}sampling = {_toml(drawn)}"
        + "  # if the points were drawn independently" * (sampling is None),
        '# priors = "balanced"  # or the probability of each class, if it is known',
    ]


def _found_data(root: Path, checkpoints: Any) -> Iterator[_Data]:
    """Arrays with labels in the folder and those right in it; what is a checkpoint is none."""
    for path in sorted([*root.glob("*.npz"), *root.glob("*/*.npz")]):
        try:
            if path in checkpoints:
                continue
            arrays = load_npz(path, ("labels",))
        except NcboundsError:
            continue
        if not {"inputs", "images"}.isdisjoint(arrays) and arrays["labels"].ndim == 1:
            rows = len(arrays["labels"])
            yield _Data(path.stem, os.path.relpath(path, root), rows, f"  # {rows} rows")
    for place in (root, *sorted(p for p in root.iterdir() if p.is_dir())):
        if any((place / f"{_IDX}{end}").is_file() for end in ("", ".gz")):
            yield _Data("images", os.path.relpath(place, root), 70_000, "  # 70000 rows, pooled")


def _typed_data(root: Path, data: str) -> _Data:
    path = Path(data).expanduser()
    if is_code(data) and not path.exists():
        return _Data("data", _from(root, data), None, "")
    if not path.exists():
        raise DataError(f"no data at {path}; needed a file, a folder or FILE.py:FUNCTION")
    if path.suffix != ".npz":
        return _Data("data", _from(root, data), 100, "")
    rows = len(load_npz(path, ("labels",))["labels"])
    return _Data(path.stem, _from(root, data), rows, f"  # {rows} rows")


def _from(root: Path, typed: str) -> str:
    """What was typed, with a file's path as it is from the manifest's folder."""
    if is_code(typed) and not Path(typed).exists():
        found = locate(typed)
        return typed if found.path is None else f"{os.path.relpath(found.path, root)}:{found.name}"
    path = Path(typed).expanduser()
    return os.path.relpath(path.resolve(), root)


def _patterns(root: Path, paths: list[str]) -> str | list[str]:
    """One pattern for the numbered files of a run, if it matches no others; else their names."""
    numbered = [p for p in paths if p in named_steps(paths)]
    parts = [re.split(r"(\d+)", p) for p in numbered]
    if len({len(p) for p in parts}) != 1:
        return paths
    pattern = "".join(each[0] if len({*each}) == 1 else "*" for each in zip(*parts, strict=True))
    matched = {os.path.relpath(p, root) for p in root.glob(pattern)}
    if matched != {*numbered} or re.search(r"[\[?]", pattern):
        return paths
    rest = [p for p in paths if p not in matched]
    return [pattern, *rest] if rest else pattern


def _example(task: _Data | None) -> str:
    rows = 100 if task is None or task.rows is None else task.rows
    spans = {r: f"{rows * a // 100}:{rows * b // 100}" for r, (a, b) in _SHARES.items()}
    return _toml(spans)


def _toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(k)} = {_toml(v)}' for k, v in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if value is None:
        raise ManifestError("a zoo.toml has no null: leave that argument out")
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name, re.ASCII) else _toml(name)
