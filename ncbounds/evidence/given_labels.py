r"""Which labels a head gives whatever the order of its sums: logits against thresholds.

With the bounds :math:`e_j` of :mod:`ncbounds.evidence.decided`, label j of a point is **given only
if its logit exceeds the threshold by more than** :math:`e_j`, and not given only if it is lower by
more. Between them there is no answer, which is wrong whatever is true. What the logits at hand
leave open is added up again in an order that depends on d alone, so that a point is judged the same
in every batch. Of features that were rounded to float16, the network's own logit is within
:math:`|w_j|' r + 4 e_j` more of them.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats
from ncbounds.evidence.decided import HALF, SUBNORMAL, TINY, digits_lost, in_order, longest
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.indicators import Given
from ncbounds.numerics.scaling import row_norms

if TYPE_CHECKING:
    from ncbounds.evidence.sample import Sample

#: Labels of rows that are added up again at once.
AGAIN = 2**16


def given_labels(sample: "Sample", head: LinearHead, thresholds: Floats) -> Given:
    """Labels that a head gives, shape (n, L): 1 given, 0 not given, -1 no answer.

    Parameters
    ----------
    sample : Sample
    head : LinearHead
        Of any scale.
    thresholds : array of shape (L,)
        Of its logits.
    """
    scaled = head.scaled
    with np.errstate(over="ignore"):
        # beyond the range of float64 a threshold is above, or below, all logits
        t = np.ldexp(thresholds, -head.power)
    out = np.empty((sample.n, head.classes), dtype=np.int8)
    for part, logits in sample.logit_rows(scaled).pieces():
        f = sample.features[part]
        out[part] = _answers(scaled, f, logits, t, longest(f), rounded=sample.rounded)
    out.setflags(write=False)
    return out


def _answers(
    head: LinearHead,
    features: NDArray[np.floating],
    logits: Floats,
    thresholds: Floats,
    norms: Floats,
    *,
    rounded: bool,
) -> Given:
    """Answers of some rows, shape (m, L); by norms first, then one by one."""
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        lead = logits - thresholds
        sure = np.abs(lead) > _most(head, norms, rounded)
        finite = np.asarray(np.isfinite(logits).all(axis=1))
        rows, labels = np.nonzero(~sure & finite[:, None])
        for k in range(0, len(rows), step := max(1, AGAIN // max(1, head.dim))):
            i, j = rows[k : k + step], labels[k : k + step]
            f = np.asarray(features[i], dtype=np.float64)
            if rounded:
                off = np.abs(np.spacing(features[i])).astype(np.float64) / 2
                sure[i, j] = np.abs(lead[i, j]) > _halves(head, f, off, j)
                continue
            again, lost = in_order(head, f, j)
            lead[i, j] = again - thresholds[j]
            sure[i, j] = np.abs(lead[i, j]) > lost
    return np.where(sure & finite[:, None], lead > 0, -1).astype(np.int8)


def _most(head: LinearHead, norms: Floats, rounded: bool) -> Floats:
    """Twice what rounding does to each logit at most, (m, L): once for it, once for the rule."""
    steep = row_norms(head.weight)
    size = norms[:, None] * steep
    most = digits_lost(head.dim) * (size + np.abs(head.bias)) + (head.dim + 1) * TINY
    if rounded:
        most += HALF * size + steep * (np.sqrt(head.dim) * SUBNORMAL)
    return np.asarray(4.0 * most)


def _halves(head: LinearHead, f: Floats, off: Floats, labels: NDArray[np.intp]) -> Floats:
    """What rounding of features to float16, and sums, do to logit ``labels[i]`` of row i, (m,)."""
    w = np.abs(head.weight[labels])
    size = ((np.abs(f) + off) * w).sum(axis=1) + np.abs(head.bias[labels])
    e = digits_lost(head.dim) * size + (head.dim + 1) * TINY
    moved: Floats = (w * off).sum(axis=1) + 4.0 * e
    return moved
