"""Images of a task by role, from what a person types after ``--data``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ncbounds.datasets import load_npz, user_data
from ncbounds.errors import DataError
from ncbounds.manifest import entry_rows, load_manifest, row_ids
from ncbounds.samples.roles import check_role

from .integers import as_images


class Images(NamedTuple):
    """8-bit images (n, channels, height, width) and labels (n,), None where there are none."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None


def task_images(spec: str, rows: str | None = None) -> dict[str, Images]:
    """Read the samples that ``spec`` names.

    Parameters
    ----------
    spec : str
        A folder of the four Fashion-MNIST idx files (task ``fashion28``), an ``.npz`` file with
        ``images`` and ``labels`` (all of it, or its ``rows``, is the sample ``fit``), or
        ``FILE.py:FUNCTION`` that returns ``{role: (images, labels)}``.
    rows : str, optional
        Half-open slice of the rows of an npz file, for example ``"0:4000"``.

    Raises
    ------
    DataError
        If the data cannot be read or are not 8-bit images.
    """
    if ".py:" in spec:
        found = user_data(spec)
        if not isinstance(found, Mapping) or not found:
            raise DataError(f"{spec} returned {type(found).__name__}; needed {{role: (images, y)}}")
        return {check_role(role): _pair(*pair) for role, pair in found.items()}
    path = Path(spec).expanduser()
    if path.is_dir():
        from ncbounds.zoo.fashion28 import fashion28

        return {role: _pair(x, y) for role, (x, y) in fashion28(path).items()}
    if path.suffix == ".npz":
        arrays = load_npz(path)
        chosen = slice(None) if rows is None else row_ids(rows, len(arrays["labels"]), "--rows")
        return {"fit": _pair(arrays["images"][chosen], arrays["labels"][chosen])}
    raise DataError(
        f"found {spec!r}; needed a folder of idx files, an npz file or FILE.py:FUNCTION"
    )


def listed_images(path: Path) -> tuple[dict[str, Images], int] | None:
    """Samples by role, and number of classes, of the checkpoint whose manifest names a code word.

    The manifest is a ``zoo.toml`` in the code word's folder or the one above. None if there is
    none that names it.

    Raises
    ------
    ManifestError
        If the manifest is not one.
    DataError
        If the data cannot be read or are not 8-bit images.
    """
    from ncbounds.loading import task_arrays

    for folder in path.resolve().parents[:2]:
        if not (folder / "zoo.toml").exists():
            continue
        book = load_manifest(folder)
        for entry in book.checkpoints.values():
            if entry.code_word != path.resolve():
                continue
            found = task_arrays(book.tasks[entry.task])
            if found.images is None:
                raise DataError(f"task {entry.task} has no 8-bit images, which a code word reads")
            rows = entry_rows(entry, found.labels)
            return {
                r: _pair(found.images[i], found.labels[i]) for r, i in rows.items()
            }, found.classes
    return None


def _pair(images: Any, labels: Any) -> Images:
    x = as_images(np.asarray(images))
    if labels is None:
        return Images(x, None)
    y = np.asarray(labels)
    if y.shape != (len(x),) or y.dtype.kind not in "iub":
        raise DataError(f"{len(x)} images need as many class numbers, found {y.dtype} {y.shape}")
    return Images(x, y.astype(np.int64))
