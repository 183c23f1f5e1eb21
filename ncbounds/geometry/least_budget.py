"""The least budget ``||W||_F ||H||_F`` at which free features reach a given loss, as a bracket."""

import time
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.linalg as sla
from scipy import optimize

from ncbounds.arrays import Floats
from ncbounds.geometry.fenchel import Fenchel

#: The solver stops when the two ends of the bracket agree to this factor.
CLOSE = 1.001
#: Rounding of gain and slope, outward, as a share of both.
ROUNDING = 1e-12
#: Off-target scales at which structured responses are tried, as multiples of that of the loss.
SCALES = (0.5, 0.7, 0.85, 1.15, 1.4, 2.0)
_ROUNDS = 30
_BIAS_STEPS = 8
_TINY = 1e-300
_FARTHEST = 1e6


@dataclass(frozen=True, eq=False)
class Task:
    """What a head and free features have to fit: T groups of points of equal target.

    Attributes
    ----------
    loss : Fenchel
    target : array of shape (T, C)
    factor : array of shape (T,)
        Factor of the loss of each group.
    count : array of shape (T,)
        Points per group, all positive.
    bias : bool
        Whether a bias is free.
    """

    loss: Fenchel
    target: Floats
    factor: Floats
    count: Floats
    bias: bool

    @property
    def share(self) -> Floats:
        """Weight of the groups in the mean loss, shape (T,), without the factors."""
        return self.count / self.count.sum()

    @property
    def root(self) -> Floats:
        """Square roots of the counts, shape (T, 1)."""
        return np.sqrt(self.count)[:, None]

    @property
    def unsettled(self) -> Floats:
        """Outputs, boolean (C,), that a free bias alone cannot settle."""
        if not self.bias:
            return np.ones(self.target.shape[1], dtype=bool)
        return ~np.asarray(self.loss.settled(self.share @ self.target))

    def restricted(self) -> "Task":
        """Return the task on the outputs that a free bias cannot settle."""
        return replace(self, target=self.target[:, self.unsettled])

    def mean(self, values: Floats) -> float:
        """Mean over points of one number per group, times its factor."""
        return float((self.share * self.factor) @ values)

    def value(self, logits: Floats) -> float:
        """Mean loss of one row of logits per group."""
        return self.mean(self.loss.tangent(logits, self.target)[0])

    def response(self, logits: Floats) -> Floats:
        """Return the response of logits, made :meth:`allowed`."""
        return self.allowed(self.loss.tangent(logits, self.target)[1])

    @property
    def floor(self) -> float:
        """Infimum of the loss over all logits."""
        return self.mean(self.loss.height(np.zeros_like(self.target), self.target))

    def allowed(self, u: Floats) -> Floats:
        """Return a response near ``u`` that a free bias cannot exploit."""
        if not self.bias:
            return u
        return self.loss.balance(u, self.target, self.count * self.factor)

    def columns(self, u: Floats) -> Floats:
        """Slope of the mean loss in the logits times root counts, shape (T, C)."""
        weights = np.sqrt(self.count) / self.count.sum() * self.factor
        return weights[:, None] * u

    def line(self, u: Floats) -> tuple[float, float]:
        """Gain and slope: every loss with budget B is at least ``gain - slope * B``.

        ``u`` has to be :meth:`allowed`.
        """
        return self.mean(self.loss.height(u, self.target)), _spectral(self.columns(u))

    @property
    def idle(self) -> float:
        """Best loss without features."""
        zero = np.zeros_like(self.target)
        if self.bias:
            weights = self.share * self.factor
            return self.line(weights @ self.target / weights.sum() - self.target)[0]
        return self.line(self.response(zero))[0]

    def centred(self, logits: Floats) -> Floats:
        """Logits without what costs no budget: the bias, and a shift of all outputs."""
        if self.bias:
            logits = logits - self.share @ logits
        if self.loss.shifts:
            logits = logits - logits.mean(axis=1, keepdims=True)
        return logits

    def cost(self, logits: Floats) -> float:
        """Least budget of these logits: a nuclear norm, rounded up."""
        weighted = self.root * self.centred(logits)
        return float(sla.svdvals(weighted).sum()) * (1 + ROUNDING)


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
        Of the network that has this loss.
    logits : array of shape (T, C)
        Group means of its logits; by Jensen's inequality their loss is at most ``loss``.
    response : array of shape (T, C)
        Group means of its p - q: the first response that is tried.
    seconds : float
        The solver starts nothing new after so long; the bracket is valid at any time.
    """
    end = time.monotonic() + seconds
    response = task.allowed(response)
    best = Bracket(0.0, min(budget, task.cost(logits)), response, logits)
    best = _with_response(task, best, response, loss, budget)
    best = _with_response(task, best, task.response(logits), loss, budget)
    peak = task.target.max(axis=1, keepdims=True)
    start = ((task.target >= peak) & (peak > 0)).astype(np.float64)  # equal margins
    offset = _offset(task, start)
    for still in (offset, 0 * offset):
        reached = _reach(task, start - still, still, loss)
        if reached is not None:
            best = _with_point(task, best, reached, loss, budget)
    for scale in SCALES:
        if best.upper <= CLOSE * best.lower or time.monotonic() > end:
            break
        best = _with_response(task, best, task.response(scale * best.logits), loss, budget)
    return _solve(task, best, loss, budget, end)


def _offset(task: Task, logits: Floats) -> Floats:
    return np.asarray(task.share @ logits) if task.bias else np.zeros(logits.shape[1])


def _reach(task: Task, moving: Floats, still: Floats, loss: float) -> Floats | None:
    """Logits ``t * moving + still`` with the t > 0 at which the loss is just reached."""
    floor = task.floor
    wanted = np.log(loss - floor)

    def above(t: float) -> float:
        return float(np.log(max(task.value(t * moving + still) - floor, _TINY)) - wanted)

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
        scale = np.sqrt(np.maximum(np.diag(matrix), _TINY))  # classes of very different sizes
        matrix = matrix / scale[:, None] / scale
        if task.loss.shifts:
            matrix = matrix + np.outer(scale, scale) / (scale @ scale)
        np.fill_diagonal(matrix, np.diag(matrix) + ROUNDING)
        step = -sla.solve(matrix, slope / scale, assume_a="pos") / scale
        moved = logits + step
        value, u = task.loss.tangent(moved, task.target)
        then = float(weights @ value)
        if not then <= now:
            break
        logits, now = moved, then
        if float(np.abs(step).max()) < 1e-9:
            break
    return logits


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
    floor = task.floor
    offset = _offset(task, best.logits)
    left, values, right = sla.svd(task.root * task.centred(best.logits), full_matrices=False)
    values = np.sqrt(np.maximum(values, 1e-3 * values[0]))  # zero factors would never move
    v, w = left * values, right.T * values
    at = best.upper
    for k in range(_ROUNDS):
        if best.upper <= CLOSE * best.lower or time.monotonic() > end:
            break
        v, w, offset = _minimise(task, at, v, w, offset, end, 40 * (k + 1))
        logits = _settled(task, _logits(task, at, v, w, offset))
        offset = _offset(task, logits)
        excess = max(task.value(logits) - floor, _TINY)
        u = task.response(logits)
        best = _with_response(task, best, u, loss, budget)
        reached = _reach(task, logits - offset, offset, loss)
        if reached is not None:
            best = _with_point(task, best, reached, loss, budget)
        slope = _spectral(task.columns(u))
        step = excess * (np.log(excess) - np.log(loss - floor)) / max(slope, _TINY)
        at = float(np.clip(at + step, max(best.lower, at / 2), min(best.upper, 2 * at)))
    return best


def _logits(task: Task, budget: float, v: Floats, w: Floats, offset: Floats) -> Floats:
    size = (np.vdot(v, v) + np.vdot(w, w)) / 2
    return np.asarray((budget / size) * (v @ w.T) / task.root + offset)


def _minimise(
    task: Task,
    budget: float,
    v: Floats,
    w: Floats,
    offset: Floats,
    end: float,
    iterations: int,
) -> tuple[Floats, Floats, Floats]:
    """L-BFGS on the logarithm of the loss over factors whose product has the budget."""
    floor = task.floor
    root, weights = task.root, task.share * task.factor
    size = np.sqrt((np.vdot(v, v) + np.vdot(w, w)) / 2)
    unit = np.sqrt(budget / task.count.sum())  # scale of a logit
    ends = (v.size, v.size + w.size)

    def parts(x: Floats) -> tuple[Floats, Floats, Floats]:
        first, second, third = x[: ends[0]], x[ends[0] : ends[1]], x[ends[1] :]
        return first.reshape(v.shape), second.reshape(w.shape), third * unit

    def objective(x: Floats) -> tuple[float, Floats]:
        a, b, o = parts(x)
        norm = x[: ends[1]] @ x[: ends[1]] / 2
        c = budget / norm
        product = a @ b.T
        value, u = task.loss.tangent(c * product / root + o, task.target)
        excess = max(float(weights @ value) - floor, _TINY)
        slope = (weights / excess)[:, None] * u
        grad = np.zeros_like(x)
        if task.bias:
            grad[ends[1] :] = unit * slope.sum(axis=0)
        slope /= root
        pull = np.vdot(slope, product) / norm
        grad[: ends[0]] = (c * (slope @ b - pull * a)).ravel()
        grad[ends[0] : ends[1]] = (c * (slope.T @ a - pull * b)).ravel()
        return float(np.log(excess)), grad

    def late(_: Floats) -> None:
        if time.monotonic() > end:
            raise StopIteration

    x = np.concatenate([(v / size).ravel(), (w / size).ravel(), offset / unit])
    found = optimize.minimize(
        objective,
        x,
        jac=True,
        method="L-BFGS-B",
        callback=late,
        options={"maxiter": iterations, "maxcor": 20, "ftol": 1e-15, "gtol": 1e-10},
    )
    return parts(found.x)


def _spectral(matrix: Floats) -> float:
    """Largest singular value, from the smaller Gram matrix (its relative error is rounding)."""
    largest = float(np.abs(matrix).max(initial=0.0))
    if not largest > 0:
        return 0.0
    m = matrix / largest
    gram = m @ m.T if len(m) <= m.shape[1] else m.T @ m
    top = len(gram) - 1
    value = sla.eigvalsh(gram, subset_by_index=(top, top), check_finite=False)[0]
    return largest * float(np.sqrt(value))
