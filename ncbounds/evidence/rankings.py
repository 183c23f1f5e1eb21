r"""Losses of several labels that are ranked by scores, each in [0, 1], a row at a time.

Of a row, R are the relevant labels (those of the point), I the others. A relevant label stands
above an irrelevant one for sure only if its score is larger by more than ``off``, what rounding can
do to the difference of two scores; whatever is in doubt counts against the classifier. A row with a
score that is not finite has the loss 1.
"""

import numpy as np

from ncbounds.arrays import Bools, Floats, Ints


def one_errors(relevant: Bools, scores: Floats, off: Floats) -> Floats:
    """1 where the top label is not surely a single one that is relevant, shape (n,).

    A tie of the top is an error, whichever labels are tied, and so is a point without a label.

    Parameters
    ----------
    relevant : boolean array of shape (n, L)
    scores : array of shape (n, L)
    off : array of shape (n,)
        What rounding can do to the difference of two scores of a row.
    """
    rows = np.arange(len(scores))
    top = np.where(np.isnan(scores), -np.inf, scores).argmax(axis=1)
    others = scores.copy()
    others[rows, top] = -np.inf
    with np.errstate(invalid="ignore"):
        right = relevant[rows, top] & (scores[rows, top] - others.max(axis=1) > off)
    return np.where(right & np.isfinite(scores).all(axis=1), 0.0, 1.0)


def ranking_losses(relevant: Bools, scores: Floats, off: Floats) -> Floats:
    """Share of the pairs in R x I whose order is not surely right, shape (n,); parameters as there.

    A point with no label, or with all of them, has no pair that could be wrong: its loss is 0.
    """
    finite = np.asarray(np.isfinite(scores).all(axis=1))
    doubtful = _rivals(relevant, scores, off, finite).sum(axis=1)
    held = relevant.sum(axis=1)
    pairs = held * (scores.shape[1] - held)
    return np.where(finite, doubtful / np.maximum(pairs, 1), 1.0)


def precision_losses(relevant: Bools, scores: Floats, off: Floats, k: int) -> Floats:
    """Share of the k top labels that are not surely relevant, shape (n,); parameters as there."""
    finite = np.asarray(np.isfinite(scores).all(axis=1))
    # relevant labels down by what is in doubt, behind irrelevant ones at ties: at most how many
    # relevant ones stand before each is its place among them
    rivals = _rivals(relevant, scores, off, finite)
    place = _places(np.where(relevant & finite[:, None], scores, -np.inf))
    hit = (relevant & (rivals + place < k)).sum(axis=1)
    return np.where(finite, (k - hit) / k, 1.0)


def _rivals(relevant: Bools, scores: Floats, off: Floats, finite: Bools) -> Ints:
    """Irrelevant labels that are not surely below each relevant one, shape (n, L); 0 elsewhere."""
    n, labels = scores.shape
    out = np.zeros((n, labels), dtype=np.int64)
    for i in np.flatnonzero(finite):
        held = relevant[i]
        others = np.sort(scores[i, ~held])
        with np.errstate(over="ignore"):
            least = scores[i, held] - off[i]
        out[i, held] = len(others) - np.searchsorted(others, least, side="left")
    return out


def _places(scores: Floats) -> Ints:
    """Place of each number in its row, largest first from 0, shape (n, L)."""
    order = np.argsort(-scores, axis=1, kind="stable")
    out = np.empty(scores.shape, dtype=np.int64)
    np.put_along_axis(out, order, np.arange(scores.shape[1])[None, :], axis=1)
    return out
