"""The two-moment bound of a covariance given by a factor, against three slower forms."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds.numerics import (
    CovarianceFactor,
    cantelli,
    centred_ellipsoid_bound,
    ellipsoid,
    etf_two_moment,
    two_moment_bound,
)
from ncbounds.numerics import ellipsoid_factored as factored
from ncbounds.numerics.ellipsoid import fit


def problem(k, r, seed, scale=6.0, decay=0.5, spread=0.0):
    """Mean (k,) and factor (r, k); ``spread`` is the log-deviation of the standard deviations."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(r, r)) * np.arange(1, r + 1.0) ** -decay @ rng.normal(size=(r, k))
    factor *= np.exp(spread * rng.normal(size=k))
    sd = np.sqrt(np.square(factor).sum(axis=0))
    return sd * (scale + rng.exponential(scale / 3, k)), factor


def primal_program(mean, factor):
    """Largest error mass as one linear matrix inequality over atoms in the factor's r dimensions.

    ``diag(lam) >= N'N`` with N the columns ``(z_j, lam_j)``, each on its half-space: it shares
    neither algebra nor code with the ellipsoids, and needs no inverse of the covariance.
    """
    import cvxpy as cp

    r, k = factor.shape
    lam, z = cp.Variable(k, nonneg=True), cp.Variable((r, k))
    columns = cp.vstack([z, cp.reshape(lam, (1, k), order="C")])
    block = cp.bmat([[np.eye(r + 1), columns], [columns.T, cp.diag(lam)]])
    sd = np.sqrt(np.square(factor).sum(axis=0))
    inside = cp.sum(cp.multiply(factor / sd, z), axis=0) >= cp.multiply(mean / sd, lam)
    found = cp.Problem(cp.Maximize(cp.sum(lam)), [block >> 0, inside])
    return found.solve(solver=cp.CLARABEL)


@pytest.mark.parametrize(("k", "r"), [(2, 1), (3, 2), (4, 4), (7, 3), (10, 6)])
@pytest.mark.parametrize("spread", [0.0, 2.0])
def test_equals_the_primal_program_for_any_rank(k, r, spread):
    mean, factor = problem(k, r, 10 * k + r, spread=spread)
    bound = two_moment_bound(mean, CovarianceFactor(factor))
    assert bound.gap <= 1e-6
    oracle = primal_program(mean, factor)
    assert bound.value == pytest.approx(oracle, rel=1e-5)
    form = factored.Factored.of(mean, CovarianceFactor(factor))
    for steps in (1, 3, 100):
        # the law behind the lower value, before it is compared with the upper one
        assert fit(form, 0.0, steps, centred=False).lower <= oracle * (1 + 1e-6)


@pytest.mark.parametrize("k", [2, 5, 12, 40])
@pytest.mark.parametrize("scale", [3.0, 20.0])
def test_equals_the_form_of_a_matrix(k, scale):
    mean, factor = problem(k, k + 3, k, scale)
    fast = two_moment_bound(mean, CovarianceFactor(factor))
    slow = two_moment_bound(mean, factor.T @ factor)
    assert fast.value == pytest.approx(slow.value, rel=3e-6)
    assert fast.lower <= slow.value
    assert slow.lower <= fast.value * (1 + 1e-6)  # of S + eps I
    fast = centred_ellipsoid_bound(mean, CovarianceFactor(factor))
    slow = centred_ellipsoid_bound(mean, factor.T @ factor)
    assert fast.value == pytest.approx(slow.value, rel=3e-6)
    assert fast.lower <= slow.value


@settings(max_examples=30, deadline=None)
@given(
    st.integers(2, 30),
    st.integers(1, 12),
    st.integers(0, 10**6),
    st.floats(0.3, 30),
    st.floats(0, 2),
    st.integers(1, 20),
)
def test_valid_wherever_it_stops_and_never_above_the_matrix(k, r, seed, scale, spread, steps):
    mean, factor = problem(k, r, seed, scale, spread=spread)
    short = two_moment_bound(mean, CovarianceFactor(factor), max_iter=steps)
    long = two_moment_bound(mean, CovarianceFactor(factor))
    single = cantelli(mean / np.sqrt(np.square(factor).sum(axis=0)))
    assert short.value >= long.lower
    assert short.lower <= long.value
    assert single.max() * (1 - 1e-12) <= long.value <= min(1, single.sum()) * (1 + 1e-12)
    assert short.iterations <= steps
    # the matrix gets eps I on top, so its value lies above the mass of any law of the factor
    slow = two_moment_bound(mean, factor.T @ factor, max_iter=steps)
    assert slow.value >= long.lower * (1 - 1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 10**6), st.floats(0, 1))
def test_certificate_holds_for_any_ellipsoid(k, q, seed, wrong):
    """Any H, X and centre, right or wrong: the value dominates the error mass of the law."""
    rng = np.random.default_rng(seed)
    r = k + 5
    atoms = rng.normal(size=(r, k)) * rng.exponential(size=(r, 1)) ** 2
    masses = rng.dirichlet(np.ones(r))
    atoms = atoms - masses @ atoms
    form_factor = np.sqrt(masses)[:, None] * atoms
    sd = np.sqrt(np.square(form_factor).sum(axis=0))
    d = rng.uniform(0.3, 3.0, k)
    form = factored.Factored.of(d * sd, CovarianceFactor(form_factor))
    error = min(1.0, masses[(atoms >= d * sd).any(axis=1)].sum())  # masses sum to 1 to rounding
    y = 0.3 * rng.normal(size=r)
    half = rng.normal(size=(k, q))
    x = np.linalg.lstsq(half, form.rows, rcond=None)[0] + wrong * rng.normal(size=(q, r))
    assert factored.certify(form, half, y, x) >= error
    assert factored.certify(form, half, y, 0 * x) >= error
    assert two_moment_bound(d * sd, CovarianceFactor(form_factor)).value >= error


@pytest.mark.parametrize(("k", "r", "spread"), [(3, 2, 0.0), (5, 3, 3.0), (4, 4, 1.0)])
def test_certificate_against_exact_arithmetic(k, r, spread):
    """Never below ``s tr(G^-1 (R + vv'))`` of the same G in 80 digits, and hardly above."""
    mean, factor = problem(k, r, k, spread=spread)
    form = factored.Factored.of(mean, CovarianceFactor(factor))
    shape = form.best_shape(np.full(k, 1 / k), -0.2 * np.ones(r) / r)
    for x in (shape.inverse, shape.inverse * (1 + 1e-9), np.round(shape.inverse, 4)):
        value = factored.certify(form, shape.half, shape.centre, x)
        with mp.workdps(80):
            exact = mp.matrix(factor.tolist())
            sd = [mp.sqrt(mp.fsum(exact[i, j] ** 2 for i in range(r))) for j in range(k)]
            rows = mp.matrix([[exact[i, j] / sd[j] for i in range(r)] for j in range(k)])
            v = mp.matrix((form.rows @ shape.centre).tolist())
            half = mp.matrix(shape.half.tolist())
            h2 = [(mp.mpf(mean[j]) / sd[j] - v[j]) ** 2 for j in range(k)]
            g = half * half.T
            s = max(g[j, j] / h2[j] for j in range(k))
            for j in range(k):
                g[j, j] += mp.mpf(factored._THICKNESS) * s * h2[j]
            inner = mp.inverse(g) * (rows * rows.T + v * v.T)
            widest = max(g[j, j] / h2[j] for j in range(k))
            truth = widest * mp.fsum(inner[j, j] for j in range(k))
        assert mp.mpf(value) >= truth * (1 - mp.mpf(10) ** -13)
        if x is shape.inverse:
            assert value == pytest.approx(float(truth), rel=1e-9)


def test_certificate_refuses_what_it_cannot_check():
    form = factored.Factored.of(np.array([2.0, 3.0]), CovarianceFactor(np.eye(2)))
    eye, outside = np.eye(2), np.array([2.0, 0.0])
    assert factored.certify(form, eye, np.zeros(2), eye) < math.inf
    assert factored.certify(form, eye, outside, eye) == math.inf
    assert factored.certify(form, np.full((2, 2), np.nan), np.zeros(2), eye) == math.inf
    assert factored.certify(form, eye, np.zeros(2), np.full((2, 2), np.inf)) == math.inf


@pytest.mark.parametrize(("k", "d"), [(3, 4.0), (20, 12.0), (60, 40.0)])
def test_closed_form_of_the_frame(k, d):
    factor = np.linalg.cholesky(np.full((k, k), 0.5) + 0.5 * np.eye(k)).T
    bound = two_moment_bound(np.full(k, d), CovarianceFactor(factor))
    closed = etf_two_moment(k, d, 0.5)
    assert closed * (1 - 1e-12) <= bound.value <= closed * (1 + 2e-6)
    assert bound.lower <= closed * (1 + 1e-12)


def test_copies_of_one_margin_are_one_rival():
    bound = two_moment_bound(np.full(50, 5.0), CovarianceFactor(np.ones((1, 50))))
    assert 1 / 26 <= bound.value <= 1 / 26 * (1 + 1e-6)


def test_two_opposite_margins_are_chebyshev():
    """Two sides of one direction: ``P(|x| >= d) <= 1/d^2``, less than the Cantelli bounds' sum."""
    for d in (1.5, 4.0, 30.0):
        bound = two_moment_bound([d, d], CovarianceFactor([[0.6, -0.6], [0.8, -0.8]]))
        assert 1 / d**2 <= bound.value <= 1 / d**2 * (1 + 1e-6)


def test_null_directions_and_poor_conditioning_change_nothing():
    mean, factor = problem(15, 4, 3, 20.0)
    value = two_moment_bound(mean, CovarianceFactor(factor)).value
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(9, 9)))
    wider = turn @ np.vstack([factor, np.zeros((5, 15))])
    assert two_moment_bound(mean, CovarianceFactor(wider)).value == pytest.approx(value, rel=2e-6)
    # margins of very different size: every half-space may be scaled by itself
    units = 10.0 ** np.linspace(-8, 8, 15)
    scaled = two_moment_bound(mean * units, CovarianceFactor(factor * units))
    assert scaled.value == pytest.approx(value, rel=2e-6)
    faint = np.vstack([factor, 1e-9 * np.random.default_rng(1).normal(size=(6, 15))])
    assert two_moment_bound(mean, CovarianceFactor(faint)).value == pytest.approx(value, rel=1e-5)


def test_lower_value_closes_the_gap_of_singular_covariances():
    for k, r in ((19, 5), (60, 10), (120, 40)):
        mean, factor = problem(k, r, k, 15.0)
        bound = two_moment_bound(mean, CovarianceFactor(factor), tol=1e-4)
        assert bound.gap <= 1e-4


def test_constant_margins_and_means_that_are_not_positive():
    factor = CovarianceFactor([[1.0, 0.0, 2.0], [0.5, 0.0, -1.0]])
    both = two_moment_bound([9.0, 20.0], CovarianceFactor([[1.0, 2.0], [0.5, -1.0]]))
    assert two_moment_bound([9.0, 1.0, 20.0], factor).value == both.value
    assert two_moment_bound([9.0, 0.0, 20.0], factor).value == 1.0
    assert two_moment_bound([9.0, 1.0], CovarianceFactor(np.zeros((3, 2)))).value == 0.0
    assert centred_ellipsoid_bound([9.0, -1.0, 2.0], factor).value == math.inf
    single = two_moment_bound([3.0], CovarianceFactor([[0.6], [0.8]]))
    assert single.value == pytest.approx(0.1, rel=1e-12)


def test_worst_case_of_a_factor():
    mean, factor = problem(6, 6, 2)
    bound = two_moment_bound(mean, CovarianceFactor(factor))
    atoms, masses = bound.worst_case()
    np.testing.assert_allclose(masses @ atoms, mean, rtol=1e-6)
    wrong = (atoms <= 1e-4 * np.sqrt(np.diag(bound.cov))).any(axis=1)
    assert masses[wrong].sum() == pytest.approx(bound.value, rel=1e-4)


def test_semidefinite_program_of_a_factor():
    mean, factor = problem(4, 5, 0)
    oracle = two_moment_bound(mean, CovarianceFactor(factor), method="sdp")
    assert two_moment_bound(mean, CovarianceFactor(factor)).value == pytest.approx(
        oracle.solver_value, rel=2e-6
    )


@pytest.mark.parametrize(
    ("factor", "message"),
    [([1.0, 2.0], "shape"), (np.zeros((0, 2)), "shape"), ([[1.0, np.nan]], "finite")],
)
def test_impossible_factors(factor, message):
    with pytest.raises(ValueError, match=message):
        CovarianceFactor(factor)


def test_mean_and_factor_have_to_fit():
    with pytest.raises(ValueError, match="needed: \\(k,\\) and \\(r, k\\)"):
        two_moment_bound([1.0, 2.0], CovarianceFactor(np.ones((4, 3))))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_growing_exponent_needs_fewer_steps(monkeypatch, seed):
    """Rivals of one class among 121, 30 points: twelve steps are sharper than twenty at 2."""
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((121, 64))
    weight /= np.linalg.norm(weight, axis=1)[:, None]
    logits = (weight[0] + 0.05 * rng.standard_normal((30, 64))) @ weight.T
    margins = logits[:, :1] - logits[:, 1:]
    mean = margins.mean(axis=0)
    cov = CovarianceFactor((margins - mean) / np.sqrt(29))
    now = two_moment_bound(mean, cov, tol=0.0, max_iter=12)
    for name in ("_SPEED", "_FASTEST"):
        monkeypatch.setattr(ellipsoid, name, 2.0)
    before = two_moment_bound(mean, cov, tol=0.0, max_iter=20)
    assert max(now.lower, before.lower) < now.value < before.value


def vacuous_or_nearly(seed: int) -> tuple[np.ndarray, CovarianceFactor]:
    """A few margins whose worst law errs always or nearly so."""
    rng = np.random.default_rng(seed)
    k, r = int(rng.integers(2, 13)), int(rng.integers(2, 13))
    factor = rng.normal(size=(r, k))
    sd = np.sqrt(np.square(factor).sum(axis=0))
    return sd * rng.uniform(0.3, 2.5) * rng.uniform(0.5, 1.5, k), CovarianceFactor(factor)


def test_a_class_whose_worst_law_always_errs_is_given_up_early():
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(20, 9))
    found = two_moment_bound(0.4 * np.sqrt(np.square(factor).sum(axis=0)), CovarianceFactor(factor))
    assert found.value == 1.0
    assert found.iterations <= 60


@pytest.mark.parametrize("seed", [36, 315, 348])  # .985, .996, .998
def test_a_class_just_below_one_is_not_given_up(monkeypatch, seed):
    mean, factor = vacuous_or_nearly(seed)
    found = two_moment_bound(mean, factor)
    assert 0.9 < found.value < 1.0
    monkeypatch.setattr(ellipsoid, "_HOPELESS_FROM", 10**9)
    assert two_moment_bound(mean, factor).value == found.value
