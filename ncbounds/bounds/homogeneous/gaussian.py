r"""The Gaussian certificate of a linear head in its homogeneous form.

Used by the bounds on the saved head and on the head restricted to a subspace::

    gaussian_head_value(rays, delta, thetas=THETAS) -> GaussianValue(value, terms, details)

    rays = Rays.of(features, labels, logits, weight, bias, centre=None, constant=True)

``rays`` (:class:`ncbounds.bounds.homogeneous.rays.Rays`) holds the head and the sample in any
dimension p: features of shape (n, d), already in the coordinates in which the head is to be
certified (for a subspace: ``U'(f - q)`` of shape (n, r) with ``weight = W U`` and
``bias = b + W q``), labels (n,) and the (n, C) logits of exactly that head. ``value`` is rounded up
and may exceed 1; ``terms`` add up to it; ``details`` are JSON-able. Rows that are not finite, or
whose label the head has no output for, count with loss 1. The caller guarantees that the map to
these features was fixed before the rows were drawn.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from ncbounds.bounds.homogeneous.estimate import LOG_MU, LOG_SIGMA, PROJECTOR, SCALE, THRESHOLD
from ncbounds.bounds.homogeneous.projectors import Projector, projected, projectors
from ncbounds.bounds.homogeneous.rays import Rays
from ncbounds.bounds.homogeneous.search import best_candidate
from ncbounds.bounds.restate import NotExplicit
from ncbounds.numerics import down, gaussian_kl, gaussian_loss, kl_upper, ln_xi, up
from ncbounds.results import BoundResult

#: Thresholds in units of the prior noise; ln 13 is their price.
THETAS: tuple[float, ...] = (0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)

EPS = float(np.finfo(np.float64).eps)
#: Gaps beyond this have loss 0 or 1 in float64, and stay finite when they are lowered.
FAR = 1e6


@dataclass(frozen=True)
class GaussianValue:
    """Value of the certificate, rounded up, with its terms and the choices it made."""

    value: float
    terms: Mapping[str, float]
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Posterior:
    """One point of the family: noise sigma where the projector reaches, 1 elsewhere.

    Attributes
    ----------
    projector : Projector
    kappa, theta : float
        From their grids.
    mu : float
        Norm of the mean in units of sigma.
    sigma : float in (0, 1]
        The factor by which values are divided holds only up to 1.
    """

    projector: Projector
    kappa: float
    theta: float
    mu: float
    sigma: float


def gaussian_head_value(
    rays: Rays, delta: float, thetas: tuple[float, ...] = THETAS
) -> GaussianValue:
    """Smallest value that the search finds, evaluated on all rows.

    Parameters
    ----------
    rays : Rays
    delta : float in (0, 1)
    thetas : tuple of float
        Thresholds, fixed before the sample; their number is paid for.
    """
    reason = rays.refusal() if rays.usable.any() else "no usable row"
    if reason is not None:
        return GaussianValue(1.0, {"empirical": 1.0}, {"degenerate": reason})
    return evaluate(rays, best_posterior(rays, delta, thetas), delta, thetas)


def best_posterior(rays: Rays, delta: float, thetas: tuple[float, ...] = THETAS) -> Posterior:
    """Search over projectors, scales, thresholds, mu and sigma on a subsample."""
    kinds = projectors(rays)
    best = best_candidate(rays, kinds, thetas, delta)
    return Posterior(
        projector=kinds[int(best[PROJECTOR])],
        kappa=rays.kappas[int(best[SCALE])],
        theta=thetas[int(best[THRESHOLD])],
        mu=float(np.exp(best[LOG_MU])),
        sigma=float(np.exp(best[LOG_SIGMA])),
    )


def evaluate(
    rays: Rays, q: Posterior, delta: float, thetas: tuple[float, ...] = THETAS
) -> GaussianValue:
    """Value of one posterior on all rows, rounded up.

    ``klinv(G, (KL + ln(|Theta||K| xi(n)/delta)) / n) / F``. A fresh point at which the saved head
    errs has, by V, a margin of at most ``rays.rounding ||V|| r``, not 0; F is lowered by that.
    """
    n, loss = rays.n, gibbs_loss(rays, q)
    # 1e-12: V is divided by its norm as computed
    directions = (rays.classes - 1) * q.projector.rank
    divergence = gaussian_kl(directions, q.sigma, q.mu * q.mu * (1.0 + 1e-12))
    choices = len(thetas) * len(rays.kappas)
    lost = q.mu * rays.rounding(q.kappa)
    lead = q.theta / q.sigma - lost  # in units of v = sigma r; elsewhere sigma r <= v <= r
    if q.projector.name != "all":
        lead = min(lead, q.theta - q.sigma * lost)
    factor = float(down(special.ndtr(lead / math.sqrt(2.0)), 16))
    if factor <= 0.0:
        return GaussianValue(1.0, {"empirical": 1.0}, {"degenerate": "rounding hides all margins"})
    fixed = _fixed(choices, n, delta)
    value = posterior_value(loss, divergence, factor, choices, n, delta)
    plain = float(kl_upper(loss, up(fixed / n, 2)))
    return GaussianValue(
        value=value,
        terms={
            "empirical": loss / factor,
            "confidence": (plain - loss) / factor,
            "complexity": value - plain / factor,
        },
        details={
            "kappa": q.kappa,
            "theta": q.theta,
            "mu": q.mu,
            "sigma": q.sigma,
            "projector": q.projector.name,
            "rank": q.projector.rank,
            "gibbs loss": loss,
            "divergence": divergence,
            "factor": factor,
            "choices": choices,
        },
    )


def posterior_value(
    loss: float, divergence: float, factor: float, choices: int, n: int, delta: float
) -> float:
    """``klinv(loss, (divergence + ln(choices xi(n) / delta)) / n) / factor``, rounded up."""
    price = up((divergence + _fixed(choices, n, delta)) / n, 2)
    return float(up(kl_upper(loss, price) / factor))


def gaussian_restated(row: BoundResult, n: int, delta: float) -> float:
    """Value of a row's own posterior, which the theorem allows at every n and delta."""
    d = row.details
    if "gibbs loss" not in d:
        raise NotExplicit("the head is degenerate")
    return posterior_value(d["gibbs loss"], d["divergence"], d["factor"], d["choices"], n, delta)


def _fixed(choices: int, n: int, delta: float) -> float:
    return float(up(math.log(choices) + ln_xi(n) - math.log(delta), 4))


def gibbs_loss(rays: Rays, q: Posterior) -> float:
    """Mean over all rows of the posterior's probability of a margin below the threshold.

    Rounded up: t is lowered by what the products of length p may have lost before the loss, which
    is an upper bound itself and decreases in t, is evaluated.
    """
    slope = q.mu / rays.size(q.kappa)
    lengths = rays.lengths(q.kappa)
    keep = np.flatnonzero(rays.usable)
    losses = [float(rays.n - len(keep))]
    lost_digits = 8.0 * EPS * (rays.dim + rays.classes)
    more = max(1.0, rays.rounding(q.kappa) / lost_digits)
    for index in rays.pieces(keep):
        r = lengths[index]
        v = np.full(len(index), q.sigma) * r
        if q.projector.name != "all":
            inside = projected(rays, q.projector, q.kappa, index, rays.coordinates(index))
            v = np.sqrt(q.sigma**2 * inside + (r * r - inside))
        with np.errstate(over="ignore"):
            t = (q.sigma * slope * rays.gaps(index) - (q.theta * r)[:, None]) / v[:, None]
        np.clip(t, -FAR, FAR, out=t)
        t -= lost_digits * (np.abs(t) / q.sigma**2 + q.mu * more + q.theta / q.sigma)
        losses.extend(gaussian_loss(t).tolist())
    return min(1.0, float(up(math.fsum(losses) / rays.n, 2)))
