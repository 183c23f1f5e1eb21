"""Second-pass moments against a slow reference, both routes to the scatter products, misuse."""

import sys

import numpy as np
import pytest

from ncbounds.errors import InvalidSample
from ncbounds.statistics.moments import class_moments
from ncbounds.statistics.pair_moments import pairwise_moments, squared_distances
from ncbounds.statistics.rows import as_rows
from ncbounds.statistics.scatter_products import cheapest_route, scatter_products
from ncbounds.statistics.unbiased import estimate


def reference(x, y, classes):
    """Everything from C full covariance matrices, one formula per line."""
    means = np.stack([x[y == c].mean(axis=0) for c in range(classes)])
    residuals = [x[y == c] - means[c] for c in range(classes)]
    counts = np.array([len(e) for e in residuals])
    cov = [np.cov(e, rowvar=False) for e in residuals]
    kap = [
        n / ((n - 1) * (n - 2)) * (e * (e**2).sum(axis=1)[:, None]).sum(axis=0)
        for e, n in zip(residuals, counts, strict=True)
    ]
    pairs = range(classes)
    step = means[None, :] - means[:, None]
    return {
        "variance": np.array([np.trace(s) for s in cov]),
        "fourth": np.array([((e**2).sum(axis=1) ** 2).sum() / (len(e) - 1) for e in residuals]),
        "trace_products": np.array([[np.trace(cov[i] @ cov[j]) for j in pairs] for i in pairs]),
        "dist2": (step**2).sum(axis=2),
        "spread": np.array([[step[i, j] @ cov[i] @ step[i, j] for j in pairs] for i in pairs]),
        "skew": np.array([[step[i, j] @ kap[i] for j in pairs] for i in pairs]),
    }


def world(seed, n, d, classes, offset=0.0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(
        np.concatenate(
            [np.repeat(np.arange(classes), 4), rng.integers(0, classes, n - 4 * classes)]
        )
    )
    scale = rng.uniform(0.2, 2.0, (classes, d))
    x = rng.standard_exponential((n, d)) * scale[y] + 3 * rng.standard_normal((classes, d))[y]
    return x + offset, y


@pytest.mark.parametrize(
    ("n", "d", "classes", "block"),
    [(300, 7, 4, 2048), (300, 7, 4, 8), (60, 40, 9, 16), (25, 3, 6, 1), (40, 2, 2, 5)],
)
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_matches_the_slow_reference(n, d, classes, block, offset):
    x, y = world(1, n, d, classes, offset)
    found = pairwise_moments(x, y, class_moments(x, y, classes), block=block)
    for name, value in reference(x, y, classes).items():
        scale = np.abs(value).max()
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-9, atol=1e-10 * scale)


@pytest.mark.parametrize("route", ["entries", "rows"])
@pytest.mark.parametrize("block", [1, 5, 13, 4096])
def test_both_routes_give_the_same_scatter_products(route, block):
    x, y = world(2, 90, 11, 5)
    mean = class_moments(x, y, 5).mean
    residual = x - mean[y]
    scatter = [residual[y == c].T @ residual[y == c] for c in range(5)]
    expected = np.array([[np.trace(a @ b) for b in scatter] for a in scatter])
    found = scatter_products(as_rows(x), y, mean, block=block, route=route)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_probes_keep_the_diagonal_and_average_to_the_products(monkeypatch):
    x, y = world(3, 60, 7, 4)
    mean = class_moments(x, y, 4).mean
    exact = scatter_products(as_rows(x), y, mean, route="rows")
    found = scatter_products(as_rows(x), y, mean, route="probes", block=2)
    np.testing.assert_allclose(np.diag(found), np.diag(exact), rtol=1e-12)
    draws = []
    for seed in range(100):
        monkeypatch.setattr(sys.modules[scatter_products.__module__], "SEED", seed)
        draws.append(scatter_products(as_rows(x), y, mean, route="probes"))
    error = np.std(draws, axis=0) / np.sqrt(len(draws))
    off = ~np.eye(4, dtype=bool)
    assert (np.abs(np.mean(draws, axis=0) - exact)[off] < 4 * error[off]).all()
    assert (error[off] < 0.05 * exact[off]).all()


def test_probes_are_said_in_the_reasons(monkeypatch):
    x, y = world(4, 60, 7, 4)
    monkeypatch.setattr(sys.modules[scatter_products.__module__], "EXACT", 0)
    found = pairwise_moments(x, y, class_moments(x, y, 4))
    assert "64 random directions" in estimate(found).reasons[0]


def test_route_follows_the_cost():
    assert cheapest_route(n=50_000, dim=128, classes=10, block=2048) == "entries"
    assert cheapest_route(n=2_000, dim=2048, classes=500, block=2048) == "rows"
    assert cheapest_route(n=50_000, dim=2048, classes=1000, block=2048) == "probes"


def test_small_and_empty_classes_are_nan_where_moments_do_not_exist():
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1, 2, 4], [5, 1, 2, 6])
    x = rng.standard_normal((len(y), 3))
    found = pairwise_moments(x, y, class_moments(x, y, 5))
    assert np.isnan(found.variance).tolist() == [False, True, False, True, False]
    assert np.isnan(found.dist2[3]).all()
    assert np.isnan(found.dist2[:, 3]).all()
    assert not np.isnan(np.delete(np.delete(found.dist2, 3, 0), 3, 1)).any()
    assert np.isnan(found.skew[2]).all()  # two rows have no third moment
    assert not np.isnan(found.spread[2, [0, 1, 4]]).any()


def test_residuals_of_other_rows_are_refused():
    x, y = world(4, 50, 3, 3)
    moments = class_moments(x, y, 3)
    with pytest.raises(InvalidSample, match="counts or dimension"):
        pairwise_moments(x[:-1], y[:-1], moments)
    with pytest.raises(InvalidSample, match="traces differ"):
        pairwise_moments(x * 1.01, y, moments)
    assert pairwise_moments(x, y, moments).centred_by == moments.fingerprint


def test_features_are_left_alone():
    x, y = world(5, 50, 3, 3)
    kept = x.copy()
    pairwise_moments(x, y, class_moments(x, y, 3))
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_squared_distances_keep_their_digits_for_close_points_among_far_ones(offset):
    rng = np.random.default_rng(5)
    points = rng.normal(size=(9, 6)) + offset
    points[3] = points[2] + 1e-4
    points[5] = points[4]
    points[8] = np.nan
    found = squared_distances(points)
    with np.errstate(invalid="ignore"):
        exact = np.square(points[:, None] - points[None]).sum(axis=2)
    np.testing.assert_allclose(found[:8, :8], exact[:8, :8], rtol=1e-11 if not offset else 1e-8)
    assert found[2, 3] == pytest.approx(exact[2, 3], rel=1e-12)
    assert found[4, 5] == found[5, 4] == 0.0
    assert np.isnan(found[8]).all()
    assert np.isnan(found[:, 8]).all()


def test_scatters_of_all_classes_at_once_and_in_strips_are_the_same():
    rng = np.random.default_rng(6)
    y = rng.permutation(np.arange(90) % 3)
    x = rng.standard_normal((90, 5)) + y[:, None]
    moments = class_moments(x, y, 3)
    found = [pairwise_moments(x, y, moments, block=block) for block in (2048, 1)]
    assert not np.isnan(found[0].trace_products).any()
    np.testing.assert_allclose(found[0].trace_products, found[1].trace_products, rtol=1e-12)
    covariances = [np.cov(x[y == c], rowvar=False) for c in range(3)]
    expected = [[np.sum(a * b) for b in covariances] for a in covariances]
    np.testing.assert_allclose(found[0].trace_products, expected, rtol=1e-12)
