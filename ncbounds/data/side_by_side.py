"""Two images of a file in one picture: several labels, and no image in two rows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Bools, Ints
from ncbounds.errors import DataError


class Pictures(NamedTuple):
    """Pictures (m, height, 2 width) of 8 bits with the classes in them, boolean (m, C)."""

    images: NDArray[np.uint8]
    indicators: Bools


def side_by_side(
    images: NDArray[np.uint8], labels: Ints, pairs: float, seed: int, classes: int
) -> Pictures:
    """Set the images 2i and 2i + 1 beside each other as row i, or one of the two alone.

    A row keeps both images with probability ``pairs``, else the left or the right one, as likely,
    beside black; two images of one class are one label. Each image stands in one row at most, so
    that rows of independent images are independent, and samples of other rows share no image. To
    be applied to the whole array of a task, as label noise is.

    Parameters
    ----------
    images : uint8 array of shape (n, height, width)
        Of an odd number the last one is left out.
    labels : integer array of shape (n,)
        From 0 to ``classes`` - 1.
    pairs : float
        In (0, 1].
    seed : int
    classes : int

    Raises
    ------
    DataError
        If these are no 8-bit grey images with a class each, or fewer than two.
    """
    if images.dtype != np.uint8 or images.ndim != 3 or len(images) < 2:
        raise DataError(
            f"pairs are made of two or more uint8 images of shape (n, height, width), found "
            f"{images.dtype} of shape {images.shape}"
        )
    if labels.shape != images.shape[:1] or labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"pairs need a class from 0 to {classes - 1} for each image")
    m = len(images) // 2
    rng = np.random.RandomState([seed, 2])
    alone = rng.random_sample(m) >= pairs
    empty = np.where(alone, rng.randint(0, 2, m), -1)  # the side that is left black
    there = empty[:, None] != np.arange(2)
    halves = images[: 2 * m].reshape(m, 2, *images.shape[1:]) * there[:, :, None, None]
    indicators = np.zeros((m, classes), dtype=np.bool_)
    which = labels[: 2 * m].reshape(m, 2)
    for side in range(2):
        indicators[there[:, side], which[there[:, side], side]] = True
    return Pictures(np.concatenate((halves[:, 0], halves[:, 1]), axis=2), indicators)
