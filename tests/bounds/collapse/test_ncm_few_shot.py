"""Exact mean and variance of the few-shot gap, its inequalities, and the row made of them."""

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from finite_laws import draw, evidence, exact, gap_law, random_law
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds.bounds.collapse._few_shot import (
    cantelli,
    class_union,
    gap_mean,
    gap_variance,
    pair_moments,
)
from ncbounds.bounds.collapse.ncm_few_shot import ncm_few_shot, worst_pair
from ncbounds.bounds.collapse.ncm_few_shot_gaussian import ncm_few_shot_gaussian
from ncbounds.bounds.collapse.ncm_luthra_2026 import luthra_pairs
from ncbounds.geometry.second_pass import second_pass
from ncbounds.results import result_from_dict

GOLDEN = json.loads((Path(__file__).parents[2] / "golden.json").read_text())
INF = float("inf")


def golden_pair(inputs):
    laws = [
        (np.array(inputs[f"atoms_{k}"], dtype=float), np.array(inputs[f"w_{k}"], dtype=float))
        for k in "ij"
    ]
    assert inputs["m_i"] == inputs["m_j"]
    return exact(laws), inputs["m_i"]


@pytest.mark.parametrize(
    ("item", "formula"),
    [
        ("E.ncc_EZ", gap_mean),
        ("E.ncc_VarZ", gap_variance),
        ("E.ncc_cantelli", lambda p, m: cantelli(gap_mean(p, m), gap_variance(p, m))),
    ],
)
def test_golden(item, formula):
    for case in GOLDEN[item]:
        p, m = golden_pair(case["inputs"])
        assert formula(p, m)[0, 1] == pytest.approx(float(case["value"]), rel=1e-9, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 3]), st.floats(0, 4))
def test_mean_and_variance_are_those_of_the_enumerated_gap(seed, m, gap):
    rng = np.random.default_rng(seed)
    laws = [random_law(rng), random_law(rng, gap=gap)]
    z, w = gap_law(*laws, m)
    p = exact(laws)
    mean, variance = gap_mean(p, m)[0, 1], gap_variance(p, m)[0, 1]
    assert mean == pytest.approx(w @ z, rel=1e-10, abs=1e-10)
    assert variance == pytest.approx(w @ (z - w @ z) ** 2, rel=1e-10, abs=1e-10)
    assert w[z <= 0].sum() <= cantelli(gap_mean(p, m), gap_variance(p, m))[0, 1] + 1e-12


def test_cantelli_by_hand_and_attained():
    # mean 2, variance 1: two atoms, 0 with 1/5 and 2.5 with 4/5
    assert cantelli(np.array([2.0]), np.array([1.0]))[0] == pytest.approx(0.2)
    edge = cantelli(np.array([1.0, 0.0, -1.0, 1.0, np.nan]), np.array([0.0, 0, 0, -1, 1]))
    assert edge[:4] == pytest.approx([0.0, 1.0, 1.0, 1.0])
    assert np.isnan(edge[4])
    assert np.isnan(cantelli(np.array([1.0]), np.array([np.nan]))[0])


def gaussian_pair(sd, d, p=64, rest=None):
    """Moments of two Gaussian classes at distance d along the first axis."""
    scale = np.full(p, float(sd if rest is None else rest))
    scale[0] = sd
    s2 = scale**2
    v, t2 = s2.sum(), (s2**2).sum()
    both = lambda x: np.full((2, 2), x)  # noqa: E731
    laws = exact([(np.zeros((1, p)), np.ones(1)), (d * np.eye(1, p), np.ones(1))])
    return type(laws)(
        variance=np.full(2, v),
        variance_squared=np.full(2, v * v),
        trace_of_square=np.full(2, t2),
        fourth=np.full(2, v * v + 2 * t2),
        trace_products=both(t2),
        dist2=laws.dist2,
        own=both(s2[0] * d * d),
        rival=both(s2[0] * d * d),
        rival_skew=both(0.0),
        usable=laws.usable,
        reasons=(),
    )


@pytest.mark.parametrize(
    ("pair", "m", "mine", "theirs"),
    [
        (gaussian_pair(1, 8), 1, 0.238, None),
        (gaussian_pair(1, 8), 10, 0.076, 4.3),
        (gaussian_pair(1, 8), 50, 0.062, 0.80),
        (gaussian_pair(0.5, 6, rest=2), 10, 0.406, 145),
        (gaussian_pair(0.5, 6, rest=2), 50, 0.133, 24),
        (gaussian_pair(0.1, 2), 10, 0.011, 0.25),
    ],
)
def test_closed_form_gaussian_classes(pair, m, mine, theirs):
    """Values computed elsewhere for p = 64, printed to two or three digits."""
    value = cantelli(gap_mean(pair, m), gap_variance(pair, m))[0, 1]
    assert value == pytest.approx(mine, rel=0.03)
    if theirs is not None:
        assert luthra_pairs(pair, m)[0, 1] == pytest.approx(theirs, rel=0.03)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([10, 20, 100, 10_000]))
def test_never_above_the_published_bound_with_the_same_moments(seed, m):
    rng = np.random.default_rng(seed)
    laws = [random_law(rng, d=3, gap=3.0 * c) for c in range(3)]
    p = exact(laws)
    mine = cantelli(gap_mean(p, m), gap_variance(p, m))
    theirs = luthra_pairs(p, m)
    off = ~np.eye(3, dtype=bool)
    assert (mine[off] <= theirs[off] * (1 + 1e-12)).all()


def test_infinitely_many_shots_leave_the_directional_variability():
    rng = np.random.default_rng(0)
    p = exact([random_law(rng), random_law(rng, gap=5.0)])
    limit = cantelli(gap_mean(p, INF), gap_variance(p, INF))[0, 1]
    v = p.own[0, 1] / p.dist2[0, 1] ** 2
    assert limit == pytest.approx(4 * v / (1 + 4 * v), rel=1e-12)
    near = cantelli(gap_mean(p, 1e9), gap_variance(p, 1e9))[0, 1]
    assert near == pytest.approx(limit, rel=1e-6)


def three_classes(n=40, d=5, seed=0, gap=4.0):
    rng = np.random.default_rng(seed)
    y = np.arange(3).repeat(n)
    return rng.normal(size=(3 * n, d)) ** 2 + gap * np.eye(3, d)[y], y


@pytest.mark.parametrize("m", [1, 5, 10, INF])
def test_plug_in_moments_are_those_of_the_empirical_law(m):
    f, y = three_classes()
    laws = [(f[y == c], np.full(40, 1 / 40)) for c in range(3)]
    p = exact(laws)
    value = class_union(cantelli(gap_mean(p, m), gap_variance(p, m))).mean()
    row = ncm_few_shot(evidence(f, y), m=m, moments="plug-in")
    assert row.value == pytest.approx(value, rel=1e-10)


def test_corrected_variance_is_unbiased_for_a_skewed_law():
    """3,000 samples of five points: the mean of estimates within 5 standard errors."""
    from ncbounds.statistics.moments import class_moments
    from ncbounds.statistics.pair_moments import pairwise_moments
    from ncbounds.statistics.unbiased import corrected

    rng = np.random.default_rng(5)
    laws = [random_law(rng), random_law(rng, gap=2.0)]
    truth = exact(laws)
    y = np.repeat([0, 1], 5)
    found = []
    for _ in range(1000):
        f = np.concatenate([draw(law, 5, rng) for law in laws])
        p = corrected(pairwise_moments(f, y, class_moments(f, y, 2)))
        found.append([gap_variance(p, 5)[0, 1], gap_variance(p, 5)[1, 0], gap_mean(p, 5)[0, 1]])
    found = np.array(found)
    error = found.std(axis=0) / np.sqrt(len(found))
    want = [gap_variance(truth, 5)[0, 1], gap_variance(truth, 5)[1, 0], gap_mean(truth, 5)[0, 1]]
    assert (np.abs(found.mean(axis=0) - want) < 5 * error).all()


def test_many_points_give_the_population_value():
    rng = np.random.default_rng(1)
    laws = [random_law(rng, gap=4.0 * c) for c in range(3)]
    n = 40_000
    f = np.concatenate([draw(law, n, rng) for law in laws])
    y = np.arange(3).repeat(n)
    p = exact(laws)
    for m in (5, INF):
        value = class_union(cantelli(gap_mean(p, m), gap_variance(p, m))).mean()
        assert ncm_few_shot(evidence(f, y), m=m).value == pytest.approx(value, rel=0.03)


def few_shot_truth(draw_class, classes, m, rng, draws=4000):
    """Monte Carlo of the m-shot error of nearest class mean, with one query per class."""
    wrong = 0
    for _ in range(draws):
        means = np.stack([draw_class(c, m).mean(axis=0) for c in range(classes)])
        for c in range(classes):
            z = draw_class(c, 1)[0]
            distance = ((z - means) ** 2).sum(axis=1)
            wrong += distance[c] >= np.delete(distance, c).min()
    return wrong / (draws * classes)


def test_bounds_the_error_where_the_gaussian_predictor_fails():
    rng = np.random.default_rng(2)
    d, gap = 64, 8.0

    def draw_class(c, n):
        return rng.exponential(size=(n, d)) - 1.0 + gap * c * np.eye(1, d)

    truth = few_shot_truth(draw_class, 2, 10, rng)
    f = np.concatenate([draw_class(c, 3000) for c in (0, 1)])
    e = evidence(f, np.repeat([0, 1], 3000))
    assert 0.001 < truth <= ncm_few_shot(e, m=10).value
    assert ncm_few_shot_gaussian(e, m=10).value < truth / 5


def test_kind_target_and_reasons():
    f, y = three_classes()
    row = ncm_few_shot(evidence(f, y))
    assert (row.kind, row.target, row.role) == ("plug-in", "few-shot", "holdout")
    assert "moments estimated" in row.reasons
    fitted = ncm_few_shot(evidence(f, y, role="fit"), role="fit")
    assert "the features were fitted on this sample" in fitted.reasons
    assert ncm_few_shot(evidence(f, y), m=INF).target == "ncm"


def test_infinitely_many_shots_carry_the_nearest_mean_head_and_survive_json():
    f, y = three_classes()
    row = ncm_few_shot(evidence(f, y), m=INF)
    head = row.claim.of.head
    means = np.stack([f[y == c].mean(axis=0) for c in range(3)])
    nearest = ((f[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (head.logits(f).argmax(axis=1) == nearest).all()
    stored = json.loads(json.dumps(row.to_dict()))
    assert stored["params"] == {"m": "inf"}
    assert result_from_dict(stored).params["m"] == INF
    assert row.claim.weights == pytest.approx([1 / 3] * 3)


def test_weights_are_the_class_frequencies():
    f, y = three_classes()
    keep = np.r_[0:40, 40:60, 80:90]
    row = ncm_few_shot(evidence(f[keep], y[keep]))
    per_class = np.array(row.details["per class"])
    assert row.value == pytest.approx(np.array([40, 20, 10]) / 70 @ per_class)
    assert per_class.std() > 0.01


def test_classes_that_coincide_are_reported_and_count_one():
    rng = np.random.default_rng(8)
    f = rng.normal(size=(90, 30))
    y = np.arange(3).repeat(30)
    f[y == 2] += 50.0
    # means of classes 0 and 1 nearer to each other than their noise explains
    f[y == 1] += f[y == 0].mean(axis=0) - f[y == 1].mean(axis=0)
    row = ncm_few_shot(evidence(f, y))
    assert any("1 pairs of classes are not separated: 0-1" in r for r in row.reasons)
    assert row.details["per class"][0] == 1.0
    assert row.details["per class"][2] < 0.5
    assert ncm_few_shot_gaussian(evidence(f, y)).details["per class"][1] == 1.0


@pytest.mark.parametrize("row", [ncm_few_shot, ncm_few_shot_gaussian])
@pytest.mark.parametrize("variance", [-0.25, -4.0])
def test_a_variance_that_comes_out_negative_promises_nothing(row, variance, monkeypatch):
    """Estimates of a skewed rival may say so; the gap, of mean 64, is then not certain."""
    pair = gaussian_pair(1, 8)
    skew = np.array([[0.0, variance - gap_variance(pair, 1)[0, 1]], [0.0, 0.0]]) / 4
    pair = replace(pair, rival_skew=skew)
    assert gap_variance(pair, 1)[0, 1] == pytest.approx(variance)
    monkeypatch.setitem(row.function.__globals__, "pair_moments", lambda *_: pair)
    f = np.arange(8.0)[:, None]
    per_class = row(evidence(f, np.repeat([0, 1], 4)), m=1).details["per class"]
    assert per_class[0] == 1.0
    assert per_class[1] < 0.3


@pytest.mark.parametrize("row", [ncm_few_shot, ncm_few_shot_gaussian])
@pytest.mark.parametrize(("mean", "dist2"), [((1.0, 1.0, 1.0), 0.0), ((1.0, 1.0, 0.5), -0.75)])
def test_means_no_farther_apart_than_their_noise_explains(row, mean, dist2):
    """Class 0 at -3 and 3, variance 12 of 4 points: its mean has the variance 3."""
    f = np.zeros((8, 3))
    f[:4, 0], f[4:] = [-3, -3, 3, 3], mean
    e = evidence(f, np.repeat([0, 1], 4))
    p = pair_moments(e.holdout, "corrected")
    assert p.dist2[0, 1] == dist2
    # the rival's spread alone would make a gap
    assert cantelli(gap_mean(p, 5), gap_variance(p, 5))[1, 0] < 1
    found = row(e, m=5)
    assert list(found.details["per class"]) == [1.0, 1.0]
    assert any("not separated: 0-1" in reason for reason in found.reasons)


def test_too_few_points_are_undefined_with_a_reason():
    f, y = three_classes()
    keep = np.r_[0:40, 40:43, 80:120]
    row = ncm_few_shot(evidence(f[keep], y[keep]))
    assert np.isnan(row.value)
    assert any("fewer than 4 points" in r and "1" in r for r in row.reasons)


def test_moments_of_the_points_themselves_need_three():
    f, y = three_classes()
    three, two = np.r_[0:40, 40:43, 80:120], np.r_[0:40, 40:42, 80:120]
    row = ncm_few_shot(evidence(f[three], y[three]), moments="plug-in")
    assert 0 < row.value <= 1
    assert not any("fewer than" in r for r in row.reasons)
    row = ncm_few_shot(evidence(f[two], y[two]), moments="plug-in")
    assert any("1 classes have fewer than 3 points" in r for r in row.reasons)


def test_point_masses_have_no_error():
    f = np.repeat(np.eye(3), 6, axis=0)
    y = np.arange(3).repeat(6)
    for m in (1, 5, INF):
        assert ncm_few_shot(evidence(f, y), m=m).value == 0.0
    assert ncm_few_shot_gaussian(evidence(f, y)).value == 0.0


def test_a_feature_that_is_not_finite_leaves_no_moments():
    f, y = three_classes()
    f[3, 1] = np.nan
    row = ncm_few_shot(evidence(f, y))
    assert np.isnan(row.value)
    assert any("NaN" in r for r in row.reasons)


@pytest.mark.parametrize("row", [ncm_few_shot, ncm_few_shot_gaussian])
def test_frame_and_names_of_classes_do_not_matter(row):
    f, y = three_classes(gap=6.0)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    value = row(evidence(f, y)).value
    assert 0.001 < value < 1
    assert row(evidence(0.01 * f @ rotation + 30.0, (y + 1) % 3)).value == pytest.approx(value)


def test_the_second_pass_is_made_once_per_sample():
    f, y = three_classes()
    e = evidence(f, y)
    first = pair_moments(e.holdout, "corrected")
    again = pair_moments(e.holdout, "corrected")
    assert first.own is not again.own  # estimates are cheap and made anew ...
    kept = second_pass(e.holdout)
    pair_moments(e.holdout, "plug-in")
    assert second_pass(e.holdout) is kept  # ... from moments that are kept


def test_memory_stays_below_all_class_covariances():
    rng = np.random.default_rng(0)
    classes, d = 300, 512
    f = rng.normal(size=(5 * classes, d)).astype(np.float32)
    y = np.arange(classes).repeat(5)
    e = evidence(f, y)
    tracemalloc.start()
    ncm_few_shot(e)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < classes * d * d * 8 / 4


def test_worst_pair_is_the_largest_off_the_diagonal():
    nan = float("nan")
    assert worst_pair(np.array([[9.0, 0.1, nan], [0.2, 9.0, 0.4], [0.3, 0.1, nan]])) == [1, 2]
    assert worst_pair(np.array([[0.5, nan], [nan, 0.5]])) == []
