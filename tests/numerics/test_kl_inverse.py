from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ncbounds.numerics import binomial_upper, kl_interval, kl_lower, kl_upper, ln_xi


def kl(q: float, p: float) -> mp.mpf:
    """Binary relative entropy at 60 digits."""
    with mp.workdps(60):
        a, b = mp.mpf(q), mp.mpf(p)
        left = a * mp.log(a / b) if a > 0 else mp.mpf(0)
        return left + ((1 - a) * mp.log((1 - a) / (1 - b)) if a < 1 else mp.mpf(0))


@pytest.mark.golden("A.klinv")
def test_golden_inverse(inputs, expected, agrees):
    agrees(kl_upper(float(inputs["q"]), float(inputs["c"])), expected)


@pytest.mark.golden("A.xi")
def test_golden_xi(inputs, expected, agrees):
    agrees(math.exp(ln_xi(inputs["n"])), expected)


RATES = [0.0, 1e-300, 1e-17, 1e-9, 1e-3, 0.02, 0.3, 0.5, 0.7, 0.999, 1 - 1e-9]
BUDGETS = [1e-18, 1e-12, 1e-6, 1e-3, 0.03, 0.5, 3.0, 20.0]


@pytest.mark.parametrize("q", RATES)
@pytest.mark.parametrize("c", BUDGETS)
def test_upper_is_outward_and_tight(q, c):
    p = kl_upper(q, c)
    assert p >= q
    if p < 1:
        assert kl(q, p) >= mp.mpf(c)
    inner = q + (p - q) * (1 - 1e-9) - 1.5e-15 * p
    if q < inner < 1 - 1e-14:
        assert kl(q, inner) < mp.mpf(c)


@pytest.mark.parametrize("q", [*RATES, 1.0])
@pytest.mark.parametrize("c", BUDGETS)
def test_lower_is_outward_and_tight(q, c):
    p = kl_lower(q, c)
    assert p <= q
    if p > 0:
        assert kl(q, p) >= mp.mpf(c)
    inner = p + (q - p) * 1e-9 + 1.5e-15 * q
    if 0 < inner < q:
        assert kl(q, inner) < mp.mpf(c)


def test_edges():
    assert kl_upper(1.0, 0.1) == kl_upper(1.7, 0.1) == 1.0
    assert kl_upper(0.5, 1e6) == 1.0
    assert kl_upper(0.3, 0.0) == kl_lower(0.3, 0.0) == 0.3
    assert kl_lower(0.0, 2.0) == 0.0
    assert kl_upper(0.0, 0.5) == pytest.approx(-math.expm1(-0.5), rel=1e-13)
    assert kl_lower(1.0, 0.5) == pytest.approx(math.exp(-0.5), rel=1e-13)


def test_broadcasts():
    q, c = np.array([0.0, 0.1, 1.0]), np.array([[0.01], [0.5]])
    values = kl_upper(q, c)
    assert values.shape == (2, 3)
    expected = [[kl_upper(float(a), float(b)) for a in q] for b in c[:, 0]]
    np.testing.assert_allclose(values, expected, rtol=1e-14)
    assert isinstance(kl_upper(0.1, 0.1), float)
    for invert in (kl_upper, kl_lower):
        assert invert(0.1, c[:, 0]).tolist() == [invert(0.1, 0.01), invert(0.1, 0.5)]
        assert invert(q, 0.5).tolist() == [invert(float(a), 0.5) for a in q]


@settings(max_examples=300, deadline=None)
@given(st.floats(0, 1), st.floats(1e-15, 50), st.floats(0, 1))
def test_monotone_and_mirrored(q, c, other):
    p = kl_upper(q, c)
    assert q <= p <= 1
    assert p <= kl_upper(q, 2 * c) * (1 + 1e-13)
    assert p <= kl_upper(max(q, other), c) * (1 + 1e-13)
    assert p <= q + math.sqrt(c / 2) * (1 + 1e-12) + 1e-15
    assert 1 - p == pytest.approx(kl_lower(1 - q, c), rel=1e-9, abs=1e-14)


def test_chernoff_is_above_the_exact_limit():
    for n, delta in ((30, 0.05), (1000, 1e-4)):
        k = np.arange(n + 1)
        chernoff = kl_upper(k / n, math.log(1 / delta) / n)
        assert np.all(binomial_upper(k, n, delta) <= chernoff)
        assert np.all(chernoff <= np.minimum(1, k / n + math.sqrt(math.log(1 / delta) / 2 / n)))


@pytest.mark.parametrize("n", [1, 2, 3, 17, 400, 12345])
def test_xi_against_direct_sum(n):
    with mp.workdps(30):
        term = total = mp.mpf(1)
        for k in range(n):
            term *= mp.mpf(n - k) / n
            total += term
        assert ln_xi(n) >= mp.log(total)
        assert ln_xi(n) == pytest.approx(float(mp.log(total)), rel=1e-11)
    assert ln_xi(n) <= math.log(2 * math.sqrt(n)) + 1e-12


def test_xi_is_the_exact_moment():
    """E exp(n kl(k/n || p)) over k ~ Bin(n, p), by enumeration, whatever p."""
    n = 12
    for p in (0.1, 0.5, 0.83):
        total = sum(
            mp.binomial(n, k)
            * mp.mpf(p) ** k
            * (1 - mp.mpf(p)) ** (n - k)
            * mp.exp(n * kl(k / n, p))
            for k in range(n + 1)
        )
        assert float(mp.log(total)) == pytest.approx(ln_xi(n), rel=1e-11)


def test_xi_at_huge_n():
    assert ln_xi(10**12) == pytest.approx(math.log(2) + 6 * math.log(10), rel=1e-14)
    assert ln_xi(10**8) >= 0.5 * math.log(math.pi * 10**8 / 2)
    for bad in (0, -3, 1.5):
        with pytest.raises(ValueError, match="needed"):
            ln_xi(bad)


def test_interval_covers():
    """Means of uniform variables: a miss of the 90 % interval is rarer than 10 %."""
    n, runs = 25, 4000
    rng = np.random.default_rng(3)
    low, high = kl_interval(rng.uniform(size=(runs, n)).mean(axis=1), n, 0.9)
    misses = int(np.sum((low > 0.5) | (high < 0.5)))
    assert stats.binom.sf(misses - 1, runs, 0.1) > 1e-6
    low1, high1 = kl_interval(0.2, 50, 0.95)
    assert high1 == pytest.approx(kl_upper(0.2, math.log(40.0) / 50), rel=1e-12)
    assert low1 == pytest.approx(kl_lower(0.2, math.log(40.0) / 50))


def test_pac_bayes_kl_covers_a_point_mass():
    """Bernoulli(p): P(klinv(k/n, ln(xi/delta)/n) < p) <= delta, exactly, over k."""
    for n, p, delta in ((20, 0.1, 0.05), (100, 0.02, 0.2)):
        k = np.arange(n + 1)
        limits = kl_upper(k / n, (ln_xi(n) - math.log(delta)) / n)
        assert stats.binom.pmf(k, n, p)[limits < p].sum() <= delta


@pytest.mark.parametrize(
    ("q", "c"), [(-0.1, 1.0), (0.5, -1.0), (math.nan, 1.0), (0.5, math.nan), (0.5, math.inf)]
)
def test_impossible_inputs(q, c):
    with pytest.raises(ValueError, match="needed"):
        kl_upper(q, c)
    with pytest.raises(ValueError, match="needed"):
        kl_lower(q, c)
    with pytest.raises(ValueError, match="needed"):
        kl_interval(0.5, 0)
    assert kl_interval(0.0, 1, 0.9)[1] == pytest.approx(0.95)
