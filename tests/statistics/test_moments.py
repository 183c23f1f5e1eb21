"""Streaming moments against a two-pass reference, their algebra, and their refusals."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds.errors import InvalidSample
from ncbounds.evidence.head import LinearHead
from ncbounds.statistics.class_moments import ClassMoments
from ncbounds.statistics.moments import class_moments, feature_pass
from ncbounds.statistics.shifted_sums import ShiftedSums

NAMES = ("count", "mean", "within", "trace")


def two_pass(features, labels, classes):
    """Reference in long double: means first, then squares about them."""
    x = np.asarray(features, dtype=np.longdouble)
    count = np.bincount(labels, minlength=classes)
    mean = np.full((classes, x.shape[1]), np.nan, dtype=np.longdouble)
    within = np.zeros((x.shape[1], x.shape[1]), dtype=np.longdouble)
    trace = np.zeros(classes, dtype=np.longdouble)
    for c in np.flatnonzero(count):
        mean[c] = x[labels == c].mean(axis=0)
        e = x[labels == c] - mean[c]
        within += np.einsum("ni,nj->ij", e, e)
        trace[c] = (e**2).sum()
    return ClassMoments(count, *(np.asarray(a, dtype=np.float64) for a in (mean, within, trace)))


def assert_same(found, expected, rtol=1e-10):
    np.testing.assert_array_equal(found.count, expected.count)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=rtol)
    np.testing.assert_allclose(found.trace, expected.trace, rtol=rtol)
    # Entry (i, j) of a scatter has the natural scale sqrt(w_ii w_jj).
    size = np.sqrt(np.diag(expected.within))
    error = np.abs(found.within - expected.within)
    assert (error <= rtol * np.outer(size, size)).all()


def offset_world(seed=0, n=3000, d=6, classes=5, mean=1e4):
    """Class means near ``mean`` in every coordinate, spread 1; labels sorted in part."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.repeat(np.arange(classes), 50), rng.integers(0, classes, n)])
    centre = mean * rng.choice([-1.0, 1.0], (classes, d)) * rng.uniform(1, 1.5, (classes, d))
    return centre[labels] + rng.standard_normal((len(labels), d)), labels


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("block", [1, 7, 1024, None])
def test_large_means_cost_no_digits(dtype, block):
    x, y = offset_world()
    x = x.astype(dtype)
    assert_same(class_moments(x, y, 5, block=block), two_pass(x, y, 5))


@pytest.mark.parametrize("block", [3, 1000])
def test_bfloat16_tensors_large_means(block):
    x, y = offset_world()
    tensor = torch.tensor(x).to(torch.bfloat16)
    rounded = tensor.to(torch.float64).numpy()
    assert np.abs(rounded - x).max() > 1  # the rounding is coarse: the reference must share it
    assert_same(class_moments(tensor, y, 5, block=block), two_pass(rounded, y, 5))


def test_other_holders_of_the_same_numbers(tmp_path):
    x, y = offset_world(n=200, mean=3.0)
    x32 = x.astype(np.float32)
    np.save(tmp_path / "x.npy", x32)
    plain = class_moments(x32, y, 5)
    grad = torch.tensor(x32, requires_grad=True)
    for other in (
        np.load(tmp_path / "x.npy", mmap_mode="r"),
        torch.tensor(x32),
        grad,
        x32.tolist(),
    ):
        found = class_moments(other, y, 5)
        for name in NAMES:
            np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))
    pixels = np.arange(12, dtype=np.uint8).reshape(6, 2)
    assert class_moments(pixels, [0, 0, 0, 1, 1, 1], 2).mean.tolist() == [[2, 3], [8, 9]]


def test_hand_calculation():
    x = np.array([[0.0, 0], [2, 0], [5, 1], [5, 3], [5, 5]])
    found = class_moments(x, [0, 0, 2, 2, 2], 3)
    assert found.count.tolist() == [2, 0, 3]
    assert found.mean[0].tolist() == [1, 0]
    assert found.mean[2].tolist() == [5, 3]
    assert found.within.tolist() == [[2, 0], [0, 8]]
    assert found.trace.tolist() == [2, 0, 8]
    assert found.variance().tolist()[::2] == [2, 4]
    assert found.variance(0).tolist()[::2] == [1, 8 / 3]
    assert found.centre().tolist() == [3, 1.5]
    assert found.centre(weighted=True).tolist() == pytest.approx([17 / 5, 9 / 5])


def test_empty_and_one_point_classes_are_reported_and_nan():
    found = class_moments([[1.0, 2.0], [3.0, 4.0], [3.0, 6.0]], [1, 3, 3], 5)
    assert found.empty_classes == (0, 2, 4)
    assert found.one_point_classes == (1,)
    assert np.isnan(found.mean[[0, 2, 4]]).all()
    assert found.mean[1].tolist() == [1, 2]
    assert np.isnan(found.variance()).tolist() == [True, True, True, False, True]
    assert np.isnan(found.variance(0)).tolist() == [True, False, True, False, True]
    assert found.centre().tolist() == [2, 3.5]


def test_a_class_that_starts_late_or_with_an_outlier_keeps_its_digits():
    rng = np.random.default_rng(1)
    x = 1e4 + rng.standard_normal((4000, 3))
    x[0] += 1e7
    y = np.repeat([0, 1], [3500, 500])
    assert_same(class_moments(x, y, 2, block=64), two_pass(x, y, 2))


def test_constant_classes_have_scatter_exactly_zero():
    x = np.repeat(np.array([[1e4, 0.1], [-7.3, 1e-3]], dtype=np.float32), 333, axis=0)
    found = class_moments(x, np.repeat([0, 1], 333), 2, block=50)
    assert not found.within.any()
    assert not found.trace.any()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    cuts=st.lists(st.integers(0, 120), max_size=6),
    order=st.randoms(use_true_random=False),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    mean=st.sampled_from([0.0, 1.0, 1e4]),
    block=st.integers(1, 40),
)
def test_any_split_and_merge_order(seed, cuts, order, dtype, mean, block):
    rng = np.random.default_rng(seed)
    classes, d = int(rng.integers(2, 7)), int(rng.integers(1, 6))
    y = rng.integers(0, classes, 120)
    if seed % 2:
        y = np.sort(y)
    x = ((mean + rng.standard_normal((classes, d)))[y] + rng.standard_normal((120, d))).astype(
        dtype
    )
    edges = [0, *sorted(cuts), 120]
    u = rng.standard_normal((2, d))
    parts = [
        class_moments(x[a:b], y[a:b], classes, block=block, directions=u)
        for a, b in itertools.pairwise(edges)
    ]
    while len(parts) > 1:
        i, j = order.sample(range(len(parts)), 2)
        merged = parts[i] + parts[j]
        parts = [p for k, p in enumerate(parts) if k not in (i, j)] + [merged]
    expected = two_pass(x, y, classes)
    assert_same(parts[0], expected)
    along = np.zeros((classes, 2))
    for c in np.flatnonzero(expected.count):
        e = x[y == c].astype(np.float64) - expected.mean[c]
        along[c] = ((e @ u.T) ** 2).sum(axis=0)
    np.testing.assert_allclose(parts[0].along, along, rtol=1e-9, atol=1e-12)


def test_empty_is_neutral_and_addition_commutes():
    x, y = offset_world(n=100)
    a, b = class_moments(x[:80], y[:80], 5), class_moments(x[80:], y[80:], 5)
    none = ClassMoments.empty(5, 6)
    assert none.n == 0
    assert none.empty_classes == (0, 1, 2, 3, 4)
    for name in NAMES:
        np.testing.assert_array_equal(getattr(none + a, name), getattr(a, name))
        np.testing.assert_array_equal(getattr(a + none, name), getattr(a, name))
    assert_same(a + b, b + a, rtol=1e-13)
    assert_same(ClassMoments.of(x, y), a + b)


def test_many_single_rows_merged_one_by_one():
    x, y = offset_world(n=500)
    total = ClassMoments.empty(5, 6)
    for row, label in zip(x, y, strict=True):
        total = total + class_moments(row[None], [label], 5)
    assert_same(total, two_pass(x, y, 5))


def test_more_classes_than_dimensions_and_two_classes():
    for classes, d in ((12, 3), (2, 1), (2, 5)):
        x, y = offset_world(n=300, d=d, classes=classes)
        assert_same(class_moments(x, y, classes, block=17), two_pass(x, y, classes))


def test_unequal_mean_scales():
    rng = np.random.default_rng(2)
    y = rng.integers(0, 4, 400)
    scale = np.array([1e-6, 1.0, 1e3, 1e6])[y, None]
    x = scale * (1 + 1e-2 * rng.standard_normal((400, 3)))
    assert_same(class_moments(x, y, 4), two_pass(x, y, 4))


def test_values_are_frozen_and_inputs_untouched():
    x, y = offset_world(n=100)
    kept, labels = x.copy(), y.copy()
    found = class_moments(x, y, 5, directions=np.eye(6)[:2])
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(y, labels)
    for name in (*NAMES, "directions", "along"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, name)[...] = 0
    with pytest.raises(AttributeError):
        found.count = y


def test_one_pass_gives_logits_and_norms_too():
    x, y = offset_world(n=1000, mean=2.0)
    head = LinearHead(np.random.default_rng(3).standard_normal((5, 6)), np.arange(5.0))
    found = feature_pass(x, y, 5, affine=(head.weight, head.bias), norms=True, block=333)
    np.testing.assert_allclose(found.logits, head.logits(x), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(found.norms, np.linalg.norm(x, axis=1), rtol=1e-14)
    assert_same(found.moments, class_moments(x, y, 5), rtol=1e-12)
    bare = feature_pass(x, y, 5)
    assert bare.logits is None
    assert bare.norms is None


def test_fingerprint_tells_means_and_counts_apart():
    x, y = offset_world(n=100)
    a = class_moments(x, y, 5)
    assert a.fingerprint == class_moments(x.copy(), y, 5).fingerprint
    assert a.fingerprint != class_moments(x * 1.0000001, y, 5).fingerprint
    assert a.fingerprint != class_moments(x, (y + 1) % 5, 5).fingerprint
    once, twice = (
        class_moments([[1.0], [2.0]], [0, 1], 2),
        class_moments([[1.0], [2.0], [2.0]], [0, 1, 1], 2),
    )
    np.testing.assert_array_equal(once.mean, twice.mean)
    assert once.fingerprint != twice.fingerprint


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_values_without_moments_are_refused(bad):
    x, y = offset_world(n=100)
    x[37, 2] = bad
    with pytest.raises(InvalidSample, match="isfinite"):
        class_moments(x, y, 5)


@pytest.mark.parametrize(
    ("features", "labels", "classes", "match"),
    [
        (np.zeros(3), [0, 1, 1], 2, "shape"),
        (np.zeros((3, 2)), [0, 1], 2, "integer labels"),
        (np.zeros((3, 2)), [0.0, 1.0, 1.0], 2, "integer labels"),
        (np.zeros((3, 2)), [0, 1, 2], 2, "0..1"),
        (np.zeros((3, 2)), [0, 1, -1], 2, "0..1"),
        (np.zeros((3, 2), dtype=complex), [0, 1, 1], 2, "real numbers"),
    ],
)
def test_misfits_are_refused(features, labels, classes, match):
    with pytest.raises(InvalidSample, match=match):
        class_moments(features, labels, classes)


def test_only_like_moments_are_added():
    a = ClassMoments.empty(3, 2)
    with pytest.raises(InvalidSample, match="cannot be added"):
        a + ClassMoments.empty(3, 4)
    with pytest.raises(InvalidSample, match="directions"):
        a + ClassMoments.empty(3, 2, np.eye(2))
    with pytest.raises(InvalidSample, match="directions"):
        ClassMoments.empty(3, 2, np.eye(2)) + ClassMoments.empty(3, 2, 2 * np.eye(2))
    with pytest.raises(TypeError):
        a + 1
    with pytest.raises(InvalidSample, match="within"):
        ClassMoments(a.count, a.mean, np.zeros((3, 3)), a.trace)
    with pytest.raises(InvalidSample, match="head takes"):
        feature_pass(np.zeros((2, 3)), [0, 1], 2, affine=(np.eye(2), np.zeros(2)))
    with pytest.raises(InvalidSample, match="block"):
        class_moments(np.zeros((2, 3)), [0, 1], 2, block=0)


def test_no_rows_at_all():
    found = class_moments(np.zeros((0, 3)), np.zeros(0, dtype=int), 2)
    assert found.n == 0
    assert np.isnan(found.mean).all()
    with pytest.raises(InvalidSample, match="no centre"):
        found.centre()


def test_scatter_can_be_left_out():
    sums = ShiftedSums(2, 3, scatter=False)
    sums.add(np.ones((2, 3)), np.array([0, 1]))
    assert sums.centred().within.size == 0
    assert sums.centred().mean.tolist() == [[1, 1, 1], [1, 1, 1]]


def test_classes_without_rows_are_added_and_taken_away():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 3)), rng.integers(0, 2, 20)
    for classes in (2, 5):
        found = class_moments(x, y, 3, directions=np.eye(3)[:1]).over(classes)
        wanted = class_moments(x, y, classes, directions=np.eye(3)[:1])
        for name in (*NAMES, "along"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    with pytest.raises(InvalidSample, match="rows of class 1, beyond 1 classes"):
        class_moments(x, y, 3).over(1)
