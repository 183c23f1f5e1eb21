"""What an anchored certificate fixes on the first part of the labels, before it sees the second."""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from ncbounds.arrays import Bools, Floats, Ints
from ncbounds.bounds.homogeneous.centre import spread_about
from ncbounds.bounds.homogeneous.rays import squares_about
from ncbounds.evidence.decision import Decision
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import catoni, gaussian_loss_fast, kl_upper
from ncbounds.procedures.linear import Procedure, fit_on
from ncbounds.statistics.rows import as_rows, blocks_of, finite_mean, finite_rows

#: Candidates for the shift theta and, as powers of 2 times the root mean square gap, the noise s.
#: They are tried on the first part only, so their number costs nothing.
THETAS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
NOISE_EXPONENTS = tuple(np.arange(-7.0, 2.5, 0.5))
HALVES_SEED = 74
#: Points that a candidate is tried on, and the smallest and largest inverse temperature.
TRIED_ON = 250
C_RANGE = (1e-3, 30.0)
#: Below this cross-fitted error all points enter the Gibbs loss and nothing is counted.
WHOLE_BELOW = 0.02
#: Used where the first part is too small or too clean to choose by.
FALLBACK = (1.0, 0.0, 1.0)


class Anchor(NamedTuple):
    """Constants that the first part fixes: any values are valid, these aim at a small value.

    Attributes
    ----------
    centre : array of shape (d,)
    kappa : float
        Scale of the constant coordinate.
    head : LinearHead
        Fitted on the first part.
    noise, theta, c : float
    whole : bool
        Whether errors of ``head`` are left to the Gibbs loss instead of being counted.
    """

    centre: Floats
    kappa: float
    head: LinearHead
    noise: float
    theta: float
    c: float
    whole: bool


def anchor(
    first: Sample,
    procedure: Procedure,
    classes: int,
    n_rest: int,
    delta: float,
    decision: Decision,
) -> Anchor:
    """Fit and tune on the sample ``first``; ``n_rest`` points will be certified on."""
    centre = finite_mean(as_rows(first.features))
    kappa = spread_about(first, centre)
    head = fit_on(procedure, first.features, first.labels, classes)
    noise, theta, c, whole = _tuned(
        first, procedure, classes, n_rest, delta, centre, kappa, decision
    )
    return Anchor(centre, kappa, head, noise, theta, c, whole)


def stacked(head: LinearHead, centre: Floats, kappa: float, present: Ints | None = None) -> Floats:
    """Rows ``(W, (b + W q)/kappa)`` of the homogeneous form, centred over classes; (C, d + 1).

    With ``present``, the row of any other class is the mean of the rows of these.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        v = np.column_stack([head.weight, (head.bias + head.weight @ centre) / kappa])
        if present is not None:
            absent = np.setdiff1d(np.arange(len(v)), present)
            v[absent] = v[present].mean(axis=0)
        centred: Floats = v - v.mean(axis=0)
    return centred


def _tuned(
    first: Sample,
    procedure: Procedure,
    classes: int,
    n_rest: int,
    delta: float,
    centre: Floats,
    kappa: float,
    decision: Decision,
) -> tuple[float, float, float, bool]:
    order = np.random.default_rng(HALVES_SEED).permutation(first.n)
    halves = [order[k::2] for k in (0, 1)]
    parts = [first.part(h) for h in halves]
    if any(len(present_classes(p, classes)) == 0 for p in parts):
        return (*FALLBACK, False)
    heads = [fit_on(procedure, p.features, p.labels, classes) for p in parts]
    v1, v2 = (
        stacked(h, centre, kappa, present_classes(p, classes))
        for h, p in zip(heads, parts, strict=True)
    )
    others = parts[::-1]
    crossed = [_crossed(p, h, centre, kappa, decision) for p, h in zip(others, heads, strict=True)]
    rows, right, finite = (list(found) for found in zip(*crossed, strict=True))
    ok = np.concatenate(right)
    n, total = first.n, first.n + n_rest
    # two fits on n/2 points differ by more than fits on n and on all points are expected to
    drift = float(np.sum((v1 - v2) ** 2)) * (n / 4.0) * (1.0 / n - 1.0 / total)
    whole = bool(np.mean(~ok) < WHOLE_BELOW)
    used = np.flatnonzero(ok | whole)
    share = 1.0 if whole else float(np.mean(ok))
    if len(used) == 0 or not np.isfinite(drift) or not np.concatenate(finite)[used].all():
        return (*FALLBACK, whole)
    tried = used[:: max(1, len(used) // TRIED_ON)]
    second = len(rows[0])
    picked = rows[0][tried[tried < second]], rows[1][tried[tried >= second] - second]
    t = np.concatenate(
        [
            _gaps(p.part(index), h, centre, kappa, decision)[0]
            for p, h, index in zip(others, heads, picked, strict=True)
        ]
    )
    return (*_best(t, share, drift, n_rest, delta if whole else delta / 2.0), whole)


def _best(
    t: Floats, share: float, drift: float, n: int, delta: float
) -> tuple[float, float, float]:
    """Noise, shift and inverse temperature with the smallest predicted value."""
    scale = float(np.sqrt(np.mean(t**2)))
    if not 0 < scale < math.inf:
        return FALLBACK
    noises = scale * 2.0 ** np.array(NOISE_EXPONENTS)
    budgets = (drift / (2.0 * noises * noises) - math.log(delta)) / n
    losses = np.array(
        [[float(gaussian_loss_fast(t / s - theta).mean()) for theta in THETAS] for s in noises]
    )
    limits = kl_upper(np.minimum(share * losses, 1.0), budgets[:, None])
    best: tuple[float, tuple[float, float, float]] = (math.inf, FALLBACK)
    for s, b, gs, ps in zip(noises, budgets, share * losses, limits, strict=True):
        for theta, g, p in zip(THETAS, gs, ps, strict=True):
            c = _temperature(float(g), float(p))
            value = catoni(float(g), c, float(b)) / float(ndtr(theta / math.sqrt(2.0)))
            best = min(best, (value, (float(s), theta, c)))
    return best[1]


def _temperature(g: float, p: float) -> float:
    """Inverse temperature at which Catoni's form equals the kl form, kept in C_RANGE."""
    low, high = C_RANGE
    if g <= 0 or p >= 1:
        return high
    return min(high, max(low, math.log(p * (1.0 - g) / (g * (1.0 - p)))))


def _crossed(
    part: Sample, head: LinearHead, centre: Floats, kappa: float, decision: Decision
) -> tuple[Ints, Bools, Bools]:
    """Numbers of the finite points, whether the head gets them right, if their gaps are finite."""
    rows = np.flatnonzero(finite_rows(as_rows(part.features)) & (part.labels < head.classes))
    right, finite = np.empty(len(rows), dtype=np.bool_), np.empty(len(rows), dtype=np.bool_)
    for block in blocks_of(len(rows), part.dim):
        gaps, right[block] = _gaps(part.part(rows[block]), head, centre, kappa, decision)
        finite[block] = np.isfinite(gaps).all(axis=1)
    return rows, right, finite


def _gaps(
    part: Sample, head: LinearHead, centre: Floats, kappa: float, decision: Decision
) -> tuple[Floats, Bools]:
    """``(V_y - V_j) psi / ||psi||`` of the finite points, and whether the head gets them right."""
    features = as_rows(part.features)
    keep = finite_rows(features) & (part.labels < head.classes)
    with np.errstate(invalid="ignore", over="ignore"):
        logits, y = head.logits(part.features)[keep], part.labels[keep]
        length = np.sqrt(squares_about(features, centre)[keep] + kappa**2)
    right = ~decision.wrong_logits(logits, y)
    rows = np.arange(len(y))
    own = logits[rows, y]
    logits[rows, y] = logits[:, -1]
    gaps = own[:, None] - logits[:, :-1]
    gaps /= length[:, None]
    return gaps, right


def present_classes(part: Sample, classes: int) -> Ints:
    """Classes below ``classes`` that have a row with finite features."""
    finite = finite_rows(as_rows(part.features))
    present: Ints = np.unique(part.labels[finite & (part.labels < classes)])
    return present
