"""Values that say why they are missing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats
from ncbounds.statistics.class_moments import ClassMoments
from ncbounds.statistics.crossfit import names


@dataclass(frozen=True)
class Metric:
    """One number, nan where it is undefined, with everything a reader has to know about it.

    Attributes
    ----------
    value : float
    reasons : tuple of str
        Why the value is nan, and what was left out of it.
    """

    value: float
    reasons: tuple[str, ...] = ()

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True, eq=False)
class PairTable:
    """One number per ordered pair of classes.

    Attributes
    ----------
    values : array of shape (C, C)
        Entry (i, j) is that of class i against rival j; nan on the diagonal and where undefined.
    used : bool array of shape (C,)
        Classes that have enough points; the others are left out of the mean and named.
    reasons : tuple of str
    """

    values: Floats
    used: NDArray[np.bool_]
    reasons: tuple[str, ...] = ()

    @property
    def mean(self) -> Metric:
        """Average over the ordered pairs of used classes; nan if one of them is undefined."""
        pairs = np.outer(self.used, self.used) & ~np.eye(len(self.used), dtype=bool)
        if not pairs.any():
            return Metric(float("nan"), (*self.reasons, "needs two classes with points"))
        return Metric(float(self.values[pairs].mean()), self.reasons)


def left_out(moments: ClassMoments, least: int = 1) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Which classes have at least ``least`` points, and a sentence naming the others."""
    used = moments.count >= least
    if used.all():
        return used, ()
    return used, (f"classes with fewer than {least} points left out: {names(~used)}",)


def ratio(top: Floats, dist2: Floats, used: NDArray[np.bool_]) -> tuple[Floats, tuple[str, ...]]:
    """``top / dist2``, nan and reported where the squared distance is not positive."""
    pairs = np.outer(used, used) & ~np.eye(len(used), dtype=bool)
    apart = pairs & (dist2 > 0)
    values = np.full(dist2.shape, np.nan)
    values[apart] = top[apart] / dist2[apart]
    lost = pairs & ~apart
    if not lost.any():
        return values, ()
    i, j = np.argwhere(lost)[0]
    return values, (
        f"not separated: {int(lost.sum())} of {int(pairs.sum())} ordered pairs of classes have a "
        f"squared distance <= 0, first ({i}, {j})",
    )
