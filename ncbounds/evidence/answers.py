"""What outputs of a classifier answer: the largest of a row, or one number and a threshold."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidSample

#: Threshold of one number per row, by what it is: above it the answer is class 1, below class 0.
THRESHOLDS = {"logits": 0.0, "probabilities": 0.5}
#: Rows that are compared at once.
BLOCK = 2**14
#: What rounding may add to a probability of 1, or take from one of 0.
SLACK = 1e-6

Numbers = NDArray[Any]


def checked_scores(array: Numbers, kind: str) -> Numbers:
    """Scores in numbers with a fraction; probabilities, if that is their kind.

    Raises
    ------
    InvalidSample
        If a probability is none.
    """
    array = array.astype(np.float64) if array.dtype.kind in "ub" else array
    if kind == "probabilities":
        outside = (array < -SLACK) | (array > 1 + SLACK)
        if outside.any():
            raise InvalidSample(
                f"probabilities lie between 0 and 1, found {array[outside][0]:.6g}; other scores "
                "are logits="
            )
    return array


def answers_of_outputs(
    outputs: Numbers, kind: str, threshold: float | None = None, near: Floats | None = None
) -> Ints:
    """Predictions of outputs, shape (n,); -1 for a tie and for a value that is not finite.

    Parameters
    ----------
    outputs : array of shape (n, C), (n, 1) or (n,)
        Classes (n,) for ``"predicted"``.
    kind : {"predicted", "logits", "probabilities"}
    threshold : float, optional
        Of one number per row; see :data:`THRESHOLDS`.
    near : array of shape (n,), optional
        Leads up to this count as ties too; 0 unless given.

    Raises
    ------
    InvalidSample
        If a threshold is given for several numbers per row, or is no number.
    """
    several = outputs.ndim == 2 and outputs.shape[1] > 1
    if threshold is not None and (several or kind == "predicted"):
        what = f"{outputs.shape[1]} {kind} per row" if several else "predicted classes"
        raise InvalidSample(
            f"a threshold decides on one number per row, found {what}; leave it out"
        )
    if threshold is not None and not np.isfinite(threshold):
        raise InvalidSample(f"a threshold is a number, found {threshold}")
    if kind == "predicted":
        return np.where(np.isfinite(outputs), outputs, -1).astype(np.int64)
    if not several:
        z = outputs.reshape(-1)
        t = THRESHOLDS[kind] if threshold is None else threshold
        with np.errstate(invalid="ignore"):
            lead = np.abs(z.astype(np.longdouble) - t)
            # equal in the type of the numbers, too, is at the threshold
            sure = np.isfinite(z) & (z != t) & (lead > (0 if near is None else near))
        return np.where(sure, z > t, -1).astype(np.int64)
    out = np.empty(len(outputs), dtype=np.int64)
    for k in range(0, len(outputs), BLOCK):
        some = slice(k, k + BLOCK)
        out[some] = _largest(outputs[some], 0.0 if near is None else near[some])
    return out


def _largest(s: Numbers, near: Floats | float) -> Ints:
    wide = s.astype(np.longdouble)  # exact, also for 64-bit whole numbers
    finite = np.isfinite(wide).all(axis=1)
    rows, first = np.arange(len(s)), np.where(np.isnan(wide), -np.inf, wide).argmax(axis=1)
    top = wide[rows, first]
    wide[rows, first] = -np.inf
    with np.errstate(invalid="ignore", over="ignore"):
        sure = finite & (top - wide.max(axis=1) > near)
    return np.where(sure, first, -1).astype(np.int64)
