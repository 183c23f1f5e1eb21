"""The Gaussian certificate against Monte Carlo, dense matrices, mpmath and its hand-made cases."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds.bounds.homogeneous import gaussian as _gaussian_engine
from ncbounds.bounds.homogeneous import rays as _rays
from ncbounds.bounds.homogeneous.estimate import Subsample, estimate, prices, spread, subsample
from ncbounds.bounds.homogeneous.gaussian import (
    THETAS,
    Posterior,
    best_posterior,
    evaluate,
    gaussian_head_value,
    gibbs_loss,
)
from ncbounds.bounds.homogeneous.projectors import Projector, projected, projectors
from ncbounds.bounds.homogeneous.rays import Rays
from ncbounds.numerics import gaussian_loss, kl_upper, ln_xi


def collapsed(seed=0, n=400, d=12, classes=4, noise=0.3, constant=True):
    """Class means of unit norm with round noise, and a head that points to them."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(classes, d))
    means /= np.linalg.norm(means, axis=1)[:, None]
    y = rng.integers(classes, size=n)
    f = means[y] + noise * rng.normal(size=(n, d)) / np.sqrt(d)
    b = 0.1 * rng.normal(size=classes) * constant
    return f, y, means, b


def made(f, y, w, b, **kw):
    return Rays.of(f, y, f @ w.T + b, w, b, **kw)


def etf(classes, n):
    """One feature per class on the simplex, n in all; no constant coordinate, p = C - 1."""
    _, _, right = np.linalg.svd(np.eye(classes) - 1 / classes)
    frame = (np.eye(classes) - 1 / classes) @ right[: classes - 1].T
    y = np.arange(n) % classes
    return made(frame[y], y, frame, np.zeros(classes), constant=False)


def posterior_terms(r, q):
    """psi, the posterior's mean, and its row covariance as dense matrices."""
    psi = r.features.take(np.arange(r.n)) - r.centre
    v = r.weight
    if r.constant:
        psi = np.column_stack([psi, np.full(r.n, q.kappa)])
        v = np.column_stack([v, r.bias / q.kappa])
    if q.projector.name == "all":
        pi = np.eye(r.dim)
    elif q.projector.name == "rows and constant":
        basis = np.linalg.svd(np.vstack([v, np.eye(r.dim)[-1:]]))[2][: q.projector.rank]
        pi = basis.T @ basis
    else:
        basis = np.linalg.svd(v)[2][: q.projector.rank]
        pi = basis.T @ basis
    mean = q.sigma * q.mu * v / np.linalg.norm(v)
    return psi, mean, np.eye(r.dim) - (1 - q.sigma**2) * pi


def named(r, name):
    return next(p for p in projectors(r) if p.name == name)


POINTS = [
    ("all", 0.25, 0.0, 8.0, 0.7),
    ("all", 1.0, 1.25, 15.0, 0.4),
    ("rows and constant", 0.25, 0.5, 10.0, 0.5),
    ("rows", 0.25, 2.0, 20.0, 0.3),
    ("rows", 4.0, 0.0, 5.0, 0.9),
]


@pytest.mark.parametrize(("name", "kappa", "theta", "mu", "sigma"), POINTS)
def test_loss_is_that_of_drawn_heads(name, kappa, theta, mu, sigma):
    """Draw heads from the posterior as matrices and count margins below theta ||psi||."""
    f, y, w, b = collapsed(1, n=12, noise=1.5)
    r = made(f, y, w, b)
    q = Posterior(named(r, name), kappa, theta, mu, sigma)
    psi, mean, covariance = posterior_terms(r, q)
    rng = np.random.default_rng(2)
    root = np.linalg.cholesky(covariance)
    draws = 20_000
    total, square = 0.0, 0.0
    norms = np.linalg.norm(psi, axis=1)
    for _ in range(10):
        heads = mean + rng.normal(size=(draws // 10, *mean.shape)) @ root.T
        scores = np.einsum("hcp,np->hnc", heads, psi)
        own = np.take_along_axis(scores, y[None, :, None], 2)[..., 0]
        np.put_along_axis(scores, np.tile(y[None, :, None], (draws // 10, 1, 1)), -np.inf, 2)
        loss = (own - scores.max(axis=2) <= theta * norms).mean(axis=1)
        total, square = total + loss.sum(), square + (loss**2).sum()
    mean_loss = total / draws
    se = math.sqrt(max(square / draws - mean_loss**2, 1e-12) / draws)
    assert abs(gibbs_loss(r, q) - mean_loss) < 5 * se + 1e-9


@pytest.mark.parametrize(("name", "kappa", "theta", "mu", "sigma"), POINTS)
def test_divergence_is_that_of_the_matrices(name, kappa, theta, mu, sigma):
    """Gaussian KL on the C - 1 centred directions, from dense covariances."""
    f, y, w, b = collapsed(3, n=20)
    r = made(f, y, w, b)
    q = Posterior(named(r, name), kappa, theta, mu, sigma)
    _, mean, covariance = posterior_terms(r, q)
    classes = len(mean)
    centred = np.linalg.svd(np.eye(classes) - 1 / classes)[2][: classes - 1]
    m = (centred @ mean).ravel()
    big = np.kron(np.eye(classes - 1), covariance)
    kl = 0.5 * (np.trace(big) + m @ m - len(m) - np.linalg.slogdet(big)[1])
    found = evaluate(r, q, 0.05).details["divergence"]
    assert found == pytest.approx(kl, rel=1e-9)
    # outward by more than the norm of V, as computed, can be off
    directions = (classes - 1) * q.projector.rank
    exact = directions * (sigma**2 - 1 - 2 * math.log(sigma)) / 2 + (sigma * mu) ** 2 / 2
    assert found > exact * (1 + 1e-13)


@pytest.mark.parametrize("name", ["all", "rows"])
def test_blocks_of_rows_do_not_change_the_loss(name, monkeypatch):
    f, y, w, b = collapsed(11, n=23, noise=1.0)
    r = made(f, y, w, b)
    q = Posterior(named(r, name), 0.25, 0.5, 10.0, 0.5)
    whole = gibbs_loss(r, q)
    for block in (1, 40):  # one row, three rows at a time
        monkeypatch.setattr(_rays, "BLOCK", block)
        assert gibbs_loss(r, q) == pytest.approx(whole, rel=1e-14, abs=0)


@pytest.mark.parametrize(("name", "kappa", "theta", "mu", "sigma"), POINTS)
def test_value_by_its_formula(name, kappa, theta, mu, sigma):
    f, y, w, b = collapsed(4, n=300)
    r = made(f, y, w, b)
    q = Posterior(named(r, name), kappa, theta, mu, sigma)
    found = evaluate(r, q, 0.05)
    price = math.log(13 * 13 / 0.05) + ln_xi(300)
    budget = (found.details["divergence"] + price) / 300
    noise = sigma if name == "all" else 1.0
    factor = 0.5 * math.erfc(-theta / noise / 2)
    expected = kl_upper(gibbs_loss(r, q), budget) / factor
    assert found.value == pytest.approx(expected, rel=1e-12)
    assert found.value >= kl_upper(found.details["gibbs loss"], budget) / factor
    assert sum(found.terms.values()) == pytest.approx(found.value, rel=1e-12)
    assert all(t >= 0 for t in found.terms.values())


def test_thresholds_are_those_of_the_statement():
    assert THETAS == (0, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1, 1.25, 1.5, 2, 2.5, 3)


def test_simplex_at_sixty_thousand_points():
    """Known value of one threshold and one scale, and of the grid of thirteen."""
    r = etf(10, 60_000)
    assert r.dim == 9

    def value(mu):
        q = Posterior(Projector("all", 9), 0.0, 0.0, mu, 9 / math.sqrt(81 + mu * mu))
        return evaluate(r, q, 0.05, thetas=(0.0,)).value

    best = min(value(mu) for mu in np.arange(18.95, 19.15, 0.05))
    assert best == pytest.approx(0.0027016, abs=5e-8)
    assert gaussian_head_value(r, 0.05, thetas=(0.0,)).value == pytest.approx(best, rel=1e-3)
    grid = gaussian_head_value(r, 0.05)
    assert grid.value <= 0.001885
    assert grid.value > 0.0017


def test_at_threshold_zero_it_is_twice_the_inversion_with_the_scale_free_divergence():
    r = etf(4, 2000)
    found = gaussian_head_value(r, 0.05, thetas=(0.0,))
    best = math.inf
    for mu in np.geomspace(3, 60, 400):
        gap = np.full((1, 3), mu * math.sqrt(4) / 3)
        divergence = 4.5 * math.log1p(mu * mu / 9)
        budget = (divergence + math.log(1 / 0.05) + ln_xi(2000)) / 2000
        best = min(best, 2 * kl_upper(gaussian_loss(gap)[0], budget))
    assert found.value == pytest.approx(best, rel=2e-3)
    assert found.value >= best * (1 - 1e-6)


def test_loss_is_rounded_up_against_mpmath():
    f, y, w, b = collapsed(5, n=3, d=3, classes=3)
    r = made(f, y, w, b)
    q = Posterior(named(r, "all"), 1.0, 0.5, 6.0, 0.5)
    with mpmath.workdps(30):
        w_c = [[mpmath.mpf(float(x)) for x in row] for row in w]
        psi = [[*map(mpmath.mpf, map(float, row)), mpmath.mpf(1)] for row in f]
        v = [[*row, mpmath.mpf(float(c))] for row, c in zip(w_c, b, strict=True)]
        centre = [sum(col) / 3 for col in zip(*v, strict=True)]
        v = [[a - c for a, c in zip(row, centre, strict=True)] for row in v]
        size = mpmath.sqrt(sum(a * a for row in v for a in row))
        total = mpmath.mpf(0)
        for i in range(3):
            length = mpmath.sqrt(sum(a * a for a in psi[i]))
            s = [sum(a * c for a, c in zip(row, psi[i], strict=True)) for row in v]
            t = [
                6 * (s[y[i]] - s[j]) / size / length - mpmath.mpf(0.5) / mpmath.mpf(0.5)
                for j in range(3)
                if j != y[i]
            ]
            total += 1 - mpmath.quad(
                lambda z, t=t: mpmath.npdf(z) * mpmath.ncdf(z + t[0]) * mpmath.ncdf(z + t[1]),
                [-12, -4, -2, 0, 2, 4, 12],
            )
        exact = total / 3
    assert gibbs_loss(r, q) >= exact
    assert gibbs_loss(r, q) == pytest.approx(float(exact), rel=1e-9)


@pytest.mark.parametrize("name", ["all", "rows and constant", "rows"])
def test_gaps_are_rounded_down_before_the_loss(name, monkeypatch):
    """Exact gaps in 60 digits, for a small noise where digits are lost."""
    f, y, w, b = collapsed(14, n=8, d=6, classes=3)
    r = made(f, y, w, b)
    kappa, theta, mu, sigma = 0.25, 0.7, 30.0, 0.02
    seen = []
    monkeypatch.setattr(_gaussian_engine, "gaussian_loss", lambda t: seen.append(t) or t[:, 0])
    gibbs_loss(r, Posterior(named(r, name), kappa, theta, mu, sigma))
    with mpmath.workdps(60):
        weight = mpmath.matrix(w.tolist())
        v = mpmath.matrix(3, 7)
        for c in range(3):
            for i in range(6):
                v[c, i] = weight[c, i] - sum(weight[j, i] for j in range(3)) / 3
            v[c, 6] = (mpmath.mpf(b[c]) - sum(map(mpmath.mpf, b.tolist())) / 3) / kappa
        size = mpmath.sqrt(sum(x * x for x in v))
        span = [v[c, :] for c in range(2)]
        if name == "rows and constant":
            span.append(mpmath.matrix([[0] * 6 + [1]]))
        basis = []
        for row in span:
            for e in basis:
                row = row - (row * e.T)[0] * e
            basis.append(row / mpmath.norm(row))
        for i in range(8):
            psi = mpmath.matrix([[*f[i].tolist(), kappa]])
            r2 = mpmath.fdot(psi, psi)
            inside = sum((psi * e.T)[0] ** 2 for e in basis) if name != "all" else r2
            noise = mpmath.sqrt(mpmath.mpf(sigma) ** 2 * inside + r2 - inside)
            s = [(v[c, :] * psi.T)[0] for c in range(3)]
            exact = sorted(
                (mpmath.mpf(sigma) * mu * (s[y[i]] - s[j]) / size - theta * mpmath.sqrt(r2)) / noise
                for j in range(3)
                if j != y[i]
            )
            for found, t in zip(np.sort(seen[0][i]), exact, strict=True):
                assert found < t
                assert found == pytest.approx(float(t), abs=1e-6)


def test_gaps_of_many_long_products_are_rounded_down(monkeypatch):
    """As above with 40 features, where products lose more digits."""
    f, y, w, b = collapsed(15, n=40, d=40, classes=8, noise=5.0)
    r = made(f, y, w, b)
    kappa, mu = 0.25, 3000.0
    seen = []
    monkeypatch.setattr(_gaussian_engine, "gaussian_loss", lambda t: seen.append(t) or t[:, 0])
    gibbs_loss(r, Posterior(named(r, "all"), kappa, 0.0, mu, 1.0))
    with mpmath.workdps(40):
        means = [sum(map(mpmath.mpf, map(float, col))) / 8 for col in np.column_stack([w, b]).T]
        v = [
            [mpmath.mpf(float(x)) - c for x, c in zip(row, means)]
            for row in np.column_stack([w, b])
        ]
        size = mpmath.sqrt(
            sum(x**2 for row in v for x in row[:-1]) + sum(row[-1] ** 2 for row in v) / kappa**2
        )
        for x, c, found in zip(f, y, seen[0], strict=True):
            logits = [mpmath.fdot(row[:-1], x) + row[-1] for row in v]
            length = mpmath.sqrt(mpmath.fdot(x, x) + mpmath.mpf(kappa) ** 2)
            exact = sorted(
                mu * (logits[c] - s) / size / length for j, s in enumerate(logits) if j != c
            )
            for t, whole in zip(np.sort(found), exact, strict=True):
                assert t < whole
                assert t == pytest.approx(float(whole), rel=1e-9, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_head_that_errs_everywhere_has_loss_at_least_the_factor(data):
    """Dividing by the factor turns the loss into an upper bound on the error rate."""
    seed = data.draw(st.integers(0, 10_000))
    f, _, w, b = collapsed(seed, n=20, noise=data.draw(st.floats(0, 5)))
    y = (f @ w.T + b).argmin(axis=1)
    r = made(f, y, w, b)
    p = data.draw(st.sampled_from(projectors(r)))
    q = Posterior(
        p,
        data.draw(st.sampled_from(r.kappas)),
        data.draw(st.sampled_from(THETAS)),
        data.draw(st.floats(1e-3, 100)),
        data.draw(st.floats(0.01, 1)),
    )
    found = evaluate(r, q, 0.05)
    assert found.details["gibbs loss"] >= found.details["factor"]
    assert found.value >= 1


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 6))
def test_value_is_never_below_the_error_rate_on_the_sample(seed, noise):
    f, y, w, b = collapsed(seed, n=60, noise=noise)
    r = made(f, y, w, b)
    errors = float(np.mean(r.closest(np.arange(60)) <= 0))
    assert gaussian_head_value(r, 0.05).value >= errors


def test_ties_count_as_errors():
    f, y = np.ones((50, 2)), np.zeros(50, dtype=int)
    r = made(f, y, np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]), np.zeros(3))
    assert gaussian_head_value(r, 0.05).value >= 1


def test_rows_without_a_margin_have_loss_one():
    f, y, w, b = collapsed(6, n=200)
    r = made(f, y, w, b)
    q = Posterior(named(r, "rows"), 0.25, 0.5, 12.0, 0.4)
    clean = gibbs_loss(r, q)
    f2 = np.concatenate([f, np.full((5, 12), np.nan), f[:3]])
    y2 = np.concatenate([y, np.zeros(5, dtype=int), np.full(3, 7)])
    with np.errstate(invalid="ignore"):
        more = made(f2, y2, w, b)
    assert gibbs_loss(more, q) == pytest.approx((200 * clean + 8) / 208, rel=1e-12)
    assert best_posterior(more, 0.05).kappa in more.kappas


@pytest.mark.parametrize("scale", [0.0, np.nan, np.inf, 1e200])
def test_a_head_of_no_use_has_value_one(scale):
    f, y, w, b = collapsed(7, n=20)
    with np.errstate(all="ignore"):
        r = made(f, y, w * scale, b * scale)
        assert gaussian_head_value(r, 0.05).value == 1.0


def test_huge_and_tiny_heads_are_like_others():
    f, y, w, b = collapsed(8, n=300)
    values = [gaussian_head_value(made(f, y, w * s, b * s), 0.05).value for s in (1e-140, 1, 1e140)]
    np.testing.assert_allclose(values, values[1], rtol=1e-6)


def test_far_logits_do_not_break_the_loss():
    f, y, w, b = collapsed(9, n=30)
    logits = f @ w.T + b
    logits[:, 0], logits[np.arange(30), y] = -1e308, 1e308
    r = Rays.of(f, y, logits, w, b)
    q = Posterior(named(r, "all"), 1.0, 0.5, 6.0, 0.5)
    assert 0 <= gibbs_loss(r, q) <= 1


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_invariances_of_one_posterior(seed, scale):
    """Relabelling, rotation, head scale and a common row change nothing."""
    rng = np.random.default_rng(seed)
    f, y, w, b = collapsed(seed, n=30, noise=1.0)
    r = made(f, y, w, b)
    names = [p.name for p in projectors(r)]
    order = rng.permutation(4)
    rotation = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    common = rng.normal(size=12)
    others = [
        made(f, np.argsort(order)[y], w[order], b[order]),
        made(f @ rotation, y, w @ rotation, b),
        made(f, y, scale * w, scale * b),
        made(f, y, w + common, b + 3.0),
    ]
    for name in names:
        point = Posterior(named(r, name), 0.25, 0.7, 15.0, 0.4)
        value = evaluate(r, point, 0.05).value
        for other in others:
            assert evaluate(other, point, 0.05).value == pytest.approx(value, rel=1e-8)


def test_invariances_of_the_whole_search():
    f, y, w, b = collapsed(10, n=500, noise=1.0)
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    order = rng.permutation(4)
    value = gaussian_head_value(made(f, y, w, b), 0.05).value
    for other in (
        made(f, np.argsort(order)[y], w[order], b[order]),
        made(f @ rotation, y, w @ rotation, b),
        made(f, y, 7 * w, 7 * b),
        made(f, y, w + 1.0, b - 2.0),
    ):
        assert gaussian_head_value(other, 0.05).value == pytest.approx(value, rel=1e-3)


def test_decreasing_in_n_and_delta():
    f, y, w, b = collapsed(11, n=300, noise=1.0)
    values = []
    for copies in (1, 3, 9):
        index = np.tile(np.arange(300), copies)
        values.append(gaussian_head_value(made(f[index], y[index], w, b), 0.05).value)
    assert values == sorted(values, reverse=True)
    r = made(f, y, w, b)
    by_delta = [gaussian_head_value(r, d).value for d in (1e-9, 1e-3, 0.3)]
    assert by_delta == sorted(by_delta, reverse=True)


@pytest.mark.parametrize("constant", [True, False])
def test_estimate_on_all_rows_is_the_value_of_the_certificate(constant):
    r = made(*collapsed(19, n=300, constant=constant), constant=constant)
    kinds, index = projectors(r), np.arange(300)
    cost = prices(r, kinds, THETAS, 0.05)
    sub = subsample(r, index, 300, kinds)
    rng = np.random.default_rng(0)
    candidates = [
        (p, rng.integers(len(r.kappas)), rng.integers(13), np.log(m), np.log(s))
        for p in range(len(kinds))
        for m in (4.0, 15.0, 60.0)
        for s in (0.2, 0.6, 0.9)
    ]
    values = [
        evaluate(
            r, Posterior(kinds[p], r.kappas[k], THETAS[t], math.exp(m), math.exp(s)), 0.05
        ).value
        for p, k, t, m, s in candidates
    ]
    assert min(values) < 0.9
    found = estimate(np.array(candidates, dtype=float), sub, cost)
    assert found == pytest.approx(values, rel=1e-5)


@pytest.mark.parametrize(("noise", "constant"), [(0.3, True), (0.6, False)])
def test_search_is_near_the_best_of_a_dense_grid(noise, constant):
    f, y, w, b = collapsed(12, n=800, d=20, noise=noise, constant=constant)
    r = made(f, y, w, b, constant=constant)
    found = gaussian_head_value(r, 0.05)
    kinds = projectors(r)
    cost = prices(r, kinds, THETAS, 0.05)
    index = np.arange(0, 800, 10)
    z = r.coordinates(index)
    sub = Subsample(
        weights=np.full(len(index), 1 / len(index)),
        gaps=r.gaps(index),
        squares=r.squares[index],
        shares=np.array([[projected(r, p, k, index, z) for k in r.kappas] for p in kinds]),
        lost=0.0,
    )
    middle = int(np.argmin(cost.typical))
    near = [k for k in range(middle - 1, middle + 2) if 0 <= k < len(r.kappas)]
    grid = np.array(
        [
            (p, k, t, m, s)
            for p in range(len(kinds))
            for k in near
            for t in range(13)
            for m in np.log(np.geomspace(4, 90, 12))
            for s in np.log(np.geomspace(0.1, 1, 8))
        ]
    )
    best = grid[np.argsort(estimate(grid, sub, cost))[:20]]
    values = [
        evaluate(
            r,
            Posterior(kinds[int(p)], r.kappas[int(k)], THETAS[int(t)], math.exp(m), math.exp(s)),
            0.05,
        ).value
        for p, k, t, m, s in best
    ]
    assert found.value <= min(values) * 1.01


def test_row_space_pays_off_on_collapsed_features_in_many_dimensions():
    f, y, w, b = collapsed(13, n=2000, d=128, classes=10, noise=0.3)
    r = made(f, y, w, b)
    found = gaussian_head_value(r, 0.05)
    assert found.details["projector"] != "all"
    best_all = min(
        evaluate(r, Posterior(named(r, "all"), 0.25, t, m, s), 0.05).value
        for t in (0.7, 1.0, 1.25)
        for m in (18, 24, 30)
        for s in (0.75, 0.8, 0.85)
    )
    assert found.value < 0.9 * best_all


def test_spread_has_the_right_mean():
    order = np.arange(10_000)
    index, weights = spread(order, 300)
    assert weights.sum() == pytest.approx(1)
    assert (np.diff(index) >= 0).all()
    x = np.exp(-order / 700.0)
    assert x[index] @ weights == pytest.approx(x.mean(), rel=0.01)
    few, even = spread(order[:7], 300)
    assert list(few) == list(range(7))
    assert even.sum() == pytest.approx(1)


def heads_of_the_plane():
    return [
        np.array([[np.cos(a), np.sin(a)], [-np.cos(a), -np.sin(a)]]) for a in (0.1, 1.7, 3.3, 4.9)
    ]


def enumerate_violations(delta, thetas, factors):
    """P over samples of 4 points that some head and posterior has value below its error.

    One number for each factor on the value.
    """
    atoms = np.array([[1.0, 0.2], [-0.3, 1.0], [-1.0, -0.4]])
    heads = heads_of_the_plane()
    right = np.array([0.05, 0.3, 0.5])
    cells = [(i, c) for i in range(3) for c in range(2)]
    mass = np.array([(right[i] if c == 0 else 1 - right[i]) / 3 for i, c in cells])
    n, missed = 4, np.zeros(len(factors))
    truth = []
    for w in heads:
        wrong = [(atoms[i] @ w.T).argmax() != c for i, c in cells]
        truth.append(float(mass @ np.array(wrong)))
    for counts in itertools.combinations_with_replacement(range(6), n):
        multiplicity = math.factorial(n)
        for c in set(counts):
            multiplicity //= math.factorial(counts.count(c))
        weight = multiplicity * float(np.prod(mass[list(counts)]))
        f = atoms[[cells[c][0] for c in counts]]
        y = np.array([cells[c][1] for c in counts])
        bad = np.zeros(len(factors), dtype=bool)
        for w, error in zip(heads, truth, strict=True):
            r = made(f, y, w, np.zeros(2), constant=False)
            points = [
                Posterior(Projector("all", 2), 0.0, t, m, 1 / math.sqrt(1 + m * m / 2))
                for t in thetas
                for m in (0.5, 4.0)
            ]
            value = min(evaluate(r, q, delta, thetas).value for q in points)
            bad |= np.asarray(factors) * value < error
        missed += weight * bad
    return missed


def test_coverage_by_enumeration_of_all_samples():
    """Uniform over heads and posteriors: exact probability of any violation, large deltas."""
    (missed,) = enumerate_violations(0.95, (0.0,), (1.0,))
    assert missed <= 0.95
    missed, too_small = enumerate_violations(0.5, (0.0,), (1.0, 0.4))
    assert missed <= 0.5
    # the enumeration is not blind: values that are too small are caught
    assert too_small > 0.01
