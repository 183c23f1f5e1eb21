"""Reading data: idx files, npz files, label noise, and functions in a user's file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import DataError

PIXEL_MEAN = 0.286
"""Constant subtracted from pixels / 255: the published mean pixel of Fashion-MNIST.

Fixed a priori and never computed from the images at hand: a centre estimated from a sample would
be one more thing that the features know about it. (It was published for the official 60,000
training images, to three digits; no model or split here was chosen by it.)
"""


def standardise(images: NDArray[Any]) -> NDArray[np.float32]:
    """Network input of 8-bit grey images: ``pixel / 255 - PIXEL_MEAN`` as (n, 1, height, width).

    Floating-point arrays are taken as standardised already and returned as float32 in their shape.

    Raises
    ------
    DataError
        If the array is neither floating point nor uint8 of shape (n, height, width).
    """
    if np.issubdtype(images.dtype, np.floating):
        return images.astype(np.float32)
    if images.dtype != np.uint8 or images.ndim != 3:
        raise DataError(
            f"images have type {images.dtype} and shape {images.shape}, needed uint8 of shape "
            "(n, height, width), or floating-point inputs that are standardised already"
        )
    return images[:, None].astype(np.float32) / np.float32(255) - np.float32(PIXEL_MEAN)


def as_images(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images as (n, channels, height, width).

    Raises
    ------
    DataError
        If they are not 8-bit images.
    """
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise DataError(
            f"found an array of {images.dtype} and shape {images.shape}; compressed networks read "
            "uint8 images of shape (n, height, width) or (n, channels, height, width)"
        )
    return images[:, None] if images.ndim == 3 else images
