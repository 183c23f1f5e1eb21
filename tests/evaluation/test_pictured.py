"""What figures need is kept with a result: margins by role, and pairs of classes."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from fixtures.evidence import drawn, evidence_of

import ncbounds as nb
from ncbounds.bounds.cells import limits_of
from ncbounds.errors import InvalidSample
from ncbounds.evaluation.answers import cosines
from ncbounds.evaluation.facts import facts_of
from ncbounds.evaluation.pictured import class_pairs, pictured
from ncbounds.evidence.class_pairs import CLASSES, WORST, ClassPairs, Confusions
from ncbounds.evidence.margin_curves import MarginCurves
from ncbounds.numerics import binomial_lower, binomial_upper
from ncbounds.results import plain

HEAD = nb.LinearHead(np.eye(3))


def stored(evidence):
    """What is kept, as it comes back from a file."""
    return json.loads(json.dumps(dict(pictured(evidence))))


def points(role, n=60, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return drawn(np.eye(3)[y] + rng.normal(size=(n, 3)) * 0.6, y, role)


def test_quantiles_are_margins_and_those_that_are_not_positive_are_the_errors():
    fit, held = points("fit"), points("holdout", 100, 1)
    found = MarginCurves.from_dict(stored(evidence_of(HEAD, fit, held))["margins"])
    assert list(found.quantiles) == ["fit", "holdout"]
    m = np.sort(held.margins(HEAD))
    # of 100 points q per cent are the q smallest
    np.testing.assert_allclose(found.quantiles["holdout"][1:], m, rtol=1e-5)
    assert (found.quantiles["holdout"][1:] <= 0).sum() == (m <= 0).sum() > 0
    assert found.unit == pytest.approx(np.sort(np.abs(fit.margins(HEAD)))[29], rel=1e-5)
    assert found.normalised("fit")[50] == pytest.approx(
        np.sort(fit.margins(HEAD))[29] / found.unit, rel=1e-4
    )


def test_margins_that_are_not_finite_come_back():
    y = np.array([0, 1, 2, 0])
    x = np.eye(3)[y]
    x[0] = np.nan
    found = MarginCurves.from_dict(stored(evidence_of(HEAD, drawn(x, y)))["margins"])
    assert found.quantiles["holdout"][[0, -1]].tolist() == [-np.inf, 1.0]
    assert (found.unit, found.unit_of) == (1.0, "holdout")


def test_margins_do_not_change_with_the_scale_of_a_head():
    sample = points("holdout")
    one, other = (
        MarginCurves.of(evidence_of(nb.LinearHead(k * np.eye(3)), sample)) for k in (1.0, 1000.0)
    )
    np.testing.assert_allclose(one.normalised("holdout"), other.normalised("holdout"), rtol=1e-9)


def test_kept_answers_have_the_limits_of_the_whole_table():
    """Class 3 is one that the head does not know; one point has no answer."""
    y = np.repeat([0, 1, 2, 3], (40, 20, 10, 5))
    x = np.eye(3)[np.minimum(y, 2)] * 2.0
    x[:4], x[41] = np.eye(3)[1] * 3, np.nan
    evidence = evidence_of(HEAD, drawn(x, y, repeats="by chance", selected_among=2))
    kept = ClassPairs.from_dict(stored(evidence)["class_pairs"]).confusions["holdout"]
    frame = nb.confusion(evidence)
    wanted = frame[frame["count"] > 0]
    low, high = limits_of(kept)
    cells = wanted[["class", "answer", "count", "n"]].to_numpy()
    order, own = np.lexsort(cells.T[::-1]), np.lexsort(kept.cells.T[::-1])
    assert kept.cells[own].tolist() == cells[order].tolist()
    assert low[own].tolist() == wanted["low"].to_numpy()[order].tolist()
    assert high[own].tolist() == wanted["high"].to_numpy()[order].tolist()
    counts, n = kept.table()
    assert n.tolist() == [40, 20, 10, 5]
    assert counts[3].tolist() == [0, 0, 5, 0]
    assert counts[1].tolist() == [0, 19, 0, 1]
    assert kept.cells[kept.worst()[0], :3].tolist() == [3, 2, 5]
    assert kept.kind == frame.kind[0]


def test_of_many_classes_the_worst_are_kept_and_pay_for_all_cells():
    classes = 2 * CLASSES
    y = np.tile(np.arange(classes), 6)
    answers = np.where(np.arange(len(y)) < 4 * classes, (y + 1) % classes, y)
    answers[:classes] = (y[:classes] + 2) % classes
    answers[0] = -1
    shape = (classes, classes + 1)
    found = Confusions.of(y, answers, shape, delta=0.05, kind="certificate")
    found = ClassPairs.from_dict(ClassPairs({"holdout": found}).to_dict()).confusions["holdout"]
    assert len(found.cells) == WORST < found.seen == 2 * classes
    assert set(found.cells[:, 2].tolist()) == {3}
    each = 0.05 / (2 * classes * (classes + 1))
    low, high = limits_of(found)
    assert low[0] == pytest.approx(binomial_lower(3, 6, each), rel=1e-12)
    assert high[0] == pytest.approx(binomial_upper(3, 6, each), rel=1e-12)
    with pytest.raises(InvalidSample, match=r"more than 100 classes.*nb\.confusion\(evidence\)"):
        found.table()


def test_cosines_of_a_simplex_are_those_of_collapse():
    y = np.arange(30) % 3
    collapsed = drawn(np.eye(3)[y], y, "fit", repeats="by chance")
    kept = ClassPairs.from_dict(stored(evidence_of(HEAD, collapsed))["class_pairs"])
    assert sorted(kept.cosines) == ["class means", "head rows"]
    for found in kept.cosines.values():
        np.testing.assert_allclose(found, 1.5 * np.eye(3) - 0.5, atol=1e-3)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_cosines_do_not_change_with_the_scale_of_a_head(scale):
    kept = class_pairs(evidence_of(nb.LinearHead(scale * np.eye(3)), points("holdout")))
    np.testing.assert_allclose(kept.cosines["head rows"], 1.5 * np.eye(3) - 0.5, atol=1e-12)


def test_what_is_not_known_is_left_out():
    y = np.arange(6) % 2
    answered = nb.Evidence.from_predictions(predicted=y, labels=y, role="holdout", classes=2)
    kept = stored(answered)
    assert kept["margins"] is None
    assert list(kept["class_pairs"]["confusions"]) == ["holdout"]
    assert kept["class_pairs"]["cosines"] == {}
    judged = stored(nb.Evidence.from_losses([0.5, 0.25], role="holdout"))
    assert judged["class_pairs"] is None
    x = np.eye(3)[np.arange(6) % 3]
    x[0] = np.inf
    odd = class_pairs(evidence_of(HEAD, drawn(x, np.arange(6) % 3, "fit")))
    assert list(odd.cosines) == ["head rows"]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (MarginCurves, {"unit": 0}),
        (MarginCurves, {"quantiles": {"fit": [1.0]}}),
        (MarginCurves, {"quantiles": {"fit": [*range(100), 0]}}),
        (ClassPairs, {"cosines": {"head rows": [0.0, 0.0]}}),
        (ClassPairs, {"confusions": {"holdout": {"shape": [2, 3], "cells": [[0, 2, 1, 1]]}}}),
        (ClassPairs, {"confusions": {"holdout": None}}),
    ],
)
def test_damaged_ones_are_refused(kind, change):
    evidence = evidence_of(HEAD, points("fit"), points("holdout", seed=1))
    kept = pictured(evidence)["margins" if kind is MarginCurves else "class_pairs"]
    kind.from_dict(kept)
    if "confusions" in change and change["confusions"]["holdout"]:
        change["confusions"]["holdout"] = {
            **kept["confusions"]["holdout"],
            **change["confusions"]["holdout"],
        }
    with pytest.raises(InvalidSample, match="damaged"):
        kind.from_dict({**kept, **change})


def test_an_evaluation_keeps_them_beside_its_rows():
    evidence = replace(evidence_of(HEAD, points("holdout")), checkpoint="net")
    report = nb.evaluate(evidence, "binomial")
    assert report.facts["net"]["margins"]["unit_of"] == "holdout"
    again = nb.Report.from_dict(json.loads(json.dumps(report.to_dict())))
    assert again.facts == report.facts


def test_one_bound_multiplies_nothing_that_it_does_not_need(monkeypatch):
    """It counts errors on holdout and fit, and on test beside them: no head sample, no means."""
    samples = [points(*of) for of in (("fit", 90), ("head", 75), ("holdout", 60), ("test", 45))]
    evidence = replace(evidence_of(HEAD, *samples), checkpoint="net")
    logits, angles = [], []
    multiplied = nb.LinearHead.logits
    monkeypatch.setattr(
        nb.LinearHead, "logits", lambda head, f: (logits.append(len(f)), multiplied(head, f))[1]
    )
    monkeypatch.setattr(
        "ncbounds.evaluation.pictured.cosines", lambda w: (angles.append(len(w)), cosines(w))[1]
    )
    report = nb.evaluate(evidence, bounds="binomial")
    assert sorted(set(logits)) == [45, 60, 90]
    assert not angles
    assert "moments" not in vars(evidence.fit)
    assert report.facts["net"]["margins"]["quantiles"].keys() == evidence.samples().keys()
    assert 75 in logits
    assert not angles
    assert report.facts["net"]["class_pairs"]["cosines"]
    assert angles == [3]


def test_what_is_made_when_read_travels_and_is_kept_as_before():
    evidence = replace(
        evidence_of(HEAD, points("fit", seed=2), points("holdout")), checkpoint="net"
    )
    facts, all_of_them = pictured(evidence), stored(evidence)
    assert list(all_of_them) == ["classes", "error_rates", "margins", "class_pairs"]
    assert plain(facts) == all_of_them == {k: facts_of(evidence)[k] for k in facts}
    travelled = pickle.loads(pickle.dumps(pictured(evidence)))
    assert type(travelled) is dict
    assert travelled == all_of_them
    report = nb.evaluate(evidence, "binomial")
    assert pickle.loads(pickle.dumps(report)).facts == {"net": all_of_them}
    assert json.loads(report.to_json())["facts"] == {"net": all_of_them}
