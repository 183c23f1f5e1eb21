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
_TINY = 1e-300


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
        return self.mean(self.loss.value(logits, self.target))

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
        return self.line(self.loss.gap(zero, self.target))[0]

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
    best = Bracket(0.0, min(budget, task.cost(logits)), task.allowed(response), logits)
    start = _structured(task)
    for u in (response, task.loss.gap(logits, task.target)):
        best = _with_response(task, best, task.allowed(u), loss, budget)
    reached = _reach(task, start, loss)
    if reached is not None:
        best = _with_point(task, best, reached, loss, budget)
        for scale in SCALES:
            if best.upper <= CLOSE * best.lower or time.monotonic() > end:
                break
            u = task.loss.gap(task.centred(reached) * scale + _offset(task, reached), task.target)
            best = _with_response(task, best, task.allowed(u), loss, budget)
    return _solve(task, best, loss, budget, end)


def _structured(task: Task) -> Floats:
    """Logits along the targets: equal margins."""
    peak = task.target.max(axis=1, keepdims=True)
    return np.asarray(np.where(task.target >= peak, 1.0, task.target * 0.0) * (peak > 0))


def _offset(task: Task, logits: Floats) -> Floats:
    return np.asarray(task.share @ logits) if task.bias else np.zeros(logits.shape[1])


def _reach(task: Task, logits: Floats, loss: float) -> Floats | None:
    """Scale the part of ``logits`` that costs budget until the loss is just reached."""
    part = task.centred(logits)
    offset = _offset(task, logits)
    wanted, floor = np.log(loss - task.floor), task.floor

    def above(t: float) -> float:
        return float(np.log(max(task.value(t * part + offset) - floor, _TINY)) - wanted)

    t = 1.0
    while above(t) > 0:
        t *= 2
        if t > 1e6:
            return None
    if above(0.0) <= 0:
        return None
    t = optimize.brentq(above, 0.0, t, xtol=1e-14, rtol=1e-12)
    for step in (0.0, 1e-12, 1e-10, 1e-7, 1e-4):
        found = t * (1 + step) * part + offset
        if task.value(found) <= loss:
            return np.asarray(found)
    return None


def _with_response(task: Task, best: Bracket, u: Floats, loss: float, budget: float) -> Bracket:
    lower = lower_budget(task, u, loss, budget)
    return best._replace(lower=lower, response=u) if lower > best.lower else best


def _with_point(task: Task, best: Bracket, logits: Floats, loss: float, budget: float) -> Bracket:
    cost = task.cost(logits)
    if cost < best.upper:
        best = best._replace(upper=cost, logits=logits)
    return _with_response(
        task, best, task.allowed(task.loss.gap(logits, task.target)), loss, budget
    )


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
        logits = _logits(task, at, v, w, offset)
        excess = max(task.value(logits) - floor, _TINY)
        u = task.allowed(task.loss.gap(logits, task.target))
        best = _with_response(task, best, u, loss, budget)
        reached = _reach(task, logits, loss)
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
    size = np.sqrt((np.vdot(v, v) + np.vdot(w, w)) / 2)
    ends = (v.size, v.size + w.size)
    unit = np.sqrt(budget) / float(np.sqrt(task.count.sum()))  # scale of a logit

    def parts(x: Floats) -> tuple[Floats, Floats, Floats]:
        return (
            x[: ends[0]].reshape(v.shape),
            x[ends[0] : ends[1]].reshape(w.shape),
            x[ends[1] :] * unit,
        )

    def objective(x: Floats) -> tuple[float, Floats]:
        a, b, o = parts(x)
        norm = (np.vdot(a, a) + np.vdot(b, b)) / 2
        c = budget / norm
        product = a @ b.T
        logits = c * product / task.root + o
        excess = max(task.value(logits) - floor, _TINY)
        slope = task.columns(task.loss.gap(logits, task.target)) / excess
        pull = float(np.vdot(slope, product)) / norm
        grad_offset = unit * (task.root * slope).sum(axis=0) if task.bias else 0 * o
        grad = (c * (slope @ b - pull * a), c * (slope.T @ a - pull * b), grad_offset)
        return float(np.log(excess)), np.concatenate([g.ravel() for g in grad])

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
        options={"maxiter": iterations, "maxcor": 20, "ftol": 1e-13, "gtol": 1e-9},
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
