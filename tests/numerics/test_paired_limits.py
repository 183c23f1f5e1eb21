"""Limits of the difference of two error rates: goldens, other formulas, exact coverage."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, multinomial

from ncbounds import numerics as nm
from ncbounds.errors import InvalidArgument
from ncbounds.numerics.pairs_exact import _Pair

LIMITS = [nm.paired_lower, nm.paired_lower_two_step, nm.paired_lower_stratified]


@st.composite
def pairs(draw, most=300):
    n = draw(st.integers(1, most))
    b = draw(st.integers(0, n))
    return b, draw(st.integers(0, n - b)), n


@pytest.mark.golden("T.mcnemar_p")
def test_sign_test(inputs, expected, agrees):
    agrees(nm.sign_test_p(**inputs), expected)


@pytest.mark.golden("T.paired_limit")
def test_two_steps(inputs, expected, agrees):
    d, s = float(inputs["delta"]), float(inputs["share"])
    agrees(nm.paired_lower_two_step(inputs["b"], inputs["c"], inputs["n"], d, s), expected)


@pytest.mark.golden("P.paired_lower_stratified")
def test_stratified(inputs, expected, agrees):
    agrees(nm.paired_lower_stratified(inputs["b"], inputs["c"], inputs["n"], 0.05), expected)


@pytest.mark.golden("P.two_binomials_upper_delta_.05")
def test_two_binomials(inputs, expected, agrees):
    agrees(-nm.paired_lower_stratified(inputs["b"], inputs["a"], inputs["n"], 0.05), expected)


@pytest.mark.golden("P.order_tail")
def test_tail_of_the_order(inputs, expected):
    pair = _Pair.of(inputs["b"], inputs["a"], inputs["n"], 0.05)
    assert pair.z == pytest.approx(float(inputs["z"]), rel=1e-14)
    value = pair.tail(np.array([inputs["p10"]]), np.array([inputs["p01"]]))[0]
    assert expected * (1 - 1e-11) <= value <= expected * (1 + 3e-9)


@pytest.mark.golden("P.paired_upper")
def test_exact_form(inputs, expected):
    value = -nm.paired_lower(inputs["b"], inputs["a"], inputs["n"], float(inputs["delta"]))
    assert expected <= value <= expected + inputs["tolerance"]


def test_two_steps_by_hand():
    """b = 6, c = 0, n = 6 at s = 1/2: theta = delta^(1/6) of delta/2, D the same."""
    theta = 0.025 ** (1 / 6)
    value = nm.paired_lower_two_step(6, 0, 6, 0.05, share=0.5)
    assert value == pytest.approx((2 * theta - 1) * theta, rel=1e-9)


def test_a_sign_test_at_its_level_shows_nothing():
    """P(Bin(5, 1/2) = 5) = 1/32 = (1 - s) delta."""
    delta = Fraction(1, 32) / Fraction(1, 2)
    assert nm.paired_lower_two_step(5, 0, 50, float(delta), share=0.5) <= 0
    assert nm.paired_lower_two_step(5, 0, 50, float(delta) * 1.001, share=0.5) > 0


@settings(max_examples=60, deadline=None)
@given(pairs(30), st.floats(1e-6, 0.5), st.floats(0, 1), st.floats(0, 1))
def test_tail_by_enumeration(pair, delta, u, v):
    """All (c, b) of the trinomial law, one by one."""
    b, c, n = pair
    p10 = u * v
    p01 = u * (1 - v)
    found = _Pair.of(b, c, n, delta)
    total = math.fsum(
        math.comb(n, i) * math.comb(n - i, j) * p10**i * p01**j * (1 - u) ** (n - i - j)
        for i in range(n + 1)
        for j in range(n + 1 - i)
        if i - j + found.z * math.sqrt(i + j + found.c0) <= found.t + 1e-12
    )
    value = float(found.tail(np.array([p10]), np.array([p01]))[0])
    assert total * (1 - 1e-12) <= value <= total * (1 + 1e-8) + 1e-9


@settings(max_examples=25, deadline=None)
@given(pairs(12), st.sampled_from([0.05, 0.25, 0.5]))
def test_exact_form_against_a_grid_of_the_nuisance(pair, delta):
    """No difference above the limit is possible at any of 2,000 values of s; one just below is."""
    b, c, n = pair
    found = _Pair.of(b, c, n, delta)
    upper = -nm.paired_lower(b, c, n, delta)
    step = 0.003 * math.sqrt(b + c + 1) / n

    def possible(theta, points):
        start = max(found.s_low, abs(theta))
        s = np.linspace(start, max(start, found.s_high), points)
        tail = found.tail((s + theta) / 2, (s - theta) / 2)
        return start <= found.s_high and np.any(tail >= found.level)

    for theta in np.linspace(upper, 1, 20)[1:-1]:
        assert upper == 1 or not possible(theta, 200)
    assert upper >= found.s_high or possible(upper - 4 * step, 2000)


def worst_miss(limit, n, delta):
    """Largest probability that a limit lies above the truth, over truths just below each limit."""
    outcomes = np.array([x for x in itertools.product(range(n + 1), repeat=2) if sum(x) <= n])
    values = limit(outcomes[:, 0], outcomes[:, 1], n, delta)
    cells = np.column_stack([outcomes, n - outcomes.sum(axis=1)])
    worst = 0.0
    for truth in np.unique(values) - 1e-9:
        for s in np.linspace(min(1.0, abs(truth)), 1.0, 12) if truth >= -1 else ():
            law = np.clip([(s + truth) / 2, (s - truth) / 2, 1 - s], 0, 1)
            missed = multinomial.pmf(cells, n, law / law.sum())[values > truth].sum()
            worst = max(worst, missed)
    return worst


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("delta", [0.05, 0.25, 0.5])
def test_exact_miss_probability(limit, delta):
    """Truths just below each limit, at many shares of rows on which the two differ."""
    worst = worst_miss(limit, 10, delta)
    assert worst <= delta * (1 + 1e-6)
    assert worst > (0.8 if limit is not nm.paired_lower_stratified else 0.3) * delta


@pytest.mark.slow
@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("delta", [0.05, 0.25])
def test_exact_miss_probability_of_forty_rows(limit, delta):
    worst = worst_miss(limit, 40, delta)
    assert worst <= delta * (1 + 1e-6)
    assert worst > 0.25 * delta


def test_stratified_form_holds_for_unlike_rows_where_the_exact_one_fails():
    """Rows on which A alone always errs, and others on which it does at any other rate."""
    delta, worst = 0.5, {nm.paired_lower: 0.0, nm.paired_lower_stratified: 0.0}
    for always, sometimes in [(5, 1), (7, 1), (3, 3), (1, 5)]:
        n, c = always + sometimes, always + np.arange(sometimes + 1)
        for limit in worst:
            values = limit(0, c, n, delta)
            for q in np.linspace(0.02, 0.98, 49):
                truth = -(always + sometimes * q) / n
                missed = binom.pmf(c - always, sometimes, q)[values > truth + 1e-9].sum()
                worst[limit] = max(worst[limit], missed)
    assert worst[nm.paired_lower_stratified] <= delta
    assert worst[nm.paired_lower] > 1.2 * delta


def test_one_win_of_many_by_hand():
    assert nm.paired_lower_stratified(1, 0, 8, 0.4) == pytest.approx(
        0.2 / 8 - (1 - 0.2 ** (1 / 8)), rel=1e-9
    )


@pytest.mark.parametrize("limit", LIMITS)
def test_monotone(limit):
    grow = [limit(b, 12, 100, 0.1) for b in range(0, 60, 6)]
    fall = [limit(40, c, 100, 0.1) for c in range(0, 60, 6)]
    assert np.all(np.diff(grow) > -1e-3)
    assert np.all(np.diff(fall) < 1e-3)
    assert limit(40, 12, 100, 0.01) < limit(40, 12, 100, 0.1)
    assert limit(4000, 1200, 10_000, 0.1) > limit(40, 12, 100, 0.1)


@settings(max_examples=40, deadline=None)
@given(pairs(), st.floats(1e-4, 0.5), st.sampled_from(LIMITS))
def test_below_what_was_observed_and_no_contradiction(pair, delta, limit):
    b, c, n = pair
    value = limit(b, c, n, delta)
    assert -1 <= value <= (b - c) / n + 1e-12
    assert value <= -limit(c, b, n, delta)


def test_arrays_equal_scalars():
    b, c, n = np.array([[3, 9], [0, 9]]), np.array([1, 0]), 50
    for limit in LIMITS:
        value = limit(b, c, n, 0.05)
        assert value.shape == (2, 2)
        for i in np.ndindex(2, 2):
            assert value[i] == limit(int(b[i]), int(c[i[1]]), n, 0.05)


@settings(max_examples=25, deadline=None)
@given(pairs(60), st.floats(-0.5, 0.5), st.sampled_from([0.05, 0.4]))
def test_one_gap_agrees_with_the_limit(pair, gap, delta):
    b, c, n = pair
    value, off = nm.paired_lower(b, c, n, delta), 0.02 * math.sqrt(b + c + 1) / n
    shown = nm.paired_at_least(b, c, n, gap, delta)
    assert shown or gap > value - off
    assert not (shown and gap > value + off)


def test_no_rows_show_nothing():
    for limit in LIMITS:
        assert limit(0, 0, 0, 0.05) == -1
    assert not nm.paired_at_least(0, 0, 0, -0.9, 0.05)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize(
    ("b", "c", "n", "delta"),
    [(3, 3, 5, 0.1), (-1, 0, 5, 0.1), (0.5, 0, 5, 0.1), (1, math.nan, 5, 0.1), (1, 1, 5, 0.0)],
)
def test_impossible_inputs(limit, b, c, n, delta):
    with pytest.raises(InvalidArgument, match="needed"):
        limit(b, c, n, delta)


def test_large_delta_is_refused():
    for limit in (nm.paired_lower, nm.paired_lower_stratified):
        with pytest.raises(InvalidArgument, match="1/2"):
            limit(1, 1, 5, 0.6)
    with pytest.raises(InvalidArgument, match="1/2"):
        nm.paired_at_least(1, 1, 5, 0.0, 0.6)
