"""Cantelli on the smallest margin: hand calculation, slow form, limits."""

import numpy as np
import pytest
from margin_worlds import binary, evidence, from_margins, random_world, slow_moments

from ncbounds.bounds.distribution.cantelli_union import cantelli_union
from ncbounds.bounds.distribution.min_margin_cantelli import min_margin_cantelli
from ncbounds.bounds.distribution.two_moment_tight import two_moment_tight


def test_by_hand():
    # smallest margins 1 and 3: mean 2, variance 2, 2 / (2 + 4)
    first = np.array([[1.0, 9.0], [7.0, 3.0]])
    still = np.full((2, 2), 4.0)
    ev = from_margins([first, still, still])
    result = min_margin_cantelli(ev)
    np.testing.assert_allclose(result.details["per class"], [1 / 3, 0.0, 0.0], rtol=1e-12)
    assert result.value == pytest.approx(1 / 9, rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_equals_a_slow_form(seed):
    ev = random_world(seed, spread=2.0)
    total = 0.0
    for m in slow_moments(ev):
        x = [min(row) for row in m]
        e, v = np.mean(x), np.var(x, ddof=1)
        total += len(m) * (v / (v + e * e) if e > 0 else 1.0)
    assert min_margin_cantelli(ev).value == pytest.approx(total / 200, rel=1e-12)


def test_with_one_rival_it_is_the_union(rng):
    ev = binary(rng.normal(2, 1, 40), rng.normal(3, 1, 60))
    assert min_margin_cantelli(ev).value == cantelli_union(ev).value


def test_the_scalar_mean_decides():
    # one pairwise mean is negative, so is the scalar one; a negative smallest margin alone is not 1
    m = np.array([[5.0, 5.0], [6.0, 6.0], [-0.1, 5.5]])
    b = min_margin_cantelli(from_margins([m, m, m])).details["per class"][0]
    assert 0 < b < 1
    worse = m - np.array([10.0, 0.0])
    assert min_margin_cantelli(from_margins([worse, m, m])).details["per class"][0] == 1.0


def test_far_below_the_bounds_from_pairwise_moments(rng):
    # Gaussian noise around a simplex of ten means, distance 10
    means = 10.0 * np.sqrt(2.0) * np.eye(10)
    labels = np.repeat(np.arange(10), 400)
    features = means[labels] + rng.normal(size=(4000, 10))
    ev = evidence(features, labels, np.eye(10))
    scalar, tight = min_margin_cantelli(ev).value, two_moment_tight(ev).value
    assert scalar == pytest.approx(0.0084, rel=0.05)
    assert tight == pytest.approx(0.0679, rel=0.05)


def test_it_fails_on_the_law_that_attains_it():
    rng = np.random.default_rng(4)
    d = 10.0
    p, reached = 1 / (1 + d * d), 0
    for _ in range(200):
        x = np.where(rng.random(100) < p, 0.0, (1 + d * d) / d)
        reached += min_margin_cantelli(binary(x[:50], x[50:])).value >= p
    assert 0.4 < reached / 200 < 0.8
