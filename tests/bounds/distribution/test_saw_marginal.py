"""The exchangeable one-sided inequality: golden values, enumeration, what it is not."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from margin_worlds import binary, from_margins, random_world

from ncbounds.bounds.distribution.saw_marginal import saw_marginal
from ncbounds.errors import MissingEvidence

GOLDEN = json.loads((Path(__file__).parents[2] / "golden.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["F.saw_one_sided"], ids=lambda g: str(g["inputs"]))
def test_golden(case, rng):
    n, t = int(case["inputs"]["n"]), float(case["inputs"]["t"])
    z = rng.normal(size=n)
    x = t + (z - z.mean()) / z.std(ddof=1)
    result = saw_marginal(binary(x))
    assert result.value == pytest.approx(float(case["value"]), rel=1e-9)


def test_smallest_margin_and_weights():
    # class 0: smallest margins 1 and 3, t = sqrt 2, n = 2: (1 + floor(2 / 5)) / 3
    first = np.array([[1.0, 9.0], [7.0, 3.0]])
    still = np.full((4, 2), 4.0)
    behind = np.full((4, 2), -4.0)
    result = saw_marginal(from_margins([first, still, behind]))
    np.testing.assert_allclose(result.details["per class"], [1 / 3, 1 / 5, 1.0], rtol=1e-12)
    assert result.value == pytest.approx((2 / 3 + 4 / 5 + 4) / 10, rel=1e-12)


def test_holds_on_average_for_a_fixed_t_by_enumeration():
    # all samples of 4 and a new point from three atoms: the statement with t fixed beforehand
    atoms, weights = (-3.0, 0.0, 1.0), (0.1, 0.3, 0.6)
    n = 4
    for t in (0.5, 1.0, 1.3):
        chance = 0.0
        for draw in product(range(3), repeat=n + 1):
            x = np.array([atoms[i] for i in draw])
            mean, sd = x[:n].mean(), x[:n].std(ddof=1)
            event = x[n] <= mean - t * sd if sd > 1e-12 else x[n] < mean - 1e-12
            chance += event * np.prod([weights[i] for i in draw])
        shifted = np.array([-1.0, 1.0, -1.0, 1.0])
        sample = t + shifted / shifted.std(ddof=1)
        assert chance <= saw_marginal(binary(sample)).value + 1e-12


def test_never_below_one_over_n_plus_one():
    for seed in range(5):
        ev = random_world(seed, spread=0.1)
        floor = 1 / (ev.holdout.counts + 1)
        assert (saw_marginal(ev).details["per class"] >= floor).all()


def test_reads_holdout_only_and_says_what_it_is_not():
    result = saw_marginal(random_world(1))
    assert result.kind == "plug-in"
    assert "fixed beforehand" in result.reasons[0]
    with pytest.raises(MissingEvidence):
        saw_marginal(random_world(1, role="head"))


def test_it_fails_given_the_sample():
    rng = np.random.default_rng(4)
    d, reached = 3.0, 0
    for _ in range(200):
        x = np.where(rng.random(1000) < 0.1, 0.0, (1 + d * d) / d)
        reached += saw_marginal(binary(x[:500], x[500:])).value >= 0.1
    assert 0.4 < reached / 200 < 0.7
