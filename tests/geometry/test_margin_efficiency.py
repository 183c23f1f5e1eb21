"""Margins against the best that norms allow."""

import json
from pathlib import Path

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.errors import InvalidSample, RoleError
from ncbounds.geometry import margin_efficiency, margin_scale, simplex_etf

GOLDEN = json.loads((Path(__file__).parent / "golden_efficiency.json").read_text())


def measured(features, labels, weight, bias=None, has_bias=True, role="fit"):
    sample = nb.Sample.from_arrays(features, labels, role=role)
    return margin_efficiency(sample, nb.LinearHead(weight, bias, has_bias=has_bias))


def best_network(counts, bias):
    """Head, bias and features of least norms for class logits ``I - pi 1'``, or ``P_c``."""
    n = np.asarray(counts, dtype=float)
    centre = n / n.sum() if bias else np.full(len(n), 1 / len(n))
    root = np.sqrt(n)
    left, values, right = np.linalg.svd((np.eye(len(n)) - centre[:, None]) * root)
    y = np.repeat(np.arange(len(n)), counts)
    features = (np.sqrt(values)[:, None] * right)[:, y] / root[y]
    return features.T, y, left * np.sqrt(values), centre if bias else None


@pytest.mark.parametrize("name", ["M.kappa", "M.kappa_by_svm"])
def test_scales_are_golden(name):
    for item in GOLDEN[name]:
        given = item["inputs"]
        found = margin_scale(given["counts"], bias=given["bias"] == "free")
        assert found == pytest.approx(float(item["value"]), rel=item.get("tolerance", 1e-9))


def test_equal_counts_have_a_closed_form():
    for bias in (True, False):
        assert margin_scale([16] * 6, bias=bias) == pytest.approx(5 * 4, rel=1e-12)


def test_hand_calculation():
    # margins 2 w f: 6, 6, 2, 6; |P_c W| = sqrt 2, |H|^2 = 9 + 9 + 1 + 9, kappa = sqrt 2.
    found = measured([[3.0], [3.0], [-1.0], [-3.0]], [0, 0, 1, 1], [[1.0], [-1.0]], has_bias=False)
    assert found.kappa == pytest.approx(np.sqrt(2))
    assert found.budget == pytest.approx(np.sqrt(2 * 28))
    assert found.minimum == pytest.approx(2 / np.sqrt(28))
    # the 5 % quantile is .15 of the way from the least margin to the next
    assert found.quantile == pytest.approx((2 + 0.15 * 4) / np.sqrt(28))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("counts", [(5, 5, 5), (40, 6, 1), (300, 2, 2, 1), (7, 1)])
def test_the_best_network_has_one_and_all_margins_equal(counts, bias):
    f, y, w, b = best_network(counts, bias)
    found = measured(f, y, w, b, bias)
    assert found.minimum == pytest.approx(1.0, rel=1e-9)
    assert found.quantile == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("bias", [True, False])
def test_no_network_is_above_one(bias):
    """Neither random ones nor those climbing from the best of other counts."""
    rng = np.random.default_rng(0)
    top = -np.inf
    for trial in range(150):
        counts = rng.integers(1, 12, 3)
        f, y, w, b = best_network(counts if trial % 2 else (4, 4, 4), bias)
        if trial % 2 == 0:
            f, y = f[: counts.sum()], y[: counts.sum()]
            if len(np.unique(y)) < 2:
                continue
        f = f + 0.1 * rng.random() * rng.standard_normal(f.shape)
        b = None if b is None else b + 0.1 * rng.random() * rng.standard_normal(3)
        found = measured(f, y, w + 0.1 * rng.random() * rng.standard_normal(w.shape), b, bias)
        top = max(top, found.minimum)
        assert found.minimum <= 1 + 1e-12
        assert found.minimum <= found.quantile
    assert top > 0.9


def test_cvxpy_finds_the_same_hard_margin():
    cp = pytest.importorskip("cvxpy")
    counts, y = np.array([9.0, 3, 1]), np.arange(3)
    for bias in (True, False):
        z, b = cp.Variable((3, 3)), cp.Variable(3)  # columns are classes, times root counts
        logits = z @ np.diag(1 / np.sqrt(counts)) + cp.reshape(b, (3, 1), order="C") @ np.ones(
            (1, 3)
        )
        limits = [logits[c, c] - logits[j, c] >= 1 for c in y for j in y if j != c]
        limits += [] if bias else [b == 0]
        least = cp.Problem(cp.Minimize(cp.normNuc(z)), limits).solve(solver=cp.SCS, eps=1e-8)
        assert margin_scale(counts, bias=bias) == pytest.approx(least, rel=1e-5)


def test_invariances_and_absent_classes():
    f, y, w, b = best_network((9, 4, 2), True)
    f = f + 0.05 * np.random.default_rng(0).standard_normal(f.shape)
    base = measured(f, y, w, b).minimum
    shift = np.array([1.0, -2.0, 3.0])
    assert measured(f + shift, y, w, b - w @ shift).minimum == pytest.approx(base, rel=1e-9)
    assert measured(3 * f, y, w / 3, b).minimum == pytest.approx(base, rel=1e-9)
    assert measured(f, y, 5 * w, 5 * b).minimum == pytest.approx(base, rel=1e-9)
    assert measured(f, y, w + shift, b).minimum == pytest.approx(base, rel=1e-9)
    # an output without points counts in the centring of the head's rows and as a rival
    wider = measured(f, y, np.vstack([w, w.mean(axis=0)]), np.append(b, -9.0))
    assert wider.kappa == pytest.approx(margin_scale([9, 4, 2, 0], bias=True), rel=1e-12)
    assert wider.minimum == pytest.approx(base, rel=1e-9)


def test_an_error_makes_it_negative_and_the_quantile_does_not_see_it():
    frame = simplex_etf(3, 2)
    y = np.repeat(np.arange(3), 20)
    labels = y.copy()
    labels[0] = 1
    found = measured(frame[y], labels, frame)
    assert found.minimum < 0 < found.quantile


def test_edges():
    for arrays, why in (
        (([[1.0], [2.0]], [0, 0], [[1.0], [-1.0]]), "one class"),
        (([[1.0], [1.0]], [0, 1], [[1.0], [-1.0]]), "zero"),
        (([[1.0], [2.0]], [0, 1], [[np.nan], [-1.0]]), "not finite"),
    ):
        found = measured(*arrays)
        assert np.isnan([found.minimum, found.quantile]).all()
        assert why in found.reasons[0]
    with pytest.raises(InvalidSample, match="a label is 2"):
        measured([[1.0], [2.0]], [0, 2], [[1.0], [-1.0]])
    with pytest.raises(RoleError, match="test sample"):
        measured([[1.0], [2.0]], [0, 1], [[1.0], [-1.0]], role="test")
    with pytest.raises(InvalidSample, match="counts need"):
        margin_scale([-1, 2], bias=True)
