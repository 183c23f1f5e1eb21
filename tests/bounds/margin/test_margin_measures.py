"""Margin measures: signed quantiles, boundary distances and the transport-normalised median."""

import numpy as np
import pytest
from fixtures.evidence import drawn, evidence_of

from ncbounds.bounds import get
from ncbounds.bounds.margin.margin_quantiles import quantile
from ncbounds.bounds.margin.normalized_margin import boundary_distances
from ncbounds.evidence.head import LinearHead
from ncbounds.results import MeasureResult

margin_quantiles, normalized_margin, kv_margin = (
    get(name) for name in ("margin_quantiles", "normalized_margin", "kv_margin")
)
SIGN = LinearHead([[-1.0], [1.0]], [0.0, 0.0])


def evidence(f, y, head=SIGN, role="holdout"):
    return evidence_of(head, drawn(f, y, role, sampling="unknown"))


def blobs(seed, n=300, d=5, classes=3, noise=0.3):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(classes, d))
    y = rng.integers(classes, size=n)
    return w[y] + noise * rng.normal(size=(n, d)), y, LinearHead(w, rng.normal(size=classes))


# --- margin_quantiles


def test_quantiles_by_hand_with_their_sign():
    # margins -4, 0, 2, 4, 6 (twice the feature, mirrored for class 0)
    e = evidence([[-2.0], [0.0], [1.0], [-2.0], [3.0]], [1, 1, 1, 0, 1])
    found = {p: margin_quantiles(e, percent=p).measure for p in (0, 5, 10, 25, 50)}
    assert found == pytest.approx({0: -4.0, 5: -3.2, 10: -2.4, 25: 0.0, 50: 2.0})
    assert margin_quantiles(e).measure == found[10]
    row = margin_quantiles(e, percent=0)
    assert isinstance(row, MeasureResult)
    assert row.kind == "measure"
    assert row.details["per class"] == {0: 4.0, 1: -4.0}
    assert row.details["errors"] == 2
    assert not hasattr(row, "value")


def test_rows_of_all_quantiles_and_roles():
    e = evidence([[1.0], [2.0]], [1, 1])
    assert sorted(p["percent"] for _, p in margin_quantiles.planned(e)) == [0, 5, 10, 25, 50]
    fit = evidence([[1.0], [2.0]], [1, 1], role="fit")
    assert margin_quantiles(fit, role="fit").kind == "measure"
    assert {r for r, _ in margin_quantiles.planned(fit)} == {"fit"}


def test_margins_that_are_not_finite_pull_quantiles_down():
    f, y = np.ones((20, 1)), np.ones(20, dtype=int)
    f[:3] = np.nan
    y[3] = 8
    e = evidence(f, y)
    assert margin_quantiles(e, percent=10).measure == -np.inf
    assert margin_quantiles(e, percent=25).measure == 2.0
    assert quantile(np.array([-np.inf, 1.0]), 50) == -np.inf
    assert quantile(np.array([1.0, np.inf]), 50) in (1.0, np.inf)


# --- normalized_margin


def test_boundary_distances_by_hand():
    w = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    f = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    y = np.array([1, 1, 2, 0])
    e = evidence(f, y, LinearHead(w, [0.0, 0.0, 0.5]))
    # scores: (0,7,1.5): 5.5/|(3,3)|; (0,6,.5): 5.5/|(3,3)|; (0,8,2.5): -5.5/|(3,3)|;
    # (0,0,.5): rival 2 with distance 1: -.5
    distances = np.array([5.5, 5.5, -5.5]) / np.sqrt(18)
    distances = np.r_[distances, -0.5]
    total = np.square(f - f.mean(axis=0)).sum() / 3
    low, middle, high = np.percentile(distances / np.sqrt(total), [25, 50, 75])
    fence = 1.5 * (high - low)
    expected = {
        "Q1": low,
        "Q2": middle,
        "Q3": high,
        "lower fence": low - fence,
        "upper fence": high + fence,
    }
    for statistic, value in expected.items():
        row = normalized_margin(e, statistic=statistic)
        assert row.measure == pytest.approx(value, rel=1e-12)
        assert row.details == pytest.approx(expected)
    assert len(normalized_margin.planned(e)) == 5


def test_quartiles_of_many_distances():
    f, y, head = blobs(2)
    e = evidence(f, y, head)
    total = np.square(f - f.mean(axis=0)).sum() / (len(f) - 1)
    view = normalized_margin._view(e, e.holdout)
    expected = np.percentile(boundary_distances(view) / np.sqrt(total), [25, 50, 75])
    found = [normalized_margin(e, statistic=s).measure for s in ("Q1", "Q2", "Q3")]
    assert found == pytest.approx(expected, rel=1e-12)


def test_distance_is_where_the_prediction_changes():
    """Moving a feature by its distance towards the rival makes a tie."""
    f, y, head = blobs(1)
    e = evidence(f, y, head)
    view = normalized_margin._view(e, e.holdout)
    distances = boundary_distances(view)
    s = head.logits(f)
    for i in range(20):
        rival = np.argmax(np.where(np.arange(3) == y[i], -np.inf, s[i]))
        direction = head.weight[rival] - head.weight[y[i]]
        moved = f[i] + distances[i] * direction / np.linalg.norm(direction)
        t = head.logits(moved[None])[0]
        assert t[rival] == pytest.approx(t[y[i]], abs=1e-10)


def test_normalized_margin_without_a_number_says_why():
    same = evidence(np.ones((4, 1)), [0, 1, 1, 0])
    assert np.isnan(normalized_margin(same).measure)
    assert "coincide" in normalized_margin(same).reasons[0]
    broken = evidence([[1.0], [np.nan]], [0, 1])
    assert "not finite" in normalized_margin(broken).reasons[0]


def test_equal_rows_of_weights():
    head = LinearHead([[1.0], [1.0]], [0.0, 1.0])
    e = evidence([[0.0], [1.0], [2.0]], [1, 1, 0], head)
    assert normalized_margin(e, statistic="Q2").measure == np.inf
    tied = evidence([[0.0], [1.0], [2.0]], [1, 1, 0], LinearHead([[1.0], [1.0]], [0.0, 0.0]))
    assert normalized_margin(tied, statistic="Q2").measure == 0.0


def test_a_logit_that_is_not_finite_is_infinitely_far_on_the_wrong_side():
    head = LinearHead([[1.0], [np.nan]], [0.0, 0.0])
    e = evidence([[1.0], [2.0], [4.0]], [0, 0, 1], head)
    with np.errstate(invalid="ignore"):
        assert (boundary_distances(normalized_margin._view(e, e.holdout)) == -np.inf).all()


# --- kv_margin


def test_kv_margin_by_hand():
    # class 1 at 1 and 3 (halves of one point each: distance 2), class 0 at -1 and -1
    e = evidence([[1.0], [3.0], [-1.0], [-1.0]], [1, 1, 0, 0])
    # margins 2, 6, 2, 2; steepness 2; spread (1/2) 2 * 2 + (1/2) 0
    row = kv_margin(e)
    assert row.measure == pytest.approx(2.0 / 2.0, rel=1e-12)
    assert row.details["spread per class"] == pytest.approx([0.0, 4.0], abs=1e-12)


def test_kv_margin_keeps_the_sign():
    f, y, head = blobs(2)
    good, bad = kv_margin(evidence(f, y, head)), kv_margin(evidence(f, (y + 1) % 3, head))
    assert good.measure > 0 > bad.measure


@pytest.mark.parametrize(
    ("f", "y", "word"),
    [
        ([[1.0], [2.0], [-1.0]], [1, 1, 0], "single point"),
        ([[1.0], [2.0], [3.0], [4.0]], [1, 1, 7, 7], "no output"),
        ([[1.0], [np.nan]], [1, 1], "not finite"),
        ([[1.0], [1.0]], [1, 1], "coincide"),
    ],
)
def test_kv_margin_without_a_number_says_why(f, y, word):
    row = kv_margin(evidence(f, y))
    assert np.isnan(row.measure)
    assert word in row.reasons[0]


def test_invariances():
    f, y, head = blobs(3)
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    w, b = head.weight, head.bias
    shift = rng.normal(size=5)
    same = {
        "rotation": (f @ rotation, w @ rotation, b),
        "translation": (f + shift, w, b - w @ shift),
        "feature scale": (3 * f, w / 3, b),
        "head scale": (f, 5 * w, 5 * b),
        "common row": (f, w + shift, b + 1.0),
    }
    for bound in (normalized_margin, kv_margin):
        base = bound(evidence(f, y, head)).measure
        for name, (x, v, c) in same.items():
            found = bound(evidence(x, y, LinearHead(v, c))).measure
            assert found == pytest.approx(base, rel=1e-9), name
            assert name in bound.invariant_to
