"""The limit from several partitions: hand values, a slow form, exact and simulated coverage."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from ncbounds.errors import InvalidArgument
from ncbounds.numerics import kl_upper, partition_upper
from ncbounds.numerics.partitions import _stakes


def e_value(losses, p, stakes, weights) -> mp.mpf:
    """The definition, product by product."""
    total = mp.mpf(0)
    for row in np.asarray(losses).tolist():
        for c, w in zip(stakes, weights, strict=True):
            c, w = mp.mpf(float(c)), mp.mpf(float(w))
            total += w * mp.fprod(1 + c * (p - mp.mpf(u)) / (1 - p) for u in row)
    return total / len(losses)


def shares(blocks):
    stakes, ln_weights = _stakes(blocks)
    return stakes, np.exp(ln_weights)


@pytest.mark.parametrize("u", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("delta", [0.5, 0.05, 1e-9, 1e-300])
def test_one_block_by_hand(u, delta):
    """1 + s (p - u)/(1 - p) = 1/delta with the mean stake s = (.7 + .15 (2/3 + 4/9)) is linear."""
    s = 0.7 + 0.15 * (2 / 3 + 4 / 9)
    pay = 1 / delta - 1
    assert partition_upper([[u]], delta) == pytest.approx((pay + s * u) / (pay + s), rel=1e-10)


def test_two_blocks_by_hand():
    """Losses 0 and 1: stake 1 loses all, and 1 + c p/q times 1 - c remains of the others."""
    c = np.array([2 / 3, 4 / 9])
    slope = float(0.15 * np.sum(c * (1 - c)))
    level = 2.0 - float(0.15 * np.sum(1 - c))
    odds = level / slope
    assert partition_upper([[0.0, 1.0]], 0.5) == pytest.approx(odds / (1 + odds), rel=1e-10)


@pytest.mark.parametrize("blocks", [1, 5, 60, 3000])
def test_no_losses(blocks):
    """Between the exact binomial limit and the same at the largest stake's share of delta."""
    value = partition_upper(np.zeros((2, blocks)), 0.05)
    assert 1 - 0.05 ** (1 / blocks) < value <= (1 - 0.035 ** (1 / blocks)) * (1 + 1e-9)


def test_nothing_but_losses_gives_one():
    assert partition_upper(np.ones((3, 7)), 0.05) == 1.0
    assert partition_upper(np.full((3, 7), 1.5), 0.05) == 1.0


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_slow_form_reaches_one_over_delta_at_the_limit_and_not_below(data):
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 9)))
    loss = st.one_of(st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.floats(0, 1))
    size = shape[0] * shape[1]
    losses = np.reshape(data.draw(st.lists(loss, min_size=size, max_size=size)), shape)
    delta = data.draw(st.one_of(st.floats(1e-6, 0.9), st.floats(1e-300, 1e-200)))
    p = partition_upper(losses, delta)
    with mp.workdps(50):
        if p < 1:
            assert e_value(losses, mp.mpf(p), *shares(shape[1])) >= 1 / mp.mpf(delta)
        below = mp.mpf(p) - mp.mpf(1e-9) * min(p, 1 - p) - mp.mpf(1e-15)
        if below > losses.mean():
            assert e_value(losses, below, *shares(shape[1])) < 1 / mp.mpf(delta)


def test_weights_are_fixed_and_add_up_to_at_most_one():
    for blocks in (1, 2, 6, 7, 100, 10**6):
        stakes, weights = shares(blocks)
        assert math.fsum(weights) <= 1.0
        assert math.fsum(weights) == pytest.approx(1.0, abs=1e-13)
        assert stakes[0] == 1.0
        assert np.all(stakes > 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(0, 2**32))
def test_monotone_in_delta_and_losses_and_blind_to_order(blocks, seed):
    rng = np.random.default_rng(seed)
    u = rng.choice([0.0, 0.2, 0.7, 1.0], size=(4, blocks))
    value = partition_upper(u, 0.05)
    assert max(u.mean(), 0.0) <= value <= partition_upper(u, 0.01) * (1 + 1e-10)
    more = np.minimum(1.0, u + rng.choice([0.0, 0.1], size=u.shape))
    assert value <= partition_upper(more, 0.05) * (1 + 1e-10)
    mixed = rng.permuted(u, axis=1)[rng.permutation(4)]
    assert partition_upper(mixed, 0.05) == pytest.approx(value, rel=1e-10)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(0, 2**32))
def test_never_above_the_relative_entropy_at_the_price_of_the_weights(blocks, seed):
    """A product is at least exp(B kl(mean, p)) at the best stake; the grid holds the largest."""
    rng = np.random.default_rng(seed)
    u = np.full((3, blocks), rng.choice([0.0, 0.1, 0.3]))
    least = math.log(1 / 0.05 / 0.7) / blocks
    if u[0, 0] == 0:
        assert partition_upper(u, 0.05) <= kl_upper(0.0, least) * (1 + 1e-9)
    else:
        assert partition_upper(u, 0.05) < kl_upper(float(u[0, 0]), least)


def test_losses_that_vary_little_are_cheaper():
    """Means of ten queries at 28 %: the entropy pays for a variance ten times theirs."""
    rng = np.random.default_rng(0)
    u = (rng.random((20, 200, 10)) < 0.28).mean(axis=2)
    excess = partition_upper(u, 0.05) - u.mean()
    assert excess < 0.4 * (kl_upper(u.mean(), math.log(20) / 200) - u.mean())


@pytest.mark.parametrize("blocks", [1, 2, 3, 6, 12, 40])
@pytest.mark.parametrize("delta", [0.5, 0.2, 0.05])
def test_exact_miss_probability_of_losses_zero_and_one(blocks, delta):
    """Tight: the true error lies just above the limit at k losses, for every k."""
    values = [partition_upper([[1.0] * k + [0.0] * (blocks - k)], delta) for k in range(blocks + 1)]
    assert values == sorted(values)
    worst = 0.0
    for p in (v * (1 + 1e-9) for v in values if v < 1 - 1e-6):
        missed = math.fsum(
            binom.pmf(k, blocks, p) for k in range(blocks + 1) if values[k] < p
        )  # fmt: skip
        assert missed <= delta
        worst = max(worst, missed)
    assert worst > 0.55 * delta  # at no losses: the share .7 of the largest stake


@pytest.mark.parametrize(("sides", "blocks"), [(1, 3), (2, 5), (5, 4), (10, 30)])
@pytest.mark.parametrize("delta", [0.5, 0.1])
def test_coverage_over_partitions_of_one_sample(sides, blocks, delta):
    """Blocks of one point from each of several classes, cut anew in every partition."""
    rng = np.random.default_rng([sides, blocks])
    p, runs, missed = 0.15, 200, 0
    for _ in range(runs):
        points = rng.random((sides, blocks)) < p
        cut = np.stack([rng.permuted(points, axis=1).mean(axis=0) for _ in range(6)])
        missed += partition_upper(cut, delta) < p
    assert binom.sf(missed - 1, runs, delta) > 1e-6


def test_coverage_where_partitions_disagree_the_most():
    """A loss shared by a pair of points alone: a partition sees it only if it joins the pair."""
    rng = np.random.default_rng(3)
    blocks, delta, runs, missed, p = 4, 0.3, 300, 0, 0.5
    for _ in range(runs):
        left, right = rng.random((2, blocks)) < np.sqrt(p)
        cut = np.stack([left & rng.permutation(right) for _ in range(20)]).astype(float)
        missed += partition_upper(cut, delta) < p
    assert binom.sf(missed - 1, runs, delta) > 1e-6


@pytest.mark.parametrize(
    "losses", [[], [0.1, 0.2], [[]], [[-0.1]], [[math.nan]], [[1j]], [["much"]]]
)
def test_impossible_losses(losses):
    with pytest.raises(InvalidArgument, match="needed"):
        partition_upper(losses, 0.05)


@pytest.mark.parametrize("delta", [0.0, 1.0, 1.5, -1.0, math.nan])
def test_impossible_deltas(delta):
    with pytest.raises(InvalidArgument, match="delta"):
        partition_upper([[0.1]], delta)


def test_large_blocks_do_not_overflow():
    assert partition_upper(np.zeros((2, 5000)), 1e-300) == pytest.approx(
        1 - (0.7e-300) ** (1 / 5000), rel=1e-6
    )
    assert partition_upper([[0.5] * 3000], 0.05) < 0.51
