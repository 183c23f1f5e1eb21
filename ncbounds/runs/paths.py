"""Which checkpoints the paths stand for that a person typed, and what they are called."""

import os
from collections.abc import Iterable, Sequence
from glob import glob, has_magic
from pathlib import Path

from ncbounds.data.manifest import Manifest, load_manifest
from ncbounds.data.series import natural
from ncbounds.errors import DataError, ManifestError

#: Files whose folder is one checkpoint, beside the indexes of shards.
ONE = ("config.json", "adapter_config.json", ".metadata")
#: Endings of files that a folder is searched for.
SUFFIXES = (".pt", ".pth", ".ckpt", ".safetensors", ".bin", ".tar")


def find_checkpoints(paths: Iterable["str | Path"]) -> dict[str, Path]:
    """Return all checkpoints that files, folders and patterns stand for, by name, in order.

    A folder with ``config.json``, of an adapter, of pieces, or with an index of shards, is one
    checkpoint; any other is searched, with its folders, for files of known endings. A name is the
    path from the folder that was typed, or from the one that all paths have in common: no two are
    the same.

    Raises
    ------
    DataError
        If a path does not exist, or nothing is found.
    """
    typed = [Path(p).expanduser() for p in paths]
    found: list[Path] = []
    bases: list[Path] = []
    for path in typed:
        pattern = not path.exists() and has_magic(str(path))
        matches = _sorted(map(Path, glob(str(path), recursive=True))) if pattern else [path]
        if not matches or not all(os.path.lexists(p) for p in matches):
            raise DataError(f"{path} {'matches nothing' if pattern else 'does not exist'}")
        bases.append(_base(path))
        for match in matches:
            found += [match] if _is_one(match) else _walk(match)
    files = list(dict.fromkeys(Path(os.path.abspath(p)) for p in found))
    if not files:
        raise DataError(
            f"no checkpoint in {', '.join(map(str, typed))}; files end in {', '.join(SUFFIXES)}"
        )
    base = Path(os.path.commonpath([os.path.abspath(b) for b in bases]))
    # bytes that are no text are written as such, so that every name can be printed
    names = [os.fsencode(f.relative_to(base)).decode("utf-8", "backslashreplace") for f in files]
    return dict(zip(names, files))


def _base(path: Path) -> Path:
    """The folder that names start from: what was typed, up to its first pattern."""
    if path.is_dir() and not _is_one(path):
        return path
    fixed = path.parent
    while has_magic(str(fixed)) and not fixed.exists():
        fixed = fixed.parent
    return fixed


def _is_one(path: Path) -> bool:
    if not path.is_dir():
        return True
    from ncbounds.checkpoints.formats.folder import INDEXES  # it imports torch

    return any((path / n).is_file() for n in (*ONE, *INDEXES))


def _sorted(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: natural(str(path)))


def _walk(folder: Path) -> list[Path]:
    """Checkpoints in a folder; what is hidden, or was written by a run, is passed over."""
    if (folder / "run.json").is_file() and (folder / "results").is_dir():
        return []
    found = []
    for path in _sorted(folder.iterdir()):
        if path.name.startswith(".") or (path.is_symlink() and path.is_dir()):
            continue
        if path.is_dir():
            found += [path] if _is_one(path) else _walk(path)
        elif path.name.lower().endswith(SUFFIXES):
            found.append(path)
    return found


def is_zoo(path: Path) -> bool:
    """Whether a path is a manifest, or a folder with one."""
    return path.suffix == ".toml" or (path / "zoo.toml").is_file()


def described_by_zoo(paths: Iterable["str | Path"], manifest: "str | Path | None") -> bool:
    """Whether a zoo.toml was typed, or a folder with one."""
    return manifest is not None or any(is_zoo(Path(path)) for path in paths)


def select_files(
    paths: Sequence["str | Path"], manifest: "Path | None" = None
) -> tuple[Manifest, list[str] | None]:
    """Manifest and names that paths stand for where a manifest describes them.

    A folder with a ``zoo.toml``, or a manifest itself, stands for all its checkpoints, another
    folder for those in it; files stand for the entries of ``manifest`` (or of the ``zoo.toml``
    beside them) that name them.

    Raises
    ------
    ManifestError
        If a file is in no manifest, or several manifests are meant.
    """
    files = [Path(p) for p in paths]
    if manifest is None:
        if len(files) == 1 and is_zoo(files[0]):
            return load_manifest(files[0]), None
        if not files[0].exists():
            raise ManifestError(f"{files[0]} does not exist")
        manifest = files[0] if files[0].is_dir() else files[0].parent
    book = load_manifest(manifest)
    assert book.path is not None
    by_file = {entry.file: name for name, entry in book.checkpoints.items()}
    names = []
    for file in files:
        whole = file.resolve() == book.path.parent  # whose files may lie elsewhere
        inside = [n for at, n in by_file.items() if whole or file.resolve() in at.parents]
        if file.resolve() not in by_file and not inside:
            raise ManifestError(
                f"{file} is not in {book.path}; add a [checkpoints.NAME] table with file = "
                f"'{file.name}', or pass --data file.py:function"
            )
        names += [by_file[file.resolve()]] if file.resolve() in by_file else inside
    return book, names
