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

from ncbounds.arrays import Bools, Floats


class Fenchel(NamedTuple):
    """One loss; ``s``, ``q``, ``u`` have shape (rows, C), results one number or row per row.

    Attributes
    ----------
    tangent : (s, q) -> (rows,), (rows, C)
        The loss at s, and its gradient ``u = p - q`` there.
    height : (u, q) -> (rows,)
        Height e of the tangent with slope u; at u = 0 the infimum of the loss.
    balance : (u, q, weights) -> (rows, C)
        A response nearby with ``weights @ u = 0``, up to rounding of u itself.
    curvature : (u, q, weights) -> (C, C)
        Second derivative, in a bias, of the loss averaged with weights.
    shifts : bool
        Whether adding one number to all logits leaves the loss unchanged (softmax).
    settled : (q,) -> bool (C,)
        Outputs that a free bias settles without any features, in the limit.
    """

    tangent: Callable[[Floats, Floats], tuple[Floats, Floats]]
    height: Callable[[Floats, Floats], Floats]
    balance: Callable[[Floats, Floats, Floats], Floats]
    curvature: Callable[[Floats, Floats, Floats], Floats]
    shifts: bool
    settled: Callable[[Floats], Bools]


def _own_from_others(u: Floats, q: Floats) -> Floats:
    """Set the entry of the largest target of each row so that the row sums to zero."""
    rows, own = np.arange(len(u)), q.argmax(axis=1)
    u[rows, own] = 0.0
    u[rows, own] = -u.sum(axis=1)
    return u


def _softmax_tangent(s: Floats, q: Floats) -> tuple[Floats, Floats]:
    rows, largest = np.arange(len(s)), s.argmax(axis=1)
    below = s[rows, largest][:, None] - s  # >= 0, so that no term of the loss cancels another
    p = np.exp(-below)
    p[rows, largest] = 0.0
    others = p.sum(axis=1)
    value = np.log1p(others) + np.einsum("ij,ij->i", q, below)
    p[rows, largest] = 1.0
    p /= (1 + others)[:, None]
    p -= q
    return value, _own_from_others(p, q)


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


def _softmax_curvature(u: Floats, q: Floats, weights: Floats) -> Floats:
    p = q + u
    mixed = -(p * weights[:, None]).T @ p
    np.fill_diagonal(mixed, 0.0)
    np.fill_diagonal(mixed, -mixed.sum(axis=1))  # rows sum to zero; 1 - p would lose its digits
    return mixed


def _binary_tangent(s: Floats, q: Floats) -> tuple[Floats, Floats]:
    against = np.where(q > 0, -s, s)  # the loss is softplus of this, q is 0 or 1
    u = special.expit(against)
    return np.logaddexp(0, against).sum(axis=1), np.where(q > 0, -u, u)


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


def _binary_curvature(u: Floats, q: Floats, weights: Floats) -> Floats:
    away = np.abs(u)
    return np.diag(weights @ (away * (1 - away)))


def _squared_tangent(s: Floats, q: Floats) -> tuple[Floats, Floats]:
    u = s - q
    return np.einsum("ij,ij->i", u, u) / 2, u


def _squared_height(u: Floats, q: Floats) -> Floats:
    return np.asarray(-(np.square(u).sum(axis=1) / 2 + np.einsum("ij,ij->i", u, q)))


def _squared_balance(u: Floats, q: Floats, weights: Floats) -> Floats:
    share = weights / weights.sum()
    for _ in range(2):
        u = u - share @ u
    return u


def _squared_curvature(u: Floats, q: Floats, weights: Floats) -> Floats:
    return np.eye(u.shape[1]) * float(weights.sum())


#: Cross-entropy of a softmax, against any distribution q: hard, smoothed or uniform over a set.
SOFTMAX = Fenchel(
    _softmax_tangent,
    _softmax_height,
    _softmax_balance,
    _softmax_curvature,
    True,
    lambda q: np.asarray(~q.any(axis=0)),
)
#: Sum over outputs of the logistic loss; targets are 0 or 1.
BINARY = Fenchel(
    _binary_tangent,
    _binary_height,
    _binary_balance,
    _binary_curvature,
    False,
    lambda q: np.asarray(~q.any(axis=0) | q.all(axis=0)),
)
#: Half the squared distance.
SQUARED = Fenchel(
    _squared_tangent,
    _squared_height,
    _squared_balance,
    _squared_curvature,
    False,
    lambda q: np.zeros(q.shape[1], dtype=bool),
)
