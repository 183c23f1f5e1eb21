"""Efficiencies as rows: by hand, at the declared loss, at optima, and what they say."""

import numpy as np
import pytest
from fixtures.evidence import drawn, evidence_of

import ncbounds as nb
from ncbounds.bounds.collapse.collapse_efficiency import collapse_efficiency
from ncbounds.bounds.collapse.margin_efficiency import margin_efficiency
from ncbounds.evaluation.facts import facts_of
from ncbounds.evidence.head import LinearHead
from ncbounds.geometry import simplex_etf
from ncbounds.results import MeasureResult


def seli_world(counts, size=1.0):
    """Features and head of the largest least margin at their norms, where a bias is free."""
    n = np.asarray(counts, dtype=float)
    root, y = np.sqrt(n), np.repeat(np.arange(len(n)), counts)
    left, values, right = np.linalg.svd((np.eye(len(n)) - (n / n.sum())[:, None]) * root)
    features = (np.sqrt(values)[:, None] * right / root)[:, y].T
    return evidence_of(
        LinearHead(size * left * np.sqrt(values), size**2 * n / n.sum()),
        drawn(size * features, y, "fit", repeats="by chance"),
    )


def noisy(seed=0, counts=(30, 30, 30), loss=None):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(3), counts)
    frame = 2 * simplex_etf(3, 5)
    f = frame[y] + 0.3 * rng.standard_normal((len(y), 5))
    return evidence_of(LinearHead(frame), drawn(f, y, "fit"), loss=loss)


def test_noise_that_the_head_does_not_see_is_a_factor_by_hand():
    f = [[3.0, 4.0], [3.0, -4.0], [-3.0, 4.0], [-3.0, -4.0]]
    e = evidence_of(LinearHead([[0.5, 0.0], [-0.5, 0.0]]), drawn(f, [0, 0, 1, 1], "fit"))
    row = collapse_efficiency(e)
    assert row.measure == pytest.approx(3 / 5, rel=1e-9)
    found = [row.details[k] for k in ("within", "alignment", "outputs", "upper")]
    assert found == pytest.approx([3 / 5, 1, 1, 3 / 5], rel=1e-9)
    assert row.details["mean loss"] == pytest.approx(np.log1p(np.exp(-3.0)))
    assert "at most 0.6000" in row.reasons
    assert "within 0.6000 x alignment 1.0000 x outputs 1.0000" in row.reasons
    # margins are 3, and B = |P_c W| |H| = sqrt(1/2) 10 at kappa = sqrt 2
    for percent in (0, 5):
        assert margin_efficiency(e, percent=percent).measure == pytest.approx(3 / 5, rel=1e-9)


def test_a_measure_has_no_value_and_spends_no_delta():
    for bound in (collapse_efficiency, margin_efficiency):
        row = bound(noisy(), delta=0.2)
        assert isinstance(row, MeasureResult)
        assert (row.kind, row.role) == ("measure", "fit")
        assert np.isnan(row.delta)
        assert not bound.spends_delta


def test_beyond_the_best_size_only_smoothing_wastes_norm():
    """Large logits are as good as can be for the cross-entropy, and too large for smoothing."""
    y = np.repeat(np.arange(4), 5)
    frame = 2.2 * simplex_etf(4, 3)
    found = {}
    for loss in (None, "cross_entropy", "label_smoothing:0.2", "mse"):
        fit = drawn(frame[y], y, "fit", repeats="by chance")
        found[loss] = collapse_efficiency(evidence_of(LinearHead(frame), fit, loss=loss))
    assert found[None].measure == found["cross_entropy"].measure == pytest.approx(1, abs=1e-9)
    assert found["label_smoothing:0.2"].details["upper"] < 0.2
    assert "assumed since none was declared" in found[None].reasons[0]
    assert found["cross_entropy"].reasons[0] == "loss cross-entropy; a free bias"
    assert "label smoothing 0.2" in found["label_smoothing:0.2"].reasons[0]
    # as squared error such logits are worse than no features at all
    assert found["mse"].measure == 0
    assert "without features" in found["mse"].reasons[0]


@pytest.mark.parametrize("counts", [(8, 8, 8), (40, 6, 2)])
def test_the_largest_margin_is_one_and_optimal_for_vanishing_loss(counts):
    for size in (1.0, 3.0):
        assert margin_efficiency(seli_world(counts, size)).measure == pytest.approx(1, rel=1e-9)
    uppers = [collapse_efficiency(seli_world(counts, s)).details["upper"] for s in (1.5, 3.0, 6.0)]
    lower = collapse_efficiency(seli_world(counts, 6.0)).measure
    assert uppers == sorted(uppers)
    assert 0.98 < lower <= 1


def test_one_bad_point_decides_the_minimum_and_not_the_quantile():
    e = noisy()
    f = np.array(e.fit.features)
    f[0] = -f[0]
    bad = evidence_of(e.head, drawn(f, e.fit.labels, "fit"))
    assert margin_efficiency(bad, percent=0).measure < 0 < margin_efficiency(e).measure
    before, after = (margin_efficiency(x, percent=5).measure for x in (e, bad))
    assert after == pytest.approx(before, rel=0.1)
    assert margin_efficiency(bad).details["errors"] == 1
    assert [p for _, p in margin_efficiency.planned(e)] == [{"percent": 0}, {"percent": 5}]


def test_counts_absent_classes_and_a_missing_bias_are_said():
    e = noisy(counts=(30, 9, 3))
    head = LinearHead(np.vstack([e.head.weight, e.head.weight[:1] * 0]), [0.0, 0, 0, -40])
    row = collapse_efficiency(evidence_of(head, e.fit))
    assert row.details["points per class"] == [3, 30]
    assert row.details["absent"] == ["3"]
    assert {"classes of 3 to 30 points", "classes without points: 3"} <= set(row.reasons)
    plain = LinearHead(e.head.weight, has_bias=False)
    for bound in (collapse_efficiency, margin_efficiency):
        assert any("no free bias" in r for r in bound(evidence_of(plain, e.fit)).reasons)


def test_an_open_bracket_is_said(monkeypatch):
    e = noisy(counts=(60, 9, 2))
    sharp = collapse_efficiency(e)
    monkeypatch.setattr(collapse_efficiency.function.__globals__["efficiency"], "__kwdefaults__", {
        "smoothing": 0.0, "targets": None, "seconds": 0.0,
    })  # fmt: skip
    rough = collapse_efficiency(e)
    assert rough.measure <= sharp.details["upper"]
    assert rough.details["upper"] >= sharp.measure
    assert any("bracket still open" in r for r in rough.reasons)
    assert not any("open" in r for r in sharp.reasons)


def test_undefined_rows_have_their_reason():
    one = evidence_of(LinearHead([[1.0], [-1.0]]), drawn([[1.0], [2.0]], [0, 0], "fit"))
    for bound, why in ((collapse_efficiency, "same target"), (margin_efficiency, "one class")):
        row = bound(one)
        assert np.isnan(row.measure)
        assert why in row.reasons[0]


def tags(loss=None, ranked=False, sets=((1, 1, 0, 0), (0, 0, 1, 1))):
    """Two opposite sets on one feature, and one that the head does not see; label 3 is "d"."""
    f = [[3.0, 4.0], [3.0, -4.0], [-3.0, 4.0], [-3.0, -4.0]]
    head = LinearHead([[0.5, 0], [0.5, 0], [-0.5, 0], [-0.5, 0]])
    fit = drawn(f, np.repeat(np.array(sets), 2, axis=0), "fit")
    decision = nb.MultiLabel(tuple("abcd"), ranked=ranked)
    return evidence_of(head, fit, loss=loss, decision=decision)


@pytest.mark.parametrize(
    ("loss", "ranked", "name"),
    [
        (None, False, "binary, assumed since none was declared"),
        (None, True, "pick-all-label, assumed since none was declared"),
        ("pick-all-label", False, "pick-all-label"),
        ("binary", True, "binary"),
    ],
)
def test_sets_of_labels_have_the_efficiency_of_their_loss_by_hand(loss, ranked, name):
    row = collapse_efficiency(tags(loss, ranked))
    assert row.measure == pytest.approx(3 / 5, rel=1e-9)
    assert row.reasons[0] == f"loss {name}; a free bias"
    assert "2 distinct sets of labels, of 2 to 2 points" in row.reasons
    binary = name.startswith("binary")
    mean = 4 * np.log1p(np.exp(-1.5)) if binary else 2 * np.log(2) + 2 * np.log1p(np.exp(-3.0))
    assert row.details["mean loss"] == pytest.approx(mean, rel=1e-12)


def test_labels_of_no_point_and_of_every_point_are_named():
    row = collapse_efficiency(tags(sets=((1, 1, 0, 0), (0, 1, 1, 0))))
    assert "labels without points: d" in row.reasons
    assert "labels of every point: b" in row.reasons
    assert "classes" not in " ".join(row.reasons)


def test_what_is_about_one_class_a_point_has_no_value_for_sets():
    report = nb.evaluate(tags("cross-entropy"), bounds=[collapse_efficiency, margin_efficiency])
    whole, margin = report.rows[0], report.rows[-1]
    assert "go with loss='pick-all-label' or loss='binary'" in whole.reasons[0]
    assert np.isnan(whole.measure)
    assert (margin.bound, np.isnan(margin.measure)) == ("margin_efficiency", True)
    assert "one class a point" in margin.reasons[0]
    metrics = {m["metric"] for m in facts_of(tags("binary"))["collapse"]["fit"]}
    assert "single-label NC1" in metrics
    assert not metrics & {"NC1", "NC3", "NC4", "margin efficiency"}
    ranked = facts_of(tags(ranked=True))["collapse"]["fit"]
    assert [m["variant"] for m in ranked if m["metric"] == "loss"] == ["pick-all-label"]
