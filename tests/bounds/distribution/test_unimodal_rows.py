"""Unimodal rows: golden values, the law that attains the inequality, factors, simulation."""

import json
from pathlib import Path

import numpy as np
import pytest
from margin_worlds import binary, evidence, from_margins, random_world, simplex, slow_moments

from ncbounds.bounds.distribution.cantelli_union import cantelli_union
from ncbounds.bounds.distribution.min_margin_cantelli import min_margin_cantelli
from ncbounds.bounds.distribution.min_margin_unimodal import min_margin_unimodal
from ncbounds.bounds.distribution.star_unimodal import star_unimodal
from ncbounds.bounds.distribution.unimodal_union import unimodal_union

GOLDEN = json.loads((Path(__file__).parents[2] / "golden.json").read_text())


@pytest.mark.parametrize("row", [min_margin_unimodal, unimodal_union], ids=lambda r: r.id)
@pytest.mark.parametrize("case", GOLDEN["F.unimodal_one_sided"], ids=lambda g: str(g["inputs"]))
def test_golden(row, case):
    d = float(case["inputs"]["d"])
    z = np.array([-1.0, 1.0]) / np.sqrt(2)  # mean 0, variance 1
    assert row(binary(d + z)).value == pytest.approx(float(case["value"]), rel=1e-9)


def slow_u(x):
    mean, sd = np.mean(x), np.std(x, ddof=1)
    if mean <= 0:
        return 1.0
    square = (mean / sd) ** 2
    return 4 / (9 * (1 + square)) if square >= 5 / 3 else (3 - square) / (3 * (1 + square))


@pytest.mark.parametrize("seed", range(4))
def test_equal_slow_forms(seed):
    ev = random_world(seed, spread=2.0)
    scalar, union = 0.0, 0.0
    for m in slow_moments(ev):
        scalar += len(m) * slow_u([min(row) for row in m])
        union += len(m) * min(1.0, sum(slow_u(m[:, j]) for j in range(m.shape[1])))
    assert min_margin_unimodal(ev).value == pytest.approx(scalar / 200, rel=1e-12)
    assert unimodal_union(ev).value == pytest.approx(union / 200, rel=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_never_above_the_bound_without_shape(seed):
    ev = random_world(seed, spread=1.0 + seed)
    for shaped, free in (
        (min_margin_unimodal, min_margin_cantelli),
        (unimodal_union, cantelli_union),
    ):
        a, b = shaped(ev).details["per class"], free(ev).details["per class"]
        assert (a <= b).all()
        assert (a >= 4 / 9 * b * (1 - 1e-12)).all()


def test_the_extremal_unimodal_law_is_met():
    # an atom at the mode and a uniform part that reaches below 0: P(X <= 0) = 4 / (9 (1 + d^2))
    d = 3.0
    p = 4 / (3 * (1 + d * d))  # mass of the uniform part on [mode - 2 r, mode]
    draws = (np.arange(200_000) + 0.5) / 200_000
    spread = np.where(draws < p, draws / p, 1.0)  # 1 at the mode, uniform below
    # shifted so that the lowest third of the uniform part is below 0
    x = spread - 1 / 3
    value = min_margin_unimodal(binary(x)).value
    mean, sd = x.mean(), x.std()
    assert mean / sd == pytest.approx(d, rel=1e-3)
    assert (x <= 0).mean() == pytest.approx(value, rel=1e-3)


def test_star_factor_golden_and_one_rival():
    for case in GOLDEN["F.star_factor"]:
        alpha = int(case["inputs"]["alpha"])
        if alpha in (1, 3, 9):
            rng = np.random.default_rng(alpha)
            details = star_unimodal(simplex(rng, alpha, 30)).details
            assert details["factor"] == pytest.approx(float(case["value"]), rel=1e-9)
    # one rival: 4/9 of 1/d^2 (Gauss), also at less than one deviation
    assert star_unimodal(binary([1.0, 3.0])).value == pytest.approx(4 / 9 / 2, rel=1e-6)
    below_one = star_unimodal(binary(0.8 + np.array([-1.0, 1.0]) / np.sqrt(2))).value
    assert below_one == pytest.approx(4 / 9 / 0.64, rel=1e-6)


@pytest.mark.parametrize(("k", "d"), [(3, 6.0), (9, 12.0), (20, 30.0)])
def test_star_of_equal_rivals_in_closed_form(k, d, rng):
    root = (k - 1) * np.sqrt(0.5) + np.sqrt(1 + (k - 1) * 0.5)  # trace of R^(1/2)
    factor = (2 / (k + 2)) ** (2 / k)
    expected = factor * root**2 / (k * d * d)
    assert star_unimodal(simplex(rng, k, d)).value == pytest.approx(expected, rel=3e-6)


def test_star_uses_the_smaller_of_rivals_and_dimension(rng):
    means = 30.0 * rng.normal(size=(6, 2))
    labels = np.repeat(np.arange(6), 20)
    ev = evidence(
        means[labels] + 0.1 * rng.normal(size=(120, 2)),
        labels,
        means,
        -0.5 * (means**2).sum(axis=1),
    )
    assert star_unimodal(ev).details["factor"] == pytest.approx(0.5, rel=1e-12)


def test_star_is_not_clipped_before_the_factor(rng):
    # B0 = 1.05 at k = 3: clipping it first would give the factor itself
    k, factor = 3, (2 / 5) ** (2 / 3)
    root = (k - 1) * np.sqrt(0.5) + np.sqrt(1 + (k - 1) * 0.5)
    d = root / np.sqrt(1.05 * k)
    assert star_unimodal(simplex(rng, k, d)).value == pytest.approx(1.05 * factor, rel=1e-5)
    far_out = star_unimodal(simplex(rng, k, root / np.sqrt(5 * k)))
    assert far_out.value == 1.0


def test_star_holds_for_a_star_unimodal_law(rng):
    # uniform on a ball: star-unimodal about its mean, moments estimated from many points
    n, k = 20_000, 3
    z = rng.normal(size=(n, k))
    z *= (rng.random(n) ** (1 / k) / np.linalg.norm(z, axis=1))[:, None]
    for reach in (0.5, 0.8, 0.95):
        m = reach + z
        ev = from_margins([m] * 4)
        assert star_unimodal(ev).value >= (m <= 0).any(axis=1).mean()


def test_assumption_and_diagnostic_are_reported():
    ev = random_world(1)
    for row, words in (
        (min_margin_unimodal, "smallest margin is unimodal"),
        (unimodal_union, "pairwise margin is unimodal"),
        (star_unimodal, "star-unimodal"),
    ):
        result = row(ev)
        assert any(words in reason for reason in result.reasons)
        assert set(result.details["diagnostics"]) >= {"skewness", "excess kurtosis", "dip"}
