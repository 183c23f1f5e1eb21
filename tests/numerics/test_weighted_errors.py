"""Weighted sums of class errors and balls of priors: goldens, grids, exact coverage."""

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


def given_classes(inputs):
    weights = [float(w) for w in inputs["priors"]]
    return inputs["errors"], inputs["n"], weights, float(inputs["delta"])


@pytest.mark.golden("T.new_priors")
def test_capped_chernoff(inputs, expected):
    value = nm.weighted_chernoff_upper(*given_classes(inputs), share=float(inputs["share"]))
    assert value == pytest.approx(expected, abs=1e-8)


@pytest.mark.golden("W.chernoff_share_0_delta_.05")
def test_chernoff_without_caps(inputs, expected):
    value = nm.weighted_chernoff_upper(inputs["k"], inputs["n"], inputs["w"], 0.05, share=0)
    assert value == pytest.approx(expected, abs=inputs["tolerance"])


@pytest.mark.golden("W.balanced_error")
def test_balanced_error(inputs, expected):
    value = nm.weighted_error_upper(inputs["k"], inputs["n"], inputs["w"], inputs["delta"])
    assert value == pytest.approx(expected, abs=inputs["tolerance"])


@pytest.mark.golden("T.new_priors_kl")
def test_relative_entropy(inputs, expected, agrees):
    agrees(nm.weighted_kl_upper(*given_classes(inputs)), expected)


@pytest.mark.golden("T.new_priors_binomial")
def test_the_sum_of_class_limits_is_larger(inputs, expected, agrees):
    k, n, w, delta = given_classes(inputs)
    agrees(np.dot(w, nm.binomial_upper(k, n, delta / len(k))), expected)
    assert nm.weighted_error_upper(k, n, w, delta) < expected


@pytest.mark.golden("T.prior_ball")
def test_prior_ball(inputs, expected, agrees):
    limits, priors = ([float(x) for x in inputs[name]] for name in ("limits", "priors"))
    agrees(nm.prior_ball(limits, priors, float(inputs["rho"])), expected)


@st.composite
def classes(draw, least=1, most=6, fewest=0):
    total = draw(st.integers(least, most))
    n = [draw(st.integers(fewest, 300)) for _ in range(total)]
    k = [draw(st.integers(0, m)) for m in n]
    w = np.array([draw(st.floats(0.01, 1)) for _ in range(total)])
    return np.array(k), np.array(n), w / w.sum()


def test_two_classes_by_hand():
    value = nm.weighted_error_upper([0, 0], [10, 20], [0.3, 0.7], 0.1)
    assert value == pytest.approx(0.3 * (1 - 0.05**0.1) + 0.7 * (1 - 0.05**0.05), rel=1e-9)


def test_one_class_has_the_exact_limit():
    for k in (0, 3, 4, 5):
        value = nm.weighted_error_upper([k, 2], [5, 9], [1, 0], 0.3)
        assert value == pytest.approx(nm.binomial_upper(k, 5, 0.3), rel=1e-9)


def test_weights_of_the_sample_have_the_pooled_limit():
    w = np.array([20, 30, 50]) / 100
    value = nm.weighted_error_upper([1, 2, 3], [20, 30, 50], w, 0.05)
    assert value == pytest.approx(nm.stratified_upper(6, 100, 0.05), rel=1e-12)
    assert value < nm.weighted_chernoff_upper([1, 2, 3], [20, 30, 50], w, 0.05)
    above = nm.weighted_error_upper([1, 2, 3], [20, 30, 50], w, 0.26)
    chernoff = nm.weighted_chernoff_upper([1, 2, 3], [20, 30, 50], w, 0.26)
    assert above == pytest.approx(chernoff, rel=1e-9)


def test_the_pooled_limit_of_unlike_rates_has_the_edge_rule():
    """At n - 1 errors of classes in proportion: 1 - delta/n, as the exact limit would miss."""
    n, w, delta = (1, 3), [0.25, 0.75], 0.25
    value = nm.weighted_error_upper([1, 2], n, w, delta)
    assert value == pytest.approx(1 - delta / 4, rel=1e-12)
    assert value > nm.binomial_upper(3, 4, delta)
    # rates 1 - 4 e and 1 have the mean 1 - e, and at most three errors with probability 4 e: the
    # exact limit would miss all means above it that often
    e = (1 - nm.binomial_upper(3, 4, delta)) * 0.999
    assert 4 * e > delta


def test_a_class_without_points_counts_as_its_weight():
    k, n, w = [3, 1, 0, 2], [40, 60, 0, 50], np.array([0.2, 0.3, 0.1, 0.4])
    rest = nm.weighted_error_upper([3, 1, 2], [40, 60, 50], w[[0, 1, 3]] / 0.9, 0.05)
    assert nm.weighted_error_upper(k, n, w, 0.05) == pytest.approx(0.1 + 0.9 * rest, rel=1e-8)
    assert nm.weighted_error_upper([0, 0], [0, 0], [0.5, 0.5], 0.05) == 1.0
    for form in (nm.weighted_chernoff_upper, nm.weighted_kl_upper):
        assert form([0, 0], [0, 0], [0.5, 0.5], 0.05) == 1.0


def test_inner_maximum_by_a_grid():
    """Two classes: the least over lambda of the largest w'r on a fine grid of rates."""
    k, n, w, delta = np.array([2, 5]), np.array([30, 40]), np.array([0.7, 0.3]), 0.1
    caps = nm.binomial_upper(k, n, 0.1 * delta / 2)
    axes = np.meshgrid(*(np.linspace(0, u, 301) for u in caps), indexing="ij")
    best = math.inf
    for lam in np.exp(np.linspace(2, 6, 120)):
        a = 1 - np.exp(-lam * w / n)
        g = lam * np.dot(w / n, k) - math.log(0.9 * delta)
        g = g + sum(m * np.log1p(-x * r) for m, x, r in zip(n, a, axes, strict=True))
        best = min(best, (w[0] * axes[0] + w[1] * axes[1])[g >= 0].max())
    value = nm.weighted_chernoff_upper(k, n, w, delta)
    assert best - 1e-4 <= value <= best + 4e-3


@settings(max_examples=20, deadline=None)
@given(classes(), st.floats(1e-6, 0.9))
def test_order_of_the_forms(found, delta):
    """Without caps below the relative entropy; with caps below their sum; above the observed."""
    k, n, w = found
    free = nm.weighted_chernoff_upper(k, n, w, delta, share=0)
    assert free <= nm.weighted_kl_upper(k, n, w, delta) * (1 + 1e-6) + 1e-9
    caps = nm.binomial_upper(k, n, 0.1 * delta / max(1, np.count_nonzero(n)))
    capped = nm.weighted_chernoff_upper(k, n, w, delta)
    assert capped <= np.dot(w, caps) * (1 + 1e-8)
    observed = np.dot(w, np.where(n > 0, k / np.maximum(n, 1), 1))
    assert min(free, capped) >= observed * (1 - 1e-9)


@settings(max_examples=12, deadline=None)
@given(classes(least=3, fewest=1), st.randoms(use_true_random=False))
def test_monotone_and_without_regard_to_order(found, random):
    k, n, w = found
    value = nm.weighted_error_upper(k, n, w, 0.1)
    turn = list(range(len(k)))
    random.shuffle(turn)
    assert nm.weighted_error_upper(k[turn], n[turn], w[turn], 0.1) == pytest.approx(value, rel=1e-7)
    more = np.minimum(k + 1, n)
    assert nm.weighted_error_upper(more, n, w, 0.1) >= value * (1 - 1e-7)
    assert nm.weighted_error_upper(k, n, w, 0.05) >= value * (1 - 1e-7)


@pytest.mark.parametrize("form", [nm.weighted_error_upper, nm.weighted_chernoff_upper])
@pytest.mark.parametrize("delta", [0.05, 0.25])
@pytest.mark.parametrize(
    ("n", "w"),
    [
        ((4, 9), (0.3, 0.7)),
        ((1, 3, 4), (0.1, 0.2, 0.7)),
        ((2, 2, 4), (0.25, 0.25, 0.5)),
        ((0, 2, 6), (0.2, 0.5, 0.3)),
    ],
)
def test_exact_miss_probability(form, delta, n, w):
    """Rates in random directions, just above what each outcome claims."""
    outcomes = np.array(list(itertools.product(*(range(m + 1) for m in n))))
    values = np.array([form(k, n, w, delta) for k in outcomes])
    directions = np.random.default_rng(0).dirichlet(np.full(len(n), 0.7), 10)
    worst = 0.0
    for claim, direction in itertools.product(np.unique(values), directions):
        rates = direction * (claim + 1e-9) / np.dot(w, direction)
        if rates.max() <= 1:
            chance = np.prod(binom.pmf(outcomes, n, rates), axis=1)
            worst = max(worst, chance[values < claim].sum() + chance[values == claim].sum())
    assert worst <= delta
    assert worst > 0.2 * delta or min(n) == 0


@settings(max_examples=80, deadline=None)
@given(classes(), st.floats(0, 1.2), st.integers(0, 10**6))
def test_prior_ball_is_the_linear_programme(found, rho, seed):
    """Variables v and t >= |v - w|, sum t <= 2 rho."""
    w, c = found[2], len(found[2])
    u = np.random.default_rng(seed).random(c)
    eye = np.eye(c)
    rows = np.block([[eye, -eye], [-eye, -eye], [np.zeros((1, c)), np.ones((1, c))]])
    right = np.concatenate([w, -w, [2 * rho]])
    total = np.concatenate([np.ones(c), np.zeros(c)])[None]
    answer = linprog(
        np.concatenate([-u, np.zeros(c)]), A_ub=rows, b_ub=right, A_eq=total, b_eq=[1.0]
    )
    value = nm.prior_ball(u, w, rho)
    assert value == pytest.approx(-answer.fun, abs=1e-7)
    assert np.dot(w, u) * (1 - 1e-12) <= value <= u.max() * (1 + 1e-12)


@pytest.mark.parametrize(
    "form", [nm.weighted_error_upper, nm.weighted_chernoff_upper, nm.weighted_kl_upper]
)
@pytest.mark.parametrize(
    ("errors", "n", "w", "delta"),
    [
        ([1, 3], [2, 2], [0.5, 0.5], 0.1),
        ([1], [2, 2], [0.5, 0.5], 0.1),
        ([1, 1], [2, 2], [0.5, 0.4], 0.1),
        ([1, 1], [2, 2], [1.5, -0.5], 0.1),
        ([1, 1], [2, 2], [math.nan, 0.5], 0.1),
        ([1, 0.5], [2, 2], [0.5, 0.5], 0.1),
        ([1, 1], [2, 2], [0.5, 0.5], 1.0),
    ],
)
def test_impossible_inputs(form, errors, n, w, delta):
    with pytest.raises(InvalidArgument, match="needed"):
        form(errors, n, w, delta)


def test_impossible_share_and_ball():
    with pytest.raises(InvalidArgument, match="share"):
        nm.weighted_chernoff_upper([1], [2], [1], 0.1, share=1)
    for limits, priors, rho in (
        ([0.1, 1.1], [0.5, 0.5], 0.1),
        ([0.1], [0.5, 0.5], 0.1),
        ([0.1, 0.2], [0.5, 0.4], 0.1),
        ([0.1, 0.2], [0.5, 0.5], -0.1),
    ):
        with pytest.raises(InvalidArgument, match="needed"):
            nm.prior_ball(limits, priors, rho)


def test_sums_of_limits_are_rounded_up():
    """Weights and limits as they are, in exact arithmetic."""
    for m in range(20, 32):
        n, w = np.array([m, 3 * m]), np.array([0.3, 0.7])
        limits = nm.binomial_upper([2, 5], n, float(nm.down(0.05 / 2)))
        total = sum(Fraction(a) * Fraction(u) for a, u in zip(w, limits, strict=True))
        assert nm.weighted_error_upper([2, 5], n, w, 0.05) >= total
        # weight .1 moves from the smaller limit to the larger one
        moved = Fraction(0.1) * abs(Fraction(limits[0]) - Fraction(limits[1]))
        assert nm.prior_ball(limits, w, 0.1) >= total + moved
        w = n / n.sum()
        top = max(Fraction(a) * int(n.sum()) / int(c) for a, c in zip(w, n, strict=True))
        pooled = Fraction(nm.stratified_upper(7, int(n.sum()), 0.05))
        assert nm.weighted_error_upper([2, 5], n, w, 0.05) >= top * pooled
