"""Search for a good posterior of the Gaussian head certificate on a subsample.

The certificate holds for every posterior at once, so whatever is found here is valid; only the
reported point is evaluated on all rows, by :mod:`ncbounds.bounds._gaussian_engine`.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from ncbounds.bounds._homogeneous import Rays
from ncbounds.linear_head import Floats, Ints
from ncbounds.numerics import gaussian_loss_fast, kl_upper, ln_xi

#: Rows that the first search and the final polish look at.
COARSE_ROWS, FINE_ROWS = 64, 320
#: Numbers per evaluated batch of gaps.
BATCH = 2_000_000
#: Smallest noise that is tried; below it rounding of the projected lengths would show.
LEAST_SIGMA = 1e-3
ROUNDS = 40

#: Columns of a candidate: projector, scale, threshold (indices), log mu, log sigma.
PROJECTOR, SCALE, THRESHOLD, LOG_MU, LOG_SIGMA = range(5)
_STENCIL = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]


@dataclass(frozen=True, eq=False)
class Subsample:
    """Rows with weights that add up to 1, the ones with small margins drawn more densely.

    Attributes
    ----------
    weights : array of shape (m,)
    gaps : array of shape (m, C-1)
    squares : array of shape (m,)
        ``||f - q||^2``.
    shares : array of shape (projectors, scales, m)
        ``||Pi psi||^2``.
    lost : float
        Weight of the rows whose loss is 1 whatever the posterior.
    """

    weights: Floats
    gaps: Floats
    squares: Floats
    shares: Floats
    lost: float


@dataclass(frozen=True, eq=False)
class Prices:
    """What a candidate costs besides its loss.

    Attributes
    ----------
    sizes, kappas, typical : array of shape (scales,)
        ``||V||``, the scale, and ``||V||`` times the root mean square of ``||psi||``.
    ranks : array of shape (projectors,)
    whole : boolean array of shape (projectors,)
        Which projector is the identity.
    thetas : array of shape (thresholds,)
    fixed : float
        ``ln(|Theta| |K| xi(n) / delta)``.
    n, classes : int
    """

    sizes: Floats
    kappas: Floats
    typical: Floats
    ranks: Floats
    whole: np.ndarray
    thetas: Floats
    fixed: float
    n: int
    classes: int


def prices(
    rays: Rays, ranks: Floats, whole: np.ndarray, thetas: tuple[float, ...], delta: float
) -> Prices:
    """Collect the prices of every candidate for ``rays``."""
    choices = len(thetas) * len(rays.kappas)
    sizes, kappas = np.array([rays.size(k) for k in rays.kappas]), np.array(rays.kappas)
    length = np.mean(rays.squares[rays.usable])
    return Prices(
        sizes=sizes,
        kappas=kappas,
        typical=sizes * np.sqrt(length + np.square(kappas)),
        ranks=ranks,
        whole=whole,
        thetas=np.array(thetas),
        fixed=float(np.log(choices / delta)) + ln_xi(rays.n),
        n=rays.n,
        classes=rays.classes,
    )


def spread(order: Ints, m: int) -> tuple[Ints, Floats]:
    """Pick m of ``order`` at the squares of an even grid; weights are the shares they stand for."""
    if len(order) <= m:
        return order, np.full(len(order), 1.0 / max(len(order), 1))
    edges = np.square(np.linspace(0.0, 1.0, m + 1))
    middle = 0.5 * (edges[1:] + edges[:-1]) * len(order)
    return order[middle.astype(np.int64)], np.diff(edges)


def estimate(points: Floats, sub: Subsample, cost: Prices) -> Floats:
    """Value of candidates of shape (c, 5) on the subsample, about 1e-7; shape (c,)."""
    out = np.empty(len(points))
    step = max(1, BATCH // max(1, sub.gaps.size))
    for i in range(0, len(points), step):
        out[i : i + step] = _estimate(points[i : i + step], sub, cost)
    return out


def _estimate(points: Floats, sub: Subsample, cost: Prices) -> Floats:
    pi, scale, threshold = points[:, :3].astype(np.int64).T
    mu, sigma = np.exp(points[:, LOG_MU:]).T
    theta, kappa = cost.thetas[threshold], cost.kappas[scale]
    squares = sub.squares + np.square(kappa)[:, None]
    v = np.sqrt(squares - (1.0 - np.square(sigma))[:, None] * sub.shares[pi, scale])
    slope = (sigma * mu / cost.sizes[scale])[:, None] / v
    shift = theta[:, None] * np.sqrt(squares) / v
    with np.errstate(over="ignore"):
        t = slope[..., None] * sub.gaps - shift[..., None]
    loss = gaussian_loss_fast(t.reshape(-1, t.shape[2])).reshape(len(points), -1)
    gibbs = sub.lost + (1.0 - sub.lost) * (loss @ sub.weights)
    rank = (cost.classes - 1) * cost.ranks[pi]
    divergence = rank * (sigma**2 - 1 - 2 * np.log(sigma)) / 2 + np.square(sigma * mu) / 2
    budget = (divergence + cost.fixed) / cost.n
    factor = special.ndtr(theta / np.sqrt(2.0) / np.where(cost.whole[pi], sigma, 1.0))
    return np.asarray(kl_upper(np.clip(gibbs, 0, 1), np.minimum(budget, 700.0)) / factor)


def search(sub: Subsample, cost: Prices) -> Floats:
    """Best candidate of each projector, shape (projectors, 5), from a coarse start."""
    best = np.array([_start(sub, cost, pi) for pi in range(len(cost.whole))])
    return improve(best, sub, cost, step=0.4, stop=0.02, everything=True)


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
    return found


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
