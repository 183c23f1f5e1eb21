"""Fashion-MNIST as installed on this machine, pooled and permuted."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.data.idx import read_idx
from ncbounds.errors import DataError

FASHION_MNIST_ENV = "NCBOUNDS_FASHION_MNIST"

FASHION_MNIST_FOLDER = Path("/usr/share/datasets/fashion-mnist")

HOW_TO_INSTALL = (
    f"`apt install dataset-fashion-mnist` on Debian, or {FASHION_MNIST_ENV}=FOLDER of the four idx "
    "files"
)

POOL_SEED = 0

FASHION28_ROLES = {"fit": "0:60000", "unlabelled": "60000:65000", "test": "65000:70000"}


def fashion_mnist(
    folder: str | os.PathLike[str] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int32]]:
    """All 70,000 Fashion-MNIST images, pooled and permuted with a fixed seed.

    The official test images are measurably harder than held-out training images, so the official
    split is not one sample drawn twice; after pooling, any split by rows is. The pool has 7,000
    images per class.

    Parameters
    ----------
    folder : path, optional
        Holds the four idx files, gzipped or not. Default: the environment variable
        ``NCBOUNDS_FASHION_MNIST``, else where Debian's ``dataset-fashion-mnist`` puts them.

    Returns
    -------
    images : uint8 array of shape (70000, 28, 28)
    labels : uint8 array of shape (70000,)
    rows : int32 array of shape (70000,)
        Row in the pool before the permutation: 60,000 training images, then 10,000 test images.

    Raises
    ------
    DataError
        If a file is missing or is not what it should be.
    """
    root = Path(folder or installed_folder())
    images = np.concatenate([_idx(root, f"{part}-images-idx3-ubyte") for part in ("train", "t10k")])
    labels = np.concatenate([_idx(root, f"{part}-labels-idx1-ubyte") for part in ("train", "t10k")])
    if images.shape != (70_000, 28, 28) or labels.shape != (70_000,):
        raise DataError(
            f"{root} holds images {images.shape} and labels {labels.shape}, "
            "needed (70000, 28, 28) and (70000,)"
        )
    rows = np.random.RandomState(POOL_SEED).permutation(len(images))
    return images[rows], labels[rows], rows.astype(np.int32)


def installed_folder() -> Path:
    """Folder of the idx files: the environment variable's, else the Debian package's."""
    return Path(os.environ.get(FASHION_MNIST_ENV) or FASHION_MNIST_FOLDER)


def install_hint(missing: str | os.PathLike[str] | None) -> str:
    """What to add to a message about a missing path: how to install the images, if it is theirs."""
    return f"; {HOW_TO_INSTALL}" if str(missing) == str(installed_folder()) else ""


def _idx(root: Path, name: str) -> NDArray[Any]:
    for path in (root / name, root / f"{name}.gz"):
        if path.exists():
            return read_idx(path)
    raise DataError(f"{root} has no {name} or {name}.gz; {HOW_TO_INSTALL}")


def fashion28(
    folder: str | os.PathLike[str] | None = None,
) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Images (n, 28, 28) and labels (n,) of each role; a data function for the command line.

    Raises
    ------
    DataError
        If the idx files are missing.
    """
    images, labels, _ = fashion_mnist(folder)
    slices = {
        role: slice(*(int(end) for end in text.split(":")))
        for role, text in FASHION28_ROLES.items()
    }
    return {role: (images[s], labels[s].astype(np.int64)) for role, s in slices.items()}
