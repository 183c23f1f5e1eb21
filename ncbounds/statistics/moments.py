"""Moments, logits and norms of a sample in one pass over its stored features."""

from dataclasses import dataclass

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.errors import InvalidSample
from ncbounds.statistics.class_moments import ClassMoments, as_directions
from ncbounds.statistics.rows import as_rows, block_rows, checked_labels
from ncbounds.statistics.shifted_sums import ShiftedSums

__all__ = ["ClassMoments", "FeaturePass", "class_moments", "feature_pass"]


@dataclass(frozen=True, eq=False)
class FeaturePass:
    """What one pass over the features gives.

    Attributes
    ----------
    moments : ClassMoments
    logits : array of shape (n, C) or None
        Float64 logits of the head, if one was given.
    norms : array of shape (n,) or None
        Euclidean norms of the rows, if they were asked for.
    """

    moments: ClassMoments
    logits: Floats | None
    norms: Floats | None


def class_moments(
    features: object,
    labels: object,
    classes: int,
    *,
    directions: object | None = None,
    block: int | None = None,
) -> ClassMoments:
    """Moments of labelled rows, in one pass over blocks of a memory map, array or tensor.

    Parameters
    ----------
    features : array-like of shape (n, d)
        Any float type, see :func:`ncbounds.statistics.rows.as_rows`; never written to.
    labels : integer array of shape (n,), in 0..classes-1
    classes : int
        Number of classes C; classes without rows stay empty.
    directions : array-like of shape (k, d), optional
        Also sum the squares along these directions, per class.
    block : int, optional
        Rows per block. Memory beyond the store is O(C d + d^2) by default.

    Returns
    -------
    ClassMoments

    Raises
    ------
    InvalidSample
        If shapes do not fit, a label is out of range or a feature is not finite.
    """
    return feature_pass(features, labels, classes, directions=directions, block=block).moments


def feature_pass(
    features: object,
    labels: object,
    classes: int,
    *,
    affine: tuple[Floats, Floats] | None = None,
    norms: bool = False,
    directions: object | None = None,
    block: int | None = None,
) -> FeaturePass:
    """Moments and, on request, logits and row norms, reading the features once.

    ``affine`` is a head's weight (C, d) and bias (C,); the other parameters and errors are those
    of :func:`class_moments`.
    """
    rows = as_rows(features)
    n, dim = rows.shape
    y = checked_labels(labels, n, classes)
    if affine is not None and affine[0].shape[1] != dim:
        raise InvalidSample(f"the head takes {affine[0].shape[1]} features, the rows have {dim}")
    size = block_rows(dim) if block is None else block
    if size < 1:
        raise InvalidSample(f"block counts rows and is at least 1, found {block}")
    sums = ShiftedSums(classes, dim, as_directions(directions, dim))
    logits = None if affine is None else np.empty((n, len(affine[0])))
    lengths = np.empty(n) if norms else None
    buffer = np.empty((min(size, max(n, 1)), dim))
    for i in range(0, n, size):
        part = rows.read(i, min(i + size, n), buffer)
        if affine is not None and logits is not None:
            with np.errstate(invalid="ignore", over="ignore"):
                np.matmul(part, affine[0].T, out=logits[i : i + size])
            logits[i : i + size] += affine[1]
        if lengths is not None:
            with np.errstate(over="ignore"):
                np.einsum("ij,ij->i", part, part, out=lengths[i : i + size])
        sums.add(part, y[i : i + size])
    moments = ClassMoments.from_sums(sums)
    return FeaturePass(moments, logits, None if lengths is None else np.sqrt(lengths, out=lengths))
