"""From a task of a manifest to arrays."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Bools, Ints
from ncbounds.data.batched import LABELS
from ncbounds.data.fashion_mnist import fashion_mnist, install_hint
from ncbounds.data.fields import ONE_LABEL
from ncbounds.data.given import UserData
from ncbounds.data.images import as_images, standardise
from ncbounds.data.manifest import Task, entry_rows, load_manifest, row_ids
from ncbounds.data.noise import long_tail, noisy_labels
from ncbounds.data.npz import load_npz
from ncbounds.data.side_by_side import side_by_side
from ncbounds.data.tables import INPUTS, named, read_table
from ncbounds.data.user import is_code, user_data
from ncbounds.errors import DataError
from ncbounds.evidence.indicators import indicators_of
from ncbounds.evidence.roles import check_role
from ncbounds.files import Stamp, stamp


class Arrays(NamedTuple):
    """Data of a task, before it is split into roles.

    ``inputs`` (N, ...) float32 or integer tokens; ``labels`` (N,) with the task's noise, or
    boolean (N, L), which of several labels each row has;
    ``groups`` (N,) or None; ``classes`` the number of classes that labels are drawn from;
    ``images`` (N, height, width) the 8-bit images that inputs were made of, or None; ``kept`` (N,)
    the rows that are left of a long tail, or None for all.
    """

    inputs: NDArray[Any]
    labels: NDArray[Any]
    groups: Ints | None
    classes: int
    images: NDArray[np.uint8] | None
    kept: NDArray[np.bool_] | None = None


def task_arrays(task: Task) -> Arrays:
    """Inputs and noisy labels of a task, kept for the next checkpoint on the same data.

    An ``.npz`` file holds ``labels`` and either ``images`` (uint8, standardised by fixed
    constants) or ``inputs`` (taken as they are), and optionally ``groups``; a ``.csv`` or
    ``.parquet`` file a column of labels and inputs in all others; a folder holds the four idx files
    of Fashion-MNIST, which are pooled and permuted.

    Raises
    ------
    DataError
        If the data cannot be read.
    """
    assert isinstance(task.data, Path)
    if not task.data.exists():
        raise DataError(f"task {task.name}: no data at {task.data}{install_hint(task.data)}")
    at = (task.data, stamp(task.data))
    if task.pairs:
        pictures, found = _pairs(*at, task.pairs, task.noise_seed)
        return Arrays(pictures, found, None, found.shape[1], None)
    inputs, labels, groups, images = _read(*at)
    if labels.ndim == 2:
        for field, usual in ONE_LABEL.items():
            if getattr(task, field) != usual:
                raise DataError(
                    f"task {task.name}: {field} is about rows of one label each, and labels of "
                    f"{task.data.name} have shape {labels.shape}; leave it out"
                )
        return Arrays(inputs, labels, groups, labels.shape[1], images)
    ignored = labels == task.ignore_label
    classes = int(labels[~ignored].max(initial=-1)) + 1
    noisy = noisy_labels(labels, task.label_noise, task.noise_seed, classes)
    noisy[ignored] = labels[ignored]
    kept = None
    if task.imbalance > 1:
        kept = long_tail(noisy, task.imbalance, task.noise_seed, classes) | ignored
    return Arrays(inputs, noisy, groups, classes, images, kept)


@lru_cache(maxsize=2)
def _read(
    path: Path, at: Stamp
) -> tuple[NDArray[Any], NDArray[Any], Ints | None, NDArray[np.uint8] | None]:
    if path.is_dir():
        pool, labels = fashion_mnist(path)[:2]
        return standardise(pool), labels.astype(np.int64), None, pool
    arrays = read_table(path)
    raw = None if "inputs" in arrays else arrays.get("images")
    if raw is not None:
        inputs = standardise(raw)
    else:
        inputs = named(arrays, ("inputs",) if "inputs" in arrays else INPUTS, "inputs", path)
    # floating-point images are standardised already
    images = raw if raw is not None and raw.dtype == np.uint8 else None
    labels = named(arrays, LABELS, "labels", path)
    if labels.ndim == 2 and len(inputs) == len(labels) and labels.shape[1] > 1:
        return inputs, indicators_of(labels, len(labels), None), arrays.get("groups"), images
    if labels.ndim != 1 or labels.dtype.kind not in "iub" or not len(labels):
        raise DataError(
            f"{path}: labels are class numbers 0, 1, ..., or 0 and 1 for each of several, (n, L); "
            f"found {labels.dtype} of shape {labels.shape}"
        )
    if inputs.ndim == 0 or len(inputs) != len(labels):
        raise DataError(f"{path}: inputs of shape {inputs.shape} and {len(labels)} labels")
    return inputs, labels.astype(np.int64), arrays.get("groups"), images


@lru_cache(maxsize=1)
def _pairs(path: Path, at: Stamp, share: float, seed: int) -> tuple[NDArray[Any], Bools]:
    """Pictures of two images as inputs, and the classes in them."""
    _, labels, _, images = _read(path, at)
    if images is None:
        raise DataError(f"{path} holds no 8-bit images, which pairs are made of")
    found = side_by_side(images, labels, share, seed, int(labels.max()) + 1)
    return standardise(found.images), found.indicators


def class_priors(task: Task, classes: int) -> Any:
    """Class probabilities of the task's labels, its noise included."""
    if isinstance(task.priors, list) and task.label_noise > 0:
        # redrawing labels uniformly mixes the prior with the uniform one
        z = task.label_noise
        return [(1 - z) * p + z / classes for p in task.priors]
    return task.priors


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
    if is_code(spec):
        found = user_data(spec)
        if not isinstance(found, Mapping) or not found:
            raise DataError(f"{spec} returned {type(found).__name__}; needed {{role: (images, y)}}")
        return {check_role(role): _pair(*pair) for role, pair in found.items()}
    path = Path(spec).expanduser()
    if path.is_dir():
        from ncbounds.data.fashion_mnist import fashion28

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
    none that names it beside a file of data.

    Raises
    ------
    ManifestError
        If the manifest is not one.
    DataError
        If the data cannot be read or are not 8-bit images.
    """
    for folder in path.resolve().parents[:2]:
        if not (folder / "zoo.toml").exists():
            continue
        book = load_manifest(folder)
        for entry in book.checkpoints.values():
            if entry.code_word != path.resolve():
                continue
            if isinstance(book.tasks[entry.task].data, UserData):
                return None
            found = task_arrays(book.tasks[entry.task])
            if found.images is None:
                raise DataError(f"task {entry.task} has no 8-bit images, which a code word reads")
            rows = entry_rows(entry, found.labels, found.kept)
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
