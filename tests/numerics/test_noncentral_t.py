from __future__ import annotations

import math
import warnings

import mpmath as mp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import special, stats

from ncbounds.numerics import noncentral_t_d_lower, noncentral_t_upper
from ncbounds.numerics.noncentral_t import noncentral_t_tail


def exact_tail(n: int, t: float, shift: float) -> mp.mpf:
    """P(noncentral t >= t) as an integral over the chi variable, at 25 digits."""
    with mp.workdps(25):
        nu, big, move = mp.mpf(n - 1), mp.mpf(t), mp.mpf(shift)
        log_scale = mp.log(2) + nu / 2 * mp.log(nu / 2) - mp.loggamma(nu / 2)

        def integrand(s):
            density = mp.exp(log_scale + (nu - 1) * mp.log(s) - nu * s * s / 2)
            return density * mp.erfc((big * s - move) / mp.sqrt(2)) / 2

        width = 1 / mp.sqrt(2 * nu)
        low, high = max(mp.mpf(0), 1 - 12 * width), 1 + 12 * width
        points = {low + (high - low) * i / 24 for i in range(25)}
        if big != 0:
            points |= {x for x in ((move + i) / big for i in range(-8, 9, 2)) if low < x < high}
        return mp.quad(integrand, sorted(points), method="gauss-legendre", maxdegree=4)


def golden_arguments(inputs):
    return float(inputs["xbar_over_s"]), 1.0, inputs["n"], float(inputs["delta"])


@pytest.mark.golden("F.nct_d_lower")
def test_golden_lower(inputs, expected, agrees):
    value = noncentral_t_d_lower(*golden_arguments(inputs))
    assert value <= expected * (1 + math.copysign(1e-11, expected))
    agrees(value, expected)


@pytest.mark.golden("F.nct_p_upper")
def test_golden_upper(inputs, expected, agrees):
    value = noncentral_t_upper(*golden_arguments(inputs))
    assert value >= expected * (1 - 1e-11)
    agrees(value, expected)


@pytest.mark.parametrize("n", [2, 10, 20000])
@pytest.mark.parametrize("d", [-20.0, -1.0, -0.4, 0.0, 0.1, 0.99, 1.01, 3.0, 300.0])
def test_tail_at_high_precision(n, d):
    t = math.sqrt(n) * d
    shift = t - 1.7 * math.sqrt(1 + d * d / 2)
    value, _ = noncentral_t_tail(np.array([t]), np.array([shift]), np.array([float(n)]))
    assert value[0] == pytest.approx(float(exact_tail(n, t, shift)), rel=1e-12)


@pytest.mark.parametrize("n", [2, 50, 5000])
@pytest.mark.parametrize("ratio", [-3.0, 0.2, 2.0, 40.0, 400.0])
@pytest.mark.parametrize("delta", [1e-7, 0.3])
def test_limit_is_outward_and_tight(n, ratio, delta):
    d = noncentral_t_d_lower(ratio, 1.0, n, delta)
    t = math.sqrt(n) * ratio
    assert exact_tail(n, t, math.sqrt(n) * d) <= mp.mpf(delta) * (1 + mp.mpf(1e-15))
    inner = d + 1e-9 * max(1.0, abs(d))
    assert exact_tail(n, t, math.sqrt(n) * inner) > mp.mpf(delta)


def test_delta_that_rounds_to_almost_one_leaves_a_number():
    """The tail is 1 to rounding, or above, while Newton's iteration approaches."""
    ratio, n, delta = -88.6689867, 17, 1 - 7.77777842e-12
    d = noncentral_t_d_lower(ratio, 1.0, n, delta)
    assert ratio < d < 0
    assert exact_tail(n, math.sqrt(n) * ratio, math.sqrt(n) * d) <= mp.mpf(delta)


@pytest.mark.parametrize(("n", "d"), [(3, 0.5), (30, 2.0), (300, 5.0)])
def test_agrees_with_scipy(n, d):
    lower = noncentral_t_d_lower(d, 1.0, n, 0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tail = stats.nct.sf(math.sqrt(n) * d, n - 1, math.sqrt(n) * lower)
    assert tail == pytest.approx(0.05, rel=1e-8)


def test_slope_is_the_derivative():
    for n, d in [(5.0, 2.0), (50.0, 0.3), (50.0, -3.0), (5.0, -0.5)]:
        t, step = math.sqrt(n) * d, 1e-5
        shift = np.array([t - 1.0, t - 1.0 + step, t - 1.0 - step])
        tail, slope = noncentral_t_tail(np.full(3, t), shift, np.full(3, n))
        assert slope[0] == pytest.approx((tail[1] - tail[2]) / (2 * step), rel=1e-6)


def test_mean_of_zero_is_students_t():
    """At T = 0 the limit is the normal quantile over sqrt(n), whatever the chi variable."""
    value = noncentral_t_d_lower(0.0, 1.0, 16, 0.05)
    assert value == pytest.approx(special.ndtri(0.05) / 4, rel=1e-10)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 4000), st.floats(-5, 60), st.floats(1e-9, 0.5), st.floats(0.01, 100))
@example(2, -1.0, 0.5, 1.0)
@example(3, -5.0, 0.5, 1.0)
def test_monotone_and_scale_free(n, ratio, delta, scale):
    d = noncentral_t_d_lower(ratio, 1.0, n, delta)
    # At delta <= 1/2 the limit lies below what is observed, up to the median bias of s, which makes
    # a negative ratio too negative: sd is below the deviation more often than not.
    median = np.sqrt(stats.chi2.median(n - 1) / (n - 1))
    assert d <= ratio * (1 + 1.0 / n if ratio > 0 else median) + 1e-9
    assert noncentral_t_d_lower(ratio * scale, scale, n, delta) == pytest.approx(
        d, rel=1e-10, abs=1e-10
    )
    assert noncentral_t_d_lower(ratio, 1.0, n, delta / 3) <= d
    assert noncentral_t_d_lower(ratio + 0.5, 1.0, n, delta) >= d


def test_vectorised_equals_scalar():
    mean, sd = np.array([[1.0, 2.0], [30.0, -0.2]]), np.array([1.0, 0.5])
    values = noncentral_t_upper(mean, sd, 40, 0.01)
    expected = [[noncentral_t_upper(m, s, 40, 0.01) for m, s in zip(row, sd)] for row in mean]
    np.testing.assert_allclose(values, expected, rtol=1e-10)
    assert isinstance(noncentral_t_upper(1.0, 1.0, 5, 0.05), float)


def test_degenerate_inputs_say_nothing():
    assert noncentral_t_upper(1.0, 0.0, 50, 0.05) == 1.0
    assert noncentral_t_upper(1.0, 1.0, 1, 0.05) == 1.0
    assert noncentral_t_upper(np.inf, 1.0, 9, 0.05) == 1.0
    assert noncentral_t_d_lower(1.0, -1.0, 50, 0.05) == -np.inf
    # Beyond the reach of the integrals: conservative, not confident.
    assert noncentral_t_upper(5.0, 1.0, 50, 1e-25) == 1.0
    assert noncentral_t_upper(300.0, 1.0, 50, 0.05) > 0.0
    for bad in [(np.nan, 1.0, 5, 0.05), (1.0, 1.0, 5, 0.0), (1.0, 1.0, 5, 1.0)]:
        with pytest.raises(ValueError, match="needed"):
            noncentral_t_upper(*bad)


@pytest.mark.parametrize(("n", "d"), [(2, 1.0), (20, 0.3), (20, 2.0), (200, 6.0)])
def test_coverage_is_exact_under_normality(n, d):
    """Misses at delta = .1 in 1,500 samples: neither too many nor too few at level 1e-6."""
    rng = np.random.default_rng(11)
    x = rng.normal(d, 1.0, (1500, n))
    limits = noncentral_t_d_lower(x.mean(axis=1), x.std(axis=1, ddof=1), n, 0.1)
    misses = int(np.sum(limits > d))
    assert stats.binom.sf(misses - 1, 1500, 0.1) > 1e-6
    assert stats.binom.cdf(misses, 1500, 0.1) > 1e-6
