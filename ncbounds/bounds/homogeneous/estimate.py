"""Value of many candidate posteriors of the Gaussian certificate on a subsample, about 1e-6."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.homogeneous.projectors import Projector, projected
from ncbounds.bounds.homogeneous.rays import Rays
from ncbounds.numerics import gaussian_loss_fast, kl_upper, ln_xi

#: Numbers per evaluated batch of gaps.
BATCH = 2_000_000

#: Columns of a candidate: projector, scale, threshold (indices), log mu, log sigma.
PROJECTOR, SCALE, THRESHOLD, LOG_MU, LOG_SIGMA = range(5)


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


def prices(rays: Rays, kinds: list[Projector], thetas: tuple[float, ...], delta: float) -> Prices:
    """Collect the prices of every candidate for ``rays``."""
    choices = len(thetas) * len(rays.kappas)
    sizes, kappas = np.array([rays.size(k) for k in rays.kappas]), np.array(rays.kappas)
    length = np.mean(rays.squares[rays.usable])
    return Prices(
        sizes=sizes,
        kappas=kappas,
        typical=sizes * np.sqrt(length + np.square(kappas)),
        ranks=np.array([p.rank for p in kinds], dtype=np.float64),
        whole=np.array([p.name == "all" for p in kinds]),
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


def subsample(rays: Rays, order: Ints, m: int, kinds: list[Projector]) -> Subsample:
    """At most m of the usable rows ``order``, which are sorted by their margin."""
    index, weights = spread(order, m)
    z = rays.coordinates(index)
    shares = [[projected(rays, p, k, index, z) for k in rays.kappas] for p in kinds]
    return Subsample(
        weights=weights,
        gaps=rays.gaps(index),
        squares=rays.squares[index],
        shares=np.array(shares),
        lost=1.0 - len(order) / rays.n,
    )


def estimate(points: Floats, sub: Subsample, cost: Prices) -> Floats:
    """Value of candidates of shape (c, 5) on the subsample, about 1e-6; shape (c,)."""
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
