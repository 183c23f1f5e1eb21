"""The last affine map of a classifier, in float64, or that none is known."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ncbounds.arrays import Floats, Ints, numbers
from ncbounds.errors import InvalidSample
from ncbounds.numerics.scaling import divided, exponent
from ncbounds.statistics.rows import as_rows, block_rows, blocks_of


@dataclass(frozen=True, eq=False, repr=False)
class LinearHead:
    """Head ``logits = features @ weight.T + bias``.

    Parameters
    ----------
    weight : array of shape (C, d)
    bias : array of shape (C,) or None
        ``None`` stands for zeros of an architecture that has a bias term or none; see ``has_bias``.
    has_bias : bool
        False only if the *architecture* has no bias (known before any data), not if the bias
        happens to be zero: bounds then drop the constant coordinate.

    Raises
    ------
    InvalidSample
        If the shapes do not fit.
    """

    weight: Floats
    bias: Floats
    has_bias: bool

    def __init__(
        self, weight: object, bias: object | None = None, *, has_bias: bool = True
    ) -> None:
        w = np.array(numbers(weight, "weight"), dtype=np.float64)
        if w.ndim != 2 or w.shape[0] < 2:
            raise InvalidSample(f"a head's weight needs shape (C, d) with C >= 2, found {w.shape}")
        b = np.zeros(len(w)) if bias is None else np.array(numbers(bias, "bias"), dtype=np.float64)
        if b.shape != (len(w),):
            raise InvalidSample(
                f"a head with weight {w.shape} needs a bias of shape ({len(w)},), found {b.shape}"
            )
        if not has_bias and b.any():
            raise InvalidSample("has_bias=False was declared, but the bias is not zero")
        w.setflags(write=False)
        b.setflags(write=False)
        object.__setattr__(self, "weight", w)
        object.__setattr__(self, "bias", b)
        object.__setattr__(self, "has_bias", has_bias)

    def __repr__(self) -> str:
        """Say its shape: ``LinearHead(10 classes, 512 features, with bias)``."""
        bias = "with" if self.has_bias else "without"
        return f"LinearHead({self.classes} classes, {self.dim} features, {bias} bias)"

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return len(self.weight)

    @property
    def dim(self) -> int:
        """Feature dimension d."""
        return int(self.weight.shape[1])

    @cached_property
    def power(self) -> int:
        """Binary exponent of the largest weight or bias; 0 if it is within +-400."""
        return exponent(np.append(self.weight, self.bias))

    @cached_property
    def scaled(self) -> "LinearHead":
        """The same classifier at an ordinary scale: divided by ``2**power``, which is exact."""
        if self.power == 0:
            return self
        parts = (divided(part, self.power) for part in (self.weight, self.bias))
        return LinearHead(*parts, has_bias=self.has_bias)

    def logits(self, features: object) -> Floats:
        """Float64 logits of shape (n, C) of ``features`` of shape (n, d)."""
        rows = as_rows(features)
        out = np.empty((rows.shape[0], self.classes))
        buffer = np.empty((min(block_rows(self.dim), rows.shape[0]), rows.shape[1]))
        for part in blocks_of(*rows.shape):
            np.matmul(rows.read(part.start, part.stop, buffer), self.weight.T, out=out[part])
            out[part] += self.bias
        return out


@dataclass(frozen=True)
class NoHead:
    """In place of a head, where only predictions, or only losses, are known.

    Attributes
    ----------
    classes : int
        Number of classes C that are predicted; 0 where not even labels are known.
    why : str
        Why no head is known, as one clause; what needs a head says so with it.
    counted : bool
        Whether C is what was counted among labels and predictions, so that the law may have more.
    predicts : bool
        Whether predictions are known; if not, losses are all that is.
    """

    classes: int
    why: str
    counted: bool = False
    predicts: bool = True


#: How a classifier is known: by its last affine map, or by what it predicts alone.
Head = LinearHead | NoHead


def margins(logits: Floats, labels: Ints) -> Floats:
    """Margins ``s_y - max_{j != y} s_j`` of shape (n,); ``-inf`` for a non-finite logit.

    A point is an error iff its margin is <= 0: an exact tie is an error, and so is a label that
    the head has no output for. These are margins of the numbers given; those of a head count as
    positive only beyond rounding, see :mod:`ncbounds.evidence.decided`.
    """
    n, classes = logits.shape
    known = (labels >= 0) & (labels < classes)
    rows = np.arange(n)
    safe = np.where(known, labels, 0)
    own = logits[rows, safe]
    rivals = logits.copy()
    rivals[rows, safe] = -np.inf
    with np.errstate(invalid="ignore", over="ignore"):
        result: Floats = own - rivals.max(axis=1)
    result[~known | ~np.isfinite(logits).all(axis=1)] = -np.inf
    return result
