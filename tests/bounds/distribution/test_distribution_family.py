"""What all rows of the family share: invariances, kinds, limits, impossible points, JSON."""

import json

import numpy as np
import pytest
from margin_worlds import evidence, from_margins, random_world
from scipy.stats import special_ortho_group

from ncbounds.bounds import distribution
from ncbounds.bounds.bibliography import REFERENCES
from ncbounds.bounds.distribution import BOUNDS
from ncbounds.claims import Saved
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.results import result_from_dict

CHEAP = [b for b in BOUNDS if b.id != "minimax_head"]
every = pytest.mark.parametrize("row", CHEAP, ids=lambda b: b.id)


def value(row, features, labels, weight, bias):
    return row(evidence(features, labels, weight, bias)).value


@pytest.fixture(scope="module")
def world():
    ev = random_world(7, classes=5, dim=6, n=250, spread=1.3)
    return ev.holdout.features, ev.holdout.labels, ev.head.weight, ev.head.bias


@every
def test_invariances(row, world):
    f, y, w, b = world
    base = value(row, f, y, w, b)
    assert 0 < base < 1
    close = pytest.approx(
        base, rel=1e-5 if row.id in ("two_moment_tight", "star_unimodal") else 1e-8
    )
    order = np.array([3, 0, 4, 1, 2])
    place = np.argsort(order)
    assert value(row, f, place[y], w[order], b[order]) == close
    turn = special_ortho_group.rvs(6, random_state=3)
    assert value(row, f @ turn.T, y, w @ turn.T, b) == close
    assert value(row, 1000 * f, y, w / 1000, b) == close
    assert value(row, f, y, 0.01 * w, 0.01 * b) == close
    assert value(row, f, y, w + np.arange(6.0), b - 7.0) == close
    shift = np.linspace(-3, 3, 6)
    assert value(row, f + shift, y, w, b - w @ shift) == close
    shuffled = np.random.default_rng(0).permutation(len(y))
    assert value(row, f[shuffled], y[shuffled], w, b) == pytest.approx(base, rel=1e-8)


@every
def test_inputs_are_not_changed(row, world):
    f, y, w, b = (np.array(a) for a in world)
    row(evidence(f, y, w, b))
    for before, after in zip(world, (f, y, w, b), strict=True):
        np.testing.assert_array_equal(before, after)


@every
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_point_that_is_not_finite_makes_its_class_one(row, world, bad):
    f, y, w, b = (np.array(a) for a in world)
    f[np.flatnonzero(y == 2)[0], 1] = bad
    with np.errstate(invalid="ignore"):
        result = row(evidence(f, y, w, b))
    assert result.details["per class"][2] == 1.0
    assert result.value >= (y == 2).mean()


@every
def test_a_logit_of_minus_infinity_is_no_large_margin(row):
    m = np.random.default_rng(0).normal(5, 1, (3, 30, 2))
    ev = from_margins(list(m))
    f = np.array(ev.holdout.features)
    f[0, 1] = -1e300
    weight = np.eye(3)
    weight[1, 1] = 1e10  # overflows to a logit of -inf: not finite, hence an error
    with np.errstate(over="ignore", invalid="ignore"):
        result = row(evidence(f, ev.holdout.labels, weight))
    assert result.details["per class"][0] == 1.0


@every
def test_classes_without_moments_count_as_one(row, world):
    f, y, w, b = world
    one_point = np.concatenate([np.flatnonzero(y != 4), np.flatnonzero(y == 4)[:1]])
    assert row(evidence(f[one_point], y[one_point], w, b)).details["per class"][4] == 1.0
    without_output = row(evidence(f, y, w[:4], b[:4]))
    assert without_output.details["per class"][4] == 1.0
    assert without_output.value >= (y == 4).mean()


@every
def test_broken_head_gives_one(row, world):
    f, y, w, b = (np.array(a) for a in world)
    assert value(row, f, y, 0 * w, 0 * b) >= 1.0
    w[0, 0] = np.nan
    assert value(row, f, y, w, b) >= 1.0


@every
def test_ties_and_no_spread(row):
    tie, right = np.zeros((5, 2)), np.full((5, 2), 2.0)
    per_class = row(from_margins([tie, right, right])).details["per class"]
    assert per_class[0] == 1.0
    expected = {"gaussian_tolerance": 1.0, "saw_marginal": 1 / 6}.get(row.id, 0.0)
    assert per_class[1] == pytest.approx(expected, abs=1e-12)


@every
def test_weighted_by_class_frequencies(row, world):
    ev = evidence(*world, sampling="stratified")
    result = row(ev)
    counts = ev.holdout.counts
    assert result.value == pytest.approx(counts @ result.details["per class"] / 250, rel=1e-12)
    np.testing.assert_allclose(result.claim.weights, counts / 250)
    assert row(evidence(*world)).claim == Saved()
    assert result.n == 250


@every
def test_kind_on_every_role(row, world):
    for role in ("holdout", "head", "fit"):
        if row.role == "holdout" and role == "head":
            continue
        result = row(evidence(*world, role=role), role=role)
        best = role == "holdout" and row.id == "gaussian_tolerance"
        assert result.kind == ("conditional" if best else "plug-in")
        assert set(row.assumptions) <= set(result.reasons)
        if role == "fit":
            assert any("fitted on this sample" in reason for reason in result.reasons)


@every
def test_json_round_trip(row, world):
    result = row(evidence(*world))
    back = result_from_dict(json.loads(json.dumps(result.to_dict())))
    assert back.value == result.value
    assert back.reasons == result.reasons


@pytest.mark.parametrize("seed", range(12))
def test_order(seed):
    ev = random_world(seed, classes=4, dim=5, n=160, spread=0.5 + 0.2 * seed)
    v = {b.id: np.asarray(b(ev).details["per class"]) for b in CHEAP}
    tolerance = 1 + 1e-6
    for smaller, larger in (
        ("two_moment_tight", "cantelli_union"),
        ("two_moment_tight", "mahalanobis_ball"),
        ("unimodal_union", "cantelli_union"),
        ("min_margin_unimodal", "min_margin_cantelli"),
        ("gaussian_union", "unimodal_union"),
        ("gaussian_union", "gaussian_tolerance"),
    ):
        assert (v[smaller] <= v[larger] * tolerance).all(), (smaller, larger)


def test_decreasing_in_delta_and_points():
    ev = random_world(2, n=300)
    row = distribution.gaussian_tolerance
    values = [row(ev, delta).value for delta in (0.001, 0.01, 0.05, 0.2, 0.5)]
    assert values == sorted(values, reverse=True)
    # every point k times, and the deviation kept: only n grows
    previous = np.inf
    rng = np.random.default_rng(0)
    for n in (10, 20, 40, 80):
        z = np.repeat(rng.normal(size=10), n // 10)
        x = 2.0 + (z - z.mean()) / z.std(ddof=1)
        found = row(from_margins([x[:, None]] * 2)).value
        assert found < previous
        previous = found


def test_references_exist_and_are_cited():
    for b in BOUNDS:
        assert set(b.references) <= set(REFERENCES.shipped)
        for number in range(1, len(b.references) + 1):
            assert f"[{number}]_" in b.function.__doc__, (b.id, number)


def test_moments_are_computed_once_per_sample_and_head(world):
    from ncbounds.bounds.distribution._margin_moments import margin_moments

    ev = evidence(*world)
    kept = margin_moments(ev.holdout, ev.head)
    assert margin_moments(ev.holdout, ev.head) is kept
    other = LinearHead(2.0 * ev.head.weight, ev.head.bias)
    changed = margin_moments(ev.holdout, other)
    assert changed is not kept
    assert not np.allclose(changed.means, kept.means)
    # a head of the same numbers in another object is another head; nothing stale comes back
    assert np.allclose(margin_moments(ev.holdout, ev.head).means, kept.means)


def test_centred_before_squaring():
    # class means of 1e6 and deviations of 1e-3 in float64: raw second moments would lose them
    rng = np.random.default_rng(1)
    z = 1e-3 * rng.normal(size=(500, 2))
    ev = from_margins([1e6 + z] * 3)
    from ncbounds.bounds.distribution._margin_moments import margin_moments

    moments = margin_moments(ev.holdout, ev.head)
    expected = np.var((1e6 + z) - 1e6, axis=0, ddof=1)
    np.testing.assert_allclose(moments.variances[0], expected, rtol=1e-6)
    np.testing.assert_allclose(moments.covariance(0).variances, expected, rtol=1e-6)


def test_evidence_is_not_touched_by_evaluation_order(world):
    ev = evidence(*world)
    forward = [b(ev).value for b in CHEAP]
    fresh = Evidence(head=ev.head, holdout=evidence(*world).holdout)
    backward = [b(fresh).value for b in reversed(CHEAP)]
    assert forward == backward[::-1]
