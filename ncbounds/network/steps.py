"""What stands between two affine maps: activations, pools, flattening; none expands a distance.

Arrays are ``(n, c, h, w)``; a vector of d numbers is ``(n, d, 1, 1)``. Every step maps 0 to 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats

Shape = tuple[int, int, int]
Images = NDArray[np.floating]

#: A little more than what rounding can take off a norm computed in float64.
INFLATION = 1.0 + 1e-10


@dataclass(frozen=True)
class Activation:
    """An elementwise function of slope at most 1; ``amount`` is the slope of a leaky ReLU, ..."""

    name: str
    amount: float = 0.0

    @property
    def gain(self) -> float:
        """Lipschitz constant that is known beforehand."""
        return 1.0

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output, without the batch."""
        return shape

    def __call__(self, u: Images) -> Images:
        """Apply to a batch."""
        out: Images = _FUNCTIONS[self.name](u, self.amount)
        return out


_FUNCTIONS: dict[str, Callable[[Images, float], Images]] = {
    "relu": lambda u, _: np.maximum(u, 0),
    "leaky_relu": lambda u, a: np.where(u > 0, u, a * u),
    "abs": lambda u, _: np.abs(u),
    "tanh": lambda u, _: np.tanh(u),
    "elu": lambda u, a: np.where(u > 0, u, a * np.expm1(np.minimum(u, 0))),
}


@dataclass(frozen=True)
class Flatten:
    """All coordinates as channels of one position."""

    gain: float = 1.0

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output, without the batch."""
        return (math.prod(shape), 1, 1)

    def __call__(self, u: Images) -> Images:
        """Apply to a batch."""
        return u.reshape(len(u), -1, 1, 1)


@dataclass(frozen=True)
class MaxPool:
    """Maximum over disjoint windows; what padding adds is never the maximum."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    gain: float = 1.0

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output, without the batch."""
        c, h, w = shape
        k, s, p = self.kernel, self.stride, self.padding
        return (c, (h + 2 * p[0] - k[0]) // s[0] + 1, (w + 2 * p[1] - k[1]) // s[1] + 1)

    def __call__(self, u: Images) -> Images:
        """Apply to a batch."""
        (ph, pw), (sh, sw) = self.padding, self.stride
        padded = np.pad(u, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=-np.inf)
        _, h, w = self.shape(u.shape[1:])
        taps = [
            padded[:, :, i : i + sh * (h - 1) + 1 : sh, j : j + sw * (w - 1) + 1 : sw]
            for i in range(self.kernel[0])
            for j in range(self.kernel[1])
        ]
        largest: Images = np.maximum.reduce(taps)
        return largest


@dataclass(frozen=True, eq=False)
class AveragePool:
    """Averages along both axes: ``rows (h', h)`` and ``columns (w', w)`` times the image."""

    rows: Floats
    columns: Floats

    @property
    def gain(self) -> float:
        """Operator norm; at most 1."""
        sizes = [np.linalg.norm(a, 2) for a in (self.rows, self.columns)]
        return min(1.0, float(sizes[0] * sizes[1]) * INFLATION)

    def shape(self, shape: Shape) -> Shape:
        """Shape of the output, without the batch."""
        return (shape[0], len(self.rows), len(self.columns))

    def __call__(self, u: Images) -> Images:
        """Apply to a batch."""
        rows, columns = self.rows.astype(u.dtype), self.columns.astype(u.dtype)
        return np.asarray(rows @ (u @ columns.T))


Step = Activation | Flatten | MaxPool | AveragePool


def window_averages(length: int, kernel: int, stride: int, padding: int) -> Floats:
    """Matrix of averages over windows of ``kernel`` places; padding counts as zeros."""
    count = (length + 2 * padding - kernel) // stride + 1
    starts = np.arange(count) * stride - padding
    place = np.arange(length) - starts[:, None]
    inside: Floats = ((place >= 0) & (place < kernel)) / kernel
    return inside


def adaptive_averages(length: int, count: int) -> Floats:
    """Matrix of ``count`` averages over windows that together cover all ``length`` places."""
    starts = np.arange(count) * length // count
    ends = -(-(np.arange(1, count + 1) * length) // count)
    place = np.arange(length)
    inside = (place >= starts[:, None]) & (place < ends[:, None])
    averages: Floats = inside / (ends - starts)[:, None]
    return averages
