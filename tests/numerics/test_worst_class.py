"""All class limits at once: hand values, shares of delta, exact coverage."""

from __future__ import annotations

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from ncbounds.errors import InvalidArgument
from ncbounds.numerics import binomial_upper, worst_class_upper
from ncbounds.numerics.worst_class import log_shares

LONG_TAIL = np.array([1000, 1000, 500, 500, 250, 250, 120, 60, 30, 15])


def test_one_class_has_all_of_delta():
    assert worst_class_upper([3], [50], 0.05)[0] == pytest.approx(
        binomial_upper(3, 50, 0.05), rel=1e-9
    )


def test_classes_of_one_size_have_equal_shares():
    value = worst_class_upper([0, 1, 4, 50], [50] * 4, 0.05)
    np.testing.assert_allclose(value, binomial_upper([0, 1, 4, 50], 50, 0.0125), rtol=1e-9)


def test_one_and_two_points_by_hand():
    """x + x^2 = 3/4 at x = 1/2."""
    np.testing.assert_allclose(worst_class_upper([0, 0], [1, 2], 0.75), [0.5, 0.5], rtol=1e-12)
    assert worst_class_upper([0, 1], [1, 2], 0.75)[1] == pytest.approx(math.sqrt(0.75), rel=1e-9)


def test_a_class_without_points_has_limit_one_and_costs_nothing():
    value = worst_class_upper([0, 2, 0], [9, 20, 0], 0.05)
    assert value[2] == 1.0
    np.testing.assert_array_equal(value[:2], worst_class_upper([0, 2], [9, 20], 0.05))
    assert worst_class_upper([0, 0], [0, 0], 0.05).tolist() == [1.0, 1.0]


def test_long_tail_with_a_tenth_of_errors():
    """Equal shares give .486; the largest limit is then that of the smallest class."""
    errors = np.round(0.1 * LONG_TAIL)
    equal = np.max(binomial_upper(errors, LONG_TAIL, 0.05 / 10))
    value = np.max(worst_class_upper(errors, LONG_TAIL, 0.05))
    assert equal == pytest.approx(0.486, abs=5e-4)
    assert value == pytest.approx(0.378, abs=5e-4)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 2**53), min_size=1, max_size=40),
    st.one_of(st.floats(1e-12, 0.999), st.floats(1e-300, 1e-290)),
)
def test_shares_add_up_to_delta_from_below(sizes, delta):
    ln_shares = log_shares(np.array(sizes, dtype=float), delta)
    with mp.workdps(40):
        total = mp.fsum(mp.exp(mp.mpf(float(x))) for x in ln_shares)
        assert total <= mp.mpf(delta)
        assert total >= mp.mpf(delta) * (1 - mp.mpf(1e-9))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_without_errors_all_limits_are_the_least_possible_one(data):
    sizes = data.draw(st.lists(st.integers(1, 3000), min_size=2, max_size=8))
    u = worst_class_upper(np.zeros(len(sizes)), sizes, 0.05)
    np.testing.assert_allclose(u, u[0], rtol=1e-9)
    equal = binomial_upper(0, np.array(sizes), 0.05 / len(sizes))
    assert u.max() <= equal.max() * (1 + 1e-9)


@pytest.mark.parametrize("sizes", [(4, 9), (2, 3, 6), (1, 12)])
@pytest.mark.parametrize("delta", [0.3, 0.05])
def test_exact_miss_probability(sizes, delta):
    """Some class above its limit: enumerated, at class errors just above limits, and tight."""
    outcomes = np.array(list(itertools.product(*(range(m + 1) for m in sizes))))
    limits = np.array([worst_class_upper(k, sizes, delta) for k in outcomes])
    worst = 0.0
    for edge in limits:
        p = np.minimum(edge * (1 + 1e-9), 1.0)
        chances = np.prod(binom.pmf(outcomes, sizes, p), axis=1)
        missed = math.fsum(chances[np.any(limits < p, axis=1)])
        assert missed <= delta
        worst = max(worst, missed)
    assert worst > 0.8 * delta


@pytest.mark.parametrize(
    ("errors", "n", "delta"),
    [([1], [1, 2], 0.1), (1, 2, 0.1), ([3], [2], 0.1), ([-1], [2], 0.1), ([0.5], [2], 0.1),
     ([0], [math.inf], 0.1), ([0], [2], 1.5), ([math.nan], [2], 0.1)],
)  # fmt: skip
def test_impossible_inputs(errors, n, delta):
    with pytest.raises(InvalidArgument, match="needed"):
        worst_class_upper(errors, n, delta)
