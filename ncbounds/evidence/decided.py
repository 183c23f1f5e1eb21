r"""Which predictions of a linear head stand whatever the order of its sums.

The saved classifier is the argmax of ``W f + b`` in float64. A product of length d may be summed
in any order, so logit j of a point f is known up to

.. math::
    e_j = (d + 64)\, u\, (|w_j|' |f| + |b_j|) + (d + 1)\, 2^{-1074} , \qquad u = 2^{-53} ,

(Higham 2002, section 3.1, for every order, with or without fused operations; d + 1 is for the sum
and 63 for what this rule itself computes). **A point is predicted as j only if logit j exceeds
every other logit k by more than e_j + e_k**; else it counts as a tie, hence as an error. So the
error that is counted, measured and bounded is at least that of each way to add up the sums, and a
point is judged the same in every batch: what the logits at hand leave open is added up again, in an
order that depends on d alone. A head beyond 2^400 or below 2^-400 is first divided by a power of 2.

Of features that were **rounded to float16** the network's own, g, are known up to half a unit in
the last place, :math:`|g_i - f_i| \le r_i`. A point is then predicted as j only if logit j exceeds
every other logit k by more than

.. math::
    |w_j - w_k|' r + 4 (e_j + e_k) ,

with e of :math:`|f| + r`: once for the logits of f, once for those of g, twice for this rule.
"""

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.evidence.head import LinearHead, margins
from ncbounds.numerics.scaling import row_norms

U = 2.0**-53
TINY = 2.0**-1074
#: What rounding to float16 changes at most: a share of a number, or so much below its range.
HALF, SUBNORMAL = 2.0**-11, 2.0**-25
#: Numbers whose common norm is taken at once; in float32 it is off by less than 1 %.
BLOCK = 2**16
#: Numbers that are added up again at once.
AGAIN = 2**18


def digits_lost(dim: int) -> float:
    """Relative part of e_j for ``dim`` features."""
    return (dim + 64) * U


def longest(features: NDArray[np.floating]) -> Floats:
    """Upper bounds on the norms of rows, shape (n,): a common one for each few rows."""
    n, dim = features.shape
    step = max(1, BLOCK // max(1, dim))
    narrow = features.dtype == np.float32 and dim <= BLOCK
    squares = np.empty(-(-n // step))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for k in range(len(squares)):
            x = features[k * step : (k + 1) * step]
            x = np.ravel(x if narrow else np.asarray(x, dtype=np.float64))
            squares[k] = np.dot(x, x)
        # squares below the range of float32 or float64 add up to less than (1e-19)^2 or (1e-157)^2
        norms = 1.01 * (np.sqrt(squares) + (1e-19 if narrow else 1e-157))
    return np.repeat(norms, step)[:n]


def stands(
    head: LinearHead,
    features: NDArray[np.floating],
    logits: Floats,
    answers: Ints,
    norms: Floats | None = None,
    *,
    rounded: bool = False,
) -> NDArray[np.bool_]:
    """Whether the head predicts ``answers`` whatever the order of its sums, shape (n,).

    Parameters
    ----------
    head : LinearHead
        Of ordinary scale, see :attr:`LinearHead.scaled`.
    features : array of shape (n, d)
    logits : array of shape (n, C)
        Of ``head``, summed in any order.
    answers : integer array of shape (n,)
    norms : array of shape (n,), optional
        :func:`longest` of the features.
    rounded : bool
        Whether the features were rounded to float16.
    """
    return _beyond(head, features, logits, answers, margins(logits, answers), norms, rounded)


def strict_margins(
    head: LinearHead,
    features: NDArray[np.floating],
    labels: Ints,
    *,
    logits: Floats | None = None,
    norms: Floats | None = None,
    rounded: bool = False,
) -> Floats:
    """Margins of ``head``, shape (n,): positive only where the label is predicted for sure.

    A margin within rounding is 0, a tie; it is ``-inf`` for a non-finite logit or a label that the
    head has no output for.

    Parameters
    ----------
    head : LinearHead
        Of any scale.
    features : array of shape (n, d)
    labels : integer array of shape (n,)
    logits : array of shape (n, C), optional
        Of ``head.scaled``, summed in any order.
    norms : array of shape (n,), optional
        :func:`longest` of the features.
    rounded : bool
        Whether the features were rounded to float16.
    """
    scaled = head.scaled
    with np.errstate(invalid="ignore", over="ignore"):
        s = scaled.logits(features) if logits is None else logits
        found = margins(s, labels)
        sure = _beyond(scaled, features, s, labels, found, norms, rounded)
        out = np.where(~sure & (found > 0), 0.0, found)
        if head.power:
            # a positive margin stays positive where its multiple is below all floats
            out = np.where(sure, np.maximum(np.ldexp(out, head.power), TINY), out)
            out = np.where(sure, out, np.ldexp(out, head.power))
    return out


def doubt(head: LinearHead, features: NDArray[np.floating], *, rounded: bool = False) -> Floats:
    """What the order of sums can do to the difference of two logits of a row, shape (n,).

    A simple upper bound, by the norms of the rows, for a head of any scale; infinite for a row that
    is not finite, which says nothing of its neighbours.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        norms = longest(features)
        alone = np.flatnonzero(~np.isfinite(norms))
        norms[alone] = 1.01 * row_norms(features[alone])
        off = np.ldexp(_most(head.scaled, features, norms, rounded), head.power)
    return np.where(np.isnan(off), np.inf, off)


def _beyond(
    head: LinearHead,
    features: NDArray[np.floating],
    logits: Floats,
    answers: Ints,
    lead: Floats,
    norms: Floats | None,
    rounded: bool,
) -> NDArray[np.bool_]:
    """Whether leads of ``answers`` exceed what rounding can do to them; cheapest test first."""
    sure: NDArray[np.bool_] = lead > _most(head, features, norms, rounded)
    left = np.flatnonzero(~sure & (lead > 0))
    step = max(1, AGAIN // max(1, head.dim))
    for i in range(0, len(left), step):
        rows = left[i : i + step]
        f = np.asarray(features[rows], dtype=np.float64)
        if rounded:
            sure[rows] = _beyond_halves(head, f, features[rows], logits[rows], answers[rows])
        else:
            sure[rows] = _one_by_one(head, f, logits[rows], answers[rows])
    return sure


def _most(
    head: LinearHead, features: NDArray[np.floating], norms: Floats | None, rounded: bool
) -> Floats:
    """Lead beyond which no other order of the sums can turn it, shape (n,); by norms alone."""
    lengths = longest(features) if norms is None else norms
    steepest, highest = float(row_norms(head.weight).max()), float(np.abs(head.bias).max())
    most = digits_lost(head.dim) * (steepest * lengths + highest) + (head.dim + 1) * TINY
    if rounded:
        most += steepest * (HALF * lengths + np.sqrt(head.dim) * SUBNORMAL)
    # twice e for two logits: once for the lead itself, once for the rule
    return np.asarray(4.0 * most)


def _beyond_halves(
    head: LinearHead, f: Floats, stored: NDArray[np.floating], logits: Floats, answers: Ints
) -> NDArray[np.bool_]:
    """The rule for rows ``f`` that are ``stored`` in float16, shape (m,)."""
    rows = np.arange(len(f))
    off = np.abs(np.spacing(stored)).astype(np.float64) / 2
    e = digits_lost(head.dim) * ((np.abs(f) + off) @ np.abs(head.weight).T + np.abs(head.bias))
    e += (head.dim + 1) * TINY
    lead = logits[rows, answers][:, None] - logits
    needed = 4.0 * (e[rows, answers][:, None] + e)
    for k in range(head.classes):
        needed[:, k] += np.einsum("ij,ij->i", np.abs(head.weight[answers] - head.weight[k]), off)
    sure = lead > needed
    sure[rows, answers] = True
    found: NDArray[np.bool_] = sure.all(axis=1)
    return found


def _one_by_one(head: LinearHead, f: Floats, logits: Floats, answers: Ints) -> NDArray[np.bool_]:
    """The rule for rows ``f`` that their norms leave open, shape (m,)."""
    rows = np.arange(len(f))
    size = np.abs(f) @ np.abs(head.weight).T + np.abs(head.bias)
    e = digits_lost(head.dim) * size
    e += (head.dim + 1) * TINY
    lead = logits[rows, answers][:, None] - logits
    doubt = ~(lead > 2.0 * (e[rows, answers][:, None] + e))
    doubt[rows, answers] = False
    sure = np.ones(len(f), dtype=np.bool_)
    again = np.flatnonzero(doubt.any(axis=1))
    own, own_lost = in_order(head, f[again], answers[again])
    for k in range(head.classes):
        some = doubt[again, k]
        other, lost = in_order(head, f[again[some]], np.full(int(some.sum()), k))
        sure[again[some]] &= own[some] - other > own_lost[some] + lost
    return sure


def in_order(head: LinearHead, f: Floats, k: Ints) -> tuple[Floats, Floats]:
    """Logit ``k[i]`` of row i in an order that depends on d alone, and its ``e``; shapes (m,)."""
    products = np.column_stack([f * head.weight[k], head.bias[k]])
    size = digits_lost(head.dim) * _halving(np.abs(products)) + (head.dim + 1) * TINY
    return _halving(products), size


def _halving(x: Floats) -> Floats:
    """Sums over rows of (m, d), by adding the second half of the columns to the first."""
    while x.shape[1] > 1:
        half = (x.shape[1] + 1) // 2
        folded = x[:, :half].copy()
        folded[:, : x.shape[1] - half] += x[:, half:]
        x = folded
    return np.asarray(x[:, 0])
