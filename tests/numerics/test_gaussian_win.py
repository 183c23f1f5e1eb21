from __future__ import annotations

from collections import Counter

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from ncbounds.numerics import gaussian_loss, gaussian_loss_fast
from ncbounds.numerics.gaussian_grid import STRIPS, T_HIGH, T_LOW, grid, quadrature_error, stencil


def exact(t) -> float:
    """The integral at 25 digits."""
    with mp.workdps(25):
        gaps = Counter(float(x) for x in t)

        def integrand(z):
            inside = mp.fsum(m * mp.log1p(-mp.ncdf(-z - x)) for x, m in gaps.items())
            return mp.npdf(z) * -mp.expm1(inside)

        return mp.quad(integrand, list(range(-13, 14, 2)), method="gauss-legendre")


@pytest.mark.golden("A.gibbs")
def test_golden_loss(inputs, expected, agrees):
    agrees(gaussian_loss(np.array([inputs["t"]], float) - inputs["theta"])[0], expected)


@pytest.mark.golden("B.gibbs_theta")
def test_golden_loss_at_a_threshold(inputs, expected, agrees):
    agrees(gaussian_loss(np.array([inputs["t"]], float) - inputs["theta"])[0], expected)


ROWS = [
    [0.0, 0.0],
    [1.0, 2.0, 3.0],
    [-2.0, 0.5],
    [6.0] * 9,
    [8.0, 9.0, 10.0],
    [3.14159, -0.5, 12.0, 0.333],
    [4.4] * 99,
    [2.0] * 30,
    [-8.0, 1.0],
    list(np.linspace(-1, 12, 20)) * 3,
]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_against_high_precision(row):
    value, truth = gaussian_loss([row])[0], exact(row)
    assert mp.mpf(float(value)) >= truth
    assert float(value - truth) <= 2e-12 * float(truth) + 1.2e-15 * (len(row) + 2)


@pytest.mark.parametrize("t", [-30.0, -5.0, 0.0, 1.0, 10.0, 30.0])
def test_two_classes_closed_form(t):
    value = gaussian_loss([[t]])[0]
    truth = mp.ncdf(-mp.mpf(t) / mp.sqrt(2))
    assert 1.0 >= value >= min(1.0, float(truth))
    assert value == pytest.approx(float(truth), rel=3e-12)


def test_two_rivals_by_orthant_probability():
    """Two rivals: one minus a bivariate normal probability of correlation 1/2."""
    a, b = 1.3, 0.4
    law = stats.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]])
    both = law.cdf(np.array([a, b]) / np.sqrt(2))
    assert gaussian_loss([[a, b]])[0] == pytest.approx(1 - both, abs=1e-6)


def test_equal_gaps_of_zero_are_uniform():
    for rivals in (1, 2, 9, 99, 400):
        assert gaussian_loss(np.zeros((1, rivals)))[0] == pytest.approx(
            rivals / (rivals + 1), rel=1e-11
        )


def test_monte_carlo():
    rng = np.random.default_rng(5)
    t = rng.normal(1.5, 1.0, 6)
    draws = rng.normal(size=(400_000, 7))
    rate = np.mean(np.any(draws[:, 1:] >= draws[:, :1] + t, axis=1))
    value = gaussian_loss([t])[0]
    assert abs(rate - value) < 5 * np.sqrt(value * (1 - value) / 400_000)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-20, 20), min_size=2, max_size=12), st.floats(0, 3), st.randoms())
def test_properties(row, step, random):
    value = gaussian_loss([row])[0]
    slack = 1e-11 * value + 1e-13
    shuffled = list(row)
    random.shuffle(shuffled)
    assert gaussian_loss([shuffled])[0] == pytest.approx(value, abs=slack)
    assert gaussian_loss([np.array(row) + step])[0] <= value + slack
    assert gaussian_loss([[*row, 0.0]])[0] >= value - slack
    singles = special.ndtr(-np.array(row) / np.sqrt(2))
    assert singles.max() <= value <= singles.sum() + slack
    assert gaussian_loss([[*row, np.inf]])[0] == pytest.approx(value, abs=slack)
    assert gaussian_loss_fast([row])[0] == pytest.approx(value, abs=1e-6)


def test_infinities_and_empty():
    assert gaussian_loss([[np.inf, -np.inf]])[0] == 1.0
    assert gaussian_loss([[np.inf] * 3])[0] < 1e-14
    assert gaussian_loss([[np.inf]])[0] == 0.0
    assert gaussian_loss(np.zeros((3, 0))).tolist() == [0.0] * 3
    assert gaussian_loss(np.zeros((0, 5))).shape == (0,)
    np.testing.assert_array_equal(gaussian_loss([[T_LOW, 3.0], [T_LOW - 1e9, 3.0]]), 1.0)
    at, above = gaussian_loss([[T_HIGH, 20.0], [1e300, 20.0]])
    assert above <= at < 1e-14


def test_blocks_do_not_matter():
    rng = np.random.default_rng(1)
    t = rng.normal(4, 3, (5000, 9))
    whole = gaussian_loss(t)
    np.testing.assert_allclose(
        whole[::77], [gaussian_loss(r[None])[0] for r in t[::77]], rtol=1e-13
    )
    order = rng.permutation(5000)
    np.testing.assert_allclose(gaussian_loss(t[order]), whole[order], rtol=1e-13)


@pytest.mark.parametrize("bad", [[[np.nan, 1.0]], [[1.0, 2.0], [3.0, np.nan]]])
def test_nan_raises(bad):
    with pytest.raises(ValueError, match="nan"):
        gaussian_loss(bad)
    with pytest.raises(ValueError, match="nan"):
        gaussian_loss_fast(bad)
    with pytest.raises(ValueError, match="shape"):
        gaussian_loss([1.0, 2.0])


@pytest.mark.parametrize(("a", "bound"), STRIPS)
def test_strip_constants(a, bound):
    """The supremum of |Phi| over a strip lies on its edge; the grid's step adds 1e-6 at most."""
    x = np.arange(-4.0, 15.0, 1e-5 * 4)
    edge = np.abs(0.5 * special.erfc(-(x + 1j * a) / np.sqrt(2.0))).max()
    slope = 0.4 * np.exp(a * a / 2) * 4e-5
    assert edge + slope <= bound <= edge * 1.001


def test_strip_values_at_high_precision():
    for a, bound in STRIPS[::4]:
        for x in np.linspace(0.2, 4, 15):
            assert abs(mp.erfc(-mp.mpc(x, a) / mp.sqrt(2)) / 2) <= bound


@pytest.mark.parametrize("rivals", [2, 9, 99])
def test_quadrature_error_bound_holds(rivals):
    """Trapezoid sums at coarse steps, where the error is visible."""
    for shift in (-1.0, 0.0, 2.0, 4.0):
        truth = float(exact([shift] * rivals))
        for step in (0.9, 1.2):
            half = int(12 / step)
            z = step * np.arange(-half, half + 1)
            loss = -np.expm1(rivals * special.log_ndtr(z + shift))
            value = step * np.sum(stats.norm.pdf(z) * loss)
            assert abs(value - truth) <= quadrature_error(rivals, step) + 1e-13


def test_interpolation_error_is_below_its_allowance():
    """Worst error of log Phi over the whole range, on a fine grid, against 1e-15 per rival."""
    plan = grid(9)
    rng = np.random.default_rng(0)
    with mp.workdps(30):
        for _ in range(150):
            x = mp.mpf(float(rng.uniform(-4, 8)))
            low = mp.floor(x * plan.per_unit)
            offset = float(x * plan.per_unit - low)
            weights = stencil(np.array(offset), plan.points)
            nodes = [(low + m - plan.points // 2 + 1) / plan.per_unit for m in range(plan.points)]
            value = mp.fsum(mp.mpf(float(w)) * mp.log(mp.ncdf(g)) for w, g in zip(weights, nodes))
            truth = mp.log(mp.ncdf(x))
            assert abs(value - truth) < 1e-15 + 1e-15 * abs(truth)


def test_stencil_reproduces_polynomials():
    offset = np.linspace(0, 1, 7)
    weights = stencil(offset, 6)
    nodes = np.arange(6) - 2
    for degree in range(6):
        np.testing.assert_allclose((nodes**degree) @ weights, offset**degree, atol=1e-13)


def test_grid_errors_are_small():
    for rivals in (2, 9, 99, 999):
        assert grid(rivals).error < 1.1e-15 * (rivals + 3)
        assert len(grid(rivals).weights) < 180
        assert grid(rivals).weights.sum() == pytest.approx(1.0, abs=1e-14)
