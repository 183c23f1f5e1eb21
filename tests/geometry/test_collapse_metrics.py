"""NC1 to NC4 and VCI: closed forms, slow references, known failures of others, invariances."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds.errors import InvalidSample
from ncbounds.evidence.head import LinearHead
from ncbounds.geometry import between_factor, nc1, nc2, nc3, nc4, simplex_etf, vci
from ncbounds.statistics.moments import class_moments


def etf_world(classes, dim, length=1.0, noise=0.1, offset=0.0):
    """Class means on a simplex frame, residuals exactly +-noise along every axis, both signs."""
    frame = length * simplex_etf(classes, dim)
    cross = noise * np.concatenate([np.eye(dim), -np.eye(dim)])
    x = (frame[:, None] + cross[None]).reshape(-1, dim) + offset
    return x, np.repeat(np.arange(classes), 2 * dim)


def random_world(seed, n=120, d=5, classes=4):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.repeat(np.arange(classes), 5), rng.integers(0, classes, n)])
    x = rng.standard_normal((len(y), d)) * rng.uniform(0.3, 1, d)
    return x + 2 * rng.standard_normal((classes, d))[y], y


def slow_nc1(x, y, weighted=False):
    """Full d x d pseudo-inverse with 60 digits, keeping the largest min(C-1, d) eigenvalues."""
    seen, count = np.unique(y, return_counts=True)
    w = count / len(y) if weighted else np.full(len(seen), 1 / len(seen))
    with mpmath.workdps(60):
        d = x.shape[1]
        rows = mpmath.matrix(x.tolist())
        means = []
        within = mpmath.zeros(d)
        for c in seen:
            index = np.flatnonzero(y == c).tolist()
            m = mpmath.matrix(
                [mpmath.fsum(rows[i, k] for i in index) / len(index) for k in range(d)]
            )
            means.append(m)
            for i in index:
                e = rows[i, :].T - m
                within += e * e.T / len(x)
        centre = sum((m * mpmath.mpf(float(a)) for m, a in zip(means, w)), mpmath.zeros(d, 1))
        centre /= mpmath.fsum(map(float, w))
        between = mpmath.zeros(d)
        for m, a in zip(means, w):
            between += (m - centre) * (m - centre).T * mpmath.mpf(float(a))
        values, vectors = mpmath.eigsy(between)
        top = range(d - min(len(seen) - 1, d), d)
        total = mpmath.fsum((vectors[:, k].T * within * vectors[:, k])[0] / values[k] for k in top)
        return float(total / len(seen))


@pytest.mark.parametrize(("classes", "dim"), [(2, 1), (2, 3), (4, 3), (4, 9), (10, 12)])
@pytest.mark.parametrize("offset", [0.0, 20.0])
def test_closed_form_on_a_simplex_frame(classes, dim, offset):
    length, noise = 3.0, 0.2
    x, y = etf_world(classes, dim, length, noise, offset)
    moments = class_moments(x, y, classes)
    per_axis = noise**2 / dim
    between = length**2 / (classes - 1)
    expected = (classes - 1) * per_axis / between / classes
    assert nc1(moments).value == pytest.approx(expected, rel=1e-11)
    assert nc1(moments, weighted=True).value == pytest.approx(expected, rel=1e-11)
    assert vci(moments).value == pytest.approx(per_axis / (per_axis + between), rel=1e-10)
    assert [m.value for m in nc2(moments.mean, moments.centre())] == pytest.approx(
        [0, 0, 0], abs=1e-13
    )
    frame = simplex_etf(classes, dim)
    head = LinearHead(7 * frame, -7 * frame @ np.full(dim, offset))
    assert nc3(moments, head).value == pytest.approx(0, abs=1e-25)
    assert nc3(moments, LinearHead(-head.weight)).value == pytest.approx(4, rel=1e-12)
    assert nc4(x, head, moments.mean).value == 0


def test_hand_calculation_of_nc2_and_nc3():
    points = np.array([[3.0, 0], [0, 4], [0, -5]])
    found = nc2(points)
    assert found.equinorm.value == pytest.approx(np.sqrt(2 / 3) / 4)
    assert found.equiangular.value == pytest.approx(np.sqrt(2) / 3)  # cosines 0, 0, -1
    assert found.maximal_angle.value == pytest.approx(0.5)
    moments = class_moments([[1.0, 0], [-1, 0]], [0, 1], 2)
    assert nc3(moments, LinearHead([[0.0, 1], [0, 0]])).value == pytest.approx(2)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    weighted=st.booleans(),
    shape=st.sampled_from([(2, 4), (4, 2), (3, 3), (4, 3)]),
)
def test_nc1_matches_sixty_digits(seed, weighted, shape):
    classes, d = shape
    x, y = random_world(seed, n=20, d=d, classes=classes)
    found = nc1(class_moments(x, y, classes), weighted=weighted).value
    assert found == pytest.approx(slow_nc1(x, y, weighted), rel=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_nc1_with_unequal_mean_scales_keeps_every_direction(weighted):
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(5), 12))
    scale = 10.0 ** np.array([0, -2, -4, -5, -6])
    means = scale[:, None] * rng.standard_normal((5, 7))
    x = means[y] + 1e-3 * scale[y, None] * rng.standard_normal((60, 7))
    found = nc1(class_moments(x, y, 5), weighted=weighted)
    assert found.value == pytest.approx(slow_nc1(x, y, weighted), rel=1e-7)
    assert found.reasons == ()


def test_float32_at_offset_twenty():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 10, 2000)
    x = (20 + simplex_etf(10, 16)[y] + 1e-3 * rng.standard_normal((2000, 16))).astype(np.float32)
    exact = x.astype(np.float64)
    moments, reference = class_moments(x, y, 10), class_moments(exact - 20.0, y, 10)
    assert nc1(moments).value == pytest.approx(nc1(reference).value, rel=1e-10)
    assert vci(moments).value == pytest.approx(vci(reference).value, rel=1e-8)


def test_an_empty_class_is_left_out_and_named():
    x, y = random_world(2)
    without = class_moments(x, y, 4)
    gap = class_moments(x, np.array([0, 2, 3, 6])[y], 8)
    for metric in (nc1, vci):
        assert metric(gap).value == pytest.approx(metric(without).value, rel=1e-12)
        assert metric(gap).reasons == ("classes with fewer than 1 points left out: 1, 4, 5, 7",)
        assert metric(without).reasons == ()
    for a, b in zip(nc2(gap.mean, gap.centre()), nc2(without.mean, without.centre()), strict=True):
        assert a.value == pytest.approx(b.value, rel=1e-12)
        assert a.reasons == ("4 empty classes left out",)
    head = LinearHead(np.random.default_rng(0).standard_normal((8, 5)))
    kept = LinearHead(head.weight[[0, 2, 3, 6]])
    assert nc3(gap, head).value == pytest.approx(nc3(without, kept).value, rel=1e-12)
    fewer = LinearHead(head.weight[:4])
    assert "no output" in nc3(gap, fewer).reasons[-1]
    assert "never nearest" in nc4(x, head, gap.mean).reasons[0]


def test_one_class_or_none_is_undefined_with_a_reason():
    for y in ([0, 0, 0], []):
        moments = class_moments(np.arange(2.0 * len(y)).reshape(-1, 2), np.array(y, dtype=int), 3)
        for metric in (nc1, vci):
            assert np.isnan(metric(moments).value)
            assert "two classes" in metric(moments).reasons[-1]
        assert np.isnan(nc3(moments, LinearHead(np.eye(3, 2))).value)
        assert np.isnan(nc2(moments.mean).equinorm.value)


def test_coinciding_means_are_undefined_and_not_huge():
    rng = np.random.default_rng(3)
    y = np.repeat([0, 1, 2], 4)
    cross = np.tile([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], (3, 1))
    for means in (np.eye(3)[[0, 0, 1]], np.array([[0.0, 0, 1], [0, 0, 2], [0, 0, 5]])):
        found = nc1(class_moments(cross + means[y] + 3.7, y, 3))
        assert np.isnan(found.value)
        assert "span 1 of 2 dimensions" in found.reasons[0]
    nearly = np.eye(3)[[0, 0, 1]] + 1e-8 * rng.standard_normal((3, 3))
    assert nc1(class_moments(cross + nearly[y], y, 3)).value > 1e10


def test_fully_collapsed_features_have_nc1_and_vci_zero():
    x = np.repeat(simplex_etf(4, 6), 5, axis=0)
    moments = class_moments(x, np.repeat(np.arange(4), 5), 4)
    assert nc1(moments).value == pytest.approx(0, abs=1e-30)
    assert vci(moments).value == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("n", "d", "classes"), [(60, 5, 3), (60, 3, 6), (12, 30, 3), (9, 4, 2)])
def test_vci_matches_pinv_also_with_dead_units_and_few_points(n, d, classes):
    rng = np.random.default_rng(4)
    y = np.arange(n) % classes
    x = rng.standard_normal((n, d)) + rng.standard_normal((classes, d))[y]
    x[:, 0] = 0.0
    x[:, 1] *= 1e5
    moments = class_moments(x, y, classes)
    m = moments.mean - moments.mean.mean(axis=0)
    scale = np.ones(d)
    scale[1] = 1e-5  # the reference's pinv is given equal scales, to which the index is blind
    between = m.T @ m / classes * np.outer(scale, scale)
    total = moments.within / n * np.outer(scale, scale) + between
    share = np.trace(np.linalg.pinv(total, rcond=1e-12, hermitian=True) @ between)
    expected = 1 - share / min(classes - 1, d)
    assert vci(moments).value == pytest.approx(expected, rel=1e-8, abs=1e-11)


@pytest.mark.parametrize("weighted", [False, True])
def test_between_factor_is_a_square_root_of_the_between_scatter(weighted):
    x, y = random_world(5)
    moments = class_moments(x, y, 4)
    b = between_factor(moments, weighted=weighted)
    assert b.shape == (3, 5)
    w = moments.count / moments.n if weighted else np.full(4, 0.25)
    m = moments.mean - w @ moments.mean
    np.testing.assert_allclose(b.T @ b, (m * w[:, None]).T @ m, rtol=1e-12, atol=1e-14)
    if weighted:
        total = np.cov(x, rowvar=False, bias=True)
        np.testing.assert_allclose(b.T @ b + moments.within / moments.n, total, atol=1e-13)


def test_weighting_matters_only_under_imbalance():
    x, y = random_world(6)
    moments = class_moments(x, y, 4)
    assert abs(nc1(moments).value / nc1(moments, weighted=True).value - 1) > 1e-3
    assert abs(vci(moments).value / vci(moments, weighted=True).value - 1) > 1e-3


def all_metrics(x, y, classes, head, means):
    moments = class_moments(x, y, classes)
    return np.array(
        [
            nc1(moments).value,
            nc1(moments, weighted=True).value,
            vci(moments).value,
            *(m.value for m in nc2(moments.mean, moments.centre())),
            *(m.value for m in nc2(head.weight)),
            nc3(moments, head).value,
            nc4(x, head, means).value,
        ]
    )


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6), classes=st.integers(2, 6), scale=st.sampled_from([1e-3, 0.7, 50.0])
)
def test_rotation_translation_scale_and_relabelling_of_features_with_their_head(
    seed, classes, scale
):
    rng = np.random.default_rng(seed)
    d = 4
    x, y = random_world(seed, n=60, d=d, classes=classes)
    head = LinearHead(rng.standard_normal((classes, d)), rng.standard_normal(classes))
    means = class_moments(x, y, classes).mean
    base = all_metrics(x, y, classes, head, means)
    turn, _ = np.linalg.qr(rng.standard_normal((d, d)))
    shift = 5 * rng.standard_normal(d)
    perm = rng.permutation(classes)

    def moved(rows):
        return scale * rows @ turn.T + shift

    weight = head.weight @ turn.T
    bias = head.bias - weight @ shift / scale
    order = np.argsort(perm)
    other = LinearHead((weight / scale)[order], bias[order])
    found = all_metrics(moved(x), perm[y], classes, other, moved(means)[order])
    np.testing.assert_allclose(found, base, rtol=1e-8, atol=1e-10)


def test_vci_is_invariant_to_linear_maps_and_nc1_only_in_low_dimension():
    rng = np.random.default_rng(7)
    stretch = np.diag([1.0, 3, 0.2, 5, 1]) @ rng.standard_normal((5, 5))
    x, y = random_world(7)
    a, b = class_moments(x, y, 4), class_moments(x @ stretch, y, 4)
    assert vci(a).value == pytest.approx(vci(b).value, rel=1e-9)
    assert abs(nc1(a).value / nc1(b).value - 1) > 0.01
    x, y = random_world(7, classes=7)
    a, b = class_moments(x, y, 7), class_moments(x @ stretch, y, 7)
    assert nc1(a).value == pytest.approx(nc1(b).value, rel=1e-9)


def test_nc4_heeds_the_bias_the_given_means_and_bad_logits():
    x, y = etf_world(4, 3)
    moments = class_moments(x, y, 4)
    frame = simplex_etf(4, 3)
    assert nc4(x, LinearHead(frame, [100, 0, 0, 0]), moments.mean).value == 0.75
    assert nc4(x, LinearHead(-frame), moments.mean).value == 1.0
    swapped = moments.mean[[1, 0, 2, 3]]
    assert nc4(x, LinearHead(frame), swapped).value == 0.5
    far = x + 1e6  # distances at a large offset
    assert nc4(far, LinearHead(frame, -frame @ np.full(3, 1e6)), moments.mean + 1e6).value == 0
    with np.errstate(over="ignore"):
        assert nc4(x, LinearHead(frame * 1e308 * 1.7, [1e308] * 4), moments.mean).value > 0
    with pytest.raises(InvalidSample, match="head takes"):
        nc4(x, LinearHead(np.eye(4)), moments.mean)
    assert np.isnan(nc4(x[:0], LinearHead(frame), moments.mean).value)


def test_zero_vectors_have_no_angle():
    found = nc2(np.array([[0.0, 0], [1, 0], [0, 1]]))
    assert found.equinorm.value == pytest.approx(np.sqrt(2) / 2)
    assert np.isnan(found.equiangular.value)
    assert np.isnan(found.maximal_angle.value)
    assert np.isnan(nc2(np.zeros((3, 2))).equinorm.value)
    moments = class_moments(np.ones((4, 2)), [0, 0, 1, 1], 2)
    assert np.isnan(nc3(moments, LinearHead(np.eye(2))).value)
    assert np.isnan(vci(moments).value)


def test_nc4_matches_plain_distances():
    rng = np.random.default_rng(8)
    x, y = random_world(8)
    means = class_moments(x, y, 4).mean * np.array([[1.0], [3.0], [0.2], [1.0]])
    head = LinearHead(rng.standard_normal((4, 5)), rng.standard_normal(4))
    nearest = ((x[:, None] - means[None]) ** 2).sum(axis=2).argmin(axis=1)
    expected = (head.logits(x).argmax(axis=1) != nearest).mean()
    assert 0.2 < expected < 1
    assert nc4(x, head, means).value == expected


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("copies", [1, 3])
def test_vci_of_dependent_features_far_from_zero(seed, copies):
    # Some columns repeat the others up to rounding at an offset: directions of noise alone.
    rng = np.random.default_rng(seed)
    x, y = random_world(seed, d=4, classes=6)
    extra = x @ rng.standard_normal((4, copies))
    near = vci(class_moments(x, y, 6)).value
    far = vci(class_moments(np.concatenate([x, extra], axis=1) + 1e8, y, 6)).value
    # min(C - 1, d) is 5 here and 4 there.
    assert 5 * (1 - far) == pytest.approx(4 * (1 - near), rel=1e-6)
