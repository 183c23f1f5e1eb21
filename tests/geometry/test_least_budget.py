"""Least budgets of free features: goldens, closed forms, cvxpy, and the validity of the bracket."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from ncbounds.geometry.fenchel import BINARY, SOFTMAX, SQUARED
from ncbounds.geometry.free_features import Task
from ncbounds.geometry.least_budget import CLOSE, least_budget, lower_budget

GOLDEN = json.loads((Path(__file__).parent / "golden_efficiency.json").read_text())


def class_task(counts, bias, loss=SOFTMAX, smoothing=0.0):
    n = np.array(counts, dtype=float)
    target = (1 - smoothing) * np.eye(len(n)) + smoothing / len(n)
    here = n > 0
    task = Task(loss, target[here], np.ones(here.sum()), n[here], bias)
    return task.restricted()


def label_set_task(bias, loss):
    sets = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1]], dtype=float)
    sizes = sets.sum(axis=1)
    counts = np.array([9.0, 6, 5, 3, 2])
    if loss is SOFTMAX:
        return Task(loss, sets / sizes[:, None], sizes, counts, bias)
    return Task(loss, sets, np.ones(5), counts, bias)


def solve(task, loss, budget, seconds=10.0):
    logits = np.where(task.target > 0, 40.0, -40.0 if task.loss is BINARY else 0.0)
    if task.loss is SQUARED:
        logits = task.target
    return least_budget(task, loss, budget, logits, task.response(logits), seconds)


def inputs(*names):
    return [pytest.param(name, item, id=f"{name}-{i}") for name in names
            for i, item in enumerate(GOLDEN[name])]  # fmt: skip


@pytest.mark.parametrize(("name", "item"), inputs("U.dual_value", "U.dual_least_budget"))
def test_a_response_proves_its_golden_line(name, item):
    given = item["inputs"]
    task = class_task(given["counts"], given["bias"] == "free")
    u = np.array(given["response_columns"], dtype=float) - task.target
    gain, slope = task.line(task.allowed(u))
    if name == "U.dual_value":
        found = gain - slope * given["budget"]
    else:
        found = max(0.0, gain - float(given["loss"])) / slope
        certified = lower_budget(task, task.allowed(u), float(given["loss"]), 10.0)
        assert found * (1 - 1e-9) <= certified <= found
    assert found == pytest.approx(float(item["value"]), rel=1e-11, abs=1e-11)


CLOSED = ("U.balanced_ce", "U.balanced_smoothing", "U.balanced_mse", "U.balanced_least_budget")


@pytest.mark.parametrize(("name", "item"), inputs(*CLOSED))
def test_equal_counts_meet_the_closed_forms(name, item):
    given = item["inputs"]
    family = SQUARED if name == "U.balanced_mse" else SOFTMAX
    counts = [given["per_class"]] * given["classes"]
    task = class_task(counts, True, family, given.get("smoothing", 0.0))
    if name == "U.balanced_least_budget":
        loss, budget = float(given["loss"]), float(item["value"])
    else:
        loss, budget = float(item["value"]), float(given["budget"])
    if loss - task.floor < 1e-9 * task.floor or loss == 0:
        assert loss == pytest.approx(task.floor, rel=1e-9, abs=1e-12)  # more than is of use
        return
    found = solve(task, loss, budget)
    assert found.lower == pytest.approx(budget, rel=1e-9)
    assert found.upper == pytest.approx(budget, rel=1e-9)


@pytest.mark.parametrize(("name", "item"), inputs("U.optimum_ce", "U.optimum_bce"))
def test_optimal_losses_under_imbalance_need_their_budget(name, item):
    given = item["inputs"]
    family = SOFTMAX if name == "U.optimum_ce" else BINARY
    task = class_task(given["counts"], given["bias"] == "free", family)
    budget = given["budget"]
    found = solve(task, float(item["value"]), budget)
    assert found.upper <= CLOSE * found.lower
    # The golden losses are known to 1e-6; what this is in budget follows from the slope.
    room = 1 + 1e-4
    assert budget / room / CLOSE <= found.lower <= budget * room
    assert budget / room <= found.upper <= budget * room * CLOSE


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "which", ["softmax", "smoothed", "squared", "binary", "sets", "set-binary"]
)
def test_cvxpy_finds_the_same_least_nuclear_norm(which, bias):
    cp = pytest.importorskip("cvxpy")
    task, loss = {
        "softmax": (class_task([9, 4, 1], bias), 0.3),
        "smoothed": (class_task([9, 4, 1], bias, SOFTMAX, 0.1), 0.6),
        "squared": (class_task([9, 4, 1], bias, SQUARED), 0.06),
        "binary": (class_task([9, 4, 1], bias, BINARY), 0.5),
        "sets": (label_set_task(bias, SOFTMAX), 0.9),
        "set-binary": (label_set_task(bias, BINARY), 0.4),
    }[which]
    q, weights = task.target, task.share * task.factor
    z, b = cp.Variable(q.shape), cp.Variable(q.shape[1])
    logits = cp.multiply(z, np.broadcast_to(1 / task.root, q.shape))
    logits = logits + np.ones((len(q), 1)) @ cp.reshape(b, (1, q.shape[1]), order="C")
    if task.loss is SOFTMAX:
        each = cp.log_sum_exp(logits, axis=1) - cp.sum(cp.multiply(q, logits), axis=1)
    elif task.loss is BINARY:
        each = cp.sum(cp.logistic(cp.multiply(1 - 2 * q, logits)), axis=1)
    else:
        each = cp.sum(cp.square(logits - q), axis=1) / 2
    limits = [weights @ each <= loss] + ([] if bias else [b == 0])
    problem = cp.Problem(cp.Minimize(cp.normNuc(z)), limits)
    least = problem.solve(solver=cp.SCS, eps=1e-7, max_iters=20000)
    found = solve(task, loss, least)
    assert found.upper <= CLOSE * found.lower
    assert found.lower <= least * (1 + 1e-5)
    assert found.upper >= least * (1 - 1e-5)


def test_any_response_is_below_any_point():
    rng = np.random.default_rng(0)
    proved = 0
    for trial in range(60):
        classes = int(rng.integers(2, 6))
        counts = rng.integers(1, 10 ** int(rng.integers(1, 5)), classes)
        family = (SOFTMAX, BINARY, SQUARED)[trial % 3]
        task = class_task(counts, bool(trial % 2), family)
        loss = task.idle * rng.uniform(0.05, 0.9)
        found = solve(task, loss, 1.0, seconds=0.02)
        assert 0 <= found.lower <= found.upper
        assert task.value(found.logits) <= loss
        assert task.cost(found.logits) == pytest.approx(found.upper, rel=1e-9)
        for scale in (0.1, 1.0, 5.0):
            u = task.response(scale * rng.standard_normal(task.target.shape))
            assert lower_budget(task, u, loss, 1.0) <= found.upper
            if family is not SQUARED:
                u = task.response(scale * (3 * task.target + rng.standard_normal(u.shape)))
                proved += lower_budget(task, u, loss, 1.0) > 0
    assert proved > 10


@pytest.mark.parametrize("loss", [SOFTMAX, BINARY, SQUARED])
def test_a_free_bias_cannot_exploit_a_response(loss):
    rng = np.random.default_rng(1)
    for size in (1.0, 30.0, 300.0):
        task = class_task([5000, 40, 7, 1], True, loss)
        sign = 2 * task.target - 1
        u = task.response(size * sign + rng.standard_normal((4, 4)))
        leak = (task.share * task.factor) @ u
        assert np.abs(leak).max() <= 1e-15 * max(1e-300, np.abs(u).max())
        if loss is not SQUARED:
            p = task.target + u
            assert p.min() >= -1e-15
            assert p.max() <= 1 + 1e-15
        if loss is SOFTMAX:
            assert np.abs(u.sum(axis=1)).max() <= 1e-15 * np.abs(u).max()


@pytest.mark.parametrize("loss", [SOFTMAX, BINARY, SQUARED])
def test_tangents_touch_and_stay_below(loss):
    rng = np.random.default_rng(2)
    q = np.eye(4)[rng.integers(0, 4, 30)]
    s, other = 4 * rng.standard_normal((2, 30, 4))
    value, u = loss.tangent(s, q)
    height = loss.height(u, q)
    np.testing.assert_allclose((u * s).sum(axis=1) + height, value, rtol=1e-10, atol=1e-12)
    assert (loss.tangent(other, q)[0] >= (u * other).sum(axis=1) + height - 1e-12).all()
    weights = rng.random(30)
    step = 1e-6 * rng.standard_normal(4)
    change = weights @ (loss.tangent(s + step, q)[1] - u)
    np.testing.assert_allclose(loss.curvature(u, q, weights) @ step, change, atol=1e-11)


def test_small_losses_keep_their_digits():
    s = np.array([[0.0, 60.0, 2.0]])
    value, u = SOFTMAX.tangent(s, np.eye(3)[[1]])
    exact = np.exp(-60.0) + np.exp(-58.0)
    assert value[0] == pytest.approx(exact, rel=1e-14, abs=0)
    assert u[0] == pytest.approx([np.exp(-60.0), -exact, np.exp(-58.0)], rel=1e-13, abs=0)
    # entropy of the response: sum of -p ln p of the small ones, plus what the own entry lacks
    small = np.array([np.exp(-60.0), np.exp(-58.0)])
    entropy = -(small * np.log(small)).sum() + exact
    assert SOFTMAX.height(u, np.eye(3)[[1]])[0] == pytest.approx(entropy, rel=1e-13, abs=0)


def test_the_bracket_is_valid_without_time():
    task = class_task(np.geomspace(5000, 5, 10).astype(int), True)
    rough, sharp = solve(task, 0.05, 1.0, seconds=0.0), solve(task, 0.05, 1.0)
    assert sharp.upper <= CLOSE * sharp.lower
    assert rough.lower <= sharp.upper
    assert rough.upper >= sharp.lower
    assert rough.upper > 1.01 * rough.lower  # it was cut off


@pytest.mark.slow
def test_a_hundred_and_a_thousand_classes_in_time():
    for classes, seconds in ((100, 10.0), (1000, 20.0)):
        counts = np.geomspace(1000, 10, classes).astype(int)
        task = class_task(counts, True)
        start = time.monotonic()
        found = solve(task, 0.1, 1.0, seconds=seconds)
        assert time.monotonic() - start < 2 * seconds
        assert 0 < found.lower <= found.upper
        if classes == 100:
            assert found.upper <= CLOSE * found.lower
