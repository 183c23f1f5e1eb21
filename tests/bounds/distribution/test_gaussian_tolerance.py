"""Gaussian rows: golden values, slow form, exact coverage, the failures in the docstring."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from margin_worlds import binary, evidence, from_margins, random_world, slow_moments
from scipy import optimize, stats

from ncbounds.bounds.distribution.gaussian_tolerance import (
    gaussian_tolerance,
    gaussian_tolerance_formula,
    tolerance_limits,
)
from ncbounds.bounds.distribution.gaussian_union import gaussian_union
from ncbounds.claims import Saved

GOLDEN = json.loads((Path(__file__).parents[2] / "golden.json").read_text())


def exactly(rng, n, mean):
    """``n`` numbers of sample mean ``mean`` and sample deviation 1."""
    z = rng.normal(size=n)
    return mean + (z - z.mean()) / z.std(ddof=1)


@pytest.mark.parametrize("case", GOLDEN["F.nct_p_upper"], ids=lambda g: str(g["inputs"]))
def test_golden(case, rng):
    # two classes, drawn class by class: each pair gets half of delta, and there is no other term
    n, ratio, delta = (float(case["inputs"][key]) for key in ("n", "xbar_over_s", "delta"))
    x = exactly(rng, int(n), ratio)
    result = gaussian_tolerance(binary(x, sampling="stratified"), 2 * delta)
    assert result.kind == "conditional"
    assert result.value == pytest.approx(float(case["value"]), rel=2e-9)
    assert result.value >= float(case["value"]) * (1 - 1e-11)


def slow_limit(x, delta):
    n, t = len(x), np.sqrt(len(x)) * np.mean(x) / np.std(x, ddof=1)
    excess = lambda nc: stats.nct.sf(t, n - 1, nc) - delta  # noqa: E731
    return stats.norm.cdf(-optimize.brentq(excess, t - 30, t + 10, xtol=1e-12) / np.sqrt(n))


@pytest.mark.parametrize("sampling", ["iid", "stratified"])
def test_equals_a_slow_form(sampling):
    ev = random_world(2, classes=4, n=240, spread=1.2, sampling=sampling)
    delta, classes, n = 0.1, 4, 240
    share = delta if sampling == "stratified" else 0.9 * delta
    per_class = []
    for m in slow_moments(ev):
        limits = [slow_limit(m[:, j], share / (classes * (classes - 1))) for j in range(3)]
        per_class.append(min(1.0, sum(limits)))
    weighted = sum(len(m) / n * p for m, p in zip(slow_moments(ev), per_class, strict=True))
    tau = 0.5 * (np.sqrt(3 / n) + np.sqrt(2 * np.log(10 / delta) / n))
    result = gaussian_tolerance(ev, delta)
    frequencies = 0.0 if sampling == "stratified" else tau * np.ptp(per_class)
    assert 0.001 < weighted < 0.5
    assert result.value == pytest.approx(weighted + frequencies, rel=1e-6)
    assert result.terms["weighted classes"] == pytest.approx(weighted, rel=1e-6)
    assert sum(result.terms.values()) == pytest.approx(result.value, rel=1e-12)


def test_labels_that_the_law_can_produce_share_delta():
    ev = random_world(4, classes=3, n=200)
    sample = ev.holdout
    wider = evidence(sample.features, sample.labels, ev.head.weight, ev.head.bias, classes=5)
    narrow, wide = gaussian_tolerance(ev), gaussian_tolerance(wider)
    assert wide.value > narrow.value
    pair = 0.9 * 0.05 / (5 * 4)
    for c, m in enumerate(slow_moments(ev)):
        expected = sum(slow_limit(m[:, j], pair) for j in range(2))
        assert wide.details["per class"][c] == pytest.approx(min(1.0, expected), rel=1e-6)
    # a class that was not drawn may be all errors: the frequency term counts it fully
    assert wide.terms["class frequencies"] > 0.05
    np.testing.assert_array_equal(wide.details["per class"][3:], 1.0)


def test_no_spread_says_nothing(rng):
    one = gaussian_tolerance(binary([3.0] * 50, sampling="stratified")).value
    assert 1.0 <= one < 1.0 + 1e-12
    # spread by rounding alone
    wobble = 3.0 + 1e-15 * rng.integers(-2, 3, 50)
    assert gaussian_tolerance(binary(wobble, sampling="stratified")).value == one
    small = 3.0 + 1e-9 * rng.normal(size=50)
    assert gaussian_tolerance(binary(small, sampling="stratified")).value < 1e-100


def test_conditional_only_on_a_fresh_sample():
    reasons = "every pairwise margin is Gaussian within its class"
    for role, sampling, kind in (
        ("holdout", "iid", "conditional"),
        ("holdout", "stratified", "conditional"),
        ("holdout", "unknown", "plug-in"),
        ("head", "iid", "plug-in"),
        ("fit", "iid", "plug-in"),
    ):
        result = gaussian_tolerance(random_world(1, role=role, sampling=sampling), role=role)
        assert result.kind == kind
        assert reasons in result.reasons


def test_weights_only_if_the_counts_were_fixed():
    weights = gaussian_tolerance(random_world(1, sampling="stratified")).claim.weights
    assert weights.sum() == pytest.approx(1.0)
    assert gaussian_tolerance(random_world(1)).claim == Saved()


def rate_is(hits, draws, probability, level=1e-6):
    return stats.binomtest(int(hits), draws, probability).pvalue > level


def test_each_pair_fails_exactly_as_often_as_it_may():
    # the heart of the statement is exact, so that one point or one degree of freedom shows
    draws, n, d, delta = 6_000, 12, 1.0, 0.2
    x = np.random.default_rng(8).normal(d, 1, (draws, n))
    limits = gaussian_tolerance_formula(x.mean(axis=1), x.std(axis=1, ddof=1), n, delta)
    below = (limits < stats.norm.sf(d)).sum()
    assert rate_is(below, draws, delta)


@pytest.mark.parametrize("sampling", ["iid", "stratified"])
def test_covers_gaussian_classes(sampling):
    # three rare to frequent classes, correlated margins, true error by the orthant probability
    rng = np.random.default_rng(9)
    priors, draws, n = np.array([0.6, 0.3, 0.1]), 50, 90
    means = np.array([[2.0, 0.0], [-1.0, 1.8], [-1.0, -1.8]])
    weight, bias = means, -0.5 * (means**2).sum(axis=1)
    errors = []
    for c in range(3):
        rows = np.delete(weight[c] - weight, c, axis=0)
        gap = rows @ means[c] + np.delete(bias[c] - bias, c)
        right = stats.multivariate_normal(-gap, rows @ rows.T, seed=1).cdf([0.0, 0.0])
        errors.append(1 - right)
    truth = float(priors @ errors)
    fixed = np.repeat(np.arange(3), (priors * n).astype(int))
    below = 0
    for _ in range(draws):
        labels = fixed if sampling == "stratified" else rng.choice(3, n, p=priors)
        features = means[labels] + rng.normal(size=(n, 2))
        ev = evidence(features, labels, weight, bias, sampling=sampling, classes=3)
        below += gaussian_tolerance(ev, 0.05).value < truth
    assert stats.binomtest(below, draws, 0.05, alternative="greater").pvalue > 1e-6


LAWS = {
    "Gaussian": lambda r, n, d: r.normal(d, 1, n),
    "t": lambda r, n, d: d + r.standard_t(3, n) / np.sqrt(3),
    "exponential": lambda r, n, d: d + 1 - r.exponential(size=n),
    "two-point": lambda r, n, d: np.where(r.random(n) < 1 / (1 + d * d), 0.0, (1 + d * d) / d),
}
TRUTH = {
    "Gaussian": stats.norm.sf,
    "t": lambda d: stats.t.sf(d * np.sqrt(3), 3),
    "exponential": lambda d: np.exp(-(d + 1)),
    "two-point": lambda d: 1 / (1 + d * d),
}
#: law -> (share below the true error, median value / true error) at (n_c, d), as documented
MEASURED = {
    ("Gaussian", 50, 3): (0.003, 7.2),
    ("Gaussian", 500, 3): (0.003, 2.0),
    ("Gaussian", 500, 5): (0.003, 5.7),
    ("t", 50, 3): (0.556, 0.83),
    ("t", 500, 3): (0.898, 0.29),
    ("t", 500, 5): (0.983, 6e-4),
    ("exponential", 50, 3): (0.718, 0.58),
    ("exponential", 500, 3): (1.0, 0.15),
    ("exponential", 500, 5): (1.0, 8e-4),
    ("two-point", 50, 3): (0.986, 0.15),
    ("two-point", 500, 3): (1.0, 0.027),
    ("two-point", 500, 5): (1.0, 7e-5),
}


def simulate(law, n, d, draws):
    rng = np.random.default_rng(3)
    x = np.stack([LAWS[law](rng, 2 * n, d) for _ in range(draws)]).reshape(draws, 2, n)
    # two classes of equal size, whose limits get half of delta each
    limits = gaussian_tolerance_formula(x.mean(axis=2), x.std(axis=2, ddof=1), n, 0.025)
    values = limits.mean(axis=1)
    for (one, other), value in zip(x[:2], values[:2], strict=True):
        row = gaussian_tolerance(binary(one, other, sampling="stratified"), 0.05)
        assert row.value == pytest.approx(value, rel=1e-9)
    return values, TRUTH[law](d)


@pytest.mark.parametrize("case", [k for k in MEASURED if k[1:] == (50, 3)], ids=str)
def test_failures_in_the_docstring(case):
    values, truth = simulate(*case, draws=200)
    share, ratio = MEASURED[case]
    assert rate_is((values < truth).sum(), 200, share)
    assert np.median(values) / truth == pytest.approx(ratio, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("case", MEASURED, ids=str)
def test_failures_in_the_docstring_in_full(case):
    values, truth = simulate(*case, draws=1000)
    share, ratio = MEASURED[case]
    assert (values < truth).mean() == pytest.approx(share, abs=6e-4)
    assert np.median(values) / truth == pytest.approx(ratio, rel=0.1)


def test_the_table_is_in_the_docstring():
    text = gaussian_tolerance.function.__doc__
    for share, _ in MEASURED.values():
        assert f"{share:.3f}".removeprefix("0") in text


@pytest.mark.parametrize("seed", range(3))
def test_union_equals_a_slow_form(seed):
    ev = random_world(seed, spread=1.5)
    total = 0.0
    for m in slow_moments(ev):
        tails = [stats.norm.sf(x.mean() / x.std(ddof=1)) for x in m.T]
        total += len(m) * min(1.0, sum(tails))
    result = gaussian_union(ev)
    assert result.value == pytest.approx(total / 200, rel=1e-10)
    assert result.kind == "plug-in"
    assert result.value <= gaussian_tolerance(ev).value


def test_union_covers_in_only_half_of_the_draws():
    rng = np.random.default_rng(6)
    below = 0
    for _ in range(200):
        ev = binary(rng.normal(2, 1, 200), rng.normal(2, 1, 200))
        below += gaussian_union(ev).value < stats.norm.sf(2)
    assert rate_is(below, 200, 0.5, level=1e-4)


def test_rivals_add_up_in_the_union():
    m = np.array([[1.0, 2.0], [3.0, 6.0]])  # mean / deviation is sqrt(2) for both
    value = gaussian_union(from_margins([m] * 3)).value
    assert value == pytest.approx(2 * stats.norm.sf(np.sqrt(2)), rel=1e-12)


def test_limits_of_many_margins_are_never_below_their_own(rng, monkeypatch):
    mean, sd = rng.normal(3, 2, 400), rng.uniform(0.5, 2.0, 400)
    noise = np.zeros(400)
    noise[:5] = 10.0
    own = gaussian_tolerance_formula(mean, sd, 30, 1e-4, noise=noise)
    monkeypatch.setattr(sys.modules[tolerance_limits.__module__], "EACH", 60)
    monkeypatch.setattr(sys.modules[tolerance_limits.__module__], "SOME", 40)
    found = tolerance_limits(mean, sd, noise, np.full(len(mean), 30), 1e-4)
    assert (found >= own * (1 - 1e-12)).all()
    nearest = np.argsort(mean[5:] / sd[5:])[:60] + 5
    np.testing.assert_allclose(found[nearest], own[nearest], rtol=1e-12)
    assert found.sum() < 1.1 * own.sum()
    assert (found[:5] == 1).all()
