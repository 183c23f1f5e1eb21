"""Unbiasedness by exact enumeration of every sample from skewed laws on three atoms."""

import itertools
import math

import numpy as np
import pytest

from ncbounds.statistics.moments import class_moments
from ncbounds.statistics.pair_moments import PairwiseMoments, pairwise_moments
from ncbounds.statistics.unbiased import corrected, estimate

ATOMS = (
    np.array([[0.0, 0.0, 0.3], [1.0, 0.0, 0.0], [0.0, 2.0, -0.5]]),
    np.array([[3.0, 1.0, 0.0], [4.0, 1.0, 0.2], [3.0, 5.0, 1.0]]),
)
WEIGHTS = (np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.3, 0.1]))


def samples(law, n):
    """Every multiset of n atoms, with its probability."""
    for count in itertools.product(range(n + 1), repeat=3):
        if sum(count) == n:
            ways = math.factorial(n) / math.prod(math.factorial(k) for k in count)
            yield ways * math.prod(WEIGHTS[law] ** count), np.repeat(ATOMS[law], count, axis=0)


def truth():
    mean = [w @ a for a, w in zip(ATOMS, WEIGHTS, strict=True)]
    e = [a - m for a, m in zip(ATOMS, mean, strict=True)]
    cov = [(x * w[:, None]).T @ x for x, w in zip(e, WEIGHTS, strict=True)]
    square = [(x**2).sum(axis=1) for x in e]
    kap = [w @ (x * s[:, None]) for x, w, s in zip(e, WEIGHTS, square, strict=True)]
    d = mean[1] - mean[0]
    step = np.array([[0 * d, d], [-d, 0 * d]])
    return {
        "variance": np.array([np.trace(c) for c in cov]),
        "variance_squared": np.array([np.trace(c) ** 2 for c in cov]),
        "trace_of_square": np.array([np.trace(c @ c) for c in cov]),
        "fourth": np.array([w @ s**2 for w, s in zip(WEIGHTS, square, strict=True)]),
        "trace_products": np.array([[np.trace(a @ b) for b in cov] for a in cov]),
        "dist2": np.array([[0, d @ d], [d @ d, 0]]),
        "own": np.array([[step[i, j] @ cov[i] @ step[i, j] for j in (0, 1)] for i in (0, 1)]),
        "rival": np.array([[step[i, j] @ cov[j] @ step[i, j] for j in (0, 1)] for i in (0, 1)]),
        "rival_skew": np.array([[step[i, j] @ kap[j] for j in (0, 1)] for i in (0, 1)]),
    }


@pytest.mark.parametrize(("n", "m"), [(4, 4), (4, 6), (5, 5)])
def test_every_corrected_moment_is_unbiased(n, m):
    expected = {name: np.zeros_like(value) for name, value in truth().items()}
    total = 0.0
    for (p, x), (q, z) in itertools.product(samples(0, n), samples(1, m)):
        rows, labels = np.concatenate([x, z]), np.repeat([0, 1], [n, m])
        found = corrected(pairwise_moments(rows, labels, class_moments(rows, labels, 2)))
        total += p * q
        for name in expected:
            expected[name] += p * q * getattr(found, name)
    assert total == pytest.approx(1.0, abs=1e-12)
    for name, value in truth().items():
        np.testing.assert_allclose(expected[name], value, rtol=1e-10, atol=1e-11, err_msg=name)


def test_plug_ins_are_biased_so_that_the_enumeration_means_something():
    bias = 0.0
    for (p, x), (q, z) in itertools.product(samples(0, 4), samples(1, 4)):
        bias += p * q * float(((x.mean(axis=0) - z.mean(axis=0)) ** 2).sum())
    assert bias > truth()["dist2"][0, 1] * 1.02


def made(**changes):
    """Plug-in moments of two well-separated classes of 50 points in 10 dimensions."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 10))
    x[50:] += 3
    y = np.repeat([0, 1], 50)
    found = pairwise_moments(x, y, class_moments(x, y, 2))
    values = {name: getattr(found, name) for name in PairwiseMoments.__dataclass_fields__}
    return PairwiseMoments(**(values | changes))


def test_no_fallback_where_none_is_needed():
    plain = made()
    a, b = corrected(plain), estimate(plain)
    assert b.reasons == ()
    for name in ("variance_squared", "trace_of_square", "fourth", "own", "rival", "dist2"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_each_fallback_is_the_plug_in_and_is_reported():
    plain = made()
    low = made(spread=np.full((2, 2), 1e-3))
    assert (corrected(low).own[0, 1]) < 0
    found = estimate(low)
    assert found.own[0, 1] == found.own[1, 0] == 1e-3
    assert found.rival[0, 1] == 1e-3
    assert "2 of 2 ordered pairs" in found.reasons[0]

    heavy = made(fourth=plain.fourth * 1e3)
    assert (corrected(heavy).trace_of_square < 0).all()
    assert (corrected(heavy).variance_squared < 0).all()
    found = estimate(heavy)
    np.testing.assert_array_equal(found.trace_of_square, np.diag(plain.trace_products))
    np.testing.assert_array_equal(found.variance_squared, plain.variance**2)
    assert any("tr S^2" in r for r in found.reasons)
    assert any("(tr S)^2" in r for r in found.reasons)

    light = made(fourth=plain.fourth * 0.5)
    assert (corrected(light).fourth < corrected(light).variance_squared).all()
    found = estimate(light)
    np.testing.assert_array_equal(found.fourth, found.variance_squared)
    assert any("fourth moment" in r for r in found.reasons)


def test_not_separated_is_said_and_not_clipped():
    close = made(dist2=np.array([[0, 1e-3], [1e-3, 0]]))
    found = estimate(close)
    assert found.dist2[0, 1] < 0
    assert not found.separated[0, 1]
    assert estimate(made()).separated[0, 1]


def test_classes_of_three_points_are_nan_and_named():
    rng = np.random.default_rng(1)
    y = np.repeat([0, 1, 2], [3, 4, 9])
    x = rng.standard_normal((16, 4))
    found = estimate(pairwise_moments(x, y, class_moments(x, y, 3)))
    assert found.usable.tolist() == [False, True, True]
    assert np.isnan(found.own[0]).all() or np.isnan(found.own[0, 1:]).all()
    assert np.isnan(found.variance[0])
    assert np.isfinite(found.own[1, 2])
    assert "fewer than 4 points" in found.reasons[0]
    assert found.reasons[0].endswith(": 0")


def test_collapsed_classes_have_variance_zero_without_a_fallback():
    x = np.repeat([[0.0, 0.0], [3.0, 4.0]], 6, axis=0)
    y = np.repeat([0, 1], 6)
    found = estimate(pairwise_moments(x, y, class_moments(x, y, 2)))
    assert found.reasons == ()
    assert found.own[0, 1] == 0
    assert found.dist2[0, 1] == 25
