from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds.numerics import (
    TwoMomentBound,
    cantelli,
    centred_ellipsoid_bound,
    etf_two_moment,
    two_moment_bound,
)
from ncbounds.numerics.ellipsoid import inside
from ncbounds.numerics.ellipsoid_dense import Frame, certify


def problem(k: int, seed: int, rank: int | None = None, scale: float = 4.0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(k, rank or k)) * rng.uniform(0.2, 2.0, rank or k)
    cov = a @ a.T
    return np.sqrt(np.diag(cov)) * (scale + rng.exponential(2.0, k)), cov


@pytest.mark.golden("F.etf_two_moment")
def test_golden_closed_form(inputs, expected, agrees):
    k, d, rho = inputs["k"], float(inputs["d"]), float(inputs["rho"])
    agrees(etf_two_moment(k, d, rho), expected)
    if k <= 60:
        cov = np.full((k, k), rho) + (1 - rho) * np.eye(k)
        bound = two_moment_bound(np.full(k, d), cov)
        assert bound.value == pytest.approx(expected, rel=3e-6)
        assert bound.value >= expected * (1 - 1e-11)


@pytest.mark.parametrize("k", [2, 4, 9])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_semidefinite_program(k, seed):
    mean, cov = problem(k, seed)
    bound = two_moment_bound(mean, cov, tol=1e-7)
    oracle = two_moment_bound(mean, cov, method="sdp")
    assert bound.value == pytest.approx(oracle.solver_value, rel=2e-6)
    assert oracle.value == pytest.approx(oracle.solver_value, rel=1e-5)
    assert oracle.value >= bound.lower
    assert bound.lower <= oracle.solver_value * (1 + 1e-6)
    assert bound.gap < 1e-6


@pytest.mark.parametrize(("k", "rank"), [(1, 1), (3, 3), (9, 9), (25, 25), (12, 4)])
def test_worst_case_has_the_moments_and_the_error(k, rank):
    mean, cov = problem(k, 3, rank)
    bound = two_moment_bound(mean, cov)
    atoms, masses = bound.worst_case()
    assert atoms.shape == (k + 1, k)
    assert masses.min() >= 0
    assert masses.sum() == pytest.approx(1.0, abs=1e-12)
    scale = math.sqrt(np.diag(cov).max())
    np.testing.assert_allclose(masses @ atoms, mean, atol=1e-6 * scale)
    centred = atoms - mean
    np.testing.assert_allclose((masses[:, None] * centred).T @ centred, cov, atol=1e-6 * scale**2)
    if rank == k:
        wrong = (atoms <= 1e-4 * scale).any(axis=1)
        assert masses[wrong].sum() == pytest.approx(bound.value, rel=1e-4)
        assert not wrong[-1]


def test_worst_case_with_a_constant_margin():
    mean, cov = np.array([3.0, 2.0, 4.0]), np.diag([1.0, 0.0, 2.0])
    atoms, masses = two_moment_bound(mean, cov).worst_case()
    assert atoms.shape == (4, 3)
    assert np.all(atoms[:, 1] == 2.0)
    np.testing.assert_allclose(masses @ atoms, mean, atol=1e-8)
    centred = atoms - mean
    np.testing.assert_allclose((masses[:, None] * centred).T @ centred, cov, atol=1e-7)
    for bad in (two_moment_bound([1.0, -1.0], np.eye(2)), two_moment_bound([1.0], [[0.0]])):
        with pytest.raises(ValueError, match="worst case"):
            bad.worst_case()


def test_one_rival_is_cantelli():
    for d in (0.5, 3.0, 40.0):
        bound = two_moment_bound([2 * d], [[4.0]])
        assert bound.value == pytest.approx(1 / (1 + d * d), rel=1e-12)
        assert bound.lower <= 1 / (1 + d * d) <= bound.value
    assert two_moment_bound([1e-9], [[1.0]]).value == 1.0  # not above 1 by rounding up


def test_perfectly_correlated_rivals_are_one():
    bound = two_moment_bound([5.0, 5.0, 5.0], np.ones((3, 3)))
    assert bound.value == pytest.approx(1 / 26, rel=5e-4)
    assert bound.value >= 1 / 26


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 8), st.integers(0, 10**6), st.floats(0.3, 8), st.integers(1, 12))
def test_valid_and_ordered_however_few_iterations(k, seed, scale, steps):
    mean, cov = problem(k, seed, scale=scale)
    d = mean / np.sqrt(np.diag(cov))
    short = two_moment_bound(mean, cov, max_iter=steps)
    long = two_moment_bound(mean, cov)
    assert cantelli(d).max() * (1 - 1e-12) <= long.value <= min(1, cantelli(d).sum()) * (1 + 1e-12)
    assert short.value >= long.lower
    assert short.value <= min(1, cantelli(d).sum()) * (1 + 1e-12)
    assert short.lower <= long.value
    assert long.value <= k / d.min() ** 2 * (1 + 1e-12)
    assert short.iterations <= steps


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 6), st.integers(0, 10**6), st.floats(0.1, 100))
def test_invariances_and_monotonicity(k, seed, factor):
    mean, cov = problem(k, seed)
    value = two_moment_bound(mean, cov).value
    near = {"rel": 1e-5}
    order = np.random.default_rng(seed).permutation(k)
    assert two_moment_bound(mean[order], cov[np.ix_(order, order)]).value == pytest.approx(
        value, **near
    )
    assert two_moment_bound(factor * mean, factor**2 * cov).value == pytest.approx(value, **near)
    assert two_moment_bound(1.3 * mean, cov).value <= value * (1 + 1e-5)
    assert two_moment_bound(mean, cov + 0.3 * np.eye(k)).value >= value * (1 - 1e-5)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 6), st.integers(0, 10**6))
def test_certificate_holds_for_any_ellipsoid(k, seed):
    """Any shape and centre, against laws built at random: the moment value dominates the mass."""
    rng = np.random.default_rng(seed)
    atoms = rng.normal(size=(k + 5, k)) * rng.exponential(size=(k + 5, 1)) ** 2
    masses = rng.dirichlet(np.ones(k + 5))
    atoms = atoms - masses @ atoms
    cov = (masses[:, None] * atoms).T @ atoms + 1e-12 * np.eye(k)
    sd = np.sqrt(np.diag(cov))
    x, corr = atoms / sd, cov / np.outer(sd, sd)
    d = rng.uniform(0.3, 3.0, k)
    error = min(1.0, masses[(x >= d).any(axis=1)].sum())  # masses sum to 1 to rounding
    b = rng.normal(size=(k, k))
    centre = d - rng.uniform(0.1, 4.0, k)
    value = certify(d, corr, centre, b @ b.T + 0.05 * np.eye(k))
    assert value >= error
    if np.all(d > 0):
        assert two_moment_bound(d * sd, cov).value >= error


def test_the_centre_goes_nine_tenths_of_the_way_out_at_most():
    # .36 of room to the first half-space, .6 wanted; the whole move shrinks alike
    room = np.array([0.4, 3.0])
    assert inside(np.array([0.6, -2.0]), room) == pytest.approx(0.6)
    assert inside(np.array([0.1, -9.0]), room) == 1.0


def test_certificate_refuses_what_it_cannot_check():
    d, corr = np.array([2.0, 3.0]), np.eye(2)
    assert certify(d, corr, np.array([2.0, 0.0]), np.eye(2)) == math.inf
    assert certify(d, corr, np.zeros(2), -np.eye(2)) == math.inf
    assert certify(d, corr, np.zeros(2), np.full((2, 2), np.nan)) == math.inf
    assert certify(d, corr, np.zeros(2), np.array([[1.0, 1.0], [1.0, 1.0]])) == math.inf


def test_certificate_against_exact_rationals():
    """Shapes with poor conditioning: never below the value in exact arithmetic of the same G."""
    import mpmath as mp

    rng = np.random.default_rng(4)
    for k in (3, 7):
        for spread in (0, 3, 6):
            basis, _ = np.linalg.qr(rng.normal(size=(k, k)))
            shape = (basis * 10.0 ** rng.uniform(-spread, 0, k)) @ basis.T
            corr = np.full((k, k), 0.5) + 0.5 * np.eye(k)
            d, v = rng.uniform(2, 5, k), rng.uniform(-1, 0.5, k)
            value = certify(d, corr, v, shape)
            with mp.workdps(50):
                factor = np.linalg.cholesky(0.5 * (shape + shape.T))
                g = mp.matrix((factor).tolist()) * mp.matrix(factor.tolist()).T
                second = mp.matrix(corr.tolist()) + mp.matrix(v.tolist()) * mp.matrix(v.tolist()).T
                inner = mp.inverse(g) * second
                trace = mp.fsum(inner[i, i] for i in range(k))
                worst = max(g[i, i] / (mp.mpf(d[i]) - mp.mpf(v[i])) ** 2 for i in range(k))
                truth = trace * worst
            assert mp.mpf(value) >= truth * (1 - mp.mpf(10) ** (-13 + spread))
            assert value == pytest.approx(float(truth), rel=10.0 ** (-11 + spread))


def test_singular_covariance_is_treated_conservatively():
    mean, cov = problem(20, 5, rank=3, scale=10.0)
    bound = two_moment_bound(mean, cov)
    d = mean / np.sqrt(np.diag(cov))
    assert bound.lower <= bound.value <= cantelli(d).sum()
    assert bound.gap < 0.02
    # The sum of all margins is a scalar with known moments: no law errs less than its worst.
    assert bound.value >= cantelli(d).max()


@pytest.mark.parametrize("method", ["ellipsoid", "sdp"])
@pytest.mark.parametrize("excess", [1e-8, 1.5e-6, 1e-3])
def test_nothing_is_certified_for_a_matrix_that_is_no_covariance(method, excess):
    """Correlation above 1: some direction would have negative variance, and the trace a sign."""
    cov = [[1.0, 1.0 + excess], [1.0 + excess, 1.0]]
    with pytest.raises(ValueError, match="positive semidefinite"):
        two_moment_bound([4.0, 4.0], cov, method=method)
    with pytest.raises(ValueError, match="positive semidefinite"):
        centred_ellipsoid_bound([4.0, 4.0], cov)


@pytest.mark.parametrize("k", [2, 30, 300])
def test_covariances_that_are_singular_to_rounding_are_accepted(k):
    x = np.outer([-2.0, 0.5, 1.5], 0.1 + np.arange(k) / k)
    cov = x.T @ x / 2
    assert np.linalg.eigvalsh(cov)[0] < 1e-14
    bound = two_moment_bound(np.full(k, 5.0), cov, max_iter=3)
    assert 0 < bound.lower <= bound.value < 1


def test_frame_of_a_singular_correlation_is_the_part_that_varies():
    x = np.random.default_rng(2).normal(size=(6, 2))
    x /= np.linalg.norm(x, axis=1)[:, None]
    frame = Frame.below(x @ x.T)
    assert frame.rows.shape == (6, 2)
    np.testing.assert_allclose(frame.rows @ frame.rows.T, x @ x.T, atol=1e-13)
    np.testing.assert_allclose(frame.whiten @ frame.rows, np.eye(2), atol=1e-13)


def test_rules_for_degenerate_margins():
    eye = np.eye(3)
    assert two_moment_bound([1.0, 0.0, 2.0], eye).value == 1.0
    assert two_moment_bound([1.0, -2.0, 2.0], eye).lower == 1.0
    assert two_moment_bound([1.0, 2.0, 2.0], 0 * eye).value == 0.0
    cov = np.diag([1.0, 0.0, 0.0])
    assert two_moment_bound([4.0, 1.0, 1.0], cov).value == pytest.approx(1 / 17, rel=1e-12)
    assert two_moment_bound([4.0, 0.0, 1.0], cov).value == 1.0


def test_rank_gives_the_mahalanobis_ball():
    """Thirty copies of one margin: the ball of rank 1 is nearly exact after one iteration."""
    k = 30
    bound = two_moment_bound(np.full(k, 6.0), np.ones((k, k)), rank=1, max_iter=1)
    assert bound.value <= 1 / 36 * (1 + 1e-12)


def test_gap_that_is_reported_is_closed():
    mean, cov = problem(40, 8, scale=15.0)
    bound = two_moment_bound(mean, cov, tol=1e-3)
    assert bound.gap <= 1e-3
    assert bound.iterations <= 40
    assert two_moment_bound(mean, cov, max_iter=2).value <= 1.15 * bound.value


def test_centred_bound():
    """About the mean: never below the free centre, closed form for one rival and for the frame."""
    for seed in range(4):
        mean, cov = problem(6, seed)
        free, fixed = two_moment_bound(mean, cov), centred_ellipsoid_bound(mean, cov)
        assert fixed.value >= free.lower
        assert fixed.gap < 2e-6
    assert centred_ellipsoid_bound([3.0], [[1.0]]).value == pytest.approx(1 / 9, rel=1e-8)
    k, d = 5, 2.0
    frame = centred_ellipsoid_bound(np.full(k, d), np.full((k, k), 0.5) + 0.5 * np.eye(k))
    root = (k - 1) * math.sqrt(0.5) + math.sqrt(1 + (k - 1) * 0.5)
    assert frame.value == pytest.approx(root**2 / (k * d * d), rel=1e-6)
    assert centred_ellipsoid_bound([0.5, 0.5], np.eye(2)).value > 1.0
    assert centred_ellipsoid_bound([0.5, -0.5], np.eye(2)).value == math.inf
    assert centred_ellipsoid_bound([0.5, 0.5], np.zeros((2, 2))).value == 0.0


def test_closed_form_guards():
    assert etf_two_moment(4, -5.0, 0.0) == 1.0
    assert etf_two_moment(3, -0.5, 1.0) == etf_two_moment(3, 0.0, 1.0) == 1.0
    assert etf_two_moment(1, 3.0, 0.0) == pytest.approx(0.1, rel=1e-13)
    assert etf_two_moment(3, 5.0, 1.0) == pytest.approx(1 / 26, rel=1e-12)
    for bad in ((0, 1.0, 0.0), (4, 1.0, -0.5), (4, 1.0, 1.1)):
        with pytest.raises(ValueError, match="needed"):
            etf_two_moment(*bad)


@pytest.mark.parametrize(
    ("mean", "cov", "message"),
    [
        ([1.0, 2.0], np.eye(3), "shape"),
        ([[1.0]], np.eye(1), "shape"),
        ([], np.zeros((0, 0)), "shape"),
        ([1.0, np.nan], np.eye(2), "finite"),
        ([1.0, 2.0], np.diag([1.0, np.inf]), "finite"),
        ([1.0, 2.0], np.diag([1.0, -1.0]), "variance"),
        ([1.0, 2.0], [[1.0, 0.5], [0.1, 1.0]], "symmetric"),
        ([1.0, 2.0], [[1.0, 2.0], [2.0, 1.0]], "semidefinite"),
    ],
)
def test_impossible_inputs(mean, cov, message):
    with pytest.raises(ValueError, match=message):
        two_moment_bound(mean, cov)


def test_impossible_options():
    with pytest.raises(ValueError, match="method"):
        two_moment_bound([3.0, 3.0], np.eye(2), method="newton")
    with pytest.raises(ValueError, match="max_iter"):
        two_moment_bound([3.0, 3.0], np.eye(2), max_iter=0)


def test_short_floats_and_whole_numbers_are_read_in_float64():
    mean, cov = problem(4, 0)
    short = mean.astype(np.float32), cov.astype(np.float32)
    wide = tuple(x.astype(np.float64) for x in short)
    assert two_moment_bound(*short).value == two_moment_bound(*wide).value
    assert centred_ellipsoid_bound(*short).value == centred_ellipsoid_bound(*wide).value
    whole = two_moment_bound([3, 4], [[2, 1], [1, 2]]).value
    assert whole == two_moment_bound([3.0, 4.0], [[2.0, 1.0], [1.0, 2.0]]).value


def test_inputs_are_not_changed():
    mean, cov = problem(4, 0)
    before = mean.copy(), cov.copy()
    two_moment_bound(mean, cov).worst_case()
    np.testing.assert_array_equal(mean, before[0])
    np.testing.assert_array_equal(cov, before[1])


def test_gap_is_relative_to_the_value():
    nothing = np.empty(0)
    assert TwoMomentBound(0.5, 0.4, 1, nothing, nothing).gap == pytest.approx(0.2)
    assert TwoMomentBound(1.0, 0.25, 1, nothing, nothing).gap == 0.75
    assert TwoMomentBound(0.0, 0.0, 1, nothing, nothing).gap == 0.0
