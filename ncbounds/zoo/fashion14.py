"""The task ``fashion14``: Fashion-MNIST pooled, permuted and reduced to 14x14 pixels of 8 bits.

``python -m ncbounds.zoo.fashion14 --idx FOLDER --out data/fashion14.npz`` makes the shipped file
again from the four idx files.
"""

import argparse
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.datasets import read_idx
from ncbounds.errors import DataError

FASHION_MNIST_ENV = "NCBOUNDS_FASHION_MNIST"
"""Environment variable: the folder of the four Fashion-MNIST idx files."""

FASHION_MNIST_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package ``dataset-fashion-mnist`` puts them."""

HOW_TO_INSTALL = (
    f"`apt install dataset-fashion-mnist` on Debian, or {FASHION_MNIST_ENV}=FOLDER of the four idx "
    "files"
)

POOL_SEED = 0
"""Seed of the one permutation of the 70,000 pooled images."""

FASHION14_ROWS = 26_000
FASHION14_ROLES = {
    "fit": "0:4000",
    "head": "4000:8000",
    "holdout": "8000:12000",
    "unlabelled": "12000:16000",
    "test": "16000:26000",
}
"""Rows of the task ``fashion14`` by role (half-open slices)."""


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


def fashion14(folder: str | os.PathLike[str] | None = None) -> dict[str, NDArray[Any]]:
    """Task ``fashion14``: the first 26,000 images of the permuted pool at 14x14.

    Returns
    -------
    dict
        ``images`` uint8 (26000, 14, 14), ``labels`` uint8 (26000,), ``rows`` int32 (26000,).
    """
    images, labels, rows = fashion_mnist(folder)
    used = slice(FASHION14_ROWS)
    return {"images": halve(images[used]), "labels": labels[used], "rows": rows[used]}


def halve(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return rounded means ``(sum + 2) // 4`` of 2x2 blocks of images (n, h, w), even sides."""
    n, height, width = images.shape
    blocks = images.reshape(n, height // 2, 2, width // 2, 2).sum(axis=(2, 4), dtype=np.uint16)
    rounded: NDArray[np.uint8] = ((blocks + 2) // 4).astype(np.uint8)
    return rounded


def digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Sha256 over names, types, shapes and values of ``arrays``, in order of their names."""
    sha = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        sha.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def main(arguments: list[str] | None = None) -> None:
    """Write the reduced data to an npz file."""
    parser = argparse.ArgumentParser(prog="python -m ncbounds.zoo.fashion14", description=__doc__)
    parser.add_argument("--idx", type=Path, help="folder of the four idx files, gzipped or not")
    parser.add_argument("--out", type=Path, default=Path("data/fashion14.npz"))
    options = parser.parse_args(arguments)
    arrays = fashion14(options.idx)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out, **arrays)  # type: ignore[arg-type]
    print(f"{options.out}: {options.out.stat().st_size} bytes, arrays' sha256 {digest(arrays)}")


if __name__ == "__main__":
    main()
