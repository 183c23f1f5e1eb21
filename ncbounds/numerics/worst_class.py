r"""Exact limits of all class errors at once, with more of delta for small classes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import counts, probability, reals
from ncbounds.numerics.binomial import binomial_upper_log
from ncbounds.numerics.rounding import EPS, FloatArray

_BISECTIONS = 200


def worst_class_upper(errors: ArrayLike, n: ArrayLike, delta: float) -> FloatArray:
    r"""Upper limits of the error probabilities of all classes, jointly valid, rounded up.

    The exact limit of class c at :math:`\delta_c = (1 - u)^{n_c}`, where u solves
    :math:`\sum_c \delta_c = \delta` over the classes that have points; 1 for a class without one.

    Parameters
    ----------
    errors, n
        (C,) counts of errors and of points, ``0 <= errors <= n``.
    delta
        Failure probability of all limits together, in (0, 1).

    Returns
    -------
    ndarray
        (C,) limits.

    Raises
    ------
    InvalidArgument
        Impossible counts, or delta outside (0, 1).

    Notes
    -----
    Given the labels, u and the :math:`\delta_c` are fixed, and the points of class c are
    independent draws from it: its exact limit at :math:`\delta_c` lies below its error probability
    with probability at most :math:`\delta_c`. A class without points has the limit 1, which never
    does. So some limit does with probability at most :math:`\sum_c \delta_c \le \delta`, given the
    labels and hence without.

    The limit of class c at no errors is :math:`1 - \delta_c^{1/n_c} = u`: all classes without
    errors have the same, and no other choice of :math:`\delta_c` makes the largest of these
    smaller. With equal shares :math:`\delta/C` the smallest class alone would decide.
    """
    k, m = reals("errors", errors), counts("n", n)
    if m.ndim != 1 or k.shape != m.shape:
        raise InvalidArgument(f"errors {k.shape}, n {m.shape}; needed: one count per class in each")
    if not (np.all(k >= 0) and np.all(k <= m) and np.all(k == np.floor(k))):
        raise InvalidArgument(f"errors is {errors!r} of n = {n!r}; needed: whole numbers, 0 to n")
    delta = probability("delta", delta)
    limits = np.ones(m.shape)
    present = np.flatnonzero(m > 0)
    if len(present):
        ln_deltas = log_shares(m[present], delta)
        for c, ln_delta in zip(present, ln_deltas, strict=True):
            limits[c] = binomial_upper_log(int(k[c]), int(m[c]), float(ln_delta))
    return limits


def log_shares(n: FloatArray, delta: float) -> FloatArray:
    """Logarithms of ``delta_c = (1 - u)^n_c``, whose sum is at most delta.

    Parameters
    ----------
    n
        (C,) points per class, each 1 or more.
    delta
        In (0, 1).
    """
    ln_delta = math.log(delta)
    # s = -ln(1 - u): the smallest class alone needs at least the first, C of it at most the second
    low = -ln_delta / float(n.min())
    high = low + math.log(len(n)) / float(n.min())
    if len(n) == 1:
        return np.array([ln_delta * (1.0 + 4.0 * EPS)])
    high *= 1.0 + 16.0 * EPS
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if not low < middle < high or high - low <= 1e-14 * high:
            break
        if _ln_sum(-middle * n) > ln_delta:
            low = middle
        else:
            high = middle
    # a logarithm off by so much, and terms by an ulp of their exponent
    slack = 8.0 * EPS * (len(n) + 4.0 + abs(ln_delta))
    return -high * n * (1.0 + 4.0 * EPS) - slack


def _ln_sum(x: FloatArray) -> float:
    """``ln sum exp(x)``."""
    top = float(x.max())
    return top + math.log(math.fsum(np.exp(x - top)))
