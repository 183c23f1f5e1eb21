"""The minimax head: closed form, brute force, the recheck, what leaves it undefined."""

import numpy as np
import pytest
from margin_worlds import evidence, random_world
from scipy import optimize

from ncbounds.bounds.distribution import _minimax
from ncbounds.bounds.distribution._largest_slack import Cones, Scaling, reach
from ncbounds.bounds.distribution._margin_moments import margin_moments
from ncbounds.bounds.distribution._minimax import minimax, reduce
from ncbounds.bounds.distribution.minimax_head import minimax_head
from ncbounds.bounds.distribution.two_moment_tight import two_moment_tight
from ncbounds.statistics.rows import as_rows


def reduced_of(ev):
    sample = ev.holdout
    rows = tuple(np.flatnonzero(sample.labels == c) for c in range(len(sample.counts)))
    return reduce(as_rows(sample.features), rows, ev.head.weight)


def slow_distance(weight, bias, reduced):
    worst = np.inf
    for c in range(len(weight)):
        for j in range(len(weight)):
            if j != c:
                a = weight[c] - weight[j]
                cov = reduced.factors[c] @ reduced.factors[c].T
                gap = a @ reduced.means[c] + bias[c] - bias[j]
                worst = min(worst, gap / np.sqrt(a @ cov @ a))
    return worst


def test_two_classes_of_one_covariance_in_closed_form(rng):
    # same scatter in both classes: the best ratio is half the Mahalanobis distance of the means
    shape = np.array([[2.0, 0.5], [0.5, 1.0]])
    z = rng.normal(size=(60, 2)) @ np.linalg.cholesky(shape).T
    features = np.vstack([z, z + np.array([6.0, 2.0])])
    labels = np.repeat([0, 1], 60)
    ev = evidence(features, labels, [[0.0, 0.0], [1.0, 0.3]], [0.0, -3.0])
    cov = np.cov(z, rowvar=False)
    delta = np.array([6.0, 2.0])
    full = reduced_of(ev)
    assert full.basis.shape == (2, 2)
    ridge = _minimax.RIDGE * np.trace(cov @ full.basis @ full.basis.T) / 2
    scale = np.sum(full.basis[:, 0] ** 2)
    expected = 0.5 * np.sqrt(delta @ np.linalg.solve(cov + ridge / scale * np.eye(2), delta))
    result = minimax_head(ev)
    assert result.details["kappa"] == pytest.approx(expected, rel=2 * _minimax.WIDTH)
    assert result.details["kappa"] <= expected * (1 + 1e-9)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equals_brute_force(seed):
    ev = random_world(seed, classes=3, dim=2, n=120, spread=1.5)
    reduced = reduced_of(ev)
    found = minimax(reduced, None)
    reached = slow_distance(*found, reduced)
    assert reached == pytest.approx(reduced.distance(*found), rel=1e-9)
    q = reduced.means.shape[1]

    def loss(theta):
        return -slow_distance(theta[: 3 * q].reshape(3, q), theta[3 * q :], reduced)

    start = np.concatenate([found[0].ravel(), found[1]])
    start /= np.linalg.norm(start)
    rng = np.random.default_rng(seed)
    best = max(
        -optimize.minimize(
            loss,
            start + 0.1 * spread * rng.normal(size=len(start)),
            method="Nelder-Mead",
            options={"maxiter": 4000, "xatol": 1e-9, "fatol": 1e-9},
        ).fun
        for spread in (0, 1, 3)
    )
    assert best <= reached * (1 + 1.5 * _minimax.WIDTH)


def test_value_is_the_tight_bound_of_the_returned_head_without_the_ridge():
    ev = random_world(4, classes=4, dim=6, n=200)
    result = minimax_head(ev)
    head = result.claim.head
    again = evidence(ev.holdout.features, ev.holdout.labels, head.weight, head.bias)
    assert result.value == pytest.approx(two_moment_tight(again).value, rel=1e-9)
    smallest = margin_moments(again.holdout, again.head).distances.min()
    assert result.details["smallest distance"] == pytest.approx(smallest, rel=1e-9)
    assert 0.9 * result.value < result.details["lower"] <= result.value
    # the ridge only adds variance
    assert result.details["kappa"] < smallest
    assert result.target == "refitted-head"
    assert result.kind == "plug-in"


@pytest.mark.parametrize("seed", range(4))
def test_farther_than_the_saved_head(seed):
    ev = random_world(seed, classes=4, dim=6, n=200)
    reduced = reduced_of(ev)
    saved = reduced.lower(ev.head)
    assert minimax_head(ev).details["kappa"] >= reduced.distance(*saved)


def test_lowering_and_lifting_keep_the_margins():
    ev = random_world(5, classes=4, dim=9, n=100)
    reduced = reduced_of(ev)
    assert reduced.basis.shape == (9, 6)
    lifted = reduced.lift(*reduced.lower(ev.head))
    projected = (
        reduced.centre
        + (ev.holdout.features - reduced.centre)
        @ reduced.basis
        @ np.diag(1 / (reduced.basis**2).sum(axis=0))
        @ reduced.basis.T
    )
    a, b = lifted.logits(ev.holdout.features), ev.head.logits(projected)
    np.testing.assert_allclose(a - a[:, :1], b - b[:, :1], atol=1e-9 * np.abs(b).max())


def test_a_solver_that_overstates_is_not_believed(monkeypatch):
    reduced = reduced_of(random_world(6, classes=3, dim=4, n=120))
    good = minimax(reduced, None)
    bad = -good[0], -good[1]
    monkeypatch.setattr(_minimax, "better", lambda *_: bad)
    assert minimax(reduced, good) is good


def uneven(seed, classes, dim):
    """Classes of very different shapes, where a few pairs are far nearer than the others."""
    rng = np.random.default_rng(seed)
    means, factors = rng.normal(size=(classes, dim)), []
    for _ in range(classes):
        z = rng.normal(size=(4 * dim, dim)) * np.exp(rng.normal(size=dim))
        factors.append(_minimax._factor(z * np.exp(rng.normal())))
    return _minimax.Reduced(np.zeros(dim), np.eye(dim), means, np.stack(factors))


def slack_of_cvxpy(reduced, kappa):
    """Largest slack of a head of norm 1 at ``kappa``, by a solver for any cone program."""
    cp = pytest.importorskip("cvxpy")
    classes, dim = reduced.means.shape
    weight, bias, slack = cp.Variable((classes, dim)), cp.Variable(classes), cp.Variable()
    constraints = [cp.norm(weight, "fro") <= 1]
    for c in range(classes):
        for j in set(range(classes)) - {c}:
            row = weight[c] - weight[j]
            gap = row @ reduced.means[c] + bias[c] - bias[j]
            constraints.append(gap - kappa * cp.norm(row @ reduced.factors[c]) >= slack)
    cp.Problem(cp.Maximize(slack), constraints).solve(solver=cp.CLARABEL)
    return slack.value


def test_a_solver_for_any_cone_program_finds_nothing_farther():
    reduced = uneven(2, classes=4, dim=5)
    reached = reduced.distance(*minimax(reduced, None))
    assert slack_of_cvxpy(reduced, 0.98 * reached) > 1e-6
    assert slack_of_cvxpy(reduced, (1 + 2 * _minimax.WIDTH) * reached) < 1e-8


def test_the_steps_of_the_program_solve_their_equations():
    """One cone at a time: ``W z = W^-1 s``, and the matrix is the map, scaled twice, and back."""
    reduced, rng = uneven(1, classes=3, dim=2), np.random.default_rng(0)
    cones = Cones.of(reduced.means, reduced.factors, 0.5, np.ones((3, 3)))
    s, z = rng.normal(size=(2, 7, 3))
    s[:, 0], z[:, 0] = np.linalg.norm(s, axis=1) + 0.1, np.linalg.norm(z, axis=1) + 0.1
    s[-1, 1:] = z[-1, 1:] = 0.0
    scaling = Scaling.of(s, z)
    np.testing.assert_allclose(scaling.apply(z), scaling.undo(s), rtol=1e-10)
    columns = []
    for x in np.eye(10):
        there = cones.image(x[:-1].reshape(3, 3), x[-1])
        columns.append(cones.back(scaling.undo(scaling.undo(there))))
        assert np.vdot(there, z) == pytest.approx(cones.back(z) @ x, abs=1e-12)
    matrix = cones.normal_matrix(scaling.point, scaling.size)
    np.testing.assert_allclose(matrix, np.transpose(columns), atol=1e-9 * np.abs(matrix).max())


def test_a_step_reaches_the_boundary_of_a_cone():
    inside, step = np.array([[2.0, 0.0]]), np.array([[0.0, 4.0]])
    assert reach(inside, step) == pytest.approx(0.5)
    assert reach(inside, np.array([[1.0, 0.5]])) == np.inf


def test_beyond_the_limit_directions_are_dropped(monkeypatch):
    ev = random_world(6, classes=5, dim=8, n=200)
    monkeypatch.setattr(_minimax, "VARIABLES", 30)
    result = minimax_head(ev)
    assert result.details["dimension"] == 6
    assert 0 < result.value < 1


def test_two_points_of_a_class_are_enough():
    ev = random_world(3, classes=3, dim=4, n=60)
    f, y = ev.holdout.features, ev.holdout.labels
    few = np.concatenate([np.flatnonzero(y != 2), np.flatnonzero(y == 2)[:2]])
    assert 0 < minimax_head(evidence(f[few], y[few], ev.head.weight, ev.head.bias)).value < 1


def test_undefined_with_a_reason():
    ev = random_world(3, classes=3, dim=4, n=60)
    f, y = np.array(ev.holdout.features), ev.holdout.labels
    few = np.concatenate([np.flatnonzero(y != 2), np.flatnonzero(y == 2)[:1]])
    head = ev.head.weight, ev.head.bias
    result = minimax_head(evidence(f[few], y[few], *head))
    assert np.isnan(result.value)
    assert "fewer than two points" in result.reasons[-1]
    hurt = f.copy()
    hurt[0, 0] = np.nan
    with np.errstate(invalid="ignore"):
        assert "not finite" in minimax_head(evidence(hurt, y, *head)).reasons[-1]
    # three classes of the same points have the same means
    same = np.tile(f[:20], (3, 1))
    result = minimax_head(evidence(same, np.repeat([0, 1, 2], 20), *head))
    assert np.isnan(result.value)
    assert "separates" in result.reasons[-1]


def test_broken_saved_head_does_not_matter():
    ev = random_world(3, classes=3, dim=4, n=90)
    f, y = ev.holdout.features, ev.holdout.labels
    broken = np.full((3, 4), np.nan)
    with np.errstate(invalid="ignore"):
        result = minimax_head(evidence(f, y, broken, np.zeros(3)))
    assert 0 < result.value < 1


def test_collapsed_classes_have_no_error():
    f = np.repeat(3.0 * np.eye(3), 10, axis=0)
    assert minimax_head(evidence(f, np.repeat([0, 1, 2], 10), np.eye(3))).value == 0.0


def test_ridge_of_a_class_without_spread():
    np.testing.assert_allclose(_minimax._factor(np.zeros((5, 3))), _minimax.RIDGE * np.eye(3))
    z = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
    cov = np.diag([2.0, 8.0]) / 3 + _minimax.RIDGE * 5 / 3 * np.eye(2)
    factor = _minimax._factor(z)
    np.testing.assert_allclose(factor @ factor.T, cov)


def test_repeats_exactly():
    ev = random_world(8, classes=4, dim=6, n=150)
    assert minimax_head(ev).value == minimax_head(ev).value


def test_ten_classes():
    result = minimax_head(random_world(1, classes=10, dim=64, n=2000))
    assert result.details["dimension"] == 18
    assert result.details["kappa"] <= result.details["smallest distance"]


def test_coordinates_have_unit_size_wherever_the_features_lie():
    """The least ridge is in these units: it must not depend on the origin."""
    ev = random_world(2, classes=3, dim=4, n=90)
    for offset in (0.0, 50.0):
        moved = evidence(ev.holdout.features + offset, ev.holdout.labels, ev.head.weight)
        reduced = reduced_of(moved)
        z = (moved.holdout.features - reduced.centre) @ reduced.basis
        assert np.mean(z**2) == pytest.approx(1.0, rel=1e-9)
