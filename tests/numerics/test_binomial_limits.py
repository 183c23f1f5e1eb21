from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from ncbounds.numerics import (
    binomial_interval,
    binomial_lower,
    binomial_upper,
    binomial_upper_log,
    stratified_upper,
    stratified_upper_log,
)
from ncbounds.numerics.binomial import _ln_share
from ncbounds.numerics.binomial_beta import _nudge
from ncbounds.numerics.binomial_log import _falling_sum, _log_tail


def exact_tail(k: int, n: int, p: float, digits: int = 50) -> mp.mpf:
    """P(Bin(n, p) <= k) by summation at high precision."""
    with mp.workdps(digits):
        x = mp.mpf(p)
        if x >= 1:
            return mp.mpf(1 if k >= n else 0)
        term = total = mp.binomial(n, k) * x**k * (1 - x) ** (n - k)
        for i in range(k, 0, -1):
            term *= mp.mpf(i) / (n - i + 1) * (1 - x) / x
            total += term
        return total


@pytest.mark.golden("F.cp_upper_iid")
def test_golden_upper(inputs, expected, agrees):
    agrees(binomial_upper(inputs["K"], inputs["n"], float(inputs["delta"])), expected)


@pytest.mark.golden("F.cp_upper_stratified")
def test_golden_stratified_of_the_older_edge_rule(inputs, expected, agrees):
    older = 1.0 if inputs["K"] >= inputs["n"] - 1 else None
    value = older or stratified_upper(inputs["K"], inputs["n"], float(inputs["delta"]))
    agrees(value, expected)


@pytest.mark.golden("F.cp_stratified_at_n_minus_1")
def test_golden_stratified_edge(inputs, expected, agrees):
    value = stratified_upper(inputs["K"], inputs["n"], float(inputs["delta"]))
    assert value >= expected
    agrees(value, expected)
    ln_delta = math.log(float(inputs["delta"]))
    agrees(stratified_upper_log(inputs["K"], inputs["n"], ln_delta), expected)


DELTAS = (1e-9, 0.05 / 13, 0.05, 0.5, 0.9)
PAIRS = [
    (k, n)
    for n in (1, 2, 7, 50, 1000, 20000)
    for k in sorted({0, 1, 2, n // 10, n // 2, n - 3, n - 2, n - 1})
    if 0 <= k < n and (n < 20000 or k < 100)
]


@pytest.mark.parametrize(("k", "n"), PAIRS)
def test_upper_is_outward_and_tight(k, n):
    for delta in DELTAS:
        p = binomial_upper(k, n, delta)
        assert exact_tail(k, n, p) <= mp.mpf(delta)
        # Tightness, in whichever of p and 1 - p is small.
        inner = p * (1 - 1e-9) if p < 0.5 else 1 - (1 - p) * (1 + 1e-9) - 1e-15
        assert exact_tail(k, n, inner) > mp.mpf(delta)


@pytest.mark.parametrize(("k", "n"), PAIRS)
def test_lower_is_outward_and_tight(k, n):
    errors = n - k
    for delta in DELTAS if n < 1000 else DELTAS[::2]:  # long sums
        p = binomial_lower(errors, n, delta)
        with mp.workdps(50):
            # P(Bin(n, p) >= errors) = P(Bin(n, 1 - p) <= k), with 1 - p exact.
            outer = mirrored_tail(errors, n, mp.mpf(p))
            assert outer <= mp.mpf(delta)
            inner = p * (1 + 1e-9) if p < 0.5 else p + (1 - p) * 1e-9 + 1e-15
            assert inner >= 1 or mirrored_tail(errors, n, mp.mpf(inner)) > mp.mpf(delta)


def mirrored_tail(errors: int, n: int, p: mp.mpf) -> mp.mpf:
    k, q = n - errors, 1 - p
    if q >= 1:
        return mp.mpf(0)
    return mp.fsum(mp.binomial(n, i) * q**i * p ** (n - i) for i in ordered_tail(k))


def ordered_tail(k: int) -> range:
    return range(k, -1, -1) if k < 1200 else range(k, k - 1200, -1)


def test_hand_values():
    assert binomial_upper(0, 100, 0.05) == pytest.approx(1 - 0.05**0.01, rel=1e-14, abs=0)
    assert binomial_upper(1, 2, 0.19) == pytest.approx(0.9, rel=1e-10)
    assert binomial_lower(1, 2, 0.19) == pytest.approx(0.1, rel=1e-10)
    assert binomial_upper(5, 5, 0.05) == 1.0
    assert binomial_lower(0, 5, 0.05) == 0.0
    assert (binomial_upper(0, 0, 0.05), binomial_lower(0, 0, 0.05)) == (1.0, 0.0)


def test_scalars_give_floats_and_arrays_arrays():
    assert isinstance(binomial_upper(3, 10, 0.05), float)
    n = np.array([10, 20, 30])
    values = binomial_upper(np.array([[3], [5]]), n, 0.05)
    assert values.shape == (2, 3)
    expected = [[binomial_upper(k, m, 0.05) for m in (10, 20, 30)] for k in (3, 5)]
    np.testing.assert_array_equal(values, expected)
    for limit in (binomial_upper, binomial_lower):
        column = limit(np.array([3, 5]), np.array([10, 20]), np.array([0.05, 0.1]))
        assert column.tolist() == [limit(3, 10, 0.05), limit(5, 20, 0.1)]
        # one impossible entry is enough
        for k, m, d in ([3, 11], [10, 10], 0.1), ([-1, 1], [10, 10], 0.1), ([0.5, 1], 10, 0.1):
            with pytest.raises(ValueError, match="whole numbers from 0 to n"):
                limit(np.array(k), np.array(m), d)
        with pytest.raises(ValueError, match="a count"):
            limit(1, np.array([5, 5.5]), 0.1)
        with pytest.raises(ValueError, match="probability"):
            limit(1, 5, np.array([0.1, 1.0]))


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 3000), st.data())
def test_monotone_and_ordered(n, data):
    k = data.draw(st.integers(0, n - 1))
    delta = data.draw(st.floats(1e-12, 0.49))
    upper, lower = binomial_upper(k, n, delta), binomial_lower(k, n, delta)
    assert lower <= k / n <= upper
    assert upper <= binomial_upper(k + 1, n, delta)
    assert upper >= binomial_upper(k, n + 1, delta)
    assert upper <= binomial_upper(k, n, delta / 2)
    assert upper == pytest.approx(1 - binomial_lower(n - k, n, delta), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("k", "n", "ln_delta"),
    [
        (1, 10, -30.0),
        (1, 60000, -600.0),
        (3, 5000, -470.0),
        (5, 100, -700.0),
        (0, 60000, -5000.0),
        (300, 3000, -800.0),
        (1200, 60000, -3468.7),
        (30000, 60000, -2000.0),
        (59990, 60000, -50.0),
        (7, 1000, -100000.0),
        (5000, 60000, -1000.0),
    ],
)
def test_log_form_is_outward_and_tight(k, n, ln_delta):
    p = binomial_upper_log(k, n, ln_delta)
    if p < 1:
        assert mp.log(exact_tail(k, n, p, 60)) <= mp.mpf(ln_delta)
    inner = p * (1 - 1e-9) if p < 0.5 else 1 - (1 - p) * (1 + 1e-9) - 1e-15
    assert mp.log(exact_tail(k, n, inner, 60)) > mp.mpf(ln_delta)


@pytest.mark.parametrize(("k", "n"), [(0, 50), (3, 50), (49, 50), (700, 5000)])
@pytest.mark.parametrize("delta", [0.05, 1e-8, 1e-150])
def test_log_form_agrees_with_the_ordinary_one(k, n, delta):
    value = binomial_upper_log(k, n, math.log(delta))
    assert value == pytest.approx(binomial_upper(k, n, delta), rel=1e-9)


def test_tiny_delta_uses_the_log_form():
    p = binomial_upper(40, 1000, 1e-290)
    assert exact_tail(40, 1000, p) <= mp.mpf(1e-290)
    assert p == binomial_upper_log(40, 1000, math.log(1e-290))
    # the smallest float: one error is not too few for the log form
    p = binomial_upper(1, 1000, 5e-324)
    assert exact_tail(1, 1000, p, 400) <= mp.mpf(5e-324)


@pytest.mark.parametrize("delta", [0.5, 0.05, 0.025, 1 / 3, 1e-9, float(np.nextafter(1.0, 0.0))])
def test_share_of_a_code_word_is_rounded_down(delta):
    for bits in (*range(1, 400), 2_368, 54_321, 10**7):
        with mp.workdps(50):
            exact = mp.log(mp.mpf(delta)) - bits * mp.log(2)
            below = exact - mp.mpf(_ln_share(delta, bits))
            assert 0 <= below <= 6 * np.spacing(float(-exact))


def test_search_for_the_safe_side_reaches_far_and_not_too_far():
    """Doubling steps of one ulp: within twice the distance, and 1 or 0 if nothing is safe."""
    for sign in (1.0, -1.0):
        edges = 0.3 * (1 + sign * np.array([1e-6, 1e-9, -1e-3]))  # the last is passed at once
        start, unused = np.full(3, 0.3), np.ones(3)

        def past(edge, _b, x, _delta, sign=sign):
            return sign * (x - edge) >= 0

        found = sign * (_nudge(start, sign, past, edges, unused, unused) / 0.3 - 1)
        assert 1e-6 <= found[0] < 2.1e-6
        assert 1e-9 <= found[1] < 2.1e-9
        assert 0 < found[2] < 2e-11
        never = _nudge(start, sign, lambda _a, _b, x, _d: x < 0, *[unused] * 3)
        assert (never == (sign > 0)).all()


@pytest.mark.parametrize(
    ("k", "n", "logit"), [(3, 5000, -2.0), (40, 1000, 0.5), (300, 3000, 1.0), (4999, 5000, 9.0)]
)
def test_logarithm_of_the_tail_is_rounded_up(k, n, logit):
    with mp.workdps(60):
        p = 1 / (1 + mp.exp(-mp.mpf(logit)))
        exact = mp.log(mp.fsum(mp.binomial(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1)))
        assert _log_tail(k, n, logit) > exact
        assert _log_tail(k, n, logit) - exact < 1e-10 * abs(exact)


@pytest.mark.parametrize("odds", [1.0, 0.9999])
def test_sum_over_many_terms_that_fall_slowly(odds):
    """Half of 4e8 errors: the terms fall like exp(-i^2 / 2e8), over many blocks."""
    k, n = 2 * 10**8, 4 * 10**8
    i = np.arange(400_000, dtype=float)
    whole = 1.0 + np.cumprod((k - i) * odds / (n - k + 1 + i)).sum()
    assert _falling_sum(k, n, odds) == pytest.approx(whole, rel=1e-10)
    assert _falling_sum(k, n, odds) > whole


def test_log_form_is_below_chernoff():
    for k, n, ln_delta in [(100, 5000, -900.0), (2000, 60000, -20000.0)]:
        p = binomial_upper_log(k, n, ln_delta)
        q = k / n
        kl = q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))
        assert kl <= -ln_delta / n


def test_stratified_rule():
    assert stratified_upper(3, 50, 0.05) == binomial_upper(3, 50, 0.05)
    assert stratified_upper(49, 50, 0.05) > binomial_upper(49, 50, 0.05)
    assert stratified_upper(50, 50, 0.05) == 1.0
    with pytest.raises(ValueError, match="1/4"):
        stratified_upper(0, 50, 0.26)
    with pytest.raises(ValueError, match="1/4"):
        stratified_upper_log(0, 50, math.log(0.26))


def test_stratified_edge_is_needed():
    """One doubtful point among 50 wrong ones: the plain limit misses too often, the rule does not.

    The mean is just above the limit at n - 1 errors; a miss is that the doubtful point is right.
    """
    n, delta = 50, 0.05
    plain = binomial_upper(n - 1, n, delta)
    assert n * (1 - plain) > delta
    assert n * (1 - stratified_upper(n - 1, n, delta)) <= delta


@pytest.mark.parametrize("p", [0.005, 0.03, 0.2, 0.5, 0.97])
@pytest.mark.parametrize("n", [5, 40, 400])
def test_exact_miss_probability(p, n):
    """The probability of a miss, summed over all outcomes, is at most delta on either side."""
    k = np.arange(n + 1)
    mass = stats.binom.pmf(k, n, p)
    for delta in (0.05, 0.25):
        assert mass[binomial_upper(k, n, delta) < p].sum() <= delta
        assert mass[binomial_lower(k, n, delta) > p].sum() <= delta
    low, high = binomial_interval(k, n, 0.9)
    assert mass[(low > p) | (high < p)].sum() <= 0.1


def test_coverage_by_simulation_at_a_tight_case():
    """True error placed just above the limit at k = 3: misses happen with probability delta."""
    n, delta, runs = 200, 0.05, 20000
    p = binomial_upper(3, n, delta) * (1 + 1e-9)
    rng = np.random.default_rng(7)
    misses = int(np.sum(binomial_upper(rng.binomial(n, p, runs), n, delta) < p))
    assert stats.binom.sf(misses - 1, runs, delta) > 1e-6
    assert stats.binom.cdf(misses, runs, delta) > 1e-6


def test_interval_matches_scipy():
    low, high = binomial_interval(17, 300)
    reference = stats.binomtest(17, 300).proportion_ci(0.95, method="exact")
    assert (low, high) == pytest.approx((reference.low, reference.high), rel=1e-9)
    assert low <= reference.low * (1 + 1e-14)
    assert high >= reference.high * (1 - 1e-14)
    assert special.bdtr(17, 300, high) <= 0.025


@pytest.mark.parametrize(
    ("errors", "n", "delta"),
    [(-1, 5, 0.1), (6, 5, 0.1), (1.5, 5, 0.1), (1, 5, 0.0), (1, 5, 1.0), (1, 5.5, 0.1),
     (float("nan"), 5, 0.1), (1, 5, float("nan"))],
)  # fmt: skip
def test_impossible_inputs(errors, n, delta):
    with pytest.raises(ValueError, match="needed"):
        binomial_upper(errors, n, delta)
    with pytest.raises(ValueError, match="needed"):
        binomial_lower(errors, n, delta)


def test_impossible_inputs_of_the_log_form():
    for errors, n, ln_delta in [(3, 2, -1.0), (0, 0, -1.0), (1, 5, 0.0), (1, 5, -math.inf)]:
        with pytest.raises(ValueError, match="needed"):
            binomial_upper_log(errors, n, ln_delta)
    with pytest.raises(ValueError, match="level"):
        binomial_interval(1, 5, 1.0)
