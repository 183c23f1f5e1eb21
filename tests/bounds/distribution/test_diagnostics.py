"""Dip and normality diagnostics against independent forms."""

import numpy as np
import pytest
from margin_worlds import binary, from_margins, random_world
from scipy import stats
from scipy.optimize import linprog

from ncbounds.bounds.distribution._diagnostics import normality, unimodality
from ncbounds.bounds.distribution._dip import dip
from ncbounds.bounds.distribution._margin_moments import MarginMoments, margin_moments


def slow_dip(values):
    """Distance to the nearest unimodal law by one linear program per mode."""
    x, jumps = np.unique(values, return_counts=True)
    k, n = len(x), jumps.sum()
    above = np.cumsum(jumps) / n
    below = above - jumps / n
    best = 1.0
    for mode in range(k):
        # g at the points (at the mode: after its jump), g before the jump at the mode, distance
        rows, limits = [], []

        def need(limit, *terms, rows=rows, limits=limits):
            row = np.zeros(k + 2)
            for index, factor in terms:
                row[index] += factor
            rows.append(row)
            limits.append(limit)

        for i in range(k):
            before = k if i == mode else i
            for target, index in ((above[i], i), (below[i], before)):
                need(target, (index, 1), (k + 1, -1))
                need(-target, (index, -1), (k + 1, -1))
        need(0, (k, 1), (mode, -1))
        left, right = [*range(mode), k], [*range(mode, k)]
        for part, at, sign in ((left, x[: mode + 1], 1), (right, x[mode:], -1)):
            for p in range(len(part) - 1):
                need(0, (part[p], 1), (part[p + 1], -1))
            for p in range(1, len(part) - 1):
                a, b = 1 / (at[p] - at[p - 1]), 1 / (at[p + 1] - at[p])
                need(
                    0, (part[p], sign * (a + b)), (part[p - 1], -sign * a), (part[p + 1], -sign * b)
                )
        cost = np.zeros(k + 2)
        cost[-1] = 1
        found = linprog(cost, np.array(rows), limits, bounds=(0, 1), method="highs")
        if found.status == 0:
            best = min(best, found.fun)
    return best


@pytest.mark.parametrize("seed", range(60))
def test_dip_equals_the_linear_program(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 14))
    values = (
        rng.normal(size=n),
        rng.integers(0, 6, n).astype(float),
        rng.normal(size=n) + 5.0 * (rng.random(n) < 0.5),
        rng.exponential(size=n),
    )[seed % 4]
    assert dip(values) == pytest.approx(slow_dip(values), abs=1e-9)


def test_dip_of_known_samples():
    assert dip(np.arange(50.0)) == pytest.approx(1 / 100)
    assert dip(np.array([0.0] * 8 + [1.0] * 8)) == pytest.approx(1 / 4)
    assert dip(np.full(7, 3.0)) == 0.0
    # two clusters: the unimodal law may slope by the width of a cluster over the gap
    halves = np.concatenate([np.linspace(0, 1, 500), np.linspace(100, 101, 500)])
    assert dip(halves) == pytest.approx(0.25 * (1 - 1 / 100), abs=1e-4)
    rng = np.random.default_rng(2)
    x = rng.normal(size=300)
    assert dip(7 * x - 3) == pytest.approx(dip(x), rel=1e-12)
    assert dip(-x) == pytest.approx(dip(x), rel=1e-12)


def test_normality_equals_scipy():
    ev = random_world(3, classes=3, n=150)
    moments = margin_moments(ev.holdout, ev.head)
    found = normality(moments)
    p, extreme = [], []
    for c in range(3):
        m = moments.margins(c)
        x = m.min(axis=1)
        assert found["skewness"][c] == pytest.approx(stats.skew(x))
        assert found["excess kurtosis"][c] == pytest.approx(stats.kurtosis(x))
        p += [stats.jarque_bera(m[:, j]).pvalue for j in range(2)]
        extreme.append(np.abs(stats.zscore(m)).max())
    assert found["Jarque-Bera p"] == pytest.approx(min(1.0, 6 * min(p)))
    assert found["largest standardised margin"] == pytest.approx(max(extreme))


def test_they_see_what_they_should():
    rng = np.random.default_rng(5)

    def look(x, of):
        ev = binary(x)
        return of(margin_moments(ev.holdout, ev.head))

    assert look(rng.normal(5, 1, 800), normality)["Jarque-Bera p"] > 1e-3
    heavy = look(5 + rng.standard_t(3, 800), normality)
    assert heavy["Jarque-Bera p"] < 1e-12
    assert heavy["largest standardised margin"] > 6
    assert look(5 - rng.exponential(size=800), normality)["skewness"][0] < -1
    assert look(rng.normal(5, 1, 800), unimodality)["dip sqrt n"] < 0.5
    assert (
        look(rng.normal(5, 1, 800) + 8 * (rng.random(800) < 0.5), unimodality)["dip sqrt n"] > 1.5
    )


def test_the_largest_dips_over_the_classes_are_shown():
    """Halves at 0 and 1 dip by 1/4, an even grid of n points by 1/(2n)."""
    moments = MarginMoments(
        np.column_stack(
            [np.r_[1 + np.arange(9.0), np.zeros(40)], np.r_[np.zeros(9), [2.0, 3] * 20]]
        ),
        (np.arange(9), np.arange(9, 49)),
        np.array([9, 40]),
    )
    found = unimodality(moments)
    assert found["dip"] == pytest.approx(1 / 4)
    assert found["dip sqrt n"] == pytest.approx(np.sqrt(40) / 4)


def test_undefined_without_points():
    ev = from_margins([np.array([[1.0], [2.0]])] * 2)
    moments = margin_moments(ev.holdout, ev.head)
    for found in (normality(moments), unimodality(moments)):
        assert np.isnan(found["skewness"]).all()
    assert np.isnan(normality(moments)["Jarque-Bera p"])
    assert np.isnan(unimodality(moments)["dip"])


def test_still_margins_are_no_failure():
    ev = from_margins([np.full((10, 2), 4.0)] * 3)
    moments = margin_moments(ev.holdout, ev.head)
    assert normality(moments)["Jarque-Bera p"] <= 1.0
    assert unimodality(moments)["dip"] == 0.0
