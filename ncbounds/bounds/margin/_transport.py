"""Class bounds from margins and the transport distance between halves, on unit rays."""

import math

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.homogeneous.rays import Rays
from ncbounds.bounds.margin._farthest import farthest
from ncbounds.bounds.margin._halves import half_distance, halves
from ncbounds.numerics import up
from ncbounds.numerics.rademacher import transport_slack_of_halves
from ncbounds.numerics.scaling import divided

#: Unit rays lie in a ball of diameter 2.
DIAMETER = 2.0
#: Pairs per class that are compared when a scale is chosen.
GLANCE = 16

EPS = float(np.finfo(np.float64).eps)


def class_bounds(
    found: Rays, kappa: float, margins: Floats, members: list[Ints], delta: float
) -> Floats:
    """Bounds on ``P(err | c)``, each at ``delta``, shape (len(members),).

    Parameters
    ----------
    found : Rays
    kappa : float
        Scale of the constant coordinate.
    margins : array of shape (n,)
        Margins of the head as it is.
    members : list of integer arrays
        Rows of each class; one with fewer than two rows has the bound 1.
    delta : float
    """
    steep = lipschitz(found, kappa, len(members))
    out = np.ones(len(members))
    for c, rows in enumerate(members):
        if len(rows) < 2:
            continue
        one, two = halves(rows)
        w1 = half_distance(unit_rays(found, one, kappa), unit_rays(found, two, kappa))
        on_rays = margins_on_rays(found, kappa, margins, rows)
        out[c] = class_bound(on_rays, steep[c], w1, len(one), delta)
    return out


def class_bound(margins: Floats, steepness: float, w1: float, half: int, delta: float) -> float:
    """Bound ``P(err | c)`` of one class by its margins and the distance of two halves of it.

    Parameters
    ----------
    margins : array of shape (n_c,)
        Margins on unit rays.
    steepness : float
        Lipschitz constant of the margin.
    w1 : float
        Transport distance between two disjoint random halves of the class.
    half : int
        Points of a half.
    delta : float in (0, 1)
    """
    slack = transport_slack_of_halves(w1, len(margins), half, delta, DIAMETER)
    return free_margin(margins, float(up(steepness * slack)))[0]


def class_guesses(
    found: Rays, scales: tuple[float, ...], margins: Floats, members: list[Ints]
) -> Floats:
    """Quick stand-ins for :func:`class_bounds` by which a scale is chosen, (scales, classes).

    A few pairs of the halves as they come, no deviation term, and nothing is rounded outward.
    """
    steep = np.stack([_steepness(found, k, len(members)) for k in scales])
    out = np.ones((len(scales), len(members)))
    for c, rows in enumerate(members):
        if len(rows) < 2:
            continue
        w1 = _glances(found, scales, *(half[:GLANCE] for half in halves(rows)))
        for i, k in enumerate(scales):
            on_rays = margins_on_rays(found, k, margins, rows)
            out[i, c] = free_margin(on_rays, float(steep[i, c] * w1[i]))[0]
    return out


def _glances(found: Rays, scales: tuple[float, ...], one: Ints, two: Ints) -> Floats:
    """Mean distance of unit rays ``one`` to ``two``, pair by pair, for each scale, (scales,)."""
    with np.errstate(over="ignore", invalid="ignore"):
        pair = [found.features.take(index) - found.centre for index in (one, two)]
        product = np.einsum("ij,ij->i", *pair)
        kappa = np.array(scales)[:, None]
        lengths = [np.sqrt(found.squares[index] + kappa * kappa) for index in (one, two)]
        there = [np.isfinite(length) & (length > 0) for length in lengths]
        cos = (product + kappa * kappa) / (lengths[0] * lengths[1])
    both = np.where(there[0] & there[1], cos, 0.0)
    squares = there[0].astype(np.float64) + there[1] - 2.0 * both
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)).mean(axis=1))


def _steepness(found: Rays, kappa: float, classes: int) -> Floats:
    """:func:`lipschitz` with the rounding of one Gram matrix that all scales share."""
    out = np.zeros(classes)
    squares = found.apart
    if found.constant:
        steps = found.bias[:, None] - found.bias
        squares = squares + np.square(steps / kappa)
    out[: len(squares)] = np.sqrt(squares.max(axis=1))
    return out


def free_margin(margins: Floats, cost: float) -> tuple[float, float]:
    """Minimum over gamma of ``mean ramp_gamma(m) + cost/gamma``, rounded up, and its gamma.

    In ``1/gamma`` the slope between two consecutive positive margins is
    ``cost - sum(m_i : 0 < m_i < gamma)/n``, so the best gamma is the smallest margin up to which
    the sum exceeds ``n cost``; if there is none, the minimum is the limit 1 at infinity.
    """
    n = len(margins)
    positive = np.sort(margins[margins > 0])
    below = np.concatenate([[0.0], np.cumsum(positive)])
    reached = np.flatnonzero(below > n * cost)
    if not len(reached):
        return 1.0, math.inf
    gamma = float(positive[reached[0] - 1])
    loss = np.clip(1.0 - margins / gamma, 0.0, 1.0)
    return min(1.0, float(up(math.fsum(loss) / n + 4.0 * EPS + cost / gamma, 4))), gamma


def lipschitz(found: Rays, kappa: float, classes: int) -> Floats:
    """``max_j ||V_c - V_j||`` for each class, shape (classes,), rounded up.

    0 for classes that the head has no output for: they have no positive margin.
    """
    v = found.weight
    if found.constant:
        v = np.column_stack([v, found.bias / kappa])
    out = np.zeros(classes)
    out[: len(v)] = farthest(v)
    return out


def unit_rays(found: Rays, index: Ints, kappa: float) -> Floats:
    """``psi/||psi||`` of rows ``index``, shape (m, p); rows that are not finite are 0."""
    x = np.empty((len(index), found.dim))
    x[:, : len(found.centre)] = found.features.take(index)
    x[:, : len(found.centre)] -= found.centre
    if found.constant:
        x[:, -1] = kappa
    lengths = found.lengths(kappa, index)
    bad = ~(np.isfinite(lengths) & (lengths > 0))
    x[bad], lengths[bad] = 0.0, 1.0
    x /= lengths[:, None]
    return x


def margins_on_rays(found: Rays, kappa: float, margins: Floats, members: Ints) -> Floats:
    """Margins of V on unit rays, lowered by all rounding; ``-inf`` where they are not finite."""
    out = np.full(len(members), -np.inf)
    keep = found.usable[members]
    m = divided(margins[members[keep]], found.power)
    out[keep] = m / found.lengths(kappa, members[keep])
    # once for these points, and once for fresh ones: the ramp of a lowered margin is as steep
    slack = max(8.0 * EPS * (found.dim + found.classes), 2.0 * found.rounding(kappa))
    return np.asarray(out - slack * found.size(kappa))
