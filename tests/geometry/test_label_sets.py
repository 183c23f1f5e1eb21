"""Geometry of points with several labels: hand calculations, brute force, limits, edges."""

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.errors import InvalidSample
from ncbounds.geometry import (
    collapse,
    collapse_efficiency,
    frame_distances,
    label_sets,
    margin_efficiency,
    margin_scale,
    nc1,
    nc3,
    set_mean_cosines,
    single_label_points,
)
from ncbounds.geometry.efficiency import _factors
from ncbounds.geometry.fenchel import BINARY, SOFTMAX
from ncbounds.geometry.free_features import Task
from ncbounds.geometry.label_sets import distinct_sets
from ncbounds.geometry.least_budget import least_budget, lower_budget

LOSSES = ("pick-all-label", "binary")
#: Labels 0 and 1 always occur together, 3 never, 4 always.
PATTERNS = np.array([[1, 1, 0, 0, 1], [0, 0, 1, 0, 1], [1, 1, 1, 0, 1], [0, 0, 0, 0, 1]])


def efficiency(features, sets, weight, bias=None, *, loss, has_bias=True, **more):
    sets = np.asarray(sets)
    sample = nb.Sample.from_arrays(features, sets.argmax(axis=1), role="fit", classes=sets.shape[1])
    head = nb.LinearHead(weight, bias, has_bias=has_bias)
    return collapse_efficiency(sample, head, loss, targets=sets, **more)


def tagged(seed=0, counts=(9, 5, 3, 2), patterns=PATTERNS, noise=0.3, dim=7):
    """Features whose logits are high on the labels of each point, a head, and a bias."""
    rng = np.random.default_rng(seed)
    sets = np.repeat(patterns, counts, axis=0)
    weight = rng.standard_normal((sets.shape[1], dim))
    wanted = 3.0 * (2 * sets - 1)
    features = wanted @ np.linalg.pinv(weight).T + noise * rng.standard_normal((len(sets), dim))
    return features, sets, weight, 0.1 * rng.standard_normal(sets.shape[1])


def task_of(patterns, counts, loss, bias):
    q = np.asarray(patterns, dtype=float)
    size = q.sum(axis=1)
    if loss is SOFTMAX:
        return Task(loss, q / size[:, None], size, np.asarray(counts, dtype=float), bias)
    return Task(loss, q, np.ones(len(q)), np.asarray(counts, dtype=float), bias)


def test_two_opposite_sets_are_optimal_by_hand():
    """Logits +-t on the set and off it, by one feature: rank one, budget t sqrt(4 n)."""
    weight = np.array([[0.5], [0.5], [-0.5], [-0.5]])
    sets = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0]])
    features = 3.0 * np.array([[1], [-1], [-1], [1]])
    each = np.log1p(np.exp(-1.5))
    pair = np.log(2) + np.log1p(np.exp(-3.0))  # lse less the mean logit of the set
    for loss, expected in (("binary", 4 * each), ("pick-all-label", 2 * pair)):
        found = efficiency(features, sets, weight, loss=loss)
        assert found.loss == pytest.approx(expected, rel=1e-12)
        assert found.budget == pytest.approx(1.5 * np.sqrt(4 * 4), rel=1e-12)
        assert found.lower == pytest.approx(1.0, rel=1e-9)
        assert (found.within, found.alignment, found.outputs) == pytest.approx((1, 1, 1), rel=1e-9)
        seen = np.hstack([features, 4 * np.array([[1], [1], [-1], [-1]])])  # the head sees none
        found = efficiency(seen, sets, np.hstack([weight, 0 * weight]), loss=loss)
        assert found.within == pytest.approx(3 / 5)
        assert found.lower == pytest.approx(3 / 5, rel=1e-9)
        assert found.upper == pytest.approx(3 / 5, rel=1e-9)


def test_margins_of_sets_exceed_the_limit_of_their_label_counts():
    """Why there is no margin efficiency of sets: the limit is about one label a point."""
    # logits +-1/2 have margin 1; four points of either set have the budget sqrt(8)
    kappa = margin_scale([4, 4, 4, 4], bias=True)
    assert kappa == pytest.approx(6.0)
    assert kappa * 1.0 / np.sqrt(8) > 2


def nuclear_norm(sets, loss, level, has_bias):
    """Least budget at a mean loss, one row of logits per point and no grouping."""
    cp = pytest.importorskip("cvxpy")
    n, outputs = sets.shape
    z, b = cp.Variable((n, outputs)), cp.Variable((1, outputs))
    s = z + np.ones((n, 1)) @ b
    if loss == "binary":
        total = cp.sum(cp.logistic(cp.multiply(1 - 2 * sets, s)))
    else:
        size = sets.sum(axis=1)
        total = size @ cp.log_sum_exp(s, axis=1) - cp.sum(cp.multiply(sets, s))
    limits = [total / n <= level] + ([] if has_bias else [b == 0])
    return cp.Problem(cp.Minimize(cp.normNuc(z)), limits).solve(
        solver=cp.SCS, eps=1e-7, max_iters=20000
    )


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("loss", LOSSES)
def test_brute_force_over_points_finds_the_same_efficiency(loss, has_bias):
    f, sets, w, b = tagged(counts=(5, 3, 2, 1))
    found = efficiency(f, sets, w, b if has_bias else None, loss=loss, has_bias=has_bias)
    centred = w - w.mean(axis=0) if loss == "pick-all-label" else w
    budget = np.linalg.norm(centred) * np.linalg.norm(f - has_bias * f.mean(axis=0))
    assert found.budget == pytest.approx(budget, rel=1e-12)
    # a bias settles the label that is never there, and a binary loss the one that always is
    kept = [0, 1, 2, 4] if has_bias else [0, 1, 2, 3, 4]
    if has_bias and loss == "binary":
        kept = [0, 1, 2]
    least = nuclear_norm(sets[:, kept], loss, found.loss, has_bias)
    assert found.lower <= least / budget * (1 + 1e-5)
    assert found.upper >= least / budget * (1 - 1e-5)
    assert found.upper <= 1.0011 * found.lower
    assert 0.05 < found.lower < 1
    product = found.within * found.alignment * found.outputs
    assert product == pytest.approx(found.lower, rel=1e-6)


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("loss", [SOFTMAX, BINARY])
def test_factors_of_a_response_are_those_of_their_definitions_point_by_point(loss, has_bias):
    patterns = PATTERNS[:, [0, 1, 2]][:3]
    counts = (5, 3, 2)
    f, sets, w, b = tagged(counts=counts, patterns=patterns)
    b = b if has_bias else 0 * b
    task = task_of(patterns, counts, loss, has_bias)
    u = task.response((0.7 if loss is SOFTMAX else 2.0) * (2 * patterns - 1))
    p, group = task.target + u, np.repeat(np.arange(3), counts)
    n, s = len(f), f @ w.T + b
    centred = f - has_bias * f.mean(axis=0)
    head = w - w.mean(axis=0) if loss is SOFTMAX else w
    means = np.array([centred[group == g].mean(axis=0) for g in range(3)])
    size, losses, apart, fit, columns = sets.sum(axis=1), 0.0, 0.0, 0.0, []
    for i in range(n):
        q, r = task.target[group[i]], p[group[i]]
        if loss is SOFTMAX:
            a, shares = size[i], np.exp(s[i]) / np.exp(s[i]).sum()
            losses += -a * (q * np.log(shares)).sum()
            apart += a * (r * np.log(r / shares)).sum()
        else:
            a, shares = 1.0, 1 / (1 + np.exp(-s[i]))
            losses += -(q * np.log(shares) + (1 - q) * np.log(1 - shares)).sum()
            apart += (r * np.log(r / shares) + (1 - r) * np.log((1 - r) / (1 - shares))).sum()
        fit -= a * (r - q) @ head @ means[group[i]]
        columns.append(a * (r - q) / n)
    sigma = np.linalg.norm(np.array(columns), 2)
    between = np.sqrt(sum((means[g] ** 2).sum() for g in group))
    norms = (between, np.linalg.norm(centred), np.linalg.norm(head))
    expected = (
        between / norms[1],
        fit / n / (sigma * norms[2] * between),
        1 - apart / fit,
    )
    found = _factors(task, u, means @ w.T, losses / n, norms)
    assert found == pytest.approx(expected, rel=1e-9)
    # and their product is what this response proves of the norms
    eta = (task.gain(u) - losses / n) / (sigma * norms[1] * norms[2])
    assert np.prod(found) == pytest.approx(eta, rel=1e-9)
    assert eta > 0


def random_sets(rng, loss):
    """Distinct sets, some labels together, never or always there, and counts of up to 2,000:1."""
    labels = int(rng.integers(2, 6))
    sets = rng.random((int(rng.integers(3, 9)), labels)) < rng.uniform(0.2, 0.7)
    first, second = rng.integers(0, labels, 2)
    kind = rng.integers(0, 4)
    if kind == 1:
        sets[:, first] = sets[:, second]
    elif kind > 1:
        sets[:, first] = kind == 2
    if loss is SOFTMAX:
        sets = sets[sets.any(axis=1)]
    sets = np.unique(sets, axis=0)
    return sets, np.floor(2000 ** rng.random(len(sets)))


def test_no_network_of_sets_needs_less_than_a_response_proves():
    """Optimal networks and those near them, each against the responses of all others."""
    rng = np.random.default_rng(3)
    closest = 0.0
    for trial in range(40):
        loss, bias = (SOFTMAX, BINARY)[trial % 2], bool(trial % 4 < 2)
        sets, counts = random_sets(rng, loss)
        if len(sets) < 2:
            continue
        task = task_of(sets, counts, loss, bias).restricted()
        level = task.floor + rng.uniform(0.05, 0.9) * (task.idle - task.floor)
        start = 9.0 * (task.target > 0) - 4.5
        best = least_budget(task, level, 1.0, start, task.response(start), 0.03)
        networks, responses = [], [best.response]
        left, values, right = np.linalg.svd(task.root * task.centred(best.logits))
        rank = min(len(values), len(left), len(right))
        v, w = left[:, :rank] * np.sqrt(values), right[:rank].T * np.sqrt(values)
        for size in (0.0, 1e-6, 1e-3, 0.1):
            v1 = v + size * np.abs(v).max() * rng.standard_normal(v.shape)
            w1 = w + size * np.abs(w).max() * rng.standard_normal(w.shape)
            logits = task.centred(v1 @ w1.T / task.root) + task.offset(best.logits)
            networks.append((task.value(logits), np.linalg.norm(v1) * np.linalg.norm(w1)))
            responses.append(task.response(logits))
        for u in responses:
            for value, budget in networks:
                proved = lower_budget(task, u, value, budget)
                assert proved <= budget * (1 + 1e-12)
                closest = max(closest, proved / budget)
    assert closest > 0.999


@pytest.mark.parametrize("loss", LOSSES)
def test_efficiency_of_sets_is_invariant_to_what_does_not_matter(loss):
    f, sets, w, b = tagged()
    base = efficiency(f, sets, w, b, loss=loss, seconds=0.1)
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.standard_normal((7, 7)))[0]
    shift, order = rng.standard_normal(7), np.array([2, 0, 4, 1, 3])
    rows = rng.permutation(len(f))
    variants = {
        "translated": (f + shift, sets, w, b - w @ shift),
        "scaled": (3 * f, sets, w / 3, b),
        "rotated": (f @ turn, sets, w @ turn, b),
        "relabelled": (f, sets[:, order], w[order], b[order]),
        "doubled": (np.vstack([f, f]), np.vstack([sets, sets]), w, b),
        "other order": (f[rows], sets[rows], w, b),
    }
    if loss == "pick-all-label":
        variants["rows shifted alike"] = (f, sets, w + shift, b - 4.0)
    for name, arrays in variants.items():
        found = efficiency(*arrays, loss=loss, seconds=0.1)
        assert found.lower <= base.upper * (1 + 1e-9), name
        assert base.lower <= found.upper * (1 + 1e-9), name
        assert found.loss == pytest.approx(base.loss, rel=1e-9), name
        assert found.within == pytest.approx(base.within, rel=1e-9), name


def test_empty_sets_are_a_group_of_the_binary_loss_alone():
    f, sets, w, b = tagged(patterns=PATTERNS[:, :3])  # the last pattern has no label
    found = efficiency(f, sets, w, b, loss="binary")
    assert 0 < found.lower <= found.upper < 1
    with pytest.raises(InvalidSample, match=r"a point has no label, as 2 of 19 here"):
        efficiency(f, sets, w, b, loss="pick-all-label")


def test_as_many_sets_as_points_are_solved_for_up_to_a_limit(monkeypatch):
    rng = np.random.default_rng(0)
    sets = np.array([[(i >> k) & 1 for k in range(6)] for i in range(1, 64)])
    w = rng.standard_normal((6, 8))
    f = 2.0 * (2 * sets - 1) @ np.linalg.pinv(w).T
    for loss in LOSSES:
        found = efficiency(f, sets, w, loss=loss, seconds=0.2)
        assert found.within == pytest.approx(1.0)
        assert 0 < found.lower <= found.upper <= 1
    monkeypatch.setattr(label_sets, "LARGEST", 1000)
    with pytest.raises(InvalidSample, match="63 distinct sets of 6 labels with 8 features"):
        efficiency(f, sets, w, loss="binary")
    few = efficiency(f[:9], sets[:9], w, loss="binary", seconds=0.2)
    assert few.lower > 0
    monkeypatch.setattr(label_sets, "LARGEST", 8 * 21)  # 6 singles, 15 pairs, all others
    cosines = set_mean_cosines(f, sets.astype(bool))
    assert cosines.mean.reasons == ("15 pairs with 8 features take more than memory is meant for",)
    assert np.isnan(cosines.mean.value)


def test_the_features_that_the_best_sets_may_need_are_told():
    sets = np.array([[(i >> k) & 1 for k in range(3)] for i in range(8)])
    w, f = np.eye(3)[:, :2], 2.0 * sets[:, :2] - 1
    assert "2 features are fewer than the 3" in efficiency(f, sets, w, loss="binary").reasons[0]
    w, f, sets = w[:, :2], f[1:], sets[1:]
    assert efficiency(f, sets, w, loss="pick-all-label").reasons == ()  # outputs are centred


def test_distinct_sets_are_those_of_whole_rows():
    rng = np.random.default_rng(2)
    for labels in (1, 8, 13):
        sets = rng.random((60, labels)) < 0.2
        found, group = distinct_sets(sets)
        expected, index = np.unique(sets, axis=0, return_inverse=True)
        assert (found == expected).all()
        assert (group == index.reshape(-1)).all()


def test_features_that_are_not_finite_are_named():
    f, sets, w, b = tagged()
    f[3, 1] = np.nan
    with pytest.raises(InvalidSample, match="features hold NaN"):
        efficiency(f, sets, w, b, loss="binary")


def test_cosines_of_pairs_by_hand():
    # singles at (3, 0), (0, 2), (-1, 0); one pair at (1, 1), one of labels 0 and 2, one of 0 and 3
    f = np.array([[3, 0], [0, 1], [0, 3], [-1, 0], [1, 1], [2, 0], [5, 5], [9, 9]], dtype=float)
    sets = np.zeros((8, 4), dtype=bool)
    for i, labels in enumerate(([0], [1], [1], [2], [0, 1], [0, 2], [0, 3], [0, 1, 2])):
        sets[i, labels] = True
    found = set_mean_cosines(f, sets, centred=False)
    cosines = dict(zip(map(tuple, found.pairs.tolist()), found.values, strict=True))
    assert cosines[0, 1] == pytest.approx(5 / np.sqrt(13 * 2))
    assert cosines[0, 2] == pytest.approx(1.0)
    assert np.isnan(cosines[0, 3])
    assert found.mean.value == pytest.approx((1 + 5 / np.sqrt(26)) / 2)
    assert found.least.value == pytest.approx(5 / np.sqrt(26))
    assert found.least.reasons == ("1 of 3 pairs left out: a label of theirs is alone on no point",)
    centre = f.mean(axis=0)
    both, sums = f[4] - centre, f[0] + f[1:3].mean(axis=0) - 2 * centre
    expected = both @ sums / np.linalg.norm(both) / np.linalg.norm(sums)
    moved = set_mean_cosines(f + np.array([40.0, -7.0]), sets)
    assert moved.values[(moved.pairs == [0, 1]).all(axis=1)] == pytest.approx(expected)


def test_pairs_line_up_with_their_singles_at_the_optimum_of_pick_all_label():
    sets = np.vstack([np.eye(4), [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1],
                                  [1, 0, 1, 0], [0, 1, 0, 1]]]).astype(bool)  # fmt: skip
    counts = np.repeat([10, 5], [4, 6])
    cosines = {}
    for loss in (SOFTMAX, BINARY):
        task = task_of(sets, counts, loss, True)
        level = task.floor + 0.05 * (task.idle - task.floor)
        start = 12.0 * sets - 6
        best = least_budget(task, level, 1.0, start, task.response(start), 2.0)
        left, values, _ = np.linalg.svd(task.root * task.centred(best.logits), full_matrices=False)
        features = (left * np.sqrt(values) / task.root)[np.repeat(np.arange(10), counts)]
        found = set_mean_cosines(features, np.repeat(sets, counts, axis=0))
        assert len(found.pairs) == 6
        cosines[loss] = found.least.value
    assert cosines[SOFTMAX] == pytest.approx(1.0, abs=1e-6)
    assert cosines[BINARY] < 0.8


def test_where_there_is_no_cosine_it_says_why():
    f, one = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.eye(2, dtype=bool)
    assert set_mean_cosines(f, one).mean.reasons == ("no point has exactly two labels",)
    assert np.isnan(set_mean_cosines(f, one).mean.value)
    # the singles cancel
    sets = np.array([[1, 0], [0, 1], [1, 1]], dtype=bool)
    found = set_mean_cosines(np.vstack([f, [[0.0, 1.0]]]), sets, centred=False)
    assert np.isnan(found.values).all()
    assert found.least.reasons == ("1 of 1 pairs left out: a vector is zero",)


SETS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [0, 0, 0]])


def sample_of(role="fit", counts=(9, 8, 7, 5, 4, 3), **more):
    f, sets, w, b = tagged(counts=counts, patterns=SETS[: len(counts)], **more)
    return nb.Sample.from_arrays(f, sets, role=role), nb.LinearHead(w, b)


def test_a_sample_of_several_labels_brings_its_sets():
    sample, head = sample_of()
    given = efficiency(sample.features, sample.indicators, head.weight, head.bias, loss="binary")
    assert collapse_efficiency(sample, head, "binary") == given
    with pytest.raises(InvalidSample, match=r"sets of labels go with loss='pick-all-label' or"):
        collapse_efficiency(sample, head)
    with pytest.raises(InvalidSample, match="as 3 of 36 here"):
        collapse_efficiency(sample, head, "pick-all-label")
    for measure in (margin_efficiency, frame_distances):
        with pytest.raises(InvalidSample, match="about one class a point"):
            measure(sample, head)


def test_single_label_points_are_a_sample_of_classes():
    sample, _ = sample_of()
    one = single_label_points(sample)
    rows = np.flatnonzero(sample.indicators.sum(axis=1) == 1)
    assert (one.n, one.classes, one.role) == (24, 3, "fit")
    assert one.counts.tolist() == [9, 8, 7]
    plain = nb.Sample.from_arrays(sample.features[rows], one.labels, role="fit")
    assert nc1(one.moments) == nc1(plain.moments)
    with pytest.raises(InvalidSample, match="one label a point already"):
        single_label_points(one)


def test_the_frame_of_several_labels_has_nothing_about_classes_of_all_points():
    sample, head = sample_of(counts=(9, 8, 7, 5, 4))
    frame = collapse(sample, head, seconds=0.2)
    values = frame.set_index(["metric", "variant"]).value
    for metric in frame.metric:
        about_sets = ("single-label ", "set-mean cosine", "collapse efficiency", "loss")
        assert metric.startswith(about_sets) or metric.endswith("(head)"), metric
    one = single_label_points(sample)
    assert values["single-label NC1", "plug-in"].iloc[0] == nc1(one.moments).value
    assert values["single-label NC3", "plug-in"] == nc3(one.moments, head).value
    how = frame.set_index("metric").normalisation
    assert how["single-label NC3"].endswith("of the 24 points with exactly one label")
    cosines = set_mean_cosines(sample.features, sample.indicators)
    assert values["set-mean cosine", "mean of pairs"] == cosines.mean.value
    assert values["set-mean cosine", "least of pairs"] == cosines.least.value
    assert frame[frame.metric == "loss"].variant.tolist() == ["binary"]
    found = collapse_efficiency(sample, head, "binary", seconds=0.2)
    assert values["loss", "binary"] == found.loss
    assert values["collapse efficiency", "at least"] == pytest.approx(found.lower, rel=1e-2)
    assert np.isfinite(frame.value).all()
    ranked = collapse(sample, head, loss="pick-all-label", seconds=0.2)
    assert np.isfinite(ranked.value).all()
    assert not collapse(sample).metric.str.contains("head|NC3|efficiency").any()


def test_where_the_frame_of_several_labels_has_no_value_it_says_why():
    sample, head = sample_of(role="test")
    for given, loss, why in (
        (sample, None, "test sample"),
        (sample_of()[0], "pick-all-label", "a point has no label"),
        (sample_of()[0], "mse", "sets of labels go with"),
    ):
        frame = collapse(given, head, loss=loss)
        rows = frame[frame.metric.str.contains("efficiency")]
        assert rows.value.isna().all()
        assert rows.reasons.str.contains(why).all()
        assert np.isfinite(frame[frame.metric.str.contains("cosine|NC1")].value).all()
    for n in (3, 0):
        f, sets = np.eye(3)[:n], np.ones((n, 2), int)
        none = collapse(nb.Sample.from_arrays(f, sets, role="fit"), nb.LinearHead(np.eye(3)[:2]))
        none = none[~none.metric.str.contains("head")]
        assert none.value.drop(none.index[none.metric == "loss"]).isna().all()
        assert (none.reasons != "").all()
