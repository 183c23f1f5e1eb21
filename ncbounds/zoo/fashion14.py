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

from ncbounds.data.fashion_mnist import fashion_mnist

"""Environment variable: the folder of the four Fashion-MNIST idx files."""

"""Where the Debian package ``dataset-fashion-mnist`` puts them."""


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
