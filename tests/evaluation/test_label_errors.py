"""Misses and false alarms of each label, and what is refused where points have several."""

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.errors import InvalidSample
from ncbounds.evaluation.facts import error_bits
from ncbounds.evidence.error_bits import ErrorBits, same_rows
from ncbounds.numerics import binomial_upper

NAMES = ("cat", "dog", "owl")
#: Of ten points: cat is missed once and there 4 times, dog is always there, owl never.
HELD = np.array([[i < 4, True, False] for i in range(10)])
GIVEN = np.array([[0 < i < 5, i != 7, i == 2] for i in range(10)])


def evidence(given=GIVEN, held=HELD, decision=None, roles=("holdout", "test"), **more):
    """A head that reads the answers off the features, as logits of 1 and -1."""
    logits = np.where(given, 1.0, -1.0)
    more = {"sampling": "iid", "repeats": "by chance", **more}
    samples = {r: nb.Sample.from_arrays(logits, held, role=r, **more) for r in roles}
    fields = {r: replaced for r, replaced in samples.items() if r != "test"}
    if "test" in roles:
        test = {**more, "input_hashes": None}
        fields["test"] = nb.Sample.from_arrays(logits[:5] * 2, held[:5], role="test", **test)
    head = nb.LinearHead(np.eye(3))
    return nb.Evidence(head=head, decision=decision or nb.MultiLabel(NAMES), **fields)


def test_the_frame_by_hand():
    frame = nb.label_errors(evidence(), delta=0.06).set_index("name")
    each = 0.01
    assert frame.index.tolist() == list(NAMES)
    assert frame[["present", "absent"]].to_numpy().tolist() == [[4, 6], [10, 0], [0, 10]]
    assert frame[["misses", "false_alarms"]].to_numpy().tolist() == [[1, 1], [1, 0], [0, 1]]
    assert frame.loc["cat", "miss_limit"] == pytest.approx(binomial_upper(1, 4, each), rel=1e-9)
    assert frame.loc["cat", "miss_limit"] >= binomial_upper(1, 4, each)
    owl = frame.loc["owl"]
    assert owl["false_alarm_limit"] == pytest.approx(binomial_upper(1, 10, each), rel=1e-9)
    assert (owl["miss_limit"], frame.loc["dog", "false_alarm_limit"]) == (1.0, 1.0)
    assert np.isnan([owl["miss_rate"], frame.loc["dog", "false_alarm_rate"]]).all()
    assert frame["test_present"].tolist() == [4, 5, 0]
    assert frame["test_miss_rate"].tolist()[:2] == [0.25, 0.0]
    assert frame["test_false_alarm_rate"].tolist()[::2] == [1.0, 0.2]
    assert frame["trained"].isna().all()
    assert set(frame["kind"]) == {"certificate"}


def test_labels_without_an_answer_are_missed_or_false_alarms():
    logits = np.array([[0.0, 1.0], [0.0, np.nan]])
    e = nb.Evidence.from_predictions(
        logits=logits,
        labels=[[1, 1], [0, 1]],
        role="holdout",
        sampling="iid",
        decision=nb.MultiLabel(),
    )
    frame = nb.label_errors(e)
    assert frame["misses"].tolist() == [1, 1]
    assert frame["false_alarms"].tolist() == [1, 0]
    assert nb.evaluate(e).rows[0].details["errors"] == 2


def test_limits_of_labels_that_occur_together_hold_at_once():
    # two labels that are one: each limit has delta / 4, and both fail together at most so often
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(60):
        there, wrong = rng.random(60) < 0.5, rng.random(60) < 0.2
        held, given = (np.stack([x] * 2, axis=1) for x in (there, there ^ wrong))
        e = nb.Evidence.from_predictions(
            predicted=given, labels=held, role="holdout", sampling="iid", decision=nb.MultiLabel()
        )
        frame = nb.label_errors(e, delta=0.5)
        missed += (frame[["miss_limit", "false_alarm_limit"]] < 0.2).any(axis=None)
    assert missed <= 0.5 * 60
    assert missed > 0


@pytest.mark.parametrize("ask", [nb.class_errors, nb.confusion, nb.told_apart])
def test_frames_about_classes_say_which_to_take(ask):
    with pytest.raises(InvalidSample, match=r"nb.label_errors\(evidence\)"):
        ask(evidence())


def test_frames_about_labels_need_thresholds():
    with pytest.raises(InvalidSample, match=r"MultiLabel\(names, threshold\)"):
        nb.label_errors(evidence(decision=nb.MultiLabel(ranked=True)))
    one = nb.Evidence.from_predictions(predicted=[0, 1], labels=[0, 1], role="holdout")
    with pytest.raises(InvalidSample, match=r"nb.class_errors\(evidence\)"):
        nb.label_errors(one)


def test_other_laws_and_heads_on_top_are_about_one_class():
    with pytest.raises(InvalidSample, match="one class a point"):
        nb.shifted(evidence(), priors=[0.2, 0.3, 0.5])
    with pytest.raises(InvalidSample, match=r"labels\[:, j\]"):
        nb.certify_head(np.eye(3)[np.arange(12) % 3], np.eye(3)[np.arange(12) % 3])


HASHES = np.arange(10, dtype=np.uint64)


def two(**more):
    both = {"roles": ("holdout",), "input_hashes": HASHES}
    other = {**both, **more}
    return {"one": evidence(**both), "other": evidence(~GIVEN, **other)}


def test_classifiers_are_compared_by_the_error_that_is_named():
    found = nb.compare(two())
    assert found.candidates[0].error == "subset error"
    assert "by their subset error" in str(found)
    # one errs where any label differs: 0 and 4 (cat), 7 (dog), 2 (owl); the other everywhere
    assert found.only[0, 1] == 0
    assert found.only[1, 0] == 6


def test_classifiers_by_different_errors_are_not_compared():
    with pytest.raises(InvalidSample, match="one by its subset error and the other by its one-err"):
        nb.compare(two(decision=nb.MultiLabel(ranked=True)))
    with pytest.raises(InvalidSample, match="different rows"):
        nb.compare(two(held=~HELD))
    bits = {name: error_bits(e)[0] for name, e in two().items()}
    assert same_rows(bits).sum(axis=1).tolist() == [4, 10]
    stored = {name: ErrorBits.from_dict(b.to_dict()) for name, b in bits.items()}
    assert [b.error for b in stored.values()] == ["subset error"] * 2
    ranked = error_bits(two(decision=nb.MultiLabel(ranked=True))["other"])[0]
    with pytest.raises(InvalidSample, match="judged by the subset error, b by the one-error"):
        same_rows({"a": stored["one"], "b": ranked})


def test_rows_are_told_to_be_the_same_by_ids_and_named_labels():
    ids = np.arange(10) + 100
    one = evidence(roles=("holdout",), rows=ids)
    order, columns = np.arange(10)[::-1], [2, 0, 1]
    names = tuple(NAMES[j] for j in columns)
    other = evidence(
        GIVEN[order][:, columns],
        HELD[order][:, columns],
        nb.MultiLabel(names),
        roles=("holdout",),
        rows=ids[order],
    )
    assert nb.compare({"one": one, "other": other}).only.sum() == 0
    wrong = evidence(GIVEN, ~HELD, roles=("holdout",), rows=ids)
    with pytest.raises(InvalidSample, match="10 of 10 rows are labelled differently"):
        nb.compare({"one": one, "other": wrong})
