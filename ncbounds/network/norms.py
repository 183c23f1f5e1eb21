"""Norms of one affine layer, never below the true ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from ncbounds.arrays import Floats
from ncbounds.network.affine import AffineLayer
from ncbounds.network.steps import INFLATION

#: Work (frequencies times the cube of the smaller side) above which the cheap bound is used.
WORK_LIMIT = 2e10


def operator_norm(layer: AffineLayer) -> float:
    """Upper bound of the l2 operator norm of the layer's linear part.

    The smaller of two bounds. First, the largest singular value, over the frequencies of a
    discrete Fourier transform, of the symbol of the convolution: a zero-padded convolution is a
    part of a circular one on a grid of the input's size plus the kernel's minus 1. A strided one is
    an ordinary one of the blocks of ``stride`` places, so the stride lowers the norm as it does in
    truth. Second, ``sqrt(reads)`` times the norm of the kernel as a matrix, see
    :attr:`AffineLayer.reads`. Both are exact for a linear layer.
    """
    flat = layer.weight.reshape(layer.groups, len(layer.weight) // layer.groups, -1)
    patchwise = float(np.sqrt(layer.reads)) * _largest_singular_value(flat)
    if layer.single:
        return patchwise * INFLATION
    blocks = _blocks(layer)
    sizes = [_covered_blocks(layer, a) + blocks.shape[3 + a] - 1 for a in (0, 1)]
    smaller = min(blocks.shape[1:3])
    if layer.groups * sizes[0] * sizes[1] * smaller**3 > WORK_LIMIT:
        return patchwise * INFLATION
    symbols = np.fft.rfft2(blocks, s=sizes, axes=(3, 4)).transpose(0, 3, 4, 1, 2)
    return min(patchwise, _largest_singular_value(symbols)) * INFLATION


def _largest_singular_value(matrices: NDArray[Any]) -> float:
    """Over a stack of matrices; through the smaller Gram matrix, relative error a few eps."""
    if not np.isfinite(matrices).all():
        return np.inf
    adjoint = matrices.conj().swapaxes(-1, -2)
    wide = matrices.shape[-2] <= matrices.shape[-1]
    gram = matrices @ adjoint if wide else adjoint @ matrices
    return float(np.sqrt(max(float(np.linalg.eigvalsh(gram)[..., -1].max()), 0.0)))


def _blocks(layer: AffineLayer) -> Floats:
    """Kernel of shape (groups, C_out/g, C_in/g * stride places, qh, qw) that acts on blocks."""
    c_out, c_in = layer.weight.shape[:2]
    (sh, sw), (rh, rw), (dh, dw) = layer.stride, layer.reach, layer.dilation
    qh, qw = -(-rh // sh), -(-rw // sw)
    spread = np.zeros((c_out, c_in, qh * sh, qw * sw))
    spread[:, :, :rh:dh, :rw:dw] = layer.weight
    split = spread.reshape(c_out, c_in, qh, sh, qw, sw).transpose(0, 1, 3, 5, 2, 4)
    return split.reshape(layer.groups, c_out // layer.groups, c_in * sh * sw, qh, qw)


def _covered_blocks(layer: AffineLayer, axis: int) -> int:
    """Blocks of ``stride`` places that the input touches, behind its padding."""
    first, step = layer.padding[axis][0], layer.stride[axis]
    return (first + layer.in_shape[1 + axis] - 1) // step - first // step + 1


def dense_matrix(layer: AffineLayer) -> Floats:
    """Linear part as a matrix (outputs, inputs); for small layers."""
    size = int(np.prod(layer.in_shape))
    basis = np.eye(size).reshape(size, *layer.in_shape)
    columns = layer(basis) - layer(np.zeros_like(basis[:1]))
    dense: Floats = columns.reshape(size, -1).T
    return dense


def frobenius_norm(layer: AffineLayer, bias: bool = False) -> float:
    """Frobenius norm of the linear part as a matrix; with ``bias`` its column, P times, is in it.

    Exact: a kernel place counts once for every output position where it falls inside the input.
    """
    inside = [
        ((p >= 0) & (p < layer.in_shape[1 + a])).sum(axis=0)
        for a in (0, 1)
        for p in [layer.read_places(a)]
    ]
    total = float(np.einsum("oiyx,y,x->", layer.weight**2, *inside))
    if bias and layer.bias is not None:
        total += layer.positions * float(layer.bias @ layer.bias)
    return float(np.sqrt(total)) * INFLATION


def kernel_21_norm(kernel: Floats) -> float:
    """Sum over output channels and kernel places of l2 norms over input channels.

    For a linear layer: the sum over its outputs of the l2 norms of their incoming weights.
    """
    return float(np.sqrt((kernel**2).sum(axis=1)).sum()) * INFLATION


def augmented_matrix(weight: Floats, bias: Floats | None, groups: int, last: bool) -> Floats:
    """``[[A, b], [0, 1]]`` of a map of one position, or ``[A, b]`` for the last one.

    ``weight`` has shape (C_out, C_in / groups, 1, 1).
    """
    blocks = np.split(weight[:, :, 0, 0], groups)
    a = linalg.block_diag(*blocks) if groups > 1 else blocks[0]
    top = np.column_stack([a, np.zeros(len(a)) if bias is None else bias])
    return top if last else np.vstack([top, np.r_[np.zeros(a.shape[1]), 1.0]])


def matrix_norm(matrix: Floats) -> float:
    """Upper bound of the operator norm of a matrix."""
    return _largest_singular_value(matrix) * INFLATION
