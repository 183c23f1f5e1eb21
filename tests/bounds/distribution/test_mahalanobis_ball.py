"""The ball bound: hand calculation, rank, simulation of the theorem."""

import numpy as np
import pytest
from margin_worlds import binary, evidence, from_margins, random_world, simplex, slow_moments

from ncbounds.bounds.distribution.mahalanobis_ball import mahalanobis_ball


def test_by_hand(rng):
    assert mahalanobis_ball(binary([1.0, 3.0])).value == pytest.approx(0.5, rel=1e-12)
    # nine rivals, sixteen points: rank at most nine
    assert mahalanobis_ball(simplex(rng, 9, 10, n=16)).value == pytest.approx(0.09, rel=1e-9)


@pytest.mark.parametrize(("dim", "n", "rank"), [(2, 20, 2), (8, 4, 3), (8, 20, 5)])
def test_rank_is_limited_by_rivals_dimension_and_points(dim, n, rank, rng):
    means = 20.0 * rng.normal(size=(6, dim))
    labels = np.repeat(np.arange(6), n)
    bias = -0.5 * (means**2).sum(axis=1)
    ev = evidence(means[labels] + 0.01 * rng.normal(size=(6 * n, dim)), labels, means, bias)
    expected = [
        min(1.0, rank / min(m.mean(axis=0) ** 2 / m.var(axis=0, ddof=1))) for m in slow_moments(ev)
    ]
    np.testing.assert_allclose(mahalanobis_ball(ev).details["per class"], expected, rtol=1e-9)


def test_a_class_counts_as_one_at_most(rng):
    assert mahalanobis_ball(simplex(rng, 9, 2)).value == 1.0


def test_any_rival_ahead_makes_the_class_one():
    good = np.array([[5.0, 5.0], [5.1, 5.2], [4.9, 5.1]])
    bad = good - np.array([9.0, 0.0])
    np.testing.assert_allclose(
        mahalanobis_ball(from_margins([bad, good, good])).details["per class"][0], 1.0
    )


def test_holds_for_the_law_of_the_sample_itself():
    # the empirical law has covariance (n-1)/n times the sample's: its own error is below the value
    for seed in range(30):
        ev = random_world(seed, classes=3, n=60, spread=3.0)
        wrong = float((~(ev.holdout.margins(ev.head) > 0)).mean())
        assert mahalanobis_ball(ev).value >= wrong
