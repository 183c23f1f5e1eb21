"""Losses as the largest of their tangents: what a lower limit of a loss is made of.

A loss ``l(s)`` of logits s with target q lies above each of its tangents, ``l(s) >= <u, s> + e``,
where ``u = p - q`` belongs to a *response* p (Fenchel and Young). Rows are points or groups of
points, columns are outputs. Responses are stored as ``u``, never as p: where a network fits its
sample, p - q is far below the rounding of p.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from ncbounds.arrays import Floats


class Fenchel(NamedTuple):
    """One loss; ``s``, ``q``, ``u`` have shape (rows, C), results one number or row per row.

    Attributes
    ----------
    value : (s, q) -> (rows,)
        The loss.
    gap : (s, q) -> (rows, C)
        Gradient ``u = p - q`` of the loss at s.
    height : (u, q) -> (rows,)
        Height e of the tangent with slope u; at u = 0 the infimum of the loss.
    balance : (u, q, weights) -> (rows, C)
        A response nearby with ``weights @ u = 0``, up to rounding of u itself.
    shifts : bool
        Whether adding one number to all logits leaves the loss unchanged (softmax).
    settled : (mean of q,) -> bool (C,)
        Outputs that a free bias settles without any features, in the limit.
    """

    value: Callable[[Floats, Floats], Floats]
    gap: Callable[[Floats, Floats], Floats]
    height: Callable[[Floats, Floats], Floats]
    balance: Callable[[Floats, Floats, Floats], Floats]
    shifts: bool
    settled: Callable[[Floats], Floats]


def _softmax_value(s: Floats, q: Floats) -> Floats:
    rows = np.arange(len(s))
    largest = s.argmax(axis=1)
    below = s[rows, largest][:, None] - s  # >= 0, so that no term below cancels another
    others = np.exp(-below)
    others[rows, largest] = 0.0
    return np.asarray(np.log1p(others.sum(axis=1)) + np.einsum("ij,ij->i", q, below))


def _own_from_others(u: Floats, q: Floats) -> Floats:
    """Set the entry of the largest target of each row so that the row sums to zero."""
    rows, own = np.arange(len(u)), q.argmax(axis=1)
    u[rows, own] = 0.0
    u[rows, own] = -u.sum(axis=1)
    return u


def _softmax_gap(s: Floats, q: Floats) -> Floats:
    p = np.exp(s - s.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return _own_from_others(p - q, q)


def _softmax_height(u: Floats, q: Floats) -> Floats:
    rows, own = np.arange(len(u)), q.argmax(axis=1)
    p = np.maximum(q + u, 0.0)
    mine, target = p[rows, own], q[rows, own]
    change = np.maximum(u[rows, own] / target, -1.0)
    own_term = special.xlogy(mine, target) + special.xlog1py(mine, change)
    p[rows, own] = 0.0
    return np.asarray(-special.xlogy(p, p).sum(axis=1) - own_term)


def _softmax_balance(u: Floats, q: Floats, weights: Floats) -> Floats:
    share = weights / weights.sum()
    for _ in range(2):  # the second round removes the rounding of the first
        have, excess = share @ (q + u), share @ u
        ratio = np.divide(excess, have, out=np.zeros_like(have), where=have > 0)
        eps = max(0.0, float(ratio.max()))
        u = (1 - eps) * u - eps * q + np.maximum(eps * have - excess, 0.0)
        u = _own_from_others(u, q)
    return u


def _binary_value(s: Floats, q: Floats) -> Floats:
    terms = q * np.logaddexp(0, -s) + (1 - q) * np.logaddexp(0, s)
    return np.asarray(terms.sum(axis=1))


def _binary_gap(s: Floats, q: Floats) -> Floats:
    return np.asarray((1 - q) * special.expit(s) - q * special.expit(-s))


def _binary_height(u: Floats, q: Floats) -> Floats:
    away = np.minimum(np.abs(u), 1.0)  # q is 0 or 1, and the entropy symmetric
    terms = special.xlogy(away, away) + special.xlog1py(1 - away, -away)
    return np.asarray(-terms.sum(axis=1))


def _binary_balance(u: Floats, q: Floats, weights: Floats) -> Floats:
    share = weights / weights.sum()
    for _ in range(2):
        have, excess = share @ (q + u), share @ u
        room = np.where(excess > 0, have, 1 - have)  # p is scaled down, or 1 - p
        cut = np.divide(np.abs(excess), room, out=np.zeros_like(room), where=room > 0)
        cut = np.minimum(cut, 1.0)
        u = (1 - cut) * u + cut * np.where(excess > 0, -q, 1 - q)
    return u


def _squared_value(s: Floats, q: Floats) -> Floats:
    return np.asarray(np.square(s - q).sum(axis=1) / 2)


def _squared_gap(s: Floats, q: Floats) -> Floats:
    return s - q


def _squared_height(u: Floats, q: Floats) -> Floats:
    return np.asarray(-(np.square(u).sum(axis=1) / 2 + np.einsum("ij,ij->i", u, q)))


def _squared_balance(u: Floats, q: Floats, weights: Floats) -> Floats:
    share = weights / weights.sum()
    for _ in range(2):
        u = u - share @ u
    return u


#: Cross-entropy of a softmax, against any distribution q: hard, smoothed or uniform over a set.
SOFTMAX = Fenchel(
    _softmax_value,
    _softmax_gap,
    _softmax_height,
    _softmax_balance,
    True,
    lambda mean: mean <= 0,
)
#: Sum over outputs of the logistic loss; targets are 0 or 1.
BINARY = Fenchel(
    _binary_value,
    _binary_gap,
    _binary_height,
    _binary_balance,
    False,
    lambda mean: (mean <= 0) | (mean >= 1),
)
#: Half the squared distance.
SQUARED = Fenchel(
    _squared_value,
    _squared_gap,
    _squared_height,
    _squared_balance,
    False,
    lambda mean: np.zeros(len(mean), dtype=bool),
)
