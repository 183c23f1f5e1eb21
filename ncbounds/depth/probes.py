"""Linear probes of a place, from the moments of its fit rows alone: no row is held in memory."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidSample
from ncbounds.evidence.head import LinearHead
from ncbounds.procedures.linear import PENALTY, ncm_of_means, never_predicted
from ncbounds.statistics.class_moments import ClassMoments
from ncbounds.statistics.shifted_sums import ShiftedSums

#: Rows that are read at once.
BLOCK = 4096


def finite_moments(features: NDArray[Any], labels: Ints, classes: int) -> ClassMoments:
    """Moments of the rows with finite features and a label below ``classes``, block by block.

    Parameters
    ----------
    features : array of shape (n, d)
        Possibly memory-mapped.
    labels : integer array of shape (n,)
    classes : int
    """
    sums = ShiftedSums(classes, features.shape[1])
    for start in range(0, len(features), BLOCK):
        f = np.asarray(features[start : start + BLOCK], dtype=np.float64)
        y = labels[start : start + BLOCK]
        keep = np.isfinite(f).all(axis=1) & (y >= 0) & (y < classes)
        if keep.any():
            sums.add(f[keep], y[keep])
    return ClassMoments.from_sums(sums)


def ncm_of_moments(moments: ClassMoments) -> LinearHead:
    """Nearest class mean; :func:`ncbounds.procedures.linear.ncm` of the same rows.

    Raises
    ------
    InvalidSample
        If there is no row.
    """
    present = _present(moments)
    return ncm_of_means(moments.mean[present], present, moments.classes)


def ridge_of_moments(moments: ClassMoments, penalty: float = PENALTY) -> LinearHead:
    """Least squares with a penalty; :func:`ncbounds.procedures.linear.ridge` of the same rows.

    Raises
    ------
    InvalidSample
        If there is no row.
    """
    present = _present(moments)
    centre = moments.centre(weighted=True)
    share: Floats = (moments.count[present] / moments.n).astype(np.float64)
    means = moments.mean[present] - centre
    total: Floats = moments.within / moments.n + (means.T * share) @ means
    mean_square = float(np.trace(total)) / moments.dim
    scale = float(np.sqrt(mean_square)) if mean_square > 0 else 1.0
    gram = total / scale**2
    gram[np.diag_indices_from(gram)] += penalty
    w = np.asarray(np.linalg.solve(gram, (means.T * share) / scale).T / scale, dtype=np.float64)
    bias: Floats = share - w @ centre
    return never_predicted(w, bias, present, moments.classes)


#: Probes by name: each is fixed by the moments of the fit rows.
PROBES: Mapping[str, Callable[[ClassMoments], LinearHead]] = {
    "ncm": ncm_of_moments,
    "ridge": ridge_of_moments,
}


def _present(moments: ClassMoments) -> Ints:
    if not moments.n:
        raise InvalidSample(
            "a probe cannot be fitted: no fit row has finite features and a label that the head "
            "knows; pass more rows"
        )
    return moments.present
