"""Limits for all layers at once and the early exit: goldens, exact coverage, a planted truth."""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, multinomial

from ncbounds.depth.exits import apart, better_than_network, early_exit, layer_error, within
from ncbounds.errors import InvalidArgument
from ncbounds.numerics import binomial_upper, stratified_upper

GOLDEN = json.loads((Path(__file__).parents[1] / "numerics/golden_choosing.json").read_text())
fast = lru_cache(maxsize=None)(within)


def test_layers_share_delta_and_those_not_shown_count():
    errors = np.array([[5, 9], [0, 3]])
    found = layer_error(errors, 50, 0.05)
    np.testing.assert_allclose(found, binomial_upper(errors, 50, 0.05 / 4), rtol=1e-12)
    hidden = layer_error(errors, 50, 0.05, family=40)
    np.testing.assert_allclose(hidden, binomial_upper(errors, 50, 0.05 / 40), rtol=1e-12)


def test_stratified_layers_have_the_edge_rule():
    """One row right of ten, three layers: 1 - delta/(3 n)."""
    found = layer_error([9, 4, 10], 10, 0.05, stratified=True)
    assert found[0] == pytest.approx(1 - 0.05 / 30, rel=1e-12)
    assert found.tolist()[1:] == [stratified_upper(4, 10, 0.05 / 3), 1.0]
    with pytest.raises(InvalidArgument, match="stratified"):
        layer_error([1, 2], 10, 0.6, stratified=True)


def test_a_family_smaller_than_what_is_shown_is_refused():
    with pytest.raises(InvalidArgument, match="at least the 3 limits"):
        layer_error([1, 2, 3], 10, 0.05, family=2)
    with pytest.raises(InvalidArgument, match="at least the 2"):
        better_than_network([1, 2], [3, 4], 10, 0.05, family=1)


@pytest.mark.parametrize("delta", [0.05, 0.25, 0.5])
def test_layers_cover_exactly_whatever_their_dependence(delta):
    """The misses of three layers add up to at most delta, and nearly so at the worst rate."""
    limits = np.array([layer_error([k], 30, delta, family=3)[0] for k in range(31)])
    rates = np.concatenate([np.linspace(0.001, 0.999, 400), limits[limits < 1] * (1 + 1e-9)])
    counts = np.arange(31)
    misses = [3 * binom.pmf(counts[limits < p], 30, p).sum() for p in rates]
    assert 0.97 * delta < max(misses) <= delta * (1 + 1e-6)


@pytest.mark.parametrize("item", GOLDEN["P.paired_upper"], ids=lambda item: str(item["inputs"]))
def test_an_exit_is_shown_from_the_exact_limit_on(item):
    a, b, n, delta = (item["inputs"][k] for k in ("a", "b", "n", "delta"))
    limit = float(item["value"])
    assert within(a, b, n, max(0.0, limit + item["inputs"]["tolerance"]), float(delta))
    if limit > 0:
        assert not within(a, b, n, limit - 1e-9, float(delta))


@pytest.mark.parametrize("item", GOLDEN["P.two_binomials_upper_delta_.05"])
def test_a_stratified_exit_takes_two_limits(item):
    a, b, n = (item["inputs"][k] for k in ("a", "b", "n"))
    limit = float(item["value"])
    assert within(a, b, n, limit * (1 + 1e-9), 0.05, stratified=True)
    assert not within(a, b, n, limit * (1 - 1e-9), 0.05, stratified=True)


def claimed_falsely(n, eps, delta, s):
    """Exact probability that a probe whose excess is just above eps passes; s: one of two errs."""
    excess = eps + 1e-9
    cells = [(a, b) for a in range(n + 1) for b in range(n + 1 - a)]
    law = multinomial(n, [(s + excess) / 2, (s - excess) / 2, 1 - s])
    return sum(law.pmf([a, b, n - a - b]) for a, b in cells if fast(a, b, n, eps, delta))


@pytest.mark.parametrize("delta", [0.05, 0.25, 0.5])
def test_an_exit_is_claimed_falsely_at_most_at_delta(delta):
    rates = [claimed_falsely(16, 0.1, delta, s) for s in (0.1 + 1e-9, 0.2, 0.5, 0.9)]
    assert max(rates) <= delta
    assert max(rates) > 0.4 * delta


@pytest.mark.slow
@pytest.mark.parametrize("delta", [0.05, 0.25, 0.5])
@pytest.mark.parametrize("eps", [0.0, 0.01, 0.2])
def test_an_exit_is_claimed_falsely_at_most_at_delta_on_more_rows(delta, eps):
    rates = [claimed_falsely(40, eps, delta, s) for s in (eps + 1e-9, 0.3, 0.6, 0.95)]
    assert max(rates) <= delta


def test_the_first_layer_that_fails_ends_the_search():
    """From the deepest on: layers 4 and 3 pass, 2 fails, 1 would pass."""
    only_probe, only_network = [90, 2, 80, 5, 0], [0, 20, 0, 5, 0]
    passing = [within(a, b, 400, 0.05, 0.05) for a, b in zip(only_probe, only_network)]
    assert passing == [False, True, False, True, True]
    assert early_exit(only_probe, only_network, 400, 0.05, 0.05) == 3
    assert early_exit([0, 90], [0, 0], 400, 0.05, 0.05) is None
    assert early_exit([], [], 400, 0.05) is None
    assert early_exit([0], [0], 0, 0.05) is None
    with pytest.raises(InvalidArgument, match="one of each a layer"):
        early_exit([1], [1, 2], 400, 0.05)


def test_a_planted_truth_is_missed_at_most_at_delta_and_more_often_if_failures_are_passed_over():
    """Six layers whose excess is just above eps: every exit that is claimed is false."""
    n, eps, delta, layers = 150, 0.05, 0.25, 6
    rng = np.random.default_rng(1)
    draws = rng.multinomial(n, [0.08 + 1e-9, 0.03, 0.89 - 1e-9], size=(400, layers))
    passes = np.array([[fast(int(a), int(b), n, eps, delta) for a, b, _ in d] for d in draws])
    # the exit itself on some of them: from the deepest layer on, up to the first that fails
    for d, p in list(zip(draws, passes))[:40]:
        found = early_exit(d[:, 0], d[:, 1], n, delta, eps)
        failed = np.flatnonzero(~p)
        wanted = 0 if not len(failed) else failed[-1] + 1
        assert found == (None if wanted == layers else wanted)
    claimed = passes[:, -1].mean()
    se = np.sqrt(delta * (1 - delta) / len(draws))
    assert 0.4 * delta < claimed <= delta + 3 * se
    assert passes.any(axis=1).mean() > 2 * delta


counted = st.integers(0, 40)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(counted, counted), min_size=1, max_size=4), st.integers(80, 200))
def test_worse_probes_a_smaller_eps_and_delta_never_give_an_earlier_exit(pairs, n):
    a, b = zip(*pairs)

    def depth(only_probe, eps, delta):
        found = early_exit(only_probe, b, n, delta, eps)
        return len(pairs) if found is None else found

    base = depth(a, 0.1, 0.2)
    assert depth([x + 1 for x in a], 0.1, 0.2) >= base
    assert depth(a, 0.05, 0.2) >= base
    assert depth(a, 0.1, 0.02) >= base


def test_a_probe_is_better_only_where_the_rows_say_so():
    """The sign test of 0 against 12 has 2^-12, of 3 against 9 it has .073."""
    found = better_than_network([0, 3, 5, 9], [12, 9, 5, 3], 200, 0.05, family=6)
    assert found.tolist() == [True, False, False, False]


def test_discordant_rows_are_counted():
    p, q = np.array([1, 1, 0, 0, 1], dtype=bool), np.array([1, 0, 1, 0, 0], dtype=bool)
    assert apart(p, q) == (2, 1)
    with pytest.raises(InvalidArgument, match="same n rows"):
        apart(p, q[:3])
