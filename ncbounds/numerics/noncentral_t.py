r"""Exact one-sided tolerance limit of a Gaussian's tail: the inverse noncentral t distribution.

With n independent Gaussian margins of sample mean :math:`\bar x` and standard deviation s, and
:math:`T = \sqrt n \bar x / s`, the lower limit of the standardised mean is the d with
:math:`P(t'_{n-1}(\sqrt n d) \ge T) = \delta`, and ``Phi(-d)`` is the upper limit of the
probability of a margin at most 0 (Owen 1958).

The noncentral t tail is a one-dimensional integral, and which of its two forms is smooth depends
on T: over the normal variable where the mean is large, over the chi variable where it is small.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import counts, probabilities, reals
from ncbounds.numerics.gamma_tails import LARGE, gamma_tail
from ncbounds.numerics.rounding import FloatArray
from ncbounds.numerics.series import x_plus_expm1_neg

# Outward move of d, relative to max(1, |d|): it covers the rounding of t and of the noncentrality.
# Then the move of the tail, relative and absolute: above the quadrature and rounding error (below
# 1e-12 relative) and the mass beyond the integrals' ends.
_MOVE = 2e-12
_SLACK = 2e-12
_MISSED = 1e-19
_STEPS = 40
_SWITCH = 1.0
_REACH = 9.5
_CHUNK = 2000
# Ratios of mean and standard deviation beyond it count as it: their squares overflow.
_FAR = 1e150


def noncentral_t_upper(mean: ArrayLike, sd: ArrayLike, n: ArrayLike, delta: ArrayLike) -> Any:
    """Upper confidence limit of ``P(X <= 0)`` for a Gaussian X, rounded up.

    Exact coverage ``1 - delta`` if the n observations are independent Gaussians.

    Parameters
    ----------
    mean, sd
        Sample mean and standard deviation (n - 1 in the denominator), scalars or arrays.
    n
        Number of observations, a count up to 2^53, scalar or array.
    delta
        Failure probability in (0, 1), scalar or array. All four broadcast.

    Returns
    -------
    float or ndarray
        ``Phi(-d)``; 1 where ``n < 2``, ``sd`` is not positive, or mean or sd is infinite (nothing
        can be said there), and for delta below 2e-19, which the quadrature does not resolve.

    Raises
    ------
    InvalidArgument
        nan among the inputs, n no count, or delta outside (0, 1).

    References
    ----------
    Owen, A survey of properties and applications of the noncentral t-distribution,
    Technometrics 10 (1968) 445-478.
    """
    d = np.asarray(noncentral_t_d_lower(mean, sd, n, delta))
    p = np.minimum(1.0, special.ndtr(-d) * (1.0 + 1e-12 + 1e-15 * np.minimum(d * d, 1e4)))
    p = np.where(np.isneginf(d), 1.0, np.maximum(p, np.finfo(np.float64).tiny))
    return float(p) if p.ndim == 0 else p


def noncentral_t_d_lower(mean: ArrayLike, sd: ArrayLike, n: ArrayLike, delta: ArrayLike) -> Any:
    """Lower confidence limit of mean / standard deviation of a Gaussian, rounded down.

    Parameters and errors are those of :func:`noncentral_t_upper`.

    Returns
    -------
    float or ndarray
        Limit d; ``-inf`` where nothing can be said.
    """
    arrays = [reals("mean", mean), reals("sd", sd), counts("n", n), probabilities("delta", delta)]
    if np.isnan(arrays[0]).any() or np.isnan(arrays[1]).any():
        raise InvalidArgument("mean or sd holds nan; needed: sample moments")
    shape = np.broadcast_shapes(*(v.shape for v in arrays))
    x, s, m, tail = (np.broadcast_to(v, shape).ravel() for v in arrays)
    out = np.full(x.shape, -np.inf)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ratio = np.minimum(x / s, _FAR)
    good = (m >= 2) & (s > 0) & np.isfinite(x) & np.isfinite(s) & (ratio >= -_FAR)
    chosen = np.nonzero(good & (tail > 2.0 * _MISSED))[0]
    for start in range(0, len(chosen), _CHUNK):
        part = chosen[start : start + _CHUNK]
        out[part] = _solve(ratio[part], m[part], tail[part])
    return float(out[0]) if shape == () else out.reshape(shape)


def _solve(ratio: FloatArray, n: FloatArray, delta: FloatArray) -> FloatArray:
    """Newton's iteration on the probit of the tail, then a move down until the tail agrees."""
    root = np.sqrt(n)
    target = special.ndtri(delta)
    spread = np.sqrt(1.0 / n + ratio * ratio / (2.0 * (n - 1.0)))
    d = ratio + target * spread
    for _ in range(_STEPS):
        tail, slope = noncentral_t_tail(root * ratio, root * d, n)
        probit = special.ndtri(np.clip(tail, 1e-300, 1.0 - 1e-16))
        density = np.exp(-0.5 * probit * probit) / math.sqrt(2.0 * math.pi)
        speed = np.maximum(root * slope / np.maximum(density, 1e-300), 1e-3)
        step = np.clip((probit - target) / speed, -1.0 - np.abs(d), 1.0 + np.abs(d))
        d = d - step
        # Quadratic convergence: the next step would be below rounding.
        if np.all(np.abs(step) <= 1e-6 * spread + 1e-14 * np.abs(d)):
            break
    least = _MOVE * np.maximum(1.0, np.abs(d))
    move = least
    for _ in range(_STEPS):
        tail, _ = noncentral_t_tail(root * ratio, root * d, n)
        bad = ~(tail * (1.0 + _SLACK) + _MISSED <= delta)
        if not bad.any():
            return np.asarray(d - least)
        d = np.where(bad, d - move, d)
        move = 4.0 * move
    return np.where(bad, -np.inf, d - least)


def noncentral_t_tail(
    t: FloatArray, noncentrality: FloatArray, n: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """``P(t'_{n-1}(noncentrality) >= t)`` and its derivative in the noncentrality.

    Parameters
    ----------
    t, noncentrality, n
        (m,) arrays; n observations, so n - 1 degrees of freedom.

    Returns
    -------
    tuple of ndarray
        (m,) probabilities and (m,) derivatives.
    """
    tail, slope = np.empty(t.shape), np.empty(t.shape)
    far = np.abs(t) > _SWITCH * np.sqrt(n)
    for chosen, rule in ((far, _over_normal), (~far, _over_chi)):
        if chosen.any():
            tail[chosen], slope[chosen] = rule(t[chosen], noncentrality[chosen], n[chosen])
    return tail, slope


def _over_normal(t: FloatArray, shift: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Integral over Z of ``P(chi <= (Z + shift)/t)``, for |t| of at least sqrt(n).

    The inner probability is analytic on each side of ``Z = -shift``, where the panels start.
    """
    sign = np.sign(t)
    scale, centre = np.abs(t)[:, None], (-sign * shift)[:, None]
    start = np.clip(centre, -_REACH, _REACH)
    x, w = _panels(8, 12)
    z = start + (_REACH - start) * x
    weight = (_REACH - start) * w * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    half = 0.5 * (n - 1.0)[:, None]
    up_side = sign > 0
    # the chi variable at z over the mode of its law: itself, and its distance from 1
    chi = np.maximum(z - centre, 0.0) / scale
    r = np.maximum((z + (sign * (shift - t))[:, None]) / scale, -1.0)
    inner = np.empty(chi.shape)
    for chosen, tail, kept in (
        (up_side, special.gammainc, -1.0),
        (~up_side, special.gammaincc, 1.0),
    ):
        large = chosen & (half[:, 0] >= LARGE)
        small = chosen & ~large
        inner[large] = gamma_tail(half[large], r[large] * (2.0 + r[large]), kept)
        inner[small] = tail(half[small], half[small] * np.square(chi[small]))
    certain = np.where(up_side, 0.0, special.ndtr(start[:, 0]))
    # d/dshift of E F(Z + shift) is E Z F(Z + shift); mirrored and with the certain part for t < 0.
    edge = np.exp(-0.5 * start[:, 0] ** 2) / math.sqrt(2.0 * math.pi)
    moment = sign * np.sum(weight * z * inner, axis=1) + np.where(up_side, 0.0, edge)
    return certain + np.sum(weight * inner, axis=1), np.maximum(moment, 0.0)


def _over_chi(t: FloatArray, shift: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Integral over chi of ``Phi(shift - t chi)``, trapezoid rule in ln(chi), |t| below sqrt(n)."""
    nu = (n - 1.0)[:, None]
    # The density of u = ln(chi) is exp(-nu g(u)), g(u) = expm1(2u)/2 - u, up to a constant; nu g is
    # at least 48 outside these ends, because g(u) >= u^2 on the right and, on the left,
    # g(-x) >= x^2 (1 - 2x/3) and g(-x) >= x - 1/2.
    cut = 48.0 / nu
    right = 0.5 * np.log1p(2.0 * (cut + np.sqrt(cut)))
    near = 1.3 * np.sqrt(cut)
    left = -np.where(near <= 0.5, near, cut + 0.5)
    x = np.linspace(0.0, 1.0, 800)[None]
    u = left + (right - left) * x
    weight = np.exp(-0.5 * nu * x_plus_expm1_neg(-2.0 * u))
    weight = weight / weight.sum(axis=1, keepdims=True)
    argument = (shift - t)[:, None] - t[:, None] * np.expm1(u)
    tail = np.sum(weight * special.ndtr(argument), axis=1)
    density = np.exp(-0.5 * argument * argument) / math.sqrt(2.0 * math.pi)
    return tail, np.sum(weight * density, axis=1)


def _panels(count: int, order: int) -> tuple[FloatArray, FloatArray]:
    """Composite Gauss-Legendre nodes and weights on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(order)
    left = np.arange(count)[:, None] / count
    nodes = left + 0.5 * (x + 1.0) / count
    return nodes.ravel(), np.tile(0.5 * w / count, count)
