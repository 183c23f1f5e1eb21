"""CDNV in its three normalisations and corrections, directional CDNV, cross-fitting."""

import numpy as np
import pytest

from ncbounds.errors import UnknownName
from ncbounds.geometry import NORMALISATIONS, cdnv, crossfit, directional_cdnv, simplex_etf
from ncbounds.statistics import axis_products
from ncbounds.statistics.crossfit import _halves
from ncbounds.statistics.moments import class_moments
from ncbounds.statistics.pair_moments import pairwise_moments
from ncbounds.statistics.unbiased import corrected


def etf_world(classes=4, dim=6, length=3.0, noise=0.2):
    cross = noise * np.concatenate([np.eye(dim), -np.eye(dim)])
    x = (length * simplex_etf(classes, dim)[:, None] + cross[None]).reshape(-1, dim)
    return x, np.repeat(np.arange(classes), 2 * dim)


def random_world(seed, n=80, d=5, classes=3, apart=2.0):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.repeat(np.arange(classes), 6), rng.integers(0, classes, n)])
    x = rng.standard_exponential((len(y), d)) * rng.uniform(0.3, 1, (classes, d))[y]
    return x + apart * rng.standard_normal((classes, d))[y], y


def test_closed_form_on_a_simplex_frame():
    classes, dim, length, noise = 4, 6, 3.0, 0.2
    x, y = etf_world(classes, dim, length, noise)
    moments = class_moments(x, y, classes)
    n = 2 * dim
    d2 = length**2 * 2 * classes / (classes - 1)
    v = noise**2
    plug_in = {"half-symmetric": v / d2, "ordered": v / d2, "unhalved": 2 * v / d2}
    v_unbiased = v * n / (n - 1)
    shrunk = d2 - 2 * v_unbiased / n
    for name, value in plug_in.items():
        assert cdnv(moments, name).mean.value == pytest.approx(value, rel=1e-12)
        value_corrected = cdnv(moments, name, corrected=True).mean.value
        assert value_corrected == pytest.approx(value * v_unbiased / v * d2 / shrunk, rel=1e-12)
    plain = directional_cdnv(pairwise_moments(x, y, moments)).mean.value
    assert plain == pytest.approx(v / dim / d2, rel=1e-11)


def test_hand_calculation_tells_the_normalisations_apart():
    x = [[-1.0], [1.0], [7.0], [13.0]]  # variances 1 and 9 (divisor n), distance 10
    moments = class_moments(x, [0, 0, 1, 1], 2)
    assert cdnv(moments, "half-symmetric").values[0, 1] == 0.05
    assert cdnv(moments, "half-symmetric").values[1, 0] == 0.05
    assert cdnv(moments, "ordered").values[0, 1] == 0.01
    assert cdnv(moments, "ordered").values[1, 0] == 0.09
    assert cdnv(moments, "unhalved").values[0, 1] == 0.1
    # v = 2 and 18 with n - 1; d^2 = 100 - 1 - 9.
    assert cdnv(moments, "ordered", corrected=True).values[0, 1] == pytest.approx(2 / 90)
    assert cdnv(moments, "half-symmetric", corrected=True).mean.value == pytest.approx(10 / 90)
    assert np.isnan(np.diag(cdnv(moments, "ordered").values)).all()
    directional = directional_cdnv(pairwise_moments(x, [0, 0, 1, 1], moments))
    assert directional.values[0, 1] == pytest.approx(1 / 100)
    assert directional.values[1, 0] == pytest.approx(9 / 100)


def test_unknown_normalisation_is_named():
    with pytest.raises(UnknownName, match="half-symmetric"):
        cdnv(class_moments(np.eye(2), [0, 1], 2), "half")


def test_small_means_apart_and_float32_offset():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, 1000)
    x = (20 + simplex_etf(5, 8)[y] + 2e-3 * rng.standard_normal((1000, 8))).astype(np.float32)
    exact = x.astype(np.float64)
    spread = [exact[y == c].var(axis=0).sum() for c in range(5)]
    means = np.stack([exact[y == c].mean(axis=0) for c in range(5)])
    expected = np.mean(
        [
            spread[i] / ((means[i] - means[j]) ** 2).sum()
            for i in range(5)
            for j in range(5)
            if i != j
        ]
    )
    assert cdnv(class_moments(x, y, 5), "ordered").mean.value == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_invariances(seed):
    rng = np.random.default_rng(seed)
    x, y = random_world(seed)
    turn, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    perm = rng.permutation(3)
    moved, renamed = 0.03 * x @ turn + 7 * rng.standard_normal(5), perm[y]
    a, b = class_moments(x, y, 3), class_moments(moved, renamed, 3)
    halves = crossfit(x, y, 3), crossfit(moved, y, 3)
    pairs = pairwise_moments(x, y, a), pairwise_moments(moved, renamed, b)
    tables = [
        *(
            (cdnv(a, k, corrected=c), cdnv(b, k, corrected=c))
            for k in NORMALISATIONS
            for c in (0, 1)
        ),
        *(
            (directional_cdnv(pairs[0], corrected=c), directional_cdnv(pairs[1], corrected=c))
            for c in (0, 1)
        ),
    ]
    for before, after in tables:
        np.testing.assert_allclose(
            after.values[np.ix_(perm, perm)], before.values, rtol=1e-8, atol=1e-13
        )
    for table in (directional_cdnv, lambda h: cdnv(a, "ordered", crossfit=h)):
        first, second = (table(h).values for h in halves)
        ratio = (second / first)[~np.eye(3, dtype=bool)]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-8)  # one scale factor at most


def test_not_separated_is_nan_with_a_reason_never_a_number():
    rng = np.random.default_rng(1)
    y = np.repeat([0, 1, 2], 10)
    x = rng.standard_normal((30, 50))
    x[20:] += 30.0
    x[10:20] += x[:10].mean(axis=0) - x[10:20].mean(axis=0)
    x[10:20, 0] += 0.1  # sample means .1 apart, where their noise is about 3
    moments = class_moments(x, y, 3)
    assert np.isfinite(cdnv(moments, "ordered").values[0, 1])  # the plug-in sees noise as distance
    tables = [
        cdnv(moments, "ordered", corrected=True),
        directional_cdnv(pairwise_moments(x, y, moments), corrected=True),
    ]
    for table in tables:
        assert np.isnan(table.values[0, 1])
        assert np.isfinite(table.values[0, 2])
        assert np.isnan(table.mean.value)
        assert any("not separated: 2 of 6" in r and "(0, 1)" in r for r in table.mean.reasons)
    same = cdnv(class_moments(np.ones((4, 2)), [0, 0, 1, 1], 2), "ordered")
    assert np.isnan(same.mean.value)
    assert "not separated" in same.mean.reasons[0]


def test_empty_and_small_classes_are_left_out_and_named():
    x, y = random_world(2)
    y = np.array([0, 2, 4])[y]
    extra = np.concatenate([x, x[:1] + 1])
    labels = np.concatenate([y, [3]])
    without, moments = class_moments(x, y, 5), class_moments(extra, labels, 5)
    a, b = cdnv(without, "ordered"), cdnv(moments, "ordered")
    assert a.reasons == ("classes with fewer than 1 points left out: 1, 3",)
    assert np.isfinite(a.mean.value)
    assert "classes of one point count with variance 0: 3" in b.reasons
    table = cdnv(moments, "ordered", corrected=True)
    assert table.reasons == ("classes with fewer than 2 points left out: 1, 3",)
    assert table.mean.value == pytest.approx(cdnv(without, "ordered", corrected=True).mean.value)
    pairs = pairwise_moments(extra, labels, moments)
    assert directional_cdnv(pairs).reasons == ("classes with fewer than 2 points left out: 1, 3",)
    assert "fewer than 4" in directional_cdnv(pairs, corrected=True).reasons[0]
    assert np.isfinite(directional_cdnv(pairs, corrected=True).mean.value)
    halves = crossfit(extra, labels, 5)
    assert halves.used.tolist() == [True, False, True, False, True]
    assert "fewer than 4" in halves.reasons[0]
    assert np.isfinite(directional_cdnv(halves).mean.value)
    nobody = cdnv(class_moments(x[:3], [0, 0, 0], 2), "ordered").mean
    assert np.isnan(nobody.value)
    assert "two classes" in nobody.reasons[-1]


def test_crossfit_matches_its_definition():
    x, y = random_world(3, n=43)
    found = crossfit(x, y, 3, seed=5)
    half = _halves(y, 5)
    for c in range(3):
        sizes = np.bincount(half[y == c])
        assert abs(sizes[0] - sizes[1]) <= 1
    parts = {(c, h): x[(y == c) & (half == h)] for c in range(3) for h in (0, 1)}
    for i in range(3):
        for j in set(range(3)) - {i}:
            a, b = (parts[j, h].mean(axis=0) - parts[i, h].mean(axis=0) for h in (0, 1))
            cov_a, cov_b = (np.cov(parts[i, h], rowvar=False) for h in (0, 1))
            assert found.dist2[i, j] == pytest.approx(a @ b, rel=1e-11)
            assert found.spread_a[i, j] == pytest.approx(a @ cov_b @ a, rel=1e-11)
            assert found.spread_b[i, j] == pytest.approx(b @ cov_a @ b, rel=1e-11)
            value = (a @ cov_b @ a + b @ cov_a @ b) / 2 / (a @ b) ** 2
            assert directional_cdnv(found).values[i, j] == pytest.approx(value, rel=1e-11)


@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e25])
def test_spreads_of_many_classes_keep_five_digits_in_float32(monkeypatch, scale):
    rng = np.random.default_rng(0)
    y = np.arange(560) % 70
    means = rng.standard_normal((70, 12))
    means[1] = means[0] + 1e-6  # of these two float32 knows next to nothing
    x = scale * (means[y] + 1e-8 * rng.standard_normal((560, 12)) + 5.0)
    moments = class_moments(x, y, 70)
    found, pairs = crossfit(x, y, 70), pairwise_moments(x, y, moments)
    monkeypatch.setattr(axis_products, "MANY", 1000)
    exact = crossfit(x, y, 70)
    for name in ("dist2", "spread_a", "spread_b"):
        np.testing.assert_allclose(getattr(found, name), getattr(exact, name), rtol=1e-5)
    assert (found.spread_a != exact.spread_a).any() == (scale == 1.0)
    expected = pairwise_moments(x, y, moments).spread
    np.testing.assert_allclose(pairs.spread, expected, rtol=1e-5)
    assert (pairs.spread != expected).any() == (scale == 1.0)


def test_crossfit_is_unbiased_over_its_splits():
    # Averaged over all splits, <D_A, D_B> is exactly the corrected squared distance.
    x, y = random_world(4, n=6, apart=0.3)
    moments = class_moments(x, y, 3)
    noise = moments.variance() / moments.count
    target = ((moments.mean[0] - moments.mean[1]) ** 2).sum() - noise[0] - noise[1]
    draws = np.array([crossfit(x, y, 3, seed=s).dist2[0, 1] for s in range(1500)])
    error = draws.std() / np.sqrt(len(draws))
    assert abs(draws.mean() - target) < 5 * error
    assert noise[0] + noise[1] > 20 * error  # the plug-in would fail this


def test_crossfit_seed_is_the_split():
    x, y = random_world(5)
    a, b, c = (crossfit(x, y, 3, seed=s).dist2 for s in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert (a[0, 1] != c[0, 1]).all()


def test_corrections_move_towards_the_truth():
    rng = np.random.default_rng(6)
    d, n, gap = 60, 12, 3.0
    found = {"plug-in": [], "corrected": [], "cross-fitted": []}
    for _ in range(60):
        x = rng.standard_normal((2 * n, d))
        x[n:, 0] += gap
        y = np.repeat([0, 1], n)
        m = class_moments(x, y, 2)
        pairs = pairwise_moments(x, y, m)
        found["plug-in"].append(pairs.spread[0, 1])
        found["corrected"].append(corrected(pairs).own[0, 1])
        found["cross-fitted"].append(crossfit(x, y, 2).dist2[0, 1])
    assert np.mean(found["plug-in"]) > 1.5 * gap**2
    assert np.mean(found["corrected"]) == pytest.approx(gap**2, rel=0.2)
    assert np.mean(found["cross-fitted"]) == pytest.approx(gap**2, rel=0.2)
