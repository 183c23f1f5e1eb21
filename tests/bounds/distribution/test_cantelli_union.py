"""Union of Cantelli bounds: hand calculation, slow form, limits, plug-in failure."""

from fractions import Fraction

import numpy as np
import pytest
from margin_worlds import binary, from_margins, random_world, simplex, slow_moments

from ncbounds.bounds.distribution.cantelli_union import cantelli_union


def test_by_hand():
    # mean 2, variance 2: d^2 = 2, 1/3; mean 3, variance 1/2: d^2 = 18, 1/19
    ev = binary([1.0, 3.0], [2.5, 3.5])
    result = cantelli_union(ev)
    assert result.value == pytest.approx((1 / 3 + 1 / 19) / 2, rel=1e-12)
    assert result.n == 4
    assert np.isnan(result.delta)


def test_classes_are_weighted_by_their_counts():
    ev = binary([1.0, 3.0], [2.5, 3.5, 3.0, 3.0])
    variance = Fraction(1, 2) / 3
    second = variance / (variance + 9)
    assert cantelli_union(ev).value == pytest.approx((2 / 3 + 4 * float(second)) / 6, rel=1e-12)


def test_rivals_add_up(rng):
    assert cantelli_union(simplex(rng, 9, 10)).value == pytest.approx(9 / 101, rel=1e-9)
    assert cantelli_union(simplex(rng, 9, 2.5)).value == 1.0  # 9 / 7.25 is clipped per class


@pytest.mark.parametrize("seed", range(4))
def test_equals_a_slow_form(seed):
    ev = random_world(seed, spread=2.0)
    total = 0.0
    for m in slow_moments(ev):
        sums = 0.0
        for j in range(m.shape[1]):
            mean, variance = m[:, j].mean(), m[:, j].var(ddof=1)
            sums += variance / (variance + mean**2) if mean > 0 else 1.0
        total += len(m) * min(1.0, sums)
    assert cantelli_union(ev).value == pytest.approx(total / 200, rel=1e-12)


def test_a_rival_ahead_on_average_counts_as_one():
    m = np.array([[5.0, -1.0], [5.1, 0.5], [4.9, -0.2]])
    good = np.array([[5.0, 5.0], [5.1, 5.2], [4.9, 5.1]])
    details = cantelli_union(from_margins([m, good, good])).details
    assert details["per class"][0] == 1.0
    assert details["per class"][1] < 0.01


def test_the_plug_in_fails_on_the_law_that_attains_it():
    # two classes of 50, distance 3, 10, 20: reached the true error in 545, 612, 209 of 1,000 draws
    for d, low, high in ((3, 0.45, 0.65), (20, 0.12, 0.32)):
        rng = np.random.default_rng(4)
        p, reached = 1 / (1 + d * d), 0
        for _ in range(200):
            x = np.where(rng.random(100) < p, 0.0, (1 + d * d) / d)
            reached += cantelli_union(binary(x[:50], x[50:])).value >= p
        assert low < reached / 200 < high
