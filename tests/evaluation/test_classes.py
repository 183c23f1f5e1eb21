"""Frames about classes: counts by hand, limits by their formulas, and what they are worth."""

import numpy as np
import pytest
from fixtures.evidence import drawn, evidence_of
from fixtures.shares import Kept, unlucky, within
from scipy.stats import fisher_exact

import ncbounds as nb
from ncbounds.bounds import cells
from ncbounds.errors import InvalidSample, MissingEvidence
from ncbounds.evaluation import classes as module
from ncbounds.numerics import binomial_lower, binomial_upper, down, weighted_error_upper

NAMES = ("cat", "dog", "eel")


def evidence(**more):
    """Class 0: 40 points, 2 taken for dogs; 1: 20, 5 for eels; 2: 10, 1 without an answer."""
    y = np.repeat([0, 1, 2], (40, 20, 10))
    answers = y.copy()
    answers[:2], answers[40:45], answers[60] = 1, 2, -1
    return nb.Evidence.from_predictions(
        **{"predicted": answers, "labels": y, "role": "holdout", "sampling": "iid", "classes": 3}
        | {"decision": nb.MultiClass(NAMES)}
        | more
    )


def test_class_errors_by_hand():
    frame = nb.class_errors(evidence()).set_index("name")
    assert frame["errors"].to_list() == [2, 5, 1, 8, 8]
    assert frame["n"].to_list() == [40, 20, 10, 70, 70]
    assert frame.loc["macro", "rate"] == pytest.approx((2 / 40 + 5 / 20 + 1 / 10) / 3)
    assert frame.loc["micro", "rate"] == pytest.approx(8 / 70)
    assert frame.loc["micro", "limit"] == nb.formulas.binomial(8, 70, 0.05)
    k, n = [2, 5, 1], [40, 20, 10]
    assert frame.loc["macro", "limit"] == weighted_error_upper(k, n, np.full(3, 1 / 3), 0.05)
    assert frame["limit"][:3].to_list() == [*binomial_upper(k, n, float(down(0.05 / 3)))]
    assert set(frame["kind"]) == {"certificate"}
    best = nb.class_errors(evidence(selected_among=5))
    assert best["limit"].to_list() == nb.class_errors(evidence(), 0.01)["limit"].to_list()
    assert set(nb.class_errors(evidence(sampling="unknown"))["kind"]) == {"plug-in"}


def test_a_class_without_points_costs_the_others_nothing():
    y = np.repeat([0, 1], 20)
    found = nb.Evidence.from_predictions(
        predicted=y, labels=y, role="holdout", sampling="iid", classes=3
    )
    each = float(binomial_upper(0, 20, 0.025))
    assert nb.class_errors(found)["limit"][:3].to_list() == [each, each, 1.0]


def test_the_average_over_classes_that_were_only_seen_is_no_certificate():
    frame = nb.class_errors(evidence(classes=None))
    assert frame["kind"].to_list() == ["certificate"] * 3 + ["plug-in", "certificate"]
    assert any("of which 3 were seen" in reason for reason in frame.attrs["reasons"])


def test_confusion_by_hand():
    frame = nb.confusion(evidence())
    assert len(frame) == 3 * 4
    cell = frame.set_index(["name", "answer_name"])["count"]
    assert cell["cat", "dog"] == 2
    assert cell["dog", "eel"] == 5
    assert cell["eel", "no answer"] == 1
    assert cell["cat", "cat"] == 38
    each = float(down(0.05 / 24))
    dog = frame.set_index(["name", "answer_name"]).loc[("dog", "eel")]
    assert (dog["low"], dog["high"]) == (binomial_lower(5, 20, each), binomial_upper(5, 20, each))
    assert (frame["low"] <= frame["share"]).all()
    assert (frame["share"] <= frame["high"]).all()
    assert frame.groupby("class")["count"].sum().to_list() == [40, 20, 10]


def test_pairs_that_are_told_apart_by_fishers_test():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 30)
    f = rng.normal(size=(90, 3)) + 2.0 * np.eye(3)[y]
    w = np.eye(3)
    w[2] = w[1]  # classes 1 and 2 have one row
    e = evidence_of(nb.LinearHead(w), drawn(f, y), decision=nb.MultiClass(NAMES))
    frame = nb.told_apart(e).set_index(["first_name", "second_name"])
    assert frame["told_apart"].to_dict() == {
        ("cat", "dog"): True,
        ("cat", "eel"): True,
        ("dog", "eel"): False,
    }
    one = frame.loc[("cat", "dog")]
    a, b = 30 - one["first_errors"], one["second_errors"]
    p = fisher_exact([[a, 30 - a], [b, 30 - b]], alternative="greater")[1]
    assert one["p"] == pytest.approx(p, rel=1e-9)
    assert one["first_errors"] == int((f[y == 0, 0] <= f[y == 0, 1]).sum())
    tied = frame.loc[("dog", "eel")]
    assert (tied["first_errors"], tied["second_errors"]) == (30, 30)  # ties are errors
    assert len(nb.told_apart(e, [(0, 1)])) == 1
    with pytest.raises(InvalidSample, match="the second of a pair"):
        nb.told_apart(e, [(0, 3)])


def test_delta_is_shared_by_the_pairs():
    # 5 points of each class, none on the wrong side: p = 1/252 for each of the three pairs
    y = np.repeat([0, 1, 2], 5)
    e = evidence_of(nb.LinearHead(np.eye(3)), drawn(np.eye(3)[y], y, repeats="by chance"))
    for delta, told in ((0.0119, False), (0.01191, True)):
        frame = nb.told_apart(e, delta=delta)
        assert frame["p"].to_list() == pytest.approx([1 / 252] * 3)
        assert frame["told_apart"].to_list() == [told] * 3
    assert nb.told_apart(e, [(0, 1)], delta=0.0119)["told_apart"].all()


def test_cosines_of_a_pair_by_hand():
    f, y = np.eye(3)[[0, 0, 1, 2]], [0, 0, 1, 2]
    fit = drawn(f, y, "fit", repeats="by chance")
    held = drawn(f, y, repeats="by chance")
    frame = nb.told_apart(evidence_of(nb.LinearHead(np.eye(3)), fit, held))
    assert frame["head_cosine"].to_list() == pytest.approx([-0.5] * 3)
    # around (2, 1, 1)/4 the means are (2, -1, -1)/4, (-2, 3, -1)/4 and (-2, -1, 3)/4
    hand = [-6 / np.sqrt(6 * 14), -6 / np.sqrt(6 * 14), -2 / 14]
    assert frame["means_cosine"].to_list() == pytest.approx(hand)
    lone = nb.told_apart(evidence_of(nb.LinearHead(np.eye(3)), held))
    assert lone["means_cosine"].isna().all()


def test_a_constant_is_told_apart_no_more_often_than_delta():
    rng = np.random.default_rng(1)
    y, claimed = np.repeat([0, 1], 25), 0
    for _ in range(60):
        # the difference of the logits is noise: errors of the classes add up to 1
        f = rng.normal(size=(50, 2))
        frame = nb.told_apart(evidence_of(nb.LinearHead(np.eye(2)), drawn(f, y)), delta=0.25)
        claimed += bool(frame["told_apart"][0])
    assert 0 < claimed < 27


def test_what_is_missing_is_said():
    with pytest.raises(MissingEvidence, match="no head is known"):
        nb.told_apart(evidence())
    with pytest.raises(MissingEvidence, match=r"Evidence\(head_sample="):
        nb.confusion(evidence(), role="head")


def test_the_pooled_limit_of_strata_has_the_edge_rule():
    """At n - 1 errors of n: 1 - delta/n, above the exact limit of draws of one law."""
    y = np.repeat([0, 1, 2], (40, 20, 10))
    answers = np.where(np.arange(70) > 0, (y + 1) % 3, y)
    frames = [
        nb.class_errors(evidence(predicted=answers, sampling=s)).set_index("name")
        for s in ("iid", "stratified")
    ]
    drawn, by_class = (frame.loc["micro", "limit"] for frame in frames)
    assert by_class == pytest.approx(1 - 0.05 / 70, rel=1e-12)
    assert drawn == nb.formulas.binomial(69, 70, 0.05) < by_class


def test_shares_of_cells_and_pairs_add_up_to_no_more_than_delta(monkeypatch):
    low, high = Kept(binomial_lower, 2), Kept(binomial_upper, 2)
    monkeypatch.setattr(cells, "binomial_lower", low)
    monkeypatch.setattr(cells, "binomial_upper", high)
    delta = unlucky(24)
    nb.confusion(evidence(), delta)
    assert [within(d, 24, delta) for d in low.found + high.found] == [True, True]
    # a p-value that is above a third of delta, by less than an ulp
    delta = unlucky(3)
    monkeypatch.setattr(module, "told_apart_p", lambda *_: delta / 3)
    y = np.repeat([0, 1, 2], 5)
    e = evidence_of(nb.LinearHead(np.eye(3)), drawn(np.eye(3)[y], y, repeats="by chance"))
    assert not nb.told_apart(e, delta=delta)["told_apart"].any()


def test_cells_and_pairs_pay_for_what_was_chosen_among():
    chosen, strict = nb.confusion(evidence(selected_among=5)), nb.confusion(evidence(), 0.01)
    for end in ("low", "high"):
        assert chosen[end].to_list() == strict[end].to_list()
    # three pairs and two candidates: p = 1/252 for each
    y = np.repeat([0, 1, 2], 5)
    held = drawn(np.eye(3)[y], y, repeats="by chance", selected_among=2)
    for delta, told in ((0.0238, False), (0.02382, True)):
        frame = nb.told_apart(evidence_of(nb.LinearHead(np.eye(3)), held), delta=delta)
        assert frame["told_apart"].to_list() == [told] * 3


@pytest.mark.parametrize("role", ["head", "fit", "test"])
def test_frames_of_rows_of_another_role_are_no_certificates(role):
    y = np.repeat([0, 1, 2], 5)
    rows = drawn(np.eye(3)[y], y, role, repeats="by chance")
    e = evidence_of(nb.LinearHead(np.eye(3)), rows)
    for frame in (nb.class_errors, nb.confusion, nb.told_apart):
        found = frame(e, role=role)
        assert set(found["kind"]) == {"plug-in"}
        assert any("needs role holdout" in reason for reason in found.attrs["reasons"])
