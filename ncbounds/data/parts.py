"""Folders whose parts are samples: files of arrays, images by class, ``datasets`` saved to disk."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ncbounds.data.tables import TABLES, inputs_and_labels
from ncbounds.data.user import user_object
from ncbounds.errors import DataError, few

#: What a picture's name ends with.
PICTURES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
#: A file that the library ``datasets`` writes beside its splits, or beside one alone.
SAVED_SPLITS, SAVED = "dataset_dict.json", "state.json"
#: Arrays of one sample, each in a file of its own.
INPUTS_FILE, LABELS_FILE = "inputs.npy", "labels.npy"

Parts = dict[str, "partial[Any]"]


@dataclass(frozen=True)
class Folder:
    """A folder of parts, and the name of a person's function that is applied to each row."""

    path: Path
    transform: str | None = None


def is_idx(path: Path) -> bool:
    """Whether a folder holds idx files, which are pooled and divided by row numbers."""
    return any(path.glob("*-ubyte")) or any(path.glob("*-ubyte.gz"))


def read_parts(folder: Folder) -> Parts:
    """Return what reads each part of a folder, by its name; a sample that has none is ``""``.

    Raises
    ------
    DataError
        If it is no such folder, or a library to read it is not installed.
    """
    path = folder.path
    if (path / SAVED_SPLITS).is_file() or (path / SAVED).is_file():
        return _saved(folder)
    folders = [p for p in sorted(path.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    files = [p for p in sorted(path.iterdir()) if p.suffix in TABLES]
    if _is_arrays(path):
        return {"": partial(_arrays, path)}
    if any(_pictures(p) for p in folders):
        return _images({"": path}, folder)
    if any(_is_classes(p) for p in folders):
        return _images({p.name: p for p in folders if _is_classes(p)}, folder)
    named = [(p.stem, partial(inputs_and_labels, p)) for p in files]
    named += [(p.name, partial(_arrays, p)) for p in folders if _is_arrays(p)]
    parts: Parts = dict(named)
    if not parts or len(parts) < len(named):
        raise DataError(
            f"{path} is no folder of data: needed are files or folders, each of another name, such "
            f"as holdout.npz, .csv or .parquet, holdout/{INPUTS_FILE} with holdout/{LABELS_FILE}, "
            f"holdout/CLASS/*.png, or what datasets saves to disk; found "
            f"{few(p.name for p in sorted(path.iterdir())) or 'nothing'}"
        )
    return parts


def _is_arrays(path: Path) -> bool:
    return (path / INPUTS_FILE).is_file() and (path / LABELS_FILE).is_file()


def _arrays(path: Path) -> Any:
    inputs, labels = (inputs_and_labels(path / name)[0] for name in (INPUTS_FILE, LABELS_FILE))
    return inputs, labels


def _pictures(path: Path) -> list[Path]:
    found = path.iterdir()
    return sorted(p for p in found if p.suffix.lower() in PICTURES and not p.name.startswith("."))


def _is_classes(path: Path) -> bool:
    return any(_pictures(p) for p in path.iterdir() if p.is_dir())


def _images(parts: dict[str, Path], folder: Folder) -> Parts:
    if folder.transform is None:
        raise DataError(
            f"{folder.path} holds images, and a network reads tensors: name what makes one of "
            "a PIL image, --transform FILE.py:FUNCTION (in Python transform='FILE.py:FUNCTION')"
        )
    # one numbering for all parts: a class without an image in one of them keeps its number
    by_part = {name: [p for p in path.iterdir() if p.is_dir()] for name, path in parts.items()}
    classes = sorted({c.name for found in by_part.values() for c in found if _pictures(c)})
    return {
        name: partial(ImageRows, path, tuple(classes), folder.transform)
        for name, path in parts.items()
    }


class ImageRows:
    """Images in folders of their class names as rows (transform(image), class number).

    Images are RGB, as for torchvision's ``ImageFolder``; classes are numbered in the order of
    ``classes``.
    """

    def __init__(self, path: Path, classes: tuple[str, ...], transform: str) -> None:
        try:
            from PIL import Image
        except ImportError:
            raise DataError(
                f"{path} holds images, which Pillow reads: pip install pillow"
            ) from None
        self.classes = classes
        self._open = Image.open
        self._transform = _function(transform)
        self._files = [(p, y) for y, c in enumerate(classes) for p in _class(path / c)]

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, i: int) -> tuple[Any, int]:
        path, y = self._files[i]
        try:
            with self._open(path) as image:
                rgb = image.convert("RGB")
        except (OSError, ValueError, SyntaxError) as error:  # PIL: not an image, or a damaged one
            raise DataError(f"{path} is no image that can be read: {error}") from error
        return self._transform(rgb), y


def _class(path: Path) -> list[Path]:
    return _pictures(path) if path.is_dir() else []


class Transformed:
    """Rows of a data set, each passed through a function; names of classes are the data set's."""

    def __init__(self, rows: Any, transform: str) -> None:
        self.dataset = rows
        self._transform = _function(transform)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> Any:
        return self._transform(self.dataset[i])


def _saved(folder: Folder) -> Parts:
    try:
        from datasets import load_from_disk
    except ImportError:
        raise DataError(
            f"{folder.path} was saved by the library datasets: pip install datasets, or save each "
            "part as npz or parquet"
        ) from None
    try:
        found = load_from_disk(str(folder.path))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder.path} cannot be read: {error}") from error
    splits = found if isinstance(found, dict) else {"": found}
    spec = folder.transform
    if spec is None:
        return {name: partial(_itself, rows) for name, rows in splits.items()}
    return {name: partial(Transformed, rows, spec) for name, rows in splits.items()}


def _itself(rows: Any) -> Any:
    return rows


def _function(spec: str) -> Callable[[Any], Any]:
    """A function of one row: what was named, or what that returns when it is called without any."""
    found = user_object(spec)
    found = found() if isinstance(found, type) else found
    try:
        inspect.signature(found).bind(None)
    except TypeError:
        found = found() if callable(found) else None
    except ValueError:  # written in C: nothing is known about its arguments
        pass
    if not callable(found):
        raise DataError(f"{spec} is no function of one image or row, and returns none")
    return found  # type: ignore[no-any-return]
