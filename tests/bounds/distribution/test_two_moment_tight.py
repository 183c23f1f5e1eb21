"""The tight two-moment row: golden values, semidefinite oracle, order relations, extremal law."""

import json
from pathlib import Path

import numpy as np
import pytest
from margin_worlds import binary, from_margins, random_world, simplex

from ncbounds.bounds.distribution import _tight
from ncbounds.bounds.distribution._margin_moments import margin_moments
from ncbounds.bounds.distribution.cantelli_union import cantelli_union
from ncbounds.bounds.distribution.mahalanobis_ball import mahalanobis_ball
from ncbounds.bounds.distribution.min_margin_cantelli import min_margin_cantelli
from ncbounds.bounds.distribution.two_moment_tight import two_moment_tight
from ncbounds.numerics import etf_two_moment, two_moment_bound

GOLDEN = json.loads((Path(__file__).parents[2] / "golden.json").read_text())
SIMPLEX = [g for g in GOLDEN["F.etf_two_moment"] if g["inputs"]["k"] <= 50]


@pytest.mark.parametrize("case", SIMPLEX, ids=lambda g: str(g["inputs"]))
def test_golden(case, rng):
    k, d, rho = (float(case["inputs"][key]) for key in ("k", "d", "rho"))
    expected = float(case["value"])
    result = two_moment_tight(simplex(rng, int(k), d, rho), gap=1e-6)
    assert result.value == pytest.approx(expected, rel=3e-6)
    assert result.value >= expected * (1 - 1e-10)
    assert result.details["lower"] <= expected * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_semidefinite_program(seed):
    ev = random_world(seed, spread=1.5)
    result = two_moment_tight(ev)
    moments = margin_moments(ev.holdout, ev.head)
    for c in range(4):
        if (moments.means[c] > 0).all():
            oracle = two_moment_bound(moments.means[c], moments.covariance(c), method="sdp")
            found = result.details["per class"][c]
            assert found == pytest.approx(min(1.0, oracle.solver_value), rel=1e-5)
            assert found >= oracle.solver_value * (1 - 1e-6)


@pytest.mark.parametrize("seed", range(25))
def test_between_one_rival_and_all(seed):
    ev = random_world(seed, classes=5, dim=3 + seed % 5, n=150, spread=1.0 + seed % 3)
    tight = two_moment_tight(ev)
    union = cantelli_union(ev).details["per class"]
    ball = mahalanobis_ball(ev).details["per class"]
    d = margin_moments(ev.holdout, ev.head).distances
    single = np.where(d > 0, 1 / (1 + np.maximum(d, 0) ** 2), 1.0).max(axis=1)
    upper, lower = tight.details["per class"], tight.details["lower per class"]
    assert (single <= upper * (1 + 1e-12)).all()
    assert (lower <= upper).all()
    # both are of the covariance without eps I, and lie above up to its size
    positive = (d > 0).all(axis=1)
    assert (upper <= union * (1 + 1e-12))[positive].all()
    assert (upper <= ball * (1 + 1e-6))[positive].all()
    assert (upper == 1.0)[~positive].all()


def test_details_report_the_certified_lower_value():
    result = two_moment_tight(random_world(3))
    gap = result.value - result.details["lower"]
    assert 0 <= gap <= 1e-6 * result.value
    assert (result.details["iterations"] > 0).any()
    assert 0 <= result.details["gap per class"].max() <= 1e-6


def test_singular_covariance_is_safe(rng):
    # five rivals that all move together: one direction, so Cantelli's value for the nearest
    x = rng.normal(size=(40, 1))
    margins = np.array([4.0, 5.0, 6.0, 7.0, 8.0]) + x - x.mean()
    ev = from_margins([margins] * 6)
    nearest = x.var(ddof=1) / (x.var(ddof=1) + 16.0)
    result = two_moment_tight(ev)
    assert result.value >= nearest
    assert result.value == pytest.approx(nearest, rel=1e-4)


def test_the_worst_law_attains_it(rng):
    # a sample drawn exactly as the extremal law of its own moments errs as often as the value says
    mean, cov = np.array([3.0, 4.0]), np.array([[1.0, 0.3], [0.3, 2.0]])
    bound = two_moment_bound(mean, cov, tol=1e-9)
    atoms, mass = bound.worst_case()
    n = 20_000
    counts = np.floor(mass * n).astype(int)
    law = np.repeat(atoms, counts, axis=0)
    result = two_moment_tight(from_margins([law] * 3))
    touching = (law <= 1e-3).any(axis=1).mean()
    assert result.value == pytest.approx(touching, rel=5e-3)
    assert result.value == pytest.approx(bound.value, rel=5e-3)


def test_never_below_the_error_of_the_sample_itself():
    for seed in range(30):
        ev = random_world(seed, classes=3, n=60, spread=3.0)
        wrong = float((~(ev.holdout.margins(ev.head) > 0)).mean())
        assert two_moment_tight(ev).value >= wrong


def test_effort_falls_with_the_number_of_classes_and_of_points():
    assert _tight.effort(10, 5000) == (1e-6, 500)
    assert _tight.effort(20, 5000) == (1e-6, 500)
    assert _tight.effort(21, 5000) == _tight.effort(200, 5000) == (1e-3, 12)
    assert _tight.effort(1000, 200) == (1e-3, 12)
    assert _tight.effort(1000, 201) == (1e-3, 2)
    assert _tight.effort(1000, 201, gap=1e-3) == (1e-3, 500)
    assert _tight.effort(1000, 50, iterations=7) == (1e-3, 7)


def test_stopping_early_stays_valid():
    ev = random_world(5, classes=6, dim=8, n=300)
    full = two_moment_tight(ev)
    early = two_moment_tight(ev, gap=1e-6, iterations=2)
    assert early.params == {"gap": 1e-6, "iterations": 2}
    assert early.details["iterations"].max() == 2
    assert full.value <= early.value <= 1.2 * full.value


def test_no_spread_and_one_rival():
    still = np.full((3, 2), 4.0)
    result = two_moment_tight(from_margins([still] * 3))
    assert result.value == 0.0
    assert list(result.details["gap per class"]) == [0.0] * 3
    assert two_moment_tight(binary([1.0, 3.0])).value == pytest.approx(1 / 3, rel=1e-12)


@pytest.mark.parametrize(("k", "d"), [(9, 26), (99, 77), (999, 230)])
def test_distances_in_the_docstring(k, d):
    assert etf_two_moment(k, d, 0.5) == pytest.approx(0.01, rel=0.03)


def test_the_scalar_form_is_no_pairwise_form():
    # with two rivals that fail at different points the smallest margin spreads more than each does
    m = np.array([[3.0, 1.0], [1.0, 3.0]] * 10)
    ev = from_margins([m] * 3)
    assert min_margin_cantelli(ev).value == 0.0
    assert two_moment_tight(ev).value > 0.1


@pytest.mark.parametrize("per_class", [2, 8, 60])
def test_equals_the_slow_form_with_fewer_points_than_rivals_and_more(per_class):
    rng = np.random.default_rng(per_class)
    margins = [
        60.0 + rng.normal(size=(per_class, 20)) @ rng.normal(size=(20, 24)) for _ in range(2)
    ]
    ev = from_margins(margins + [np.full((2, 24), 1.0)] * 23)
    result = two_moment_tight(ev, gap=1e-5)
    moments = margin_moments(ev.holdout, ev.head)
    for c in range(2):
        found, lower = result.details["per class"][c], result.details["lower per class"][c]
        if (moments.means[c] <= 0).any():
            assert found == lower == 1.0
            continue
        slow = two_moment_bound(
            moments.means[c], moments.covariance(c).matrix, rank=min(24, per_class - 1)
        )
        # the matrix is regularised and converges slowly where it is singular: it lies above
        assert lower <= found <= slow.value * (1 + 1e-5)
        assert found >= slow.value * (1 - 2e-3)
    assert result.details["gap per class"][:2].max() <= 1e-5


def test_a_bar_on_a_terminal_keeps_the_classes(monkeypatch):
    monkeypatch.setattr(_tight.sys.stderr, "isatty", lambda: True, raising=False)
    many = list(range(1000))
    assert list(_tight.progress(many)) == many
    assert _tight.progress(many[:50]) == many[:50]


def test_no_bar_where_nobody_watches(monkeypatch):
    many = list(range(1000))
    assert _tight.progress([0, 1]) == [0, 1]
    monkeypatch.setattr(_tight.sys.stderr, "isatty", lambda: False, raising=False)
    assert _tight.progress(many) is many
