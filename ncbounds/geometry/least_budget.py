"""The least budget ``||W||_F ||H||_F`` at which free features reach a given loss, as a bracket."""

import time
from typing import NamedTuple

import numpy as np
import scipy.linalg as sla
from scipy import optimize

from ncbounds.arrays import Floats
from ncbounds.geometry.free_features import ROUNDING, Task, spectral_norm
from ncbounds.geometry.free_features_solver import TINY, factored_logits, minimise

#: The solver stops when the two ends of the bracket agree to this factor.
CLOSE = 1.001
#: Scales of the best logits so far at which further responses are tried first.
SCALES = (0.5, 0.7, 0.85, 1.15, 1.4, 2.0)
_ROUNDS = 30
#: Steps of the first descent; each next one takes as many more.
_STEPS = 15
_BIAS_STEPS = 8
_FARTHEST = 1e6


class Bracket(NamedTuple):
    """Limits of the least budget, the response that proves the lower one, logits of the upper."""

    lower: float
    upper: float
    response: Floats
    logits: Floats


def lower_budget(task: Task, u: Floats, loss: float, scale: float) -> float:
    """Budget below which no head and features reach ``loss``, as the response ``u`` proves it.

    ``u`` is :meth:`Task.allowed`; ``scale`` is a budget about which rounding is counted.
    """
    gain, slope = task.line(u)
    if not slope > 0:
        return 0.0
    return max(0.0, gain - loss - ROUNDING * (abs(gain) + slope * scale)) / slope


def least_budget(
    task: Task, loss: float, budget: float, logits: Floats, response: Floats, seconds: float
) -> Bracket:
    """Bracket the least budget of ``task`` at ``loss``, which is between its floor and ``idle``.

    Parameters
    ----------
    task : Task
    loss : float
    budget : float
        Of the network that has this loss: rounding is counted about it.
    logits : array of shape (T, C)
        Where to start: group means of its logits, whose loss is at most ``loss`` by Jensen's
        inequality.
    response : array of shape (T, C)
        Group means of its p - q: the first response that is tried.
    seconds : float
        The solver starts nothing new after so long; the bracket is valid at any time.
    """
    end = time.monotonic() + seconds
    response = task.allowed(response)
    known = task.cost(logits) if task.value(logits) <= loss else float("inf")
    best = Bracket(0.0, known, response, logits)
    best = _with_response(task, best, response, loss, budget)
    best = _with_response(task, best, task.response(logits), loss, budget)
    peak = task.target.max(axis=1, keepdims=True)
    start = ((task.target >= peak) & (peak > 0)).astype(np.float64)  # equal margins
    own, offset = task.offset(logits), task.offset(start)
    for point, still in ((logits, own), (start, offset), (start, 0 * offset)):
        bounded = bool(np.isfinite(best.upper))
        if bounded and time.monotonic() > end:
            break
        reached = _reach(task, point - still, still, loss, end if bounded else np.inf)
        if reached is not None:
            best = _with_point(task, best, reached, loss, budget)
    for scale in SCALES:
        if _done(best, end):
            break
        best = _with_response(task, best, task.response(scale * best.logits), loss, budget)
    return _solve(task, best, loss, budget, end)


def _reach(task: Task, moving: Floats, still: Floats, loss: float, end: float) -> Floats | None:
    """Logits ``t * moving + still`` with the t > 0 at which the loss is just reached, in time."""
    floor = task.floor
    wanted = np.log(loss - floor)

    def above(t: float) -> float:
        if time.monotonic() > end:
            return 0.0  # as if it was found, which is looked at below
        return float(np.log(max(task.value(t * moving + still) - floor, TINY)) - wanted)

    t = 1.0
    while above(t) > 0:
        t *= 2
        if t > _FARTHEST:
            return None
    if above(0.0) <= 0:
        return None
    t = optimize.brentq(above, 0.0, t, xtol=1e-14, rtol=1e-12)
    for step in (0.0, 1e-12, 1e-10, 1e-7, 1e-4):  # to the side where the loss is reached
        found = t * (1 + step) * moving + still
        if task.value(found) <= loss:
            return np.asarray(found)
    return None


def _settled(task: Task, logits: Floats) -> Floats:
    """Move the bias towards its best for these logits; the loss does not grow."""
    if not task.bias:
        return logits
    weights = task.share * task.factor
    value, u = task.loss.tangent(logits, task.target)
    now = float(weights @ value)
    for _ in range(_BIAS_STEPS):
        slope = weights @ u
        matrix = task.loss.curvature(u, task.target, weights)
        scale = np.sqrt(np.maximum(np.diag(matrix), TINY))  # classes of very different sizes
        matrix = matrix / scale[:, None] / scale
        if task.loss.shifts:
            matrix = matrix + np.outer(scale, scale) / (scale @ scale)
        np.fill_diagonal(matrix, np.diag(matrix) + ROUNDING)
        with np.errstate(over="ignore"):  # a bias that runs off to infinity
            step = -sla.solve(matrix, slope / scale, assume_a="pos") / scale
        step = np.clip(step, -_FARTHEST, _FARTHEST)
        moved = logits + step
        value, u = task.loss.tangent(moved, task.target)
        then = float(weights @ value)
        if not then <= now:
            break
        logits, now = moved, then
        if float(np.abs(step).max()) < 1e-9:
            break
    return logits


def _done(best: Bracket, end: float) -> bool:
    return best.upper <= CLOSE * best.lower or time.monotonic() > end


def _with_response(task: Task, best: Bracket, u: Floats, loss: float, budget: float) -> Bracket:
    lower = lower_budget(task, u, loss, budget)
    return best._replace(lower=lower, response=u) if lower > best.lower else best


def _with_point(task: Task, best: Bracket, logits: Floats, loss: float, budget: float) -> Bracket:
    logits = _settled(task, logits)
    cost = task.cost(logits)
    if cost < best.upper:
        best = best._replace(upper=cost, logits=logits)
    return _with_response(task, best, task.response(logits), loss, budget)


def _solve(task: Task, best: Bracket, loss: float, budget: float, end: float) -> Bracket:
    """Minimise the loss at a budget, move the budget by Newton steps, keep the best of all."""
    if _done(best, end):
        return best
    floor = task.floor
    offset = task.offset(best.logits)
    left, values, right = sla.svd(task.root * task.centred(best.logits), full_matrices=False)
    values = np.sqrt(np.maximum(values, 1e-3 * values[0]))  # zero factors would never move
    v, w = left * values, right.T * values
    at = min(best.upper, task.cost(best.logits))
    for k in range(_ROUNDS):
        if _done(best, end):
            break
        v, w, offset = minimise(task, at, v, w, offset, end, _STEPS * (k + 1))
        logits = _settled(task, factored_logits(task, at, v, w, offset))
        offset = task.offset(logits)
        excess = max(task.value(logits) - floor, TINY)
        u = task.response(logits)
        best = _with_response(task, best, u, loss, budget)
        reached = _reach(task, logits - offset, offset, loss, end)
        if reached is not None:
            best = _with_point(task, best, reached, loss, budget)
        slope = spectral_norm(task.columns(u))
        step = excess * (np.log(excess) - np.log(loss - floor)) / max(slope, TINY)
        at = float(np.clip(at + step, max(best.lower, at / 2), min(best.upper, 2 * at)))
    return best
