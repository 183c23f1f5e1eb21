"""Estimates of heads at a tap: leaving out against refitting, and the head that goes with them."""

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.choosing.estimates import HEADS, one_step_errors
from ncbounds.geometry import ridge_leave_one_out
from ncbounds.procedures.linear import logistic


def drawn(n, dim, classes, apart=0.6, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return rng.standard_normal((n, dim)) + apart * rng.standard_normal((classes, dim))[y], y


@pytest.mark.parametrize(("n", "dim", "classes"), [(40, 4, 2), (30, 40, 2), (40, 6, 4)])
def test_one_newton_step_decides_as_refitting_does(n, dim, classes):
    f, y = drawn(n, dim, classes, apart=0.25)
    found = one_step_errors(f, y, logistic(f, y, classes))
    refitted = np.empty(n, dtype=bool)
    for i in range(n):
        rest = np.arange(n) != i
        head = logistic(f[rest], y[rest], classes)
        refitted[i] = head.logits(f[i : i + 1]).argmax() != y[i]
    assert (found != refitted).mean() <= 0.06
    assert found.sum() > (logistic(f, y, classes).logits(f).argmax(1) != y).sum()


def test_a_class_of_one_point_and_a_single_class_are_errors():
    f, y = drawn(30, 5, 2)
    y[0] = 2
    assert one_step_errors(f, y, logistic(f, y, 3))[0]
    assert one_step_errors(f, np.zeros(30, dtype=int), logistic(f, 0 * y, 3)).all()


@pytest.mark.parametrize(("n", "dim"), [(40, 6), (15, 30)])
def test_the_ridge_head_is_at_the_penalty_of_its_estimate(n, dim):
    f, y = drawn(n, dim, 3)
    sample = nb.Sample.from_arrays(f, y, role="head")
    estimate = HEADS["ridge"](sample)
    found = ridge_leave_one_out(sample)
    assert estimate.error == found.error
    x = f - f.mean(0)
    target = np.eye(3)[y]
    gram = x.T @ x + found.penalty * np.eye(dim)
    weight = np.linalg.solve(gram, x.T @ (target - target.mean(0))).T
    head = estimate.procedure(f, y, 3)
    np.testing.assert_allclose(head.weight, weight, rtol=1e-8, atol=1e-12)


def test_estimates_of_one_class_are_undefined_or_one():
    f, _ = drawn(12, 3, 2)
    sample = nb.Sample.from_arrays(f, np.zeros(12, dtype=int), role="head", classes=2)
    errors = {name: estimate(sample).error for name, estimate in HEADS.items()}
    assert all(np.isnan(e) or e == 1 for e in errors.values())
