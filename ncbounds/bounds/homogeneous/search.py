"""Search for a good posterior of the Gaussian head certificate on a subsample.

The certificate holds for every posterior at once, so whatever is found here is valid; only the
reported point is evaluated on all rows, by :mod:`ncbounds.bounds.homogeneous.gaussian`.
"""

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.homogeneous.estimate import (
    LOG_SIGMA,
    SCALE,
    THRESHOLD,
    Prices,
    Subsample,
    estimate,
    prices,
    subsample,
)
from ncbounds.bounds.homogeneous.projectors import Projector
from ncbounds.bounds.homogeneous.rays import Rays

#: Rows that the starting grid, the search over everything and the final polish look at.
START_ROWS, COARSE_ROWS, FINE_ROWS = 32, 64, 320
#: Steps down to which all projectors are searched, and then the best one; the polish goes on.
PRUNE, COARSE = 0.2, 0.02
#: Smallest noise that is tried; below it rounding of the projected lengths would show.
LEAST_SIGMA = 1e-3
ROUNDS = 40
_STENCIL = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]


def best_candidate(
    rays: Rays, kinds: list[Projector], thetas: tuple[float, ...], delta: float
) -> Floats:
    """Best candidate found, shape (5,): indices of projector, scale, threshold; log mu, sigma."""
    cost = prices(rays, kinds, thetas, delta)
    keep, scale = np.flatnonzero(rays.usable), int(np.argmin(cost.typical))
    closest = rays.closest(keep) / rays.lengths(rays.kappas[scale], keep)
    order = keep[np.argsort(closest, kind="stable")]
    start = subsample(rays, order, START_ROWS, kinds)
    found = np.array([_start(start, cost, pi) for pi in range(len(kinds))])
    coarse, fine = (subsample(rays, order, m, kinds) for m in (COARSE_ROWS, FINE_ROWS))
    found = improve(found, coarse, cost, step=0.4, stop=PRUNE, everything=True)
    found = found[np.argsort(estimate(found, fine, cost), kind="stable")][:1]
    found = improve(found, coarse, cost, step=PRUNE, stop=COARSE, everything=True)
    return np.asarray(improve(found, fine, cost, step=0.05, stop=0.01, everything=False)[0])


def improve(
    best: Floats, sub: Subsample, cost: Prices, *, step: float, stop: float, everything: bool
) -> Floats:
    """Pattern search from each row of ``best``; thresholds and scales move if ``everything``."""
    best, values = best.copy(), estimate(best, sub, cost)
    steps = np.full(len(best), step)
    for _ in range(ROUNDS):
        active = np.flatnonzero(steps > stop)
        if not len(active):
            break
        tried = [_neighbours(best[i], steps[i], cost, everything) for i in active]
        found = estimate(np.concatenate(tried), sub, cost)
        for i, block, value in zip(
            active, tried, np.split(found, np.cumsum([len(b) for b in tried])[:-1]), strict=True
        ):
            j = int(np.argmin(value))
            if value[j] < values[i] * (1.0 - 1e-6):
                best[i], values[i] = block[j], value[j]
            else:
                steps[i] *= 0.5
    return best[np.argsort(values, kind="stable")]


def _start(sub: Subsample, cost: Prices, pi: int) -> Floats:
    """Best point of a small grid in mu, sigma and the threshold, at the scale of small norms."""
    scale = int(np.argmin(cost.typical))
    thresholds = np.unique(np.linspace(0, len(cost.thetas) - 1, 4).astype(int))
    grid = np.array(
        [
            (pi, scale, th, mu, sigma)
            for th in thresholds
            for mu in np.log(np.geomspace(1.0, 2000.0, 8))
            for sigma in np.log([0.15, 0.4, 0.8])
        ]
    )
    return np.asarray(grid[np.argmin(estimate(grid, sub, cost))])


def _neighbours(point: Floats, step: float, cost: Prices, everything: bool) -> Floats:
    """Candidates around ``point``, within the grids."""
    found = point + np.array([(0, 0, 0, a * step, b * step) for a, b in _STENCIL])
    if everything:
        found = np.concatenate(
            [found, _other_threshold(point, step, cost), _other_scale(point, cost)]
        )
    found[:, LOG_SIGMA] = np.clip(found[:, LOG_SIGMA], np.log(LEAST_SIGMA), 0.0)
    return np.asarray(found)


def _other_threshold(point: Floats, step: float, cost: Prices) -> Floats:
    """Neighbouring thresholds, with sigma as it is or in proportion to the threshold.

    Where the projector reaches, the loss depends on theta/sigma only.
    """
    here, out = int(point[THRESHOLD]), []
    for there in (here - 1, here + 1):
        if 0 <= there < len(cost.thetas):
            old, new = cost.thetas[here], cost.thetas[there]
            ratio = float(np.log(new / old)) if old > 0 and new > 0 else 0.0
            for a in (-step, 0.0, step):
                for b in (0.0, ratio):
                    out.append(point + np.array([0, 0, there - here, a, b]))
    return np.array(out).reshape(-1, 5)


def _other_scale(point: Floats, cost: Prices) -> Floats:
    """Neighbouring scales, with mu as it is or such that typical gaps stay as they are."""
    here, out = int(point[SCALE]), []
    for there in (here - 1, here + 1):
        if 0 <= there < len(cost.kappas):
            ratio = float(np.log(cost.typical[there] / cost.typical[here]))
            for move in (0.0, ratio):
                out.append(point + np.array([0, there - here, 0, move, 0]))
    return np.array(out).reshape(-1, 5)
