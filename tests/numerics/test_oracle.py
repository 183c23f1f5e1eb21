"""The yardstick: mean exact binomial bound from fresh points."""

import numpy as np
import pytest

from ncbounds.numerics import binomial_upper, mean_binomial_upper


def test_two_points_by_hand():
    # k = 0, 1, 2 with mass .81, .18, .01; limits 1 - sqrt(.05), sqrt(.95), 1
    hand = 0.81 * (1 - 0.05**0.5) + 0.18 * 0.95**0.5 + 0.01
    assert mean_binomial_upper(0.1, 2, 0.05) == pytest.approx(hand, rel=1e-12)


@pytest.mark.parametrize(("p", "n"), [(0.0, 50), (1.0, 50), (0.2, 400), (0.01, 3000)])
def test_agrees_with_simulation(p, n):
    k = np.random.default_rng(0).binomial(n, p, 20_000)
    limits = binomial_upper(k, n, 0.05)
    error = 6 * limits.std() / np.sqrt(len(k)) + 1e-12
    assert abs(mean_binomial_upper(p, n, 0.05) - limits.mean()) <= error


def test_impossible_inputs_are_named():
    with pytest.raises(ValueError, match=r"error is 1\.5"):
        mean_binomial_upper(1.5, 10, 0.05)
