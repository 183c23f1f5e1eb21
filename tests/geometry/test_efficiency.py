"""Efficiency of heads and features: hand calculations, exact optima, invariances, edges."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.errors import InvalidArgument, InvalidSample, RoleError, UnknownName
from ncbounds.geometry import collapse_efficiency, simplex_etf
from ncbounds.geometry.efficiency import _factors
from ncbounds.geometry.fenchel import SOFTMAX
from ncbounds.geometry.free_features import Task

GOLDEN = json.loads((Path(__file__).parent / "golden_efficiency.json").read_text())


def world(features, labels, weight, bias=None, *, has_bias=True, role="fit", classes=None):
    sample = nb.Sample.from_arrays(features, labels, role=role, classes=classes)
    return sample, nb.LinearHead(weight, bias, has_bias=has_bias)


def noisy(seed=0, counts=(12, 7, 3), dim=6, noise=0.3, size=2.0):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    frame = size * simplex_etf(len(counts), dim)
    f = frame[y] + noise * rng.standard_normal((len(y), dim)) + rng.standard_normal(dim)
    w = frame + 0.2 * rng.standard_normal(frame.shape)
    return f, y, w, -w @ f.mean(axis=0)


def same(a, b):
    """Two brackets of one number meet."""
    return a.lower <= b.upper * (1 + 1e-9) and b.lower <= a.upper * (1 + 1e-9)


def test_hand_calculation_for_two_points():
    # Logits +-x y; the lead 2 w h is the budget |P_c W| |H| = (w sqrt 2)(h sqrt 2).
    found = collapse_efficiency(*world([[3.0], [-3.0]], [0, 1], [[0.5], [-0.5]]))
    assert found.budget == pytest.approx(3.0)
    assert found.loss == pytest.approx(np.log1p(np.exp(-3.0)))
    assert found.lower == pytest.approx(1.0, rel=1e-9)
    assert (found.upper, found.within) == (1.0, 1.0)
    assert (found.alignment, found.outputs) == pytest.approx((1.0, 1.0), rel=1e-9)


def test_noise_that_the_head_does_not_see_lowers_within_alone():
    f = [[3.0, 4.0], [3.0, -4.0], [-3.0, 4.0], [-3.0, -4.0]]
    found = collapse_efficiency(*world(f, [0, 0, 1, 1], [[0.5, 0.0], [-0.5, 0.0]]))
    assert found.lower == pytest.approx(3 / 5, rel=1e-9)
    assert found.upper == pytest.approx(3 / 5, rel=1e-9)
    assert found.within == pytest.approx(3 / 5)
    assert (found.alignment, found.outputs) == pytest.approx((1.0, 1.0), rel=1e-9)


@pytest.mark.parametrize("item", GOLDEN["U.factors"])
def test_factors_of_a_given_response_are_golden(item):
    given, expected = item["inputs"], item["value"]
    free = given["bias_is"] == "free"
    f, y = np.array(given["features"], float), np.array(given["labels"])
    w, b = np.array(given["head"], float), np.array(given["bias"], float)
    sample, head = world(f, y, w, b, has_bias=free)
    found = collapse_efficiency(sample, head)
    assert found.loss == pytest.approx(float(expected["loss"]), rel=1e-11)
    assert found.budget == pytest.approx(float(expected["budget"]), rel=1e-11)
    counts = np.bincount(y).astype(float)
    task = Task(SOFTMAX, np.eye(3), np.ones(3), counts, free)
    u = task.allowed(np.array(given["response_columns"], float) - np.eye(3))
    means = np.stack([f[y == c].mean(axis=0) for c in range(3)]) - free * f.mean(axis=0)
    whole = np.linalg.norm(f - free * f.mean(axis=0))
    between = np.sqrt(counts @ (means**2).sum(axis=1))
    head_norm = np.linalg.norm(w - w.mean(axis=0))
    parts = _factors(task, u, means @ w.T, found.loss, (between, whole, head_norm))
    names = ("within", "alignment", "outputs")
    assert parts == pytest.approx([float(expected[k]) for k in names], rel=1e-10)
    eta = float(expected["eta_of_this_response"])
    assert np.prod(parts) == pytest.approx(eta, rel=1e-10)
    assert found.lower >= eta * (1 - 1e-9)  # the solver is no worse than this response
    # outputs by its own definition: the divergence of the points from the response
    p = np.eye(3) + u
    s = f @ w.T + b
    log_softmax = s - np.log(np.exp(s).sum(axis=1, keepdims=True))
    divergence = (p[y] * (np.log(p[y]) - log_softmax)).sum(axis=1).mean()
    gain = -(u[y] * (means @ w.T)[y]).sum(axis=1).mean()
    assert parts[2] == pytest.approx(1 - divergence / gain, rel=1e-9)


@pytest.mark.parametrize(
    ("loss", "size", "settings"),
    [
        ("cross-entropy", 2.0, {}),
        ("cross-entropy", 1.0, {"smoothing": 0.1}),
        ("cross-entropy", 0.2, {}),
        ("mse", 0.7, {}),
    ],
)
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_collapsed_simplex_is_optimal(loss, size, settings, has_bias):
    frame = simplex_etf(5, 7)
    y = np.repeat(np.arange(5), 3)
    bias = np.full(5, 0.2) if has_bias and loss == "mse" else None
    sample, head = world(2 * size * frame[y], y, size / 2 * frame, bias, has_bias=has_bias)
    found = collapse_efficiency(sample, head, loss, **settings)
    if loss == "mse" and not has_bias:
        assert 0.5 < found.upper < 0.99  # the mean of the targets costs norm without a bias
        return
    assert found.lower == pytest.approx(1.0, abs=1e-9)
    assert found.within * found.alignment * found.outputs == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("loss", ["cross-entropy", "binary", "pick-all-label"])
def test_optima_found_and_built_are_optimal(loss):
    """Head and features from the singular vectors of the optimal logits lie within the bracket."""
    f, y, w, b = noisy(noise=0.05, size=2.5)
    targets = None
    if loss != "cross-entropy":
        sets = np.array([[0, 1, 0], [0, 1, 1], [1, 0, 0]])
        targets = sets[y]
        affine = np.column_stack([f, np.ones(len(f))])
        *w, b = np.linalg.lstsq(affine, 8.0 * sets[y] - 4, rcond=None)[0]
        w = np.transpose(w)
    sample, head = world(f, y, w, b)
    first = collapse_efficiency(sample, head, loss, targets=targets)
    counts = np.bincount(y).astype(float)
    left, values, right = np.linalg.svd(np.sqrt(counts)[:, None] * first.logits)
    features = (left * np.sqrt(values) / np.sqrt(counts)[:, None])[y]
    sample, head = world(features, y, np.sqrt(values) * right.T, first.bias)
    found = collapse_efficiency(sample, head, loss, targets=targets)
    assert found.loss == pytest.approx(first.loss, rel=1e-3)
    assert found.lower > 1 / 1.0011
    assert found.budget == pytest.approx(first.budget * first.upper, rel=1e-3)


@pytest.mark.parametrize("loss", ["cross-entropy", "mse", "binary"])
@pytest.mark.parametrize("has_bias", [True, False])
def test_networks_are_never_better_than_the_best(loss, has_bias):
    rng = np.random.default_rng(5)
    seen = 0
    for trial in range(12):
        counts = rng.integers(1, 30, 3)
        f, y, w, b = noisy(trial, counts, noise=rng.uniform(0, 0.4), size=rng.uniform(0.8, 2.5))
        if not has_bias:
            f, b = f - f.mean(axis=0), None
        if loss == "mse":
            w = w / np.square(np.linalg.norm(w, axis=1)).mean()
            b = None if b is None else -w @ f.mean(axis=0) + 1 / 3
        if loss == "binary":
            b = None if b is None else b - 1
            w = 2 * w
        sample, head = world(f, y, w, b, has_bias=has_bias)
        found = collapse_efficiency(sample, head, loss, seconds=1.0)
        assert 0 <= found.lower <= found.upper <= 1
        if found.lower > 0:
            parts = np.array([found.within, found.alignment, found.outputs])
            assert ((parts > 0) & (parts <= 1)).all()
            assert np.prod(parts) == pytest.approx(found.lower, rel=1e-6)
            seen += 1
    assert seen >= 4


def test_invariances():
    f, y, w, b = noisy()
    base = collapse_efficiency(*world(f, y, w, b))
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    shift = rng.standard_normal(6)
    order = np.array([2, 0, 1])
    variants = {
        "translated": (f + shift, y, w, b - w @ shift),
        "scaled": (3 * f, y, w / 3, b),
        "rotated": (f @ turn, y, w @ turn, b),
        "relabelled": (f, order[y], w[np.argsort(order)], b[np.argsort(order)]),
        "rows shifted alike": (f, y, w + shift, b - 4.0),
        "doubled sample": (np.vstack([f, f]), np.append(y, y), w, b),
    }
    for name, arrays in variants.items():
        found = collapse_efficiency(*world(*arrays))
        assert same(found, base), name
        assert found.loss == pytest.approx(base.loss, rel=1e-9), name
        assert found.within == pytest.approx(base.within, rel=1e-9), name
    # without a bias the mean of the features costs norm
    moved, straight = f + 9 * shift, f - f.mean(axis=0)
    far = collapse_efficiency(*world(moved - moved.mean(axis=0) + 5, y, w, has_bias=False))
    near = collapse_efficiency(*world(straight, y, w, has_bias=False))
    assert far.upper < near.lower


@pytest.mark.parametrize("has_bias", [True, False])
def test_an_absent_class_keeps_its_output(has_bias):
    f, y, w, b = noisy(noise=0.1)
    f = f if has_bias else f - f.mean(axis=0)
    b = np.append(b, -30.0) if has_bias else None
    sample, head = world(f, y, np.vstack([w, 0 * w[:1]]), b, has_bias=has_bias)
    found = collapse_efficiency(sample, head)
    assert 0 < found.lower <= found.upper <= 1
    if has_bias:  # the bias settles it: nothing but the centring of the head's rows is different
        three = collapse_efficiency(*world(f, y, w, b[:3]))
        centred = [np.linalg.norm(v - v.mean(axis=0)) for v in (w, head.weight)]
        scaled = three.lower * centred[0] / centred[1]
        assert found.lower == pytest.approx(scaled, rel=2e-3)


def test_a_loss_far_below_rounding_is_resolved():
    y = np.repeat(np.arange(3), [4, 4, 4])
    frame = simplex_etf(3, 2)
    sample, head = world(6.0 * frame[y], y, 6.0 * frame)
    found = collapse_efficiency(sample, head)
    assert 1e-24 < found.loss < 1e-22
    assert found.lower == pytest.approx(1.0, abs=1e-9)
    tilted = world(6.0 * frame[y] * [1, 0.8], y, 6.0 * frame)
    assert 0.5 < collapse_efficiency(*tilted).upper < 0.99


def test_unequal_counts_make_the_simplex_wasteful():
    y = np.repeat(np.arange(3), [100, 10, 1])
    frame = simplex_etf(3, 2)
    found = collapse_efficiency(*world(2 * frame[y], y, 2 * frame))
    assert found.upper < 0.9
    assert found.within == 1.0


@pytest.mark.parametrize("has_bias", [True, False])
def test_efficiency_rises_along_the_gradient_flow_of_free_features(has_bias):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), [6, 3, 2])
    w, f, b = 0.3 * rng.standard_normal((3, 4)), 0.3 * rng.standard_normal((11, 4)), np.zeros(3)
    steps, seen = 0, []
    for until in (100, 300, 1000, 3000, 6000):
        for _ in range(steps, until):
            s = f @ w.T + b
            p = np.exp(s - s.max(axis=1, keepdims=True))
            u = (p / p.sum(axis=1, keepdims=True) - np.eye(3)[y]) / 11
            w, f = w - 0.5 * (u.T @ f), f - 0.5 * (u @ w)
            b = b - 0.5 * u.sum(axis=0) if has_bias else b
        steps = until
        found = collapse_efficiency(*world(f, y, w, b if has_bias else None, has_bias=has_bias))
        seen.append((found.lower, found.upper))
    for (_, before), (after, _) in pairwise(seen):
        assert after > before
    assert seen[-1][0] > 0.8


def test_label_sets_of_one_are_labels():
    f, y, w, b = noisy()
    sample, head = world(f, y, w, b)
    one = collapse_efficiency(sample, head)
    assert same(one, collapse_efficiency(sample, head, "pick-all-label"))
    sets = collapse_efficiency(sample, head, "pick-all-label", targets=np.eye(3, dtype=int)[y])
    assert same(one, sets)
    assert sets.loss == pytest.approx(one.loss, rel=1e-12)


@pytest.mark.parametrize(
    ("features", "labels", "weight", "why"),
    [
        ([[1.0], [2.0]], [0, 0], [[1.0], [-1.0]], "same target"),
        ([[1.0], [1.0]], [0, 1], [[1.0], [-1.0]], "zero"),
        ([[1.0], [-1.0]], [0, 1], [[1.0], [1.0]], "zero"),
        ([[1.0], [-1.0]], [0, 1], [[np.inf], [1.0]], "not finite"),
        ([[900.0], [-900.0]], [0, 1], [[1.0], [-1.0]], "infimum"),
    ],
)
def test_undefined_values_have_their_reason(features, labels, weight, why):
    found = collapse_efficiency(*world(features, labels, weight))
    assert np.isnan([found.lower, found.upper, found.within]).all()
    assert why in found.reasons[0]


def test_a_loss_that_needs_no_features_has_efficiency_zero():
    found = collapse_efficiency(*world([[1.0], [-1.0]], [1, 0], [[1.0], [-1.0]]))
    assert (found.lower, found.upper) == (0.0, 0.0)
    assert np.isnan(found.outputs)
    assert "without features" in found.reasons[0]


def test_few_features_can_be_enough_where_small_classes_merge():
    """The best four classes of unequal counts at this loss lie on a line: one feature is enough."""
    y = np.repeat(np.arange(4), [100, 100, 3, 3])
    frame = 1.2 * simplex_etf(4, 3)
    first = collapse_efficiency(*world(frame[y], y, frame))
    counts = np.bincount(y).astype(float)
    left, values, right = np.linalg.svd(np.sqrt(counts)[:, None] * first.logits)
    assert values[1] < 1e-3 * values[0]
    features = (left[:, :1] * np.sqrt(values[0] / counts)[:, None])[y]
    line = collapse_efficiency(*world(features, y, np.sqrt(values[0]) * right[:1].T, first.bias))
    assert line.lower > 1 / 1.0011
    assert "1 features are fewer than the 3" in line.reasons[0]


def test_few_features_are_told():
    line = world([[-2.0], [0.0], [2.0]], [0, 1, 2], [[-3.0], [0.0], [3.0]], [-3.0, 1.0, -3.0])
    found = collapse_efficiency(*line)
    assert 0 < found.upper < 1
    assert "1 features are fewer than the 2" in found.reasons[0]


def test_bad_input_is_named():
    f, y, w, b = noisy()
    sample, head = world(f, y, w, b)
    with pytest.raises(UnknownName, match="cross-entropy"):
        collapse_efficiency(sample, head, "cross-entropie")
    with pytest.raises(InvalidArgument, match="smoothing"):
        collapse_efficiency(sample, head, "mse", smoothing=0.1)
    with pytest.raises(InvalidArgument, match="smoothing"):
        collapse_efficiency(sample, head, smoothing=1.0)
    with pytest.raises(InvalidArgument, match="seconds"):
        collapse_efficiency(sample, head, seconds=-1.0)
    with pytest.raises(InvalidSample, match="the head has outputs 0"):
        collapse_efficiency(sample, nb.LinearHead(w[:2]))
    with pytest.raises(InvalidSample, match="the head takes 2 features"):
        collapse_efficiency(sample, nb.LinearHead(w[:, :2]))
    with pytest.raises(InvalidSample, match="pick-all-label"):
        collapse_efficiency(sample, head, targets=np.eye(3)[y])
    with pytest.raises(InvalidSample, match="0 or 1 of shape"):
        collapse_efficiency(sample, head, "binary", targets=2 * np.eye(3)[y])
    with pytest.raises(InvalidSample, match="has no label"):
        collapse_efficiency(sample, head, "pick-all-label", targets=0 * np.eye(3)[y])
    with pytest.raises(RoleError, match="holdout"):
        collapse_efficiency(*world(f, y, w, b, role="test"))
    unlabelled = nb.Sample.from_arrays(f, role="unlabelled")
    with pytest.raises(InvalidSample, match="labelled rows"):
        collapse_efficiency(unlabelled, head)
