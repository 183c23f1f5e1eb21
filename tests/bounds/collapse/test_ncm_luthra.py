"""The two published few-shot bounds, by hand, by brute force and against their special cases."""

import numpy as np
import pytest
from finite_laws import evidence, exact, random_law
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds.bounds.collapse.ncm_few_shot import ncm_few_shot
from ncbounds.bounds.collapse.ncm_luthra_2025 import best_a, ncm_luthra_2025
from ncbounds.bounds.collapse.ncm_luthra_2026 import luthra_pairs, ncm_luthra_2026


def two_atoms(centre, step):
    """A one-dimensional law: centre -+ step with probability 1/2 each."""
    return np.array([[centre - step], [centre + step]]), np.full(2, 0.5)


def test_2026_by_hand():
    # v_i = 1, v_j = 4, d = 10, M4 = 1 and 16, m = 10
    p = exact([two_atoms(0.0, 1.0), two_atoms(10.0, 2.0)])
    v, directional, theta = 0.05, 1 / 100, 17 / 1e4
    e1 = 0.4 * (v * v + v / 4)
    e2 = v / 10
    e3 = (theta + 18 * v * v) / 1000
    base = 1 + 3 / (10 * 100)
    want = (4 * directional + (e1**0.5 + e2**0.5 + e3**0.5) ** 2) / base**2
    assert luthra_pairs(p, 10)[0, 1] == pytest.approx(want, rel=1e-12)
    assert luthra_pairs(p, 10)[1, 0] == pytest.approx(
        (16 * directional + (e1**0.5 + e2**0.5 + e3**0.5) ** 2) / (2 - base) ** 2, rel=1e-12
    )


def test_2026_limit_is_four_times_the_directional_variability():
    rng = np.random.default_rng(0)
    p = exact([random_law(rng), random_law(rng, gap=5.0)])
    limit = 4 * p.own[0, 1] / p.dist2[0, 1] ** 2
    assert luthra_pairs(p, 1e12)[0, 1] == pytest.approx(limit, rel=1e-5)


def test_2026_counts_one_where_the_bracket_is_not_positive():
    # v_i = 10,000 and d = 1: 1 + (v_j - v_i)/(m d^2) < 0
    p = exact([two_atoms(0.0, 100.0), two_atoms(1.0, 1.0)])
    assert luthra_pairs(p, 10)[0, 1] == 1.0
    # 1 + (1 - 16)/(15 * 1) = 0
    zero = exact([two_atoms(0.0, 4.0), two_atoms(1.0, 1.0)])
    assert luthra_pairs(zero, 15)[0, 1] == 1.0


def classes(n=60, d=4, gap=6.0, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(3).repeat(n)
    return rng.normal(size=(3 * n, d)) + gap * np.eye(3, d)[y], y


def published(f, y, m):
    """Both statements, written out from the moments of the points."""
    c = int(y.max()) + 1
    laws = [(f[y == k], np.full((y == k).sum(), 1 / (y == k).sum())) for k in range(c)]
    p = exact(laws)
    pairs = [(i, j) for i in range(c) for j in range(c) if i != j]
    new = sum(luthra_pairs(p, m)[i, j] for i, j in pairs) / c
    vt = np.mean([p.own[i, j] / p.dist2[i, j] ** 2 for i, j in pairs])
    v = np.array([p.variance[i] / p.dist2[i, j] for i, j in pairs])
    grid = np.linspace(5, 400, 400_000)
    bracket = 0.5 - 2 / grid - 2**1.5 / (grid * m)
    shots = 2 / m**0.5 * (np.sqrt(v).mean() + v.mean()) + v.mean() / m
    old = (c - 1) * (vt / bracket**2 + grid / 4 * shots)
    return new, old.min(), vt, v


@pytest.mark.parametrize("m", [10, 50])
def test_rows_with_moments_of_the_points(m):
    f, y = classes()
    new, old, vt, v = published(f, y, m)
    e = evidence(f, y)
    row = ncm_luthra_2025(e, m=m, moments="plug-in")
    assert row.value == pytest.approx(old, rel=1e-6)
    assert row.value <= old * (1 + 1e-12)
    assert sum(row.terms.values()) == pytest.approx(row.value)
    assert ncm_luthra_2026(e, m=m, moments="plug-in").value == pytest.approx(new, rel=1e-9)
    # the printed special case at a = 16 is never smaller
    printed = 2 * (8 * vt + 8 / m**0.5 * np.sqrt(v).mean() + (8 / m**0.5 + 4 / m) * v.mean())
    assert row.value <= printed


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 10), st.floats(1e-6, 10), st.sampled_from([10, 25, 1000]))
def test_best_a_is_the_minimum(directional, price, m):
    value, a = best_a(directional, price, m)
    s = 2 + 2**1.5 / m
    grid = np.geomspace(5, 5e4, 20_000)
    assert a >= 5
    assert value <= (directional / (0.5 - s / grid) ** 2 + grid * price).min() * (1 + 1e-9)
    assert value == pytest.approx(directional / (0.5 - s / a) ** 2 + a * price)


def test_without_a_shot_term_a_grows_without_bound():
    assert best_a(0.25, 0.0, 10) == (1.0, float("inf"))


@pytest.mark.parametrize("row", [ncm_luthra_2025, ncm_luthra_2026])
def test_fewer_than_ten_shots_are_undefined(row):
    result = row(evidence(*classes()), m=9)
    assert np.isnan(result.value)
    assert any("m >= 10" in r for r in result.reasons)


def test_rows_are_plug_in_balanced_and_above_the_exact_variance():
    f, y = classes()
    e = evidence(f, y)
    mine = ncm_few_shot(e, m=10).value
    for row in (ncm_luthra_2025, ncm_luthra_2026):
        assert len(row.variants) == 2
        for params in row.variants:
            result = row(e, **params)
            assert (result.kind, result.target) == ("plug-in", "few-shot")
            assert result.claim.weights == pytest.approx([1 / 3] * 3)
            assert mine < result.value


def test_corrected_and_raw_moments_differ_as_they_should():
    """High dimension, few points: raw distances are too long, so raw values are too small."""
    rng = np.random.default_rng(1)
    y = np.arange(2).repeat(20)
    f = rng.normal(size=(40, 400)) + 12.0 * np.eye(2, 400)[y]
    e = evidence(f, y)
    assert ncm_luthra_2026(e, m=10, moments="plug-in").value < ncm_luthra_2026(e, m=10).value


def test_classes_that_coincide():
    rng = np.random.default_rng(3)
    y = np.arange(2).repeat(30)
    f = rng.normal(size=(60, 20))
    f[y == 1] += f[y == 0].mean(axis=0) - f[y == 1].mean(axis=0)
    for unit in (1.0, 0.1):
        old, new = (row(evidence(unit * f, y)) for row in (ncm_luthra_2025, ncm_luthra_2026))
        assert np.isnan(old.value)
        assert new.value == 1.0
        for result in (old, new):
            assert any("not separated" in r for r in result.reasons)


def test_without_spread_both_terms_are_zero():
    y = np.arange(3).repeat(4)
    result = ncm_luthra_2025(evidence(8.0 * np.eye(3)[y], y), m=10, moments="plug-in")
    assert result.value == 0.0
    assert result.terms == {"directional": 0.0, "shots": 0.0}


def test_2026_of_another_average_weighs_the_classes_of_the_same_row():
    f, y = classes()
    e = evidence(f, y).asking({"two": {0: 0.75, 2: 0.25}})
    per_class = np.asarray(ncm_luthra_2026(e, m=10).details["per class"])
    row = ncm_luthra_2026(e, m=10, per="two")
    assert row.value == pytest.approx(0.75 * per_class[0] + 0.25 * per_class[2], rel=1e-12)
    assert row.claim.qualifier.startswith("two")


@pytest.mark.parametrize("row", [ncm_few_shot, ncm_luthra_2026])
def test_worst_class_of_few_shot_rows_is_the_largest_class_and_measures_it(row):
    f, y = classes(gap=2.0)
    f[y == 2] *= 1.5
    e = evidence(f, y).asking("worst")
    result = row(e, m=10, per="worst class")
    per_class = np.asarray(row(e, m=10).details["per class"])
    assert result.value == per_class.max()
    assert (result.claim.worst, result.claim.qualifier) == (per_class.argmax(), "worst class")
