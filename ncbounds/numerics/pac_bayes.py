"""Pieces of PAC-Bayes bounds: Catoni's transform and Gaussian divergences, rounded up."""

from __future__ import annotations

import math

from ncbounds.numerics.arguments import finite, not_negative, positive, whole
from ncbounds.numerics.rounding import up

# Norms are raised to this: their squares would underflow.
_LEAST = 1e-140


def catoni(q: float, c: float, b: float) -> float:
    """Catoni's bound ``(1 - exp(-c q - b)) / (1 - exp(-c))`` at a fixed c, rounded up.

    Parameters
    ----------
    q
        Empirical Gibbs loss, 0 or more.
    c
        Inverse temperature, positive and fixed before the sample.
    b
        ``(KL + ln(1/delta)) / n``, 0 or more.

    Returns
    -------
    float
        Raw value; it may exceed 1.

    Raises
    ------
    InvalidArgument
        c not positive, or q or b negative; one of them infinite or nan.

    References
    ----------
    Catoni, PAC-Bayesian supervised classification, IMS Lecture Notes 56 (2007), Theorem 1.2.1.
    """
    c, q, b = positive("c", c), not_negative("q", q), not_negative("b", b)
    # what a product or sum below the smallest normal number may have lost
    exponent = c * q + b + 2.0 * math.ulp(0.0)
    return float(up(math.expm1(-exponent) / math.expm1(-c), 8))


def gaussian_kl(
    dim: int, sigma: float, mean_sq: float, cross: float = 0.0, prior_sq: float = 0.0
) -> float:
    """Divergence of N(sigma M, sigma^2 I) from N(W0, I) in ``dim`` dimensions, rounded up.

    ``dim (sigma^2 - 1 - 2 ln sigma)/2 + (sigma^2 |M|^2 - 2 sigma <M, W0> + |W0|^2)/2``.

    Parameters
    ----------
    dim
        Dimension in which the noise is scaled.
    sigma
        Posterior noise, positive.
    mean_sq, cross, prior_sq
        ``|M|^2``, ``<M, W0>`` and ``|W0|^2``.

    Returns
    -------
    float
        ``inf`` where it exceeds float64.

    Raises
    ------
    InvalidArgument
        sigma not positive, a negative square, dim no whole number; nan or infinities.
    """
    dim, sigma = whole("dim", dim), positive("sigma", sigma)
    mean_sq, prior_sq = not_negative("mean_sq", mean_sq), not_negative("prior_sq", prior_sq)
    noise = 0.5 * dim * _noise_term(sigma)
    pull, push = sigma * sigma * mean_sq + prior_sq, 2.0 * sigma * finite("cross", cross)
    if not math.isfinite(noise + pull + abs(push)):
        return math.inf
    value = noise + 0.5 * max(0.0, pull - push)
    # Absolute slack for the cancellation between pull and push.
    return float(up(value + 4.0 * math.ulp(pull + abs(push)), 8))


def optimal_sigma(dim: int, mean_sq: float, cross: float = 0.0, prior_sq: float = 0.0) -> float:
    """Posterior noise that minimises :func:`gaussian_kl` (``prior_sq`` does not matter).

    ``[<M, W0> + sqrt(<M, W0>^2 + 4 dim (dim + |M|^2))] / (2 (dim + |M|^2))``. A choice, not a
    bound: to double precision and not rounded outward.

    Raises
    ------
    InvalidArgument
        dim below 1 or no whole number, a negative square, nan or infinities.
    """
    del prior_sq
    dim, cross = whole("dim", dim, 1), finite("cross", cross)
    total = dim + not_negative("mean_sq", mean_sq)
    return (cross + math.sqrt(cross * cross + 4.0 * dim * total)) / (2.0 * total)


def scale_free_kl(dim: int, mu: float) -> float:
    """Smallest divergence over the noise scale: ``(dim/2) ln(1 + mu^2/dim)``, rounded up.

    Parameters
    ----------
    dim
        Dimension of the noise, 1 or more.
    mu
        Norm of the mean in units of the posterior noise.

    Raises
    ------
    InvalidArgument
        dim below 1 or no whole number, mu negative, nan or infinite.
    """
    dim, mu = whole("dim", dim, 1), max(not_negative("mu", mu), _LEAST)
    return float(up(0.5 * dim * math.log1p(mu * mu / dim), 8))


def _noise_term(sigma: float) -> float:
    """``sigma^2 - 1 - 2 ln(sigma)`` without cancellation near 1; never below 0."""
    x = sigma - 1.0
    if abs(x) > 0.1:
        return max(0.0, sigma * sigma - 1.0 - 2.0 * math.log(sigma)) * (1.0 + 1e-13)
    # ln(1 + x) = 2 (r + r^3/3 + ...) with r = x/(2 + x), and x^2 + 2 x - 4 r = x^2 + 2 x r.
    r = x / (2.0 + x)
    tail = sum(r ** (2 * m + 1) / (2 * m + 1) for m in range(1, 9))
    return max(0.0, x * x + 2.0 * x * r - 4.0 * tail) * (1.0 + 1e-14)
