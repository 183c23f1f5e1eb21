"""Least loss of free features at a budget: a descent over the factors of the logits."""

import time
from typing import Any

import numpy as np
from scipy import optimize

from ncbounds.arrays import Floats
from ncbounds.geometry.free_features import Task

#: Logarithms are taken of nothing smaller.
TINY = 1e-300
#: Numbers that the descent keeps of its last steps, and steps that it keeps at least and at most.
_KEPT, _MEMORY = 1 << 26, (3, 20)


def factored_logits(task: Task, budget: float, v: Floats, w: Floats, offset: Floats) -> Floats:
    """Logits whose part that costs budget is ``v @ w.T``, scaled to cost at most ``budget``."""
    size = (np.vdot(v, v) + np.vdot(w, w)) / 2
    return np.asarray((budget / size) * (v @ w.T) / task.root + offset)


def minimise(
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
        excess = max(float(weights @ value) - floor, TINY)
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
    minimize: Any = optimize.minimize  # its stubs know no callback that stops
    found = minimize(
        objective,
        x,
        jac=True,
        method="L-BFGS-B",
        callback=late,
        options={
            "maxiter": iterations,
            "maxcor": int(np.clip(_KEPT // len(x), *_MEMORY)),
            "ftol": 1e-15,
            "gtol": 1e-10,
        },
    )
    return parts(found.x)
