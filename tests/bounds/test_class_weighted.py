"""Adding up class bounds: the class-frequency term by enumeration and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds.bounds.by_class import class_delta, class_frequency_distance, class_weighted


def test_by_hand():
    value, terms = class_weighted(np.array([0.1, 0.4]), np.array([30, 70]), 100, 0.05, False)
    tau = 0.5 * (math.sqrt(1 / 100) + math.sqrt(2 * math.log(200) / 100))
    assert terms["weighted classes"] == pytest.approx(0.03 + 0.28, rel=1e-14)
    assert terms["class frequencies"] == pytest.approx(tau * 0.3, rel=1e-14)
    assert value == pytest.approx(0.31 + tau * 0.3, rel=1e-14)
    assert value >= 0.31 + tau * 0.3


def test_drawn_class_by_class_there_is_no_frequency_term():
    value, terms = class_weighted(np.array([0.1, 0.4]), np.array([30, 70]), 100, 0.05, True)
    assert value == pytest.approx(0.31, rel=1e-14)
    assert terms["class frequencies"] == 0.0


def test_shares_of_delta():
    assert class_delta(0.05, 10, True) == pytest.approx(0.005)
    assert class_delta(0.05, 10, False) == pytest.approx(0.0045)
    # classes and frequencies together spend no more than delta
    assert 10 * class_delta(0.05, 10, False) + 0.1 * 0.05 <= 0.05 * (1 + 1e-15)


def test_an_absent_class_has_no_weight_but_is_the_worst():
    value, terms = class_weighted(np.array([0.0, 1.0]), np.array([100, 0]), 100, 0.05, False)
    assert terms["weighted classes"] == pytest.approx(0.0, abs=1e-300)
    assert value == pytest.approx(class_frequency_distance(2, 100, 0.05))


def test_values_above_one_count_as_one():
    value, _ = class_weighted(np.array([7.0, 0.5]), np.array([1, 1]), 2, 0.05, True)
    assert value == pytest.approx(0.75)


def test_perfect_classes_need_no_frequencies():
    assert class_weighted(np.zeros(3), np.array([1, 2, 3]), 6, 0.05, False)[0] == pytest.approx(
        0.0, abs=1e-300
    )


def test_equal_classes_and_a_single_one_need_no_frequencies():
    """The pooled error is the common bound, whatever the frequencies."""
    for classes in (1, 4):
        counts = np.arange(1, classes + 1)
        n = int(counts.sum())
        value, terms = class_weighted(np.full(classes, 0.3), counts, n, 0.05, False)
        assert value == pytest.approx(0.3, rel=1e-14)
        assert value >= 0.3
        assert terms["class frequencies"] == 0.0


@pytest.mark.parametrize("low", [0.0, 0.4])
def test_miss_probability_of_two_classes_by_enumeration(low):
    """Class errors known exactly, .9 and low: only the frequencies can fail."""
    n, delta, p = 60, 0.5, np.array([low, 0.9])
    value = [class_weighted(p, np.array([n - k, k]), n, delta, False)[0] for k in range(n + 1)]
    for q in np.linspace(0.02, 0.98, 25):
        truth = (1 - q) * low + q * 0.9
        missed = math.fsum(
            math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(n + 1) if value[k] < truth
        )
        assert missed <= 0.1 * delta


def test_the_distance_is_at_most_one():
    assert class_frequency_distance(1000, 3, 0.05) == 1.0


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_identity_behind_the_term(data):
    """sum pi p - sum pihat p is at most TV times the range of p, and reaches it."""
    classes = data.draw(st.integers(2, 6))
    unit = st.floats(0, 1)
    p = np.array(data.draw(st.lists(unit, min_size=classes, max_size=classes)))
    a = np.array(data.draw(st.lists(st.floats(0.01, 1), min_size=classes, max_size=classes)))
    b = np.array(data.draw(st.lists(st.floats(0.01, 1), min_size=classes, max_size=classes)))
    a, b = a / a.sum(), b / b.sum()
    assert (a - b) @ p <= 0.5 * np.abs(a - b).sum() * (p.max() - p.min()) + 1e-12
    steps = (a > b).astype(float)
    assert (a - b) @ steps == pytest.approx(0.5 * np.abs(a - b).sum(), abs=1e-12)


@pytest.mark.parametrize("n", [3, 10, 60])
@pytest.mark.parametrize("delta", [0.05, 0.5, 0.99])
def test_distance_holds_for_two_classes_by_enumeration(n, delta):
    tau = class_frequency_distance(2, n, delta)
    for q in np.linspace(0.01, 0.99, 33):
        missed = math.fsum(
            math.comb(n, k) * q**k * (1 - q) ** (n - k)
            for k in range(n + 1)
            if abs(k / n - q) > tau
        )
        assert missed <= 0.1 * delta


def test_without_the_term_the_law_is_missed_half_the_time():
    """Class errors known exactly: frequencies alone fail, the term repairs it."""
    rng = np.random.default_rng(5)
    n, delta, p = 200, 0.5, np.array([0.0, 1.0])
    bare = full = 0
    for _ in range(4000):
        k = rng.binomial(n, 0.3)
        counts = np.array([n - k, k])
        bare += class_weighted(p, counts, n, delta, True)[0] < 0.3
        full += class_weighted(p, counts, n, delta, False)[0] < 0.3
    assert bare > 1600
    assert full <= 0.1 * delta * 4000


def test_decreasing_in_n_and_delta():
    p = np.array([0.2, 0.3, 0.9])
    values = [
        class_weighted(p, m * np.array([1, 2, 3]), 6 * m, 0.05, False)[0]
        for m in (1, 10, 100, 1000)
    ]
    assert values == sorted(values, reverse=True)
    counts = np.array([10, 20, 30])
    by_delta = [class_weighted(p, counts, 60, d, False)[0] for d in (1e-6, 0.01, 0.3)]
    assert by_delta == sorted(by_delta, reverse=True)
