"""One affine layer of a chain, as arrays: a convolution, or a linear map as one on one position."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats
from ncbounds.network.steps import Images, Shape, Step

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class AffineLayer:
    """Convolution with zero padding, bias, and the steps after it.

    Attributes
    ----------
    name : str
        Of the module that it was read from.
    weight : array of shape (C_out, C_in / groups, kh, kw)
        In float64, with batch norm folded in.
    bias : array of shape (C_out,) or None
        None if the *architecture* has no bias.
    stride, dilation : pair of int
        Along height and width.
    padding : pair of pairs
        Zeros before and after, along height and width.
    groups : int
    in_shape : (C_in, h, w)
    steps : tuple of Step
        Activation, pools and flattening before the next affine map.
    """

    name: str
    weight: Floats
    bias: Floats | None
    stride: Pair
    padding: tuple[Pair, Pair]
    dilation: Pair
    groups: int
    in_shape: Shape
    steps: tuple[Step, ...] = ()

    @cached_property
    def out_shape(self) -> Shape:
        """Channels and positions of the output, before the steps."""
        sizes = [
            (self.in_shape[1 + a] + sum(self.padding[a]) - self.reach[a]) // self.stride[a] + 1
            for a in (0, 1)
        ]
        return (len(self.weight), sizes[0], sizes[1])

    @property
    def reach(self) -> Pair:
        """Places that the dilated kernel spans, along height and width."""
        kh, kw = self.weight.shape[2:]
        return (self.dilation[0] * (kh - 1) + 1, self.dilation[1] * (kw - 1) + 1)

    @property
    def positions(self) -> int:
        """Output positions P."""
        return self.out_shape[1] * self.out_shape[2]

    @property
    def parameters(self) -> int:
        """Number of weights and biases W."""
        return self.weight.size + (0 if self.bias is None else self.bias.size)

    @property
    def gain(self) -> float:
        """Lipschitz constant of the steps, fixed by the architecture; average pools make it small.

        It is 1 for activations and max pools.
        """
        return math.prod(step.gain for step in self.steps)

    @property
    def single(self) -> bool:
        """Whether it is a matrix acting on one position."""
        one = self.in_shape[1:] == self.weight.shape[2:] == (1, 1)
        return one and self.padding == ((0, 0), (0, 0))

    @cached_property
    def reads(self) -> int:
        """Largest number of times that one input place is read, over all output positions.

        ``||conv(K)||_op <= sqrt(reads) ||K||_F``: each output position is a product of the kernel,
        as a matrix, with a patch, and the patches' squared norms sum to at most ``reads`` times
        that of the input.
        """
        return int(self._taps_per_place(0).max() * self._taps_per_place(1).max())

    def _taps_per_place(self, axis: int) -> NDArray[np.int64]:
        """How many pairs (output position, kernel place) read each input place along an axis."""
        read = self.read_places(axis)
        inside = (read >= 0) & (read < self.in_shape[1 + axis])
        return np.bincount(read[inside], minlength=self.in_shape[1 + axis])

    def read_places(self, axis: int) -> NDArray[np.int64]:
        """Input places (outside ones too), shape (output positions, kernel places), of an axis."""
        out = np.arange(self.out_shape[1 + axis], dtype=np.int64) * self.stride[axis]
        taps = np.arange(self.weight.shape[2 + axis], dtype=np.int64) * self.dilation[axis]
        return out[:, None] + taps - self.padding[axis][0]

    def __call__(self, u: Images) -> Images:
        """Affine map of a batch (n, C_in, h, w), without the steps, in the batch's precision."""
        n, (c_out, h, w), g = len(u), self.out_shape, self.groups
        weight: Images = self.weight.astype(u.dtype, copy=False)
        out: Images
        if self.single and g == 1:
            out = (u[:, :, 0, 0] @ weight[:, :, 0, 0].T)[:, :, None, None]
        else:
            patches = self._patches(u)  # (g, n h w, C_in/g kh kw)
            kernel = weight.reshape(g, c_out // g, -1).transpose(0, 2, 1)
            out = (patches @ kernel).reshape(g, n, h, w, c_out // g)
            out = out.transpose(1, 0, 4, 2, 3).reshape(n, c_out, h, w)
        if self.bias is not None:
            out = out + self.bias.astype(u.dtype, copy=False)[:, None, None]
        return out

    def _patches(self, u: Images) -> NDArray[Any]:
        padded = np.pad(u, ((0, 0), (0, 0), *self.padding))
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.reach, axis=(2, 3))
        (sh, sw), (dh, dw) = self.stride, self.dilation
        taken = windows[:, :, ::sh, ::sw, ::dh, ::dw]
        n, c, h, w, kh, kw = taken.shape
        grouped = taken.reshape(n, self.groups, c // self.groups, h, w, kh, kw)
        ordered = grouped.transpose(1, 0, 3, 4, 2, 5, 6)
        return ordered.reshape(self.groups, n * h * w, -1)
