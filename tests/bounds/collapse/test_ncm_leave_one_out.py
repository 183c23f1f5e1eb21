"""Leave-one-out nearest class mean against golden values, exact refits and enumeration."""

import json
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from finite_laws import evidence
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds.bounds.collapse.ncm_leave_one_out import (
    _missed,
    ncm_leave_one_out,
    ncm_leave_one_out_formula,
)

GOLDEN = json.loads((Path(__file__).parents[2] / "golden.json").read_text())


def test_golden():
    for case in GOLDEN["E.loo_scaled_own_distance"]:
        n = case["inputs"]["n_y"]
        own, rival = (float(case["inputs"][k]) for k in ("own_sq_dist", "rival_sq_dist"))
        assert own * (n / (n - 1)) ** 2 == pytest.approx(float(case["value"]), rel=1e-9)
        # one point at the given distance; the others nearly on the mean, far from the rival
        residual = np.full((n, 1), -np.sqrt(own) / (n - 1))
        residual[0] = np.sqrt(own)
        gaps = np.array([[0.0], [np.sqrt(own) + np.sqrt(rival)]])
        assert _missed(residual, gaps, 0) == int(case["inputs"]["error"])


def refit(points, labels):
    """Share of misses by deleting each point, in exact arithmetic; a tie is a miss."""
    n, misses = len(points), 0
    for i in range(n):
        means = {}
        for c in set(labels):
            rows = [points[k] for k in range(n) if labels[k] == c and k != i]
            if rows:
                means[c] = [Fraction(sum(col), len(rows)) for col in zip(*rows, strict=True)]
        distance = {
            c: sum((a - b) ** 2 for a, b in zip(points[i], mu, strict=True))
            for c, mu in means.items()
        }
        own = distance.pop(labels[i], None)
        misses += own is None or own >= min(distance.values())
    return misses / n


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_equals_refits_ties_included(data):
    n = data.draw(st.integers(3, 12))
    d = data.draw(st.integers(1, 3))
    point = st.lists(st.integers(-3, 3), min_size=d, max_size=d)
    points = data.draw(st.lists(point, min_size=n, max_size=n))
    labels = data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    if len(set(labels)) < 2:
        labels[0] = (labels[0] + 1) % 3
    row = ncm_leave_one_out(evidence(np.array(points, dtype=float), np.array(labels)))
    assert row.value == pytest.approx(refit(points, labels), abs=1e-12)


def test_class_average_is_unbiased_for_one_shot_less():
    """Enumerate all samples of 3 points of class 0 and 2 of class 1 from small laws."""
    a, pa = [0.0, 1.0, 4.0], [0.5, 0.3, 0.2]
    b, pb = [3.0, 6.0], [0.4, 0.6]
    mean = truth = 0.0
    y = np.array([0, 0, 0, 1, 1])
    for i in product(range(3), repeat=3):
        for j in product(range(2), repeat=2):
            w = np.prod([pa[k] for k in i]) * np.prod([pb[k] for k in j])
            f = np.array([a[k] for k in i] + [b[k] for k in j])[:, None]
            mean += w * ncm_leave_one_out(evidence(f, y)).details["per class"][0]
            # the first point of class 0 as a query, the other two as shots
            own = abs(f[0, 0] - f[1:3].mean())
            truth += w * (own >= abs(f[0, 0] - f[3:].mean()))
    assert mean == pytest.approx(truth, abs=1e-12)
    assert 0.01 < truth < 0.9


def test_value_head_and_reasons():
    rng = np.random.default_rng(0)
    y = np.arange(3).repeat(20)
    f = rng.normal(size=(60, 4)) + 2.0 * np.eye(3, 4)[y]
    f[5] = np.nan
    row = ncm_leave_one_out(evidence(f, y))
    assert (row.kind, row.target) == ("plug-in", "ncm")
    assert any("1 points have non-finite features" in r for r in row.reasons)
    clean = np.delete(np.arange(60), 5)
    without = ncm_leave_one_out(evidence(f[clean], y[clean]))
    assert row.value * 60 == pytest.approx(without.value * 59 + 1)
    head = row.claim.head
    means = np.stack([f[clean][y[clean] == c].mean(axis=0) for c in range(3)])
    nearest = ((f[clean][:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (head.logits(f[clean]).argmax(axis=1) == nearest).all()
    per_class = row.details["per class"]
    assert row.value == pytest.approx(np.mean(per_class))


def test_a_class_of_one_point_is_missed_and_named():
    f = np.array([[0.0], [0.1], [5.0]])
    row = ncm_leave_one_out(evidence(f, [0, 0, 1]))
    assert row.value == pytest.approx(1 / 3)
    assert any("1 classes have one point" in r for r in row.reasons)
    pairs = ncm_leave_one_out(evidence(np.array([[0.0], [0.1], [5.0], [5.1]]), [0, 0, 1, 1]))
    assert not any("one point" in r for r in pairs.reasons)
    alone = ncm_leave_one_out(evidence(f, [0, 0, 0]))
    assert np.isnan(alone.value)


def test_role_fit_says_so():
    f = np.random.default_rng(0).normal(size=(20, 2))
    row = ncm_leave_one_out(evidence(f, [0, 1] * 10, role="fit"), role="fit")
    assert "the features were fitted on this sample" in row.reasons


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_collapsed_features_at_a_large_offset(offset):
    rng = np.random.default_rng(0)
    y = np.arange(4).repeat(25)
    f = np.eye(4)[y] + 1e-5 * rng.normal(size=(100, 4)) + offset
    assert ncm_leave_one_out(evidence(f, y)).value == 0.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 100), st.floats(-100, 100))
def test_frame_and_names_of_classes_do_not_matter(seed, scale, shift):
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=30)
    y[:3] = [0, 1, 2]
    f = rng.normal(size=(30, 3)) + np.eye(3)[y]
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    one = ncm_leave_one_out(evidence(f, y)).value
    assert ncm_leave_one_out(evidence(scale * f @ rotation + shift, 2 - y)).value == one


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_short_floats_are_read_exactly(dtype):
    """Squared distances of 300 overflow float16; a gap of one in 4,096^2 is lost to float32."""
    far = 300.0 if dtype == np.float16 else 4096.0
    f = np.array([[0.0], [1.0], [far], [far + 1.0]], dtype=dtype)
    f = np.concatenate([f, f[:1] + dtype(far / 2)])
    y = np.array([0, 0, 1, 1, 1])
    e = evidence(f, y)
    assert e.holdout.features.dtype == dtype
    exact = refit([[Fraction(float(x)) for x in row] for row in f], list(y))
    assert ncm_leave_one_out(e).value == float(exact)


def test_a_class_of_one_point_misses_it():
    row = ncm_leave_one_out(evidence(np.array([[0.0], [1.0], [9.0]]), np.array([0, 0, 1])))
    assert list(row.details["per class"]) == [0.0, 1.0]
    assert row.value == 1 / 3
    assert any("1 classes have one point" in reason for reason in row.reasons)


@pytest.mark.parametrize("scale", [1.0, 1e-7, 1e12, 1e20])
@pytest.mark.parametrize("near", [1.0, 1e-6])
def test_products_in_float32_decide_as_those_in_float64(near, scale):
    """Points from all over to closer to the boundary than float32 tells, means close together."""
    rng = np.random.default_rng(2)
    means = 1.0 + near * rng.standard_normal((5, 30))
    y = np.arange(400) % 5
    f = means[y] + near * 2.0 * rng.standard_normal((400, 30))
    slow = 0
    for c in range(5):
        mine, m = f[y == c], np.stack([f[y == j].mean(axis=0) for j in range(5)])
        slow += _missed(mine - m[c], m - m[c], c)
    found = ncm_leave_one_out_formula(scale * f, y)
    assert found == slow / 400
    assert 0.05 < found < 0.6


def test_points_that_float32_leaves_open_are_decided():
    # two classes of three at +-1; the seventh point is as far from its own mean as from the rival's
    f = np.array([[-1.0], [-1.0], [-1.0], [1.0], [1.0], [1.0], [0.0]])
    for step in (-1e-9, 1e-9):
        g = f.copy()
        g[6] += step
        assert ncm_leave_one_out_formula(g, np.array([0, 0, 0, 1, 1, 1, 1])) == (step < 0) / 7
