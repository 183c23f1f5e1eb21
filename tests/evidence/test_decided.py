"""A point is judged alike in every batch, and as wrong wherever rounding decides about it."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds.evidence.decided import digits_lost, longest, strict_margins
from ncbounds.evidence.head import LinearHead, margins
from ncbounds.evidence.sample import Sample


def right(head, f, y):
    return strict_margins(head, f, y) > 0


def exactly_right(head, row, label):
    """The rule in rational arithmetic."""
    logits, lost = [], []
    for w, b in zip(head.weight.tolist(), head.bias.tolist(), strict=True):
        products = [Fraction(x) * Fraction(z) for x, z in zip(w, row.tolist(), strict=True)]
        logits.append(sum(products) + Fraction(b))
        size = sum(map(abs, products)) + abs(Fraction(b))
        lost.append(Fraction(digits_lost(head.dim)) * size)
    return [
        (logits[label] - logits[k], lost[label] + lost[k])
        for k in range(head.classes)
        if k != label
    ]


def test_permuted_weights_on_a_constant_point_tie_in_every_batch():
    """The exact margin is 0, and its float64 sign changes with the number of rows."""
    signs = set()
    for seed in range(40):
        w = np.random.default_rng(seed).normal(size=96)
        head = LinearHead([w, np.random.default_rng(seed + 1).permutation(w)])
        for n in (1, 5, 60, 700):
            f = np.full((n, 96), 0.1)
            signs |= set(np.sign(margins(head.logits(f), np.zeros(n, dtype=int))))
            sample = Sample.from_arrays(f, np.zeros(n, dtype=int), role="holdout")
            assert not (sample.margins(head) > 0).any()
            assert sample.undecided(head) == n
    assert len(signs) > 1  # rounding alone would have told points apart


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(2, 5), st.integers(-3, 60))
def test_the_rule_is_that_of_exact_arithmetic_and_the_same_in_every_batch(seed, d, classes, near):
    """Margins from far outside the band to its middle: both sides have to be right."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(classes, d)) * 10.0 ** rng.integers(-3, 4, size=d)
    f = rng.normal(size=(30, d)) * 10.0 ** rng.integers(-3, 4, size=(30, 1))
    w[1] = w[0] * (1.0 + rng.choice([-1, 1]) * 2.0 ** -float(near))
    head = LinearHead(w, rng.normal(size=classes) * rng.integers(0, 2))
    y = head.logits(f).argmax(axis=1)
    found = right(head, f, y)
    alone = [bool(right(head, f[i : i + 1], y[i : i + 1])[0]) for i in range(30)]
    order = rng.permutation(30)
    assert (found == alone).all()
    assert (right(head, f[order], y[order]) == found[order]).all()
    for i in range(30):
        gaps = exactly_right(head, f[i], y[i])
        if found[i]:
            assert all(gap > lost * Fraction(9, 10) * Fraction(d + 1, d + 64) for gap, lost in gaps)
        else:
            assert any(gap < lost * Fraction(11, 10) for gap, lost in gaps)


def test_another_order_of_the_sums_never_makes_a_right_point_wrong():
    rng = np.random.default_rng(3)
    d, turned = 300, 0
    for _ in range(200):
        w = rng.normal(size=d)
        head = LinearHead([w, w + rng.normal(size=d) * 1e-15])
        f = rng.normal(size=(1, d)) * 100.0
        y = head.logits(f).argmax(axis=1)
        judged = right(head, f, y)[0]
        for _ in range(10):
            order = rng.permutation(d)
            s = [sum((row[order] * f[0, order]).tolist()) for row in head.weight]
            other = s[y[0]] > s[1 - y[0]]
            turned += not other
            assert other or not judged
    assert turned > 20  # of 2,000: the test has something to see


def test_a_common_row_that_drowns_the_logits_makes_errors_and_one_elsewhere_does_not():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 50)
    f = np.column_stack([2.0 * y - 1.0, rng.integers(0, 2, 50)])
    w = np.array([[-1.0, 0.0], [1.0, 0.0]])
    drowned = right(LinearHead(w + np.array([0.0, 1e20])), f, y)
    assert (drowned == (f[:, 1] == 0)).all()
    assert right(LinearHead(w), f, y).all()


@pytest.mark.parametrize("scale", [1e-300, 1e-162, 1e162, 1e300])
def test_margins_of_heads_and_features_of_any_scale_keep_their_sign(scale):
    rng = np.random.default_rng(1)
    f, w, b = rng.normal(size=(40, 7)), rng.normal(size=(3, 7)), rng.normal(size=3)
    y = rng.integers(0, 3, 40)
    expected = right(LinearHead(w, b), f, y)
    assert (right(LinearHead(scale * w, scale * b), f, y) == expected).all()
    assert (right(LinearHead(w / scale, b), scale * f, y) == expected).all()
    # a scale at which logits themselves would leave the range
    assert (right(LinearHead(scale * w), f * 1e10, y) == right(LinearHead(w), f, y)).all()


def test_a_masked_class_does_not_hide_the_others():
    """A bias of -1e30 rounds by 1e14, but only in comparison with itself."""
    head = LinearHead([[1.0], [-1.0], [0.0]], [0.0, 0.0, -1e30])
    f, y = np.array([[1.0], [-1.0]]), np.array([0, 1])
    assert right(head, f, y).all()


def test_lengths_are_upper_bounds_for_every_float_type_and_layout():
    rng = np.random.default_rng(2)
    for dtype in (np.float16, np.float32, np.float64):
        for f in (rng.normal(size=(999, 130)), np.full((5, 3), 1e-6)):
            f = f.astype(dtype)
            for x in (f, f[::-1], np.asfortranarray(f)):
                exact = np.linalg.norm(x.astype(np.float64), axis=1)
                assert (longest(x) >= exact).all()
    assert np.isinf(longest(np.full((2, 2), 1e30, dtype=np.float32))).all()


def test_ties_and_what_is_not_finite_are_counted_apart():
    head = LinearHead([[1.0], [-1.0]])
    f = np.array([[0.0], [np.nan], [1.0]])
    sample = Sample.from_arrays(f, [0, 0, 0], role="test")
    assert sample.undecided(head) == 1
    assert sample.margins(head).tolist() == [0.0, -np.inf, 2.0]
