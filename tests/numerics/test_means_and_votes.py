"""Betting, votes without labels, Fisher's test: goldens, hand values, exact coverage."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, fisher_exact, multinomial

from ncbounds import numerics as nm
from ncbounds.errors import InvalidArgument
from ncbounds.numerics.betting import _stakes
from ncbounds.numerics.rounding import EPS

LOSSES = {
    "alternating 0, .2": lambda n: np.tile([0, 0.2], n // 2),
    "zeros": np.zeros,
    "ones": np.ones,
    "every tenth .5": lambda n: np.where(np.arange(n) % 10 == 0, 0.5, 0.0),
}


@pytest.mark.golden("H.betting_upper_in_order")
def test_betting(inputs, expected, agrees):
    agrees(nm.mean_upper(LOSSES[inputs["x"]](inputs["n"]), float(inputs["delta"])), expected)


@pytest.mark.golden("T.votes_lower_of_counts")
def test_votes(inputs, expected, agrees):
    k, rows, d = inputs["candidates"], inputs["rows"], inputs["dissent"]
    shares = np.where(np.arange(rows) < d, 1 - 1 / k, 1.0)
    agrees(nm.votes_lower(shares, k, float(inputs["delta"])), expected)


@pytest.mark.golden("T.votes_lower")
def test_votes_unclipped_is_smaller(inputs, expected):
    """The golden divides by 1 where a row's mean error is at most 1 - 1/K."""
    votes = np.array([list(p) for p in inputs["predictions"]])
    rows = [np.unique(column, return_counts=True)[1].max() for column in votes.T]
    shares, delta = np.array(rows) / len(votes), float(inputs["delta"])
    xbar = np.mean(1 - shares)
    unclipped = 1 - nm.kl_upper(1 - xbar, math.log(1 / delta) / len(shares))
    assert unclipped == pytest.approx(expected, rel=1e-9)
    assert nm.votes_lower(shares, len(votes), delta) > expected


@pytest.mark.golden("F.told_apart_p")
def test_told_apart(inputs, expected, agrees):
    agrees(nm.told_apart_p(inputs["errors"], inputs["n"]), expected)


def test_one_loss_by_hand():
    """The stake is .75 at n = 1: 1 + .75 m reaches 1/delta = 1.6 at m = .8."""
    assert nm.mean_upper([0.0], 0.625) == pytest.approx(0.8, rel=1e-12)
    assert nm.mean_upper([0.1], 0.625) == pytest.approx(0.9, rel=1e-12)
    assert nm.mean_upper([0.3], 0.625) == 1.0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(1e-4, 0.9))
def test_wealth_at_the_limit_by_mpmath(x, delta):
    """Stakes by the definition, one after another; at the limit the wealth has reached 1/delta."""
    limit, n = nm.mean_upper(x, delta), len(x)
    if limit == 1.0:
        return
    with mp.workdps(40):
        total, squares, v, wealth, most = mp.mpf(0), mp.mpf(0), mp.mpf(1) / 4, mp.mpf(1), mp.mpf(0)
        below, most_below = mp.mpf(1), mp.mpf(0)
        for t, loss in enumerate(x, 1):
            stake = min(mp.mpf("0.75"), mp.sqrt(2 * mp.log(1 / mp.mpf(delta)) / (n * v)))
            wealth *= 1 - stake * (loss - mp.mpf(limit))
            below *= 1 - stake * (loss - mp.mpf(limit) * (1 - mp.mpf(10) ** -9))
            most, most_below = max(most, wealth), max(most_below, below)
            total += loss
            squares += (loss - (mp.mpf(1) / 2 + total) / (t + 1)) ** 2
            v = (mp.mpf(1) / 4 + squares) / (t + 1)
        assert most >= (1 / mp.mpf(delta)) * (1 - mp.mpf(10) ** -13)
        assert most_below < 1 / mp.mpf(delta)


@pytest.mark.parametrize("delta", [0.05, 0.25, 0.5])
@pytest.mark.parametrize("n", [1, 5, 8])
def test_exact_miss_probability_of_betting(n, delta):
    """Losses 0 and 1 in every order, at means just above what each outcome claims."""
    outcomes = np.array(list(itertools.product([0.0, 1.0], repeat=n)))
    values = np.array([nm.mean_upper(x, delta) for x in outcomes])
    k, worst = outcomes.sum(axis=1), 0.0
    for mean in np.unique(values[values < 1]) * (1 + 1e-12):
        missed = values < mean
        worst = max(worst, np.sum(missed * mean**k * (1 - mean) ** (n - k)))
    assert worst <= delta
    assert worst > 0.4 * delta or n < 8 or delta < 0.25


def test_simulated_miss_rate_of_betting():
    """Rare errors, a quarter of them halves: near delta, within three standard errors."""
    rng, delta = np.random.default_rng(0), 0.25
    draws = rng.choice([0.0, 0.5, 1.0], p=[0.9, 0.025, 0.075], size=(600, 100))
    missed = np.mean([nm.mean_upper(x, delta) < 0.0875 for x in draws])
    assert 0.5 * delta < missed < delta + 3 * math.sqrt(delta * (1 - delta) / 600)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=200), st.floats(1e-6, 0.5))
def test_betting_is_above_the_mean_and_falls_with_delta(x, delta):
    value = nm.mean_upper(x, delta)
    assert value <= 1
    assert nm.mean_upper(x, delta / 2) >= value


def test_betting_uses_that_losses_vary_little():
    x = np.tile([0.1, 0.0, 0.0, 0.1], 250)
    slack = nm.mean_upper(x, 0.05) - x.mean()
    assert slack < 0.3 * (nm.kl_upper(x.mean(), math.log(20) / 1000) - x.mean())


def test_order_decides_so_sorted_rows_are_no_draws():
    x = np.repeat([0.0, 1.0], [200, 50])
    assert nm.mean_upper(x, 0.05) < x.mean() < nm.mean_upper(x[::-1], 0.05)


def test_no_losses_have_no_mean():
    assert math.isnan(nm.mean_upper([], 0.05))


@pytest.mark.parametrize("x", [[1.1], [-0.1], [math.nan], [[0.5]], ["a"]])
def test_impossible_losses(x):
    with pytest.raises(InvalidArgument, match="needed"):
        nm.mean_upper(x, 0.1)


def test_two_candidates_by_hand():
    """One row of two, the classifiers at odds: P(Bin(2, p) >= 1) = .19 at p = .1."""
    assert nm.votes_lower([0.5, 1.0], 2, 0.19) == pytest.approx(0.05, rel=1e-9)
    assert nm.votes_lower([0.0, 1.0], 2, 0.19) == nm.votes_lower([0.5, 1.0], 2, 0.19)


def test_no_dissent_and_no_rows_show_nothing():
    assert nm.votes_lower(np.ones(50), 3, 0.05) == 0.0
    assert nm.votes_lower([], 3, 0.05) == 0.0


@pytest.mark.parametrize("delta", [0.05, 0.25, 0.5])
@pytest.mark.parametrize("k", [2, 3])
def test_exact_probability_of_too_high_a_limit(k, delta):
    """The largest vote is right: the mean error is the mean of 1 - share, at its least."""
    m = 12
    shares = np.arange(k, 0, -1) / k
    outcomes = np.array([c for c in itertools.product(range(m + 1), repeat=k) if sum(c) == m])
    values = np.array([nm.votes_lower(np.repeat(shares, c), k, delta) for c in outcomes])
    worst = 0.0
    for law in np.random.default_rng(1).dirichlet(np.full(k, 0.5), 800):
        error = float(np.dot(law, 1 - shares))
        worst = max(worst, multinomial.pmf(outcomes, m, law)[values > error].sum())
    assert worst <= delta
    assert worst > 0.2 * delta


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 6), st.data(), st.floats(1e-4, 0.5))
def test_votes_are_below_what_is_seen(k, data, delta):
    votes = np.array(data.draw(st.lists(st.integers(0, k), min_size=1, max_size=80)))
    seen = np.mean(np.minimum(1 - votes / k, 1 - 1 / k))
    value = nm.votes_lower(votes / k, k, delta)
    assert 0 <= value <= seen + 1e-12
    more = np.maximum(votes - 1, 0)
    assert nm.votes_lower(more / k, k, delta) >= value - 1e-12


@pytest.mark.parametrize(
    ("shares", "k"), [([1.2], 3), ([-0.1], 3), ([math.nan], 3), ([[0.5]], 3), ([0.7], 2), ([1], 1)]
)
def test_impossible_votes(shares, k):
    with pytest.raises(InvalidArgument, match="needed"):
        nm.votes_lower(shares, k, 0.1)


def test_told_apart_by_hand():
    """Two points of each class, all right: 1 / (4 choose 2)."""
    assert nm.told_apart_p([0, 0], [2, 2]) == pytest.approx(1 / 6, rel=1e-12)
    assert nm.told_apart_p([0, 0], [0, 2]) == 1.0
    assert nm.told_apart_p([2, 0], [2, 5]) == 1.0


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_told_apart_by_fractions_and_by_scipy(n_c, n_j, data):
    k_c, k_j = data.draw(st.integers(0, n_c)), data.draw(st.integers(0, n_j))
    right = n_c - k_c
    ways = sum(
        math.comb(n_c, i) * math.comb(n_j, right + k_j - i)
        for i in range(right, min(n_c, right + k_j) + 1)
    )
    exact = Fraction(ways, math.comb(n_c + n_j, right + k_j))
    value = nm.told_apart_p([k_c, k_j], [n_c, n_j])
    assert exact <= Fraction(value) or value == 1.0
    assert value == pytest.approx(float(exact), rel=1e-9)
    table = [[right, k_c], [k_j, n_j - k_j]]
    assert value == pytest.approx(fisher_exact(table, alternative="greater").pvalue, rel=1e-7)
    assert value == pytest.approx(nm.told_apart_p([k_j, k_c], [n_j, n_c]), rel=1e-9)


@pytest.mark.parametrize("delta", [0.05, 0.25, 0.5])
@pytest.mark.parametrize("n", [(10, 10), (4, 15)])
def test_exact_probability_of_a_false_separation(n, delta):
    """Constant sides: P(err | c) + P(err | j) = 1, or more."""
    outcomes = np.array(list(itertools.product(range(n[0] + 1), range(n[1] + 1))))
    claimed = np.array([nm.told_apart_p(k, n) for k in outcomes]) <= delta
    worst = 0.0
    for rate, more in itertools.product(np.linspace(0, 1, 101), (0.0, 0.1)):
        rates = (rate, min(1.0, 1 - rate + more))
        chance = np.prod(binom.pmf(outcomes, n, rates), axis=1)
        worst = max(worst, chance[claimed].sum())
    assert 0.3 * delta < worst <= delta


@pytest.mark.parametrize(
    ("errors", "n"), [([3, 0], [2, 2]), ([0], [2]), ([-1, 0], [2, 2]), ([0, 0.5], [2, 2])]
)
def test_impossible_pairs_of_classes(errors, n):
    with pytest.raises(InvalidArgument, match="needed"):
        nm.told_apart_p(errors, n)


def test_wealth_at_the_limit_has_reached_its_goal_in_exact_arithmetic():
    """With the stakes as they are: any that see the past alone are allowed."""
    rng = np.random.default_rng(5)
    for n, delta in ((40, 0.05), (150, 0.3), (300, 1e-3)):
        for x in (rng.beta(0.5, 2, n), np.repeat([0.0, 1 / 3], n // 2)):
            limit = nm.mean_upper(x, delta)
            assert limit < 1
            wealth = most = Fraction(1)
            for stake, loss in zip(_stakes(x, -math.log(delta) * (1 + 4 * EPS)), x, strict=True):
                wealth *= 1 - Fraction(stake) * (Fraction(loss) - Fraction(limit))
                most = max(most, wealth)
            assert most * Fraction(delta) >= 1
