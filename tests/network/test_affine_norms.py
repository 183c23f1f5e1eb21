"""Layers as arrays against torch, and their norms against dense matrices."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds.network.affine import AffineLayer
from ncbounds.network.norms import (
    augmented_matrix,
    dense_matrix,
    frobenius_norm,
    kernel_21_norm,
    matrix_norm,
    operator_norm,
)


def layer(weight, bias=None, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, side=(6, 5)):
    c_in = weight.shape[1] * groups
    pads = tuple((p, p) for p in padding)
    return AffineLayer("layer", weight, bias, stride, pads, dilation, groups, (c_in, *side))


@st.composite
def layers(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    k = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    d = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    s = draw(st.tuples(st.integers(1, 4), st.integers(1, 3)))
    p = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    side = tuple(max(draw(st.integers(1, 7)), 1 + d[a] * (k[a] - 1) - 2 * p[a]) for a in (0, 1))
    out, into = groups * draw(st.integers(1, 3)), draw(st.integers(1, 3))
    weight = rng.standard_normal((out, into, *k))
    return layer(weight, rng.standard_normal(out), s, p, d, groups, side)


@given(layers(), st.integers(0, 1000))
@settings(max_examples=150, deadline=None)
def test_layer_is_torch_convolution(one, seed):
    u = np.random.default_rng(seed).standard_normal((3, *one.in_shape))
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(u),
        torch.from_numpy(one.weight),
        torch.from_numpy(one.bias),
        one.stride,
        tuple(p[0] for p in one.padding),
        one.dilation,
        one.groups,
    ).numpy()
    assert expected.shape[1:] == one.out_shape
    np.testing.assert_allclose(one(u), expected, atol=1e-12)


@given(layers())
@settings(max_examples=200, deadline=None)
def test_norms_against_the_dense_matrix(one):
    dense = dense_matrix(one)
    true = np.linalg.norm(dense, 2)
    bound = operator_norm(one)
    assert bound >= true
    # never worse than the patchwise bound, which is proved without Fourier transforms
    flat = one.weight.reshape(one.groups, len(one.weight) // one.groups, -1)
    patchwise = np.sqrt(one.reads) * max(np.linalg.norm(m, 2) for m in flat)
    assert bound <= patchwise * (1 + 1e-9)
    assert frobenius_norm(one) == pytest.approx(np.linalg.norm(dense), rel=1e-9)
    assert frobenius_norm(one) >= np.linalg.norm(dense)
    with_bias = np.sqrt(np.linalg.norm(dense) ** 2 + one.positions * (one.bias**2).sum())
    assert frobenius_norm(one, bias=True) == pytest.approx(with_bias, rel=1e-9)


@given(layers())
@settings(max_examples=150, deadline=None)
def test_reads_bound_the_effect_of_any_kernel(one):
    """``||conv(K) u||^2 <= reads ||K||_F^2 ||u||^2``, and the count is attained somewhere."""
    true = np.linalg.norm(dense_matrix(one), 2)
    assert true <= np.sqrt(one.reads) * np.linalg.norm(one.weight) * (1 + 1e-12)
    slow = np.zeros(one.in_shape[1:], dtype=int)
    _, h, w = one.out_shape
    kh, kw = one.weight.shape[2:]
    for i in range(h):
        for j in range(w):
            for a in range(kh):
                for b in range(kw):
                    y = i * one.stride[0] + a * one.dilation[0] - one.padding[0][0]
                    x = j * one.stride[1] + b * one.dilation[1] - one.padding[1][0]
                    if 0 <= y < slow.shape[0] and 0 <= x < slow.shape[1]:
                        slow[y, x] += 1
    assert one.reads == slow.max()
    formula = np.prod([-(-k // min(t, k)) for k, t in zip((kh, kw), one.stride, strict=True)])
    if one.dilation == (1, 1):
        assert one.reads <= formula


def test_reads_of_a_plain_3x3_convolution_are_its_kernel_places():
    assert layer(np.ones((1, 1, 3, 3)), padding=(1, 1)).reads == 9
    assert layer(np.ones((1, 1, 3, 3)), padding=(1, 1), stride=(2, 2), side=(9, 9)).reads == 4
    assert layer(np.ones((4, 2, 1, 1)), side=(1, 1)).reads == 1
    # a kernel as large as its input is a linear layer
    assert layer(np.ones((1, 1, 6, 5))).reads == 1


def test_special_operator_norms():
    rng = np.random.default_rng(0)
    identity = np.zeros((3, 3, 3, 3))
    identity[range(3), range(3), 1, 1] = 1.0
    assert operator_norm(layer(identity, padding=(1, 1))) == pytest.approx(1.0, rel=1e-9)
    pointwise = rng.standard_normal((4, 3, 1, 1))
    expected = np.linalg.norm(pointwise[:, :, 0, 0], 2)
    assert operator_norm(layer(pointwise)) == pytest.approx(expected, rel=1e-9)
    assert operator_norm(layer(pointwise, side=(1, 1))) == pytest.approx(expected, rel=1e-9)
    # windows side by side: the kernel as a matrix
    aside = rng.standard_normal((4, 2, 3, 3))
    expected = np.linalg.norm(aside.reshape(4, -1), 2)
    assert operator_norm(layer(aside, stride=(3, 3), side=(9, 9))) == pytest.approx(expected)
    # a diagonal map: the largest entry
    scale = np.array([0.5, -3.0, 2.0])[:, None, None, None]
    assert operator_norm(layer(scale, groups=3)) == pytest.approx(3.0)
    ones = layer(np.ones((1, 1, 3, 3)), padding=(1, 1), side=(24, 24))
    assert 8.8 < np.linalg.norm(dense_matrix(ones), 2) <= operator_norm(ones) <= 9.0 * (1 + 1e-9)


def test_reshaped_kernel_is_no_upper_bound():
    """The trap: the norm of the kernel as a matrix lies below the operator norm."""
    ones = layer(np.ones((1, 1, 3, 3)), padding=(1, 1), side=(8, 8))
    assert np.linalg.norm(ones.weight.reshape(1, -1), 2) < np.linalg.norm(dense_matrix(ones), 2)


def test_cheap_bound_is_used_for_large_layers(monkeypatch):
    one = layer(np.random.default_rng(1).standard_normal((3, 3, 3, 3)), padding=(1, 1))
    sharp = operator_norm(one)
    monkeypatch.setattr("ncbounds.network.norms.WORK_LIMIT", 1.0)
    assert operator_norm(one) >= sharp


def test_not_finite_weights_have_no_finite_norm():
    weight = np.ones((2, 2, 1, 1))
    weight[0, 0] = np.nan
    assert operator_norm(layer(weight, side=(1, 1))) == np.inf


def test_kernel_21_norm_by_hand():
    kernel = np.zeros((2, 2, 1, 2))
    kernel[0, :, 0, 0] = [3.0, 4.0]
    kernel[1, :, 0, 1] = [5.0, 12.0]
    assert kernel_21_norm(kernel) == pytest.approx(18.0)
    linear = np.array([[3.0, 4.0], [0.0, 2.0]])[:, :, None, None]
    assert kernel_21_norm(linear) == pytest.approx(7.0)  # rows, not columns


def test_augmented_matrix_by_hand():
    weight = np.array([[1.0, 2.0], [3.0, 4.0]])[:, :, None, None]
    bias = np.array([5.0, 6.0])
    inner = [[1, 2, 5], [3, 4, 6], [0, 0, 1]]
    np.testing.assert_array_equal(augmented_matrix(weight, bias, 1, last=False), inner)
    np.testing.assert_array_equal(augmented_matrix(weight, bias, 1, last=True), inner[:2])
    scale = np.array([2.0, 3.0])[:, None, None, None]
    np.testing.assert_array_equal(
        augmented_matrix(scale, None, 2, last=True), [[2, 0, 0], [0, 3, 0]]
    )
    assert matrix_norm(np.diag([3.0, -4.0])) == pytest.approx(4.0)
