"""Tails, PAC-Bayes pieces, deviation terms and outward rounding."""

from __future__ import annotations

import math
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize

from ncbounds import numerics as nm


@pytest.mark.golden("F.unimodal_one_sided")
def test_golden_unimodal(inputs, expected, agrees):
    agrees(nm.unimodal(float(inputs["d"])), expected)


@pytest.mark.golden("F.star_factor")
def test_golden_star_factor(inputs, expected, agrees):
    agrees(nm.star_factor(inputs["alpha"]), expected)


@pytest.mark.golden("F.saw_one_sided")
def test_golden_saw(inputs, expected, agrees):
    agrees(nm.saw_one_sided(inputs["n"], float(inputs["t"])), expected)


@pytest.mark.golden("H.kl_scale_free")
def test_golden_scale_free(inputs, expected, agrees):
    agrees(nm.scale_free_kl(inputs["D"], float(inputs["mu"])), expected)


@pytest.mark.golden("H.catoni")
def test_golden_catoni(inputs, expected, agrees):
    b = (float(inputs["KL"]) - math.log(float(inputs["delta"]))) / inputs["n"]
    agrees(nm.catoni(float(inputs["G"]), float(inputs["c"]), b), expected)


def prior_mean(inputs):
    return [float(inputs[key]) for key in ("M_sq", "M_dot_W0", "W0_sq")]


@pytest.mark.golden("H.sigma_opt_prior_mean")
def test_golden_sigma(inputs, expected, agrees):
    agrees(nm.optimal_sigma(inputs["D"], *prior_mean(inputs)), expected)


@pytest.mark.golden("H.kl_prior_mean")
def test_golden_divergence(inputs, expected, agrees):
    sigma = nm.optimal_sigma(inputs["D"], *prior_mean(inputs))
    agrees(nm.gaussian_kl(inputs["D"], sigma, *prior_mean(inputs)), expected)


@pytest.mark.golden("C.head_rademacher_slack")
def test_golden_rademacher(inputs, expected, agrees):
    numbers = [float(inputs[key]) for key in ("sum_sq", "Lambda", "gamma", "delta")]
    value = nm.head_rademacher_slack(
        inputs["n"], *numbers, class_factor=inputs["C"], level=inputs["k"]
    )
    agrees(value, expected)


@pytest.mark.golden("F.transport_slack_one_mcdiarmid")
def test_golden_transport(inputs, expected, agrees):
    delta, w1 = float(inputs["delta_c"]), float(inputs["W1"])
    slack = nm.transport_slack(w1, inputs["n_c"], delta, inputs["B"])
    agrees(float(inputs["L_over_gamma"]) * slack, expected)


def test_cantelli_is_attained():
    """The extremal law: 0 with the stated mass, the rest at (1 + d^2)/d."""
    for d in (0.3, 1.0, 7.0):
        p = nm.cantelli(d)
        atom = (1 + d * d) / d
        mean = (1 - p) * atom
        sd = math.sqrt(p * mean**2 + (1 - p) * (atom - mean) ** 2)
        assert mean / sd == pytest.approx(d, rel=1e-12)
        assert p >= 1 / (1 + mp.mpf(d) ** 2)


def test_unimodal_is_attained_and_valid_for_uniform_mixtures():
    """Linear program over mixtures of uniforms with a common mode and an atom at the mode."""
    for d in (0.6, 1.0, 2.0, 4.0):
        best = 0.0
        for mode in (0.0, 1e-9, 0.3 * d, d, 1.2 * d):
            ends = np.concatenate([np.linspace(mode - 12, mode + 12, 601), [0.0, 1.5 * d]])
            length = np.where(ends == mode, 1.0, np.abs(ends - mode))
            low, high = np.minimum(ends, mode), np.maximum(ends, mode)
            below = np.clip(-low, 0, length) / length
            below = np.where(ends == mode, float(mode <= 0), np.where(high <= 0, 1.0, below))
            second = (ends**2 + ends * mode + mode**2) / 3
            moments = np.vstack([np.ones_like(ends), (ends + mode) / 2, second])
            result = optimize.linprog(-below, A_eq=moments, b_eq=[1, d, d * d + 1], bounds=(0, 1))
            if result.success:
                best = max(best, -result.fun)
        assert best <= nm.unimodal(d) * (1 + 1e-9)
        assert best >= nm.unimodal(d) * 0.97


def test_star_factor_by_integration():
    """(2/(a+2))^(2/a) = sup over s of P(V^(1/a) > s)-type ratio, by maximising directly."""
    for alpha in (1, 3, 9, 50):
        # P(q(Z) >= 1) <= E(1 - q^(-a/2))_+ and E q(Z) = a/(a+2) E q(X): the worst law is a point q.
        ratio = optimize.minimize_scalar(
            lambda q, a=alpha: -(1 - q ** (-a / 2)) / (a / (a + 2) * q),
            bounds=(1, 50),
            method="bounded",
            options={"xatol": 1e-12},
        )
        assert nm.star_factor(alpha) == pytest.approx(-ratio.fun, rel=1e-9)


@pytest.mark.parametrize("n", [2, 5, 20])
def test_saw_by_exchangeability(n):
    """Any n + 1 numbers in random order: the share of bad orders is at most the bound."""
    rng = np.random.default_rng(2)
    for t in (0.5, 1.0, 1.5, 3.0):
        for values in (rng.normal(size=n + 1), rng.integers(0, 2, n + 1), np.eye(n + 1)[0] * -1.0):
            bad = 0
            for i in range(n + 1):
                rest = np.delete(values, i)
                sd = rest.std(ddof=1)
                mean = rest.mean()
                if values[i] < mean - 1e-12 if sd == 0 else values[i] <= mean - t * sd:
                    bad += 1
            assert bad / (n + 1) <= nm.saw_one_sided(n, t)


def test_saw_rounds_its_floor_up_at_integers():
    assert nm.saw_one_sided(4, 1.5) == pytest.approx(2 / 5)
    assert nm.saw_one_sided(10, 0.0) == 1.0
    with pytest.raises(ValueError, match="needed"):
        nm.saw_one_sided(1, 1.0)


@given(st.floats(0, 1e6))
def test_tails_are_ordered(d):
    assert 0 <= nm.unimodal(d) <= nm.cantelli(d) <= 1
    assert nm.cantelli(d) >= nm.cantelli(d * 1.01)
    assert nm.unimodal(d) >= nm.unimodal(d * 1.01)


def test_tails_at_the_edges():
    d = np.array([-1.0, 0.0, np.inf, math.sqrt(5 / 3)])
    np.testing.assert_allclose(nm.cantelli(d), [1, 1, 0, 3 / 8])
    np.testing.assert_allclose(nm.unimodal(d), [1, 1, 0, 1 / 6])
    for function in (nm.cantelli, nm.unimodal):
        with pytest.raises(ValueError, match="nan"):
            function(np.nan)
    with pytest.raises(ValueError, match="alpha"):
        nm.star_factor(0)


def test_catoni_at_its_best_is_the_kl_inverse():
    """min over c equals the kl inverse."""
    for q, b in ((0.01, 0.02), (0.2, 0.1), (0.0, 0.05)):
        best = optimize.minimize_scalar(
            lambda c, q=q, b=b: nm.catoni(q, c, b), bounds=(1e-6, 60), method="bounded",
            options={"xatol": 1e-10},
        )  # fmt: skip
        assert best.fun == pytest.approx(nm.kl_upper(q, b), rel=1e-5)
        assert best.fun >= nm.kl_upper(q, b) * (1 - 1e-12)


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(1e-3, 30), st.floats(0, 3))
def test_catoni_is_above_the_kl_inverse(q, c, b):
    # budgets below 1e-280 are raised to it
    assert nm.catoni(q, c, b) >= nm.kl_upper(q, b) * (1 - 1e-11) - 1e-275


def test_catoni_hand_value_and_raw():
    assert 0.0 <= nm.catoni(0.0, 1.0, 0.0) < 1e-300
    assert nm.catoni(1.0, 2.0, 0.0) == pytest.approx(1.0, rel=1e-14)
    assert nm.catoni(1.0, 1.0, 5.0) > 1.0
    for bad in ((0.1, 0.0, 0.1), (-0.1, 1.0, 0.1), (0.1, 1.0, math.nan)):
        with pytest.raises(ValueError, match="needed"):
            nm.catoni(*bad)


def test_divergence_by_integration():
    """One dimension: the integral of the log ratio of two normal densities."""
    for sigma, m, w in ((0.4, 2.0, 0.0), (0.9, 1.0, -2.0), (1.7, 0.5, 0.5)):

        def integrand(x, sigma=sigma, m=m, w=w):
            ln_q = -0.5 * ((x - sigma * m) / sigma) ** 2 - math.log(sigma)
            return math.exp(ln_q) / math.sqrt(2 * math.pi) * (ln_q + 0.5 * (x - w) ** 2)

        truth = integrate.quad(integrand, -20, 20, epsabs=1e-12, limit=200)[0]
        assert nm.gaussian_kl(1, sigma, m * m, m * w, w * w) == pytest.approx(truth, rel=1e-9)


@settings(deadline=None)
@given(st.floats(1e-6, 5), st.floats(0, 1e4), st.integers(1, 5000))
def test_divergence_is_outward(sigma, mean_sq, dim):
    with mp.workdps(40):
        s = mp.mpf(sigma)
        truth = mp.mpf(dim) / 2 * (s * s - 1 - 2 * mp.log(s)) + s * s * mp.mpf(mean_sq) / 2
        value = nm.gaussian_kl(dim, sigma, mean_sq)
        assert mp.mpf(value) >= truth
        assert value == pytest.approx(float(truth), rel=1e-11, abs=1e-13)


@given(st.integers(1, 10000), st.floats(0, 1e3), st.floats(0.05, 20))
def test_scale_free_is_the_minimum(dim, mu, factor):
    """In the direction sigma M with |M| = mu, the best scale is optimal_sigma."""
    best = nm.optimal_sigma(dim, mu * mu)
    least = nm.scale_free_kl(dim, mu)
    assert nm.gaussian_kl(dim, best, mu * mu) == pytest.approx(least, rel=1e-9, abs=1e-9)
    assert nm.gaussian_kl(dim, best * factor, mu * mu) >= least * (1 - 1e-11) - 1e-12
    assert least <= mu * mu / 2 * (1 + 1e-12) + 1e-275  # norms below 1e-140 are raised to it


def test_deviation_terms_by_hand():
    value = nm.head_rademacher_slack(4, 4.0, 1.0, 2.0, math.exp(-2) * 2, class_factor=1)
    assert value == pytest.approx(4 * 2 / 8 + 3 * 0.5, rel=1e-13)
    value = nm.transport_slack(0.5, 2, math.exp(-2), 1.0)
    assert value == pytest.approx(0.5 + math.sqrt(4.5), rel=1e-13)
    even = nm.transport_slack(0.0, 100, 0.05, 2.0)
    assert even == pytest.approx(6 * math.sqrt(math.log(20) / 200), rel=1e-13)
    assert nm.transport_slack_of_halves(0.0, 100, 20, 0.05, 2.0) > even
    for bad in ((0.1, 1, 0.05, 1.0), (0.1, 10, 0.0, 1.0), (-0.1, 10, 0.05, 1.0)):
        with pytest.raises(ValueError, match="needed"):
            nm.transport_slack(*bad)
    with pytest.raises(ValueError, match="needed"):
        nm.head_rademacher_slack(10, 1.0, 1.0, 0.0, 0.05, class_factor=2)


def test_transport_differences_by_perturbation():
    """Replacing one point moves W1(P, P_n) - W1(halves) by at most B (1/n + 1/k)."""
    rng = np.random.default_rng(0)
    n, k = 7, 3
    x = rng.uniform(size=n)
    fine = np.linspace(0, 1, 2001)

    def functional(points):
        to_law = np.trapezoid(np.abs([np.mean(points <= f) - f for f in fine]), fine)
        return to_law - np.mean(np.abs(np.sort(points[:k]) - np.sort(points[k : 2 * k])))

    worst = 0.0
    for i in range(n):
        for new in (0.0, 0.5, 1.0):
            y = x.copy()
            y[i] = new
            change = abs(functional(y) - functional(x))
            worst = max(worst, change)
            assert change <= (1 / n + (1 / k if i < 2 * k else 0)) + 1e-3
    assert worst > 0.1


@given(st.floats(allow_nan=False, allow_infinity=False, width=64), st.integers(1, 9))
def test_rounding_moves_outward(x, ulps):
    assert nm.up(x, ulps) > x
    assert nm.down(x, ulps) < x
    assert nm.down(x, ulps) == -nm.up(-x, ulps)


def test_rounding_edges():
    assert nm.up(1.0) == np.nextafter(1.0, 2.0)
    assert nm.up(0.0) > 0.0
    assert nm.up(math.inf) == math.inf
    assert math.isnan(nm.up(math.nan))
    assert nm.probability_up(1.0) == 1.0
    assert nm.probability_up(0.5) > 0.5
    values = nm.up(np.array([1.0, -1.0, math.inf]), 2)
    assert values.shape == (3,)
    assert all(a > b for a, b in pairwise([values[0], 1.0, values[1], -1.0]))


def test_public_names_exist():
    assert sorted(nm.__all__) == list(nm.__all__)
    for name in nm.__all__:
        assert callable(getattr(nm, name))
        assert getattr(nm, name).__doc__
