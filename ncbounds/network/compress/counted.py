"""What a code word's network predicts on the samples of an evidence: all that bounds read of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import InvalidSample

from .codeword import decode
from .integers import as_images, predictions


@dataclass(frozen=True, eq=False)
class Compressed:
    """A decoded code word, counted out.

    Attributes
    ----------
    bits : int
        Length of the byte string that was decoded.
    predictions : dict from role to int64 array
        Predicted class of every row, -1 where the network cannot decide.
    tried : int
        Decoded networks that are, or could have been, compared on the unlabelled sample.
    sha256 : str
    """

    bits: int
    predictions: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    tried: int = 1
    sha256: str = ""

    def __post_init__(self) -> None:
        if self.bits < 1 or self.tried < 1:
            raise InvalidSample(f"found {self.bits} bits and {self.tried} tried; both are >= 1")


def counted(
    data: bytes, images: Mapping[str, NDArray[np.uint8]], classes: int, *, tried: int = 1
) -> Compressed:
    """Decode ``data`` and predict the images of every role.

    Parameters
    ----------
    data : bytes
    images : dict from role to uint8 array (n, height, width) or (n, channels, height, width)
        All rows of each sample, in its order.
    classes : int
    tried : int
        See :class:`Compressed`.

    Raises
    ------
    CodeWordError
        If ``data`` is not a code word.
    """
    shapes = {as_images(x).shape[1:] for x in images.values()}
    if len(shapes) != 1:
        raise InvalidSample(f"found images of shapes {sorted(shapes)}; needed samples of one shape")
    shape: Any = shapes.pop()
    network = decode(data, shape, classes)
    return Compressed(
        bits=8 * len(data),
        predictions={role: predictions(network, x) for role, x in images.items()},
        tried=tried,
        sha256=hashlib.sha256(data).hexdigest(),
    )
