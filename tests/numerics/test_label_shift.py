"""The certified programme of label shift: goldens, grids, any multipliers, exact coverage."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import binom

from ncbounds import numerics as nm
from ncbounds.errors import InvalidArgument
from ncbounds.numerics.label_shift import _programme

TABLE, SEEN = np.array([[50.0, 2.0], [4.0, 60.0]]), np.array([40.0, 5.0])


@pytest.mark.golden("T.label_shift")
def test_value(inputs, expected):
    found = nm.label_shift(
        inputs["confusion"],
        inputs["target_predictions"],
        float(inputs["delta"]),
        float(inputs["share"]),
    )
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert not found.refuted


def test_one_class_by_hand():
    """Its errors are the second prediction: at most both upper limits of it, and more than 0."""
    source = 1 - nm.binomial_lower(80, 100, 0.7 * 0.05 / 4)
    target = nm.binomial_upper(9, 50, 0.3 * 0.05 / 4)
    found = nm.label_shift([[80, 20]], [41, 9], 0.05)
    assert found.value == pytest.approx(min(source, target), rel=1e-8)


def test_predictions_that_the_source_never_makes_refute():
    """The third class is never predicted for any class, and is for a third of the target."""
    table = [[300, 2, 0], [4, 300, 0], [100, 200, 0]]
    found = nm.label_shift(table, [100, 100, 100], 0.05)
    assert found.refuted
    assert math.isnan(found.value)
    assert not nm.label_shift(table, [100, 100, 0], 0.05).refuted


def test_a_class_without_rows_may_be_all_of_the_target():
    found = nm.label_shift([[90, 10], [0, 0]], [60, 0], 0.05)
    assert found.value == pytest.approx(1.0)
    assert not found.refuted


def test_a_tie_is_never_right():
    """The same counts with the errors of the second class as ties."""
    wrong = nm.label_shift([[90, 10, 0], [0, 80, 20]], [40, 40, 5], 0.05).value
    assert wrong > nm.label_shift([[90, 10, 0], [0, 100, 0]], [40, 40, 5], 0.05).value


def test_maximum_by_a_grid():
    """Two classes: all priors and class rates on a grid, by their share of predictions."""
    delta = 0.05
    each, rest = 0.7 * delta / 8, 0.3 * delta / 4
    rates = [
        np.linspace(nm.binomial_lower(k, n, each), nm.binomial_upper(k, n, each), 81)
        for k, n in ((50, 52), (60, 64))
    ]
    pi, right, other = np.meshgrid(np.linspace(0, 1, 401), *rates, indexing="ij")
    share = pi * right + (1 - pi) * (1 - other)
    allowed = (share >= nm.binomial_lower(40, 45, rest)) & (
        share <= nm.binomial_upper(40, 45, rest)
    )
    best = (1 - pi * right - (1 - pi) * other)[allowed].max()
    value = nm.label_shift(TABLE, SEEN, delta).value
    assert best - 1e-9 <= value <= best + 0.01


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-3, 10))
def test_any_multipliers_prove_no_more_than_the_optimum(seed, scale):
    rng = np.random.default_rng(seed)
    table = rng.poisson(rng.choice([1, 20], size=(3, 4)) + 40 * np.eye(3, 4))
    programme = _programme(table.astype(float), table.sum(axis=0).astype(float), 0.1, 0.7)
    cost = rng.normal(size=programme.upper.shape[1])
    answer = linprog(
        cost, programme.upper, programme.bound, programme.equal, programme.right, (0.0, 1.0)
    )
    y = scale * rng.random(len(programme.bound)) * (rng.random(len(programme.bound)) < 0.3)
    nu = scale * rng.normal(size=len(programme.right))
    assert programme.dual(cost, y, nu) <= answer.fun + 1e-9
    assert programme.dual(cost, -y, nu) <= answer.fun + 1e-9
    assert programme.dual(0 * cost, y, nu) <= 1e-9
    assert programme.least(cost) == pytest.approx(answer.fun, abs=1e-8)


def test_multipliers_of_the_wrong_sign_refute_nothing():
    """One class, one prediction: -1 on "L pi <= z" would prove a feasible programme infeasible."""
    programme = _programme(np.array([[5.0]]), np.array([5.0]), 0.1, 0.7)
    least = 1.0 - float(nm.binomial_lower(5, 5, 0.035))
    y, nu = np.array([-1.0, 0.0, 0.0, 0.0]), np.array([-1.0, -least])
    assert programme.dual(np.zeros(2), y, nu) <= 0
    assert not programme.is_infeasible()


def test_value_falls_with_delta_and_does_not_depend_on_names():
    values = [nm.label_shift(TABLE, SEEN, d).value for d in (0.001, 0.01, 0.1, 0.5)]
    assert np.all(np.diff(values) < 0)
    turned = nm.label_shift(TABLE[::-1, ::-1], SEEN[::-1], 0.1).value
    assert turned == pytest.approx(values[2], abs=1e-9)


@pytest.mark.parametrize("delta", [0.25, 0.5])
def test_exact_miss_probability(delta):
    """Two classes of three rows, three of the target; a refutation counts as a miss."""
    n = m = 3
    outcomes = np.array(list(itertools.product(range(n + 1), range(n + 1), range(m + 1))))
    found = [nm.label_shift([[a, n - a], [n - b, b]], [q, m - q], delta) for a, b, q in outcomes]
    values = np.array([-1.0 if f.refuted else f.value for f in found])
    assert not np.isnan(values).any()
    worst = 0.0
    rates = np.linspace(0, 1, 9)
    for right, other, pi in itertools.product(rates, rates, rates):
        truth = 1 - pi * right - (1 - pi) * other
        share = pi * right + (1 - pi) * (1 - other)
        chance = np.prod(binom.pmf(outcomes, (n, n, m), (right, other, share)), axis=1)
        worst = max(worst, chance[values < truth - 1e-9].sum())
    assert 0 < worst <= delta


@pytest.mark.parametrize(
    ("table", "seen", "delta", "share"),
    [
        ([[1, 2], [3, 4], [5, 6]], [1, 1], 0.1, 0.7),
        ([1, 2], [1, 1], 0.1, 0.7),
        ([[1, 2], [3, 4]], [1, 1, 1], 0.1, 0.7),
        ([[1, 2], [3, 4]], [0, 0], 0.1, 0.7),
        ([[1, 2], [3, -4]], [1, 1], 0.1, 0.7),
        ([[1, 2], [3, 4]], [1, 0.5], 0.1, 0.7),
        ([[1, 2], [3, 4]], [1, 1], 0.0, 0.7),
        ([[1, 2], [3, 4]], [1, 1], 0.1, 1.0),
    ],
)
def test_impossible_inputs(table, seen, delta, share):
    with pytest.raises(InvalidArgument, match="needed"):
        nm.label_shift(table, seen, delta, share)


def test_what_multipliers_prove_is_rounded_outward():
    """Against the same expression in exact arithmetic."""
    rng = np.random.default_rng(2)
    programme = _programme(np.array([[9.0, 4.0], [3.0, 8.0]]), np.array([11.0, 7.0]), 0.1, 0.7)
    upper, equal = programme.upper.toarray(), programme.equal.toarray()
    for _ in range(12):
        cost, y = rng.normal(size=6), rng.exponential(size=len(programme.bound))
        nu = rng.normal(size=len(programme.right))
        c, a, b, e, r, p, q = (
            np.vectorize(Fraction, otypes=[object])(v)
            for v in (cost, upper, programme.bound, equal, programme.right, y, nu)
        )
        least = np.minimum(c + a.T @ p + e.T @ q, 0).sum() - p @ b - q @ r
        assert programme.dual(cost, y, nu) <= least
    for k in range(10, 16):  # values above a half, of which 1 - x is no float
        table, seen = np.array([[20.0 - k, k], [k, 21.0 - k]]), np.array([9.0, 8.0])
        gain = np.array([0.0, 0, 1, 0, 0, 1])
        proven = _programme(table, seen, 0.1, 0.7).least(gain)
        value = nm.label_shift(table, seen, 0.1).value
        assert value > 0.5
        assert value == 1 or Fraction(value) > 1 - Fraction(proven)
