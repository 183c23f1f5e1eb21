"""Which labels are given whatever the order of sums, against exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.evidence.given_labels import given_labels


def answers(weight, features, thresholds, bias=None, *, rounded=False):
    head = nb.LinearHead(weight, bias)
    sample = nb.Sample.from_arrays(
        features, np.zeros((len(features), len(head.bias))), role="holdout", rounded=rounded
    )
    return given_labels(sample, head, np.broadcast_to(thresholds, head.classes).astype(float))


def exact(weight, features, bias, i, j):
    products = (
        Fraction(float(w)) * Fraction(float(x)) for w, x in zip(weight[j], features[i], strict=True)
    )
    return sum(products, Fraction(float(bias[j])))


def test_a_logit_at_its_threshold_has_no_answer():
    weight, features = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[1.0, 1.0], [2.0, -1.0]])
    assert answers(weight, features, [3.0, -1.0]).tolist() == [[-1, 1], [0, -1]]
    assert answers(weight, features, [3 - 1e-9, -1 + 1e-9]).tolist() == [[1, 1], [0, 0]]


def test_what_some_order_of_the_sums_would_turn_has_no_answer():
    features = np.array([[1e16, 1.0, -1e16], [3.0, 1.0, 2.0]])
    weight = np.ones((2, 3))
    assert answers(weight, features, [0.5, 5.0]).tolist() == [[-1, -1], [1, 1]]


def test_answers_agree_with_exact_arithmetic_and_are_missing_near_thresholds_only():
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(3, 5)), rng.normal(size=3)
    features = rng.normal(size=(60, 5))
    t = (features[0] @ weight.T + bias)[:3]  # of point 0 every logit is at its threshold, or near
    found = answers(weight, features, t, bias)
    assert (found[0] == -1).all()
    assert (found[1:] >= 0).all()
    for i in range(1, 60):
        for j in range(3):
            assert found[i, j] == (exact(weight, features, bias, i, j) > Fraction(float(t[j])))


@pytest.mark.parametrize("gap", [1e-15, 1e-13])
def test_the_smallest_leads_are_added_up_again(gap):
    # at 1e-15 of logits near 1 the order of sums decides; at 1e-13 it does not, though norms do
    features = np.r_[np.ones((1, 40)), 1e3 * np.ones((1, 40))]
    weight = np.r_[np.full((1, 40), 1 / 64), np.full((1, 40), -1 / 64)]
    threshold = np.array([40 / 64 - gap, -40 / 64 - gap])
    assert answers(weight, features[:1], threshold).tolist() == (
        [[-1, -1]] if gap < 1e-14 else [[1, 1]]
    )
    both = answers(weight, features, threshold)
    assert np.array_equal(both[:1], answers(weight, features[:1], threshold))


@pytest.mark.parametrize("power", [500, -500, 900])
def test_the_scale_of_head_and_thresholds_decides_nothing(power):
    rng = np.random.default_rng(1)
    weight, bias, features = rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=(50, 3))
    t = np.array([0.0, 0.5, *(features[0] @ weight[2:].T + bias[2:])])
    expected = answers(weight, features, t, bias)
    scaled = [np.ldexp(x, power) for x in (weight, t, bias)]
    assert np.array_equal(answers(scaled[0], features, scaled[1], scaled[2]), expected)
    assert set(np.unique(expected)) == {-1, 0, 1}
    # thresholds that are not scaled along are those of the logits as they are
    sides = answers(scaled[0], features, 1.0, scaled[2])
    logits = features @ weight.T + bias
    assert np.array_equal(sides, logits > 0 if power > 0 else np.zeros_like(sides))


def test_a_row_that_is_not_finite_has_no_answers_and_leaves_the_others_theirs():
    features = np.array([[1.0, 2.0], [np.nan, 0.0], [np.inf, 1.0], [1e200, 1.0], [-1.0, 3.0]])
    weight = np.array([[1.0, 0.0], [0.0, 1.0]])
    expected = [[1, 1], [-1, -1], [-1, -1], [1, 1], [0, 1]]
    assert answers(weight, features, 0.0).tolist() == expected
    assert answers(1e200 * weight, features, 0.0).tolist() == [
        *([1, 1], [-1, -1], [-1, -1], [1, 1], [0, 1])
    ]


def test_features_in_half_precision_give_what_those_of_the_network_give():
    rng = np.random.default_rng(2)
    weight, own = rng.normal(size=(3, 6)), rng.normal(size=(3000, 6)).astype(np.float32)
    own[:5] *= 1e-5  # below the range where half precision has all its digits
    own[1000:] = own[5] + 1e-4 * own[1000:]
    t = own[5].astype(np.float64) @ weight.T
    stored = own.astype(np.float16)
    found = answers(weight, stored, t, rounded=True)
    truth = own.astype(np.float64) @ weight.T > t
    assert np.array_equal(found[found >= 0], truth[found >= 0])
    as_they_are = answers(weight, stored, t)
    assert (as_they_are != truth).any()  # rounding does turn some
    assert (found[as_they_are != truth] == -1).all()
    assert (found[:1000] < 0).mean() < 0.01


def test_labels_in_another_order_and_a_constant_on_both_sides_change_nothing():
    rng = np.random.default_rng(3)
    weight = rng.integers(-2, 3, (5, 4)).astype(float)
    features, t = rng.integers(-2, 3, (80, 4)) / 8, rng.integers(-4, 5, 5) / 8
    found = answers(weight, features, t)
    assert set(np.unique(found)) == {-1, 0, 1}
    order = rng.permutation(5)
    assert np.array_equal(answers(weight[order], features, t[order]), found[:, order])
    assert np.array_equal(answers(weight, features, t + 2, np.full(5, 2.0)), found)
    assert np.array_equal(answers(weight, features[::-1], t), found[::-1])
