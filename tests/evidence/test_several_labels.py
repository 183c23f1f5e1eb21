"""Points with several labels: how labels are read and kept, and which claims go with them."""

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.errors import InvalidSample
from ncbounds.evidence.error_bits import rows_hash
from ncbounds.evidence.indicators import indicators_of

Y = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
F = np.array([[2.0, -1, 3], [-1, -2, -3], [1, 1, -1], [-2, 4, -5]])
HEAD = nb.LinearHead(np.eye(3))
NAMES = ("cat", "dog", "owl")


def sample(features=F, labels=Y, role="holdout", **more):
    return nb.Sample.from_arrays(features, labels, role=role, **{"sampling": "iid", **more})


def evidence(decision=None, **samples):
    decision = nb.MultiLabel(NAMES) if decision is None else decision
    return nb.Evidence(head=HEAD, decision=decision, **(samples or {"holdout": sample()}))


@pytest.mark.parametrize(
    "labels", [Y, Y.astype(bool), Y.astype(np.float32), Y.tolist(), Y.astype(object)]
)
def test_indicators_of_any_type_are_the_same(labels):
    found = sample(labels=labels)
    assert found.indicators.dtype == bool
    assert np.array_equal(found.indicators, Y)
    assert (found.labels.tolist(), found.classes) == ([-1] * 4, 3)
    assert found.counts.tolist() == [0, 0, 0]


@pytest.mark.parametrize("wrap", [list, tuple, lambda rows: np.array(rows, dtype=object)])
def test_lists_of_label_numbers_need_their_number(wrap):
    rows = [[0, 2], [], [1, 0, 2], [1]]
    assert np.array_equal(sample(labels=wrap(rows), classes=3).indicators, Y)
    assert sample(labels=wrap(rows), classes=5).indicators.shape == (4, 5)
    with pytest.raises(InvalidSample, match=r"classes=L"):
        sample(labels=wrap(rows))
    given = {"logits": F, "role": "holdout", "decision": nb.MultiLabel()}
    known = nb.Evidence.from_predictions(**given, labels=wrap(rows))
    assert np.array_equal(known.holdout.indicators, Y)


@pytest.mark.parametrize(
    ("labels", "more", "says"),
    [
        (Y * 2, {}, "0 or 1, found 2"),
        (np.where(Y == 1, 1.0, np.nan), {}, "6 missing values"),
        (Y, {"classes": 4}, "4 labels, but labels have 3 columns"),
        (Y[:, :1], {}, r"shape \(n,\)"),
        (Y[:3], {}, "4 rows need labels"),
        ([[0, 3], [], [], []], {"classes": 3}, "0 to 2, found 3"),
        ([[0, 0], [], [], []], {"classes": 3}, r"row 0 has \[0, 0\].*numpy.asarray"),
        ([[0, 1]] * 4, {"classes": 2}, r"numpy.asarray\(labels\)"),
        (Y, {"ignore_label": 0}, "leave rows out first"),
    ],
)
def test_what_is_no_set_of_labels_is_refused(labels, more, says):
    with pytest.raises(InvalidSample, match=says):
        sample(labels=labels, **more)


def test_nested_lists_of_0_and_1_are_indicators_even_where_labels_are_counted():
    assert np.array_equal(sample(labels=Y.tolist(), classes=3).indicators, Y)
    two = [[0, 1], [1, 1], [0, 0], [1, 0]]
    assert np.array_equal(sample(labels=two, classes=2).indicators, two)
    given = {"labels": [[0, 1]] * 4, "role": "holdout", "decision": nb.MultiLabel()}
    known = nb.Evidence.from_predictions(logits=F[:, :2], **given)
    assert known.holdout.indicators.tolist() == [[False, True]] * 4


def test_a_single_label_a_point_is_read_as_before():
    assert sample(labels=[0, 1, 2, 1]).indicators is None
    assert sample(labels=[np.array(0), np.array(1), 2, 1]).labels.tolist() == [0, 1, 2, 1]
    assert indicators_of([], 0, 3).shape == (0, 3)


def test_parts_of_a_sample_keep_the_labels_of_their_rows():
    whole = sample()
    index = np.array([2, 0])
    for part in (whole.take(index), whole.part(index)):
        assert np.array_equal(part.indicators, Y[index])
    left = whole.without(np.array([True, False, False, False]), "a reason")
    assert np.array_equal(left.indicators, Y[1:])
    parts = nb.split(whole, {"head": 0.5, "holdout": 0.5}, seed=0)
    assert all(p.indicators.shape == (2, 3) for p in parts.values())


def test_strata_have_to_be_given_and_then_the_form_is_kl():
    with pytest.raises(InvalidSample, match=r"from_losses\(losses, labels=strata"):
        sample(sampling="stratified")
    losses, strata = np.array([0, 0.5, 1.0, 0.0] * 5), [0, 0, 1, 1] * 5
    typed = nb.Evidence.from_losses(losses, labels=strata, sampling="stratified", role="holdout")
    row = nb.evaluate(typed).rows[0]
    assert (row.kind, row.bound) == ("certificate", "mean_loss")
    assert "the form is kl" in " ".join(row.reasons)


def test_labels_and_decision_have_to_fit():
    with pytest.raises(InvalidSample, match=r"decision=nb.MultiLabel\(\)"):
        nb.Evidence(head=HEAD, holdout=sample())
    with pytest.raises(InvalidSample, match=r"labels of shape \(n, L\)"):
        evidence(holdout=sample(labels=[0, 1, 2, 1]))
    with pytest.raises(InvalidSample, match=r"2 label names.*3 outputs"):
        evidence(nb.MultiLabel(("a", "b")))
    with pytest.raises(InvalidSample, match="2 thresholds were given for 3 labels"):
        evidence(nb.MultiLabel(threshold=[0.0, 1.0]))
    with pytest.raises(InvalidSample, match="4 labels, the head 3 outputs"):
        evidence(holdout=sample(labels=np.c_[Y, Y[:, 0]]))
    with pytest.raises(InvalidSample, match="ranked=True has no thresholds"):
        nb.MultiLabel(threshold=0.0, ranked=True)
    with pytest.raises(InvalidSample, match="priors"):
        nb.Evidence(head=HEAD, decision=nb.MultiLabel(), holdout=sample(), priors=[0.5, 0.25, 0.25])
    pool = nb.Sample.from_arrays(F, role="unlabelled", sampling="iid")
    assert evidence(holdout=sample(), unlabelled=pool).unlabelled.indicators is None


def test_usual_claims_stand_where_nothing_is_asked_and_only_there():
    e = evidence()
    assert e.asked.names == ("hamming", "one-error")
    assert e.asking("precision@2").asked.names == ("1 - precision@2",)
    assert e.asking("hamming").asking("ranking").asked.names == ("hamming", "ranking loss")
    assert evidence(nb.MultiLabel(ranked=True)).asked.names == ("ranking loss",)
    answers = {"predicted": Y, "labels": Y, "role": "holdout"}
    without = nb.Evidence.from_predictions(**answers, decision=nb.MultiLabel())
    assert without.asked.names == ("hamming",)


@pytest.mark.parametrize("word", ["balanced", "worst", "groups", "rare=cat+dog", "top-2"])
def test_claims_of_classes_say_what_to_ask_of_labels(word):
    with pytest.raises(InvalidSample, match="points have several labels: ask for hamming"):
        evidence().asking(word)


def test_claims_that_do_not_fit_are_refused():
    classes = nb.Evidence(head=HEAD, holdout=sample(labels=[0, 1, 2, 1]))
    for word in ("hamming", "one-error", "misses:0", "precision@2"):
        with pytest.raises(InvalidSample, match=r"decision=nb.MultiLabel"):
            classes.asking(word)
    ranked = evidence(nb.MultiLabel(NAMES, ranked=True))
    for word in ("hamming", "subset", "misses:cat", "false-alarms:cat"):
        with pytest.raises(InvalidSample, match="only ranked: ask for one-error"):
            ranked.asking(word)
    for word in ("misses:cow", "false-alarms:7"):
        with pytest.raises(InvalidSample, match="no label"):
            evidence().asking(word)
    with pytest.raises(InvalidSample, match="misses:NAME"):
        evidence().asking("misses:")
    assert evidence().asking("misses:1").asked.risks[0].column == 1


def test_rows_with_other_labels_are_other_rows():
    hashes = np.arange(4, dtype=np.uint64)
    one, same = (sample(labels=y, input_hashes=hashes) for y in (Y, Y.tolist()))
    other = sample(labels=1 - Y, input_hashes=hashes)
    wider = sample(labels=np.c_[Y, np.zeros(4, int)], input_hashes=hashes)
    assert rows_hash(one) == rows_hash(same)
    assert len({rows_hash(s) for s in (one, other, wider)}) == 3


def test_predictions_give_the_same_evidence_as_a_head():
    labels = {"labels": Y, "role": "holdout", "decision": nb.MultiLabel(NAMES)}
    given = (F > 0).astype(int)
    ways = [
        {"logits": F},
        {"probabilities": 1 / (1 + np.exp(-F))},
        {"predicted": given},
        {"predicted": [[0, 2], [], [0, 1], [1]], "classes": 3},
    ]
    for outputs in ways:
        e = nb.Evidence.from_predictions(**outputs, **labels)
        assert np.array_equal(e.decision.predicted(e.holdout, e.head), given)
        assert e.decision.wrong(e.holdout, e.head).tolist() == [False, False, True, False]
    assert np.array_equal(evidence().decision.predicted(sample(), HEAD), given)


def test_thresholds_of_probabilities_are_probabilities():
    p = np.array([[0.5, 0.2, 0.7], [0.3, 0.31, 0.3]])
    of = {"labels": Y[:2], "role": "holdout"}

    def answers(decision, **outputs):
        e = nb.Evidence.from_predictions(**outputs, **of, decision=decision)
        return e.holdout.answers.tolist()

    assert answers(nb.MultiLabel(), probabilities=p) == [[-1, 0, 1], [0, 0, 0]]
    assert answers(nb.MultiLabel(threshold=0.3), probabilities=p) == [[1, 0, 1], [-1, 1, -1]]
    single = p.astype(np.float32)
    assert answers(nb.MultiLabel(threshold=0.3), probabilities=single)[1] == [-1, 1, -1]
    own = nb.MultiLabel(threshold=(0.6, 0.1, 0.3))
    assert answers(own, probabilities=p) == [[0, 1, 1], [0, 1, -1]]
    for bad in (0.0, 1.0, -2.0):
        with pytest.raises(InvalidSample, match="leave threshold out for 1/2"):
            answers(nb.MultiLabel(threshold=bad), probabilities=p)
    assert answers(nb.MultiLabel(threshold=0.0), logits=p - 0.3) == [[1, 0, 1], [-1, 1, -1]]
    with pytest.raises(InvalidSample, match=r"MultiLabel\(threshold=...\)"):
        nb.Evidence.from_predictions(logits=p, **of, decision=nb.MultiLabel(), threshold=0.1)


def test_an_answer_that_is_missing_is_wrong_whatever_is_true():
    p = np.array([[0.0, -1.0, 2.0], [np.nan, 1.0, -1.0], [1.0, np.inf, -1.0]])
    for truth in (np.zeros((3, 3)), np.ones((3, 3))):
        e = nb.Evidence.from_predictions(
            logits=p, labels=truth, role="holdout", decision=nb.MultiLabel()
        )
        found = e.holdout.answers
        assert found.tolist() == [[-1, 0, 1], [-1, -1, -1], [-1, -1, -1]]
        assert e.decision.wrong(e.holdout, e.head).all()
        assert e.decision.wrong_logits(p, e.holdout.indicators).all()
    given = nb.Evidence.from_predictions(
        predicted=[[1.0, np.nan], [-1, 0]],
        labels=[[1, 1], [0, 0]],
        role="holdout",
        decision=nb.MultiLabel(),
    )
    assert given.holdout.answers.tolist() == [[1, -1], [-1, 0]]


def test_ranked_labels_err_where_the_top_is_no_single_relevant_label():
    ranked = nb.MultiLabel(ranked=True)
    logits = np.array([[3.0, 1, 2], [3, 3, 1], [3, 3, 1], [1, 2, 3], [1, 2, 3], [np.nan, 2, 3]])
    held = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1]])
    wrong = [False, True, True, True, False, True]
    e = evidence(ranked, holdout=sample(logits, held))
    assert e.decision.wrong(e.holdout, HEAD).tolist() == wrong
    assert e.decision.wrong_logits(logits, e.holdout.indicators).tolist() == wrong
    same = nb.Evidence.from_predictions(logits=logits, labels=held, role="holdout", decision=ranked)
    assert same.decision.wrong(same.holdout, same.head).tolist() == wrong
    top = nb.Evidence.from_predictions(
        predicted=[0, -1, 1, 2, 2, 1], labels=held, role="holdout", decision=ranked
    )
    assert top.decision.wrong(top.holdout, top.head).tolist() == [
        *(False, True, False, True, False, False)
    ]


def test_top_labels_that_are_none_are_refused():
    given = {"labels": Y, "role": "holdout", "decision": nb.MultiLabel(ranked=True)}
    for bad in ([0, 1, 3, 0], [0, 0.5, 1, 2], Y):
        with pytest.raises(InvalidSample, match="ranked labels are"):
            nb.Evidence.from_predictions(predicted=bad, **given)


def test_what_has_no_meaning_for_several_labels_is_refused():
    with pytest.raises(InvalidSample, match="label_noise"):
        sample(label_noise=0.1)
    with pytest.raises(InvalidSample, match=r"from_predictions\(..., decision=nb.MultiLabel\(\)\)"):
        nb.Evidence.from_losses([0.5] * 4, labels=Y, role="holdout")


def test_answers_that_are_missing_are_counted_in_the_rows():
    logits = np.where(Y, F, 0.0)
    given = {"logits": logits, "labels": Y, "role": "holdout", "sampling": "iid"}
    e = nb.Evidence.from_predictions(**given, decision=nb.MultiLabel())
    assert "6 of 12 answers about holdout labels" in " ".join(nb.evaluate(e).rows[0].reasons)
    assert repr(e.holdout) == "Sample(holdout, 4 x predictions, 3 labels, iid)"


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        ("misses:²", "no label ²; labels are 0 to 3"),
        ("precision@²", "no claim"),
        ("top-²", "no claim"),
        ("precision@4", "precision@4 of 4 labels"),
    ],
)
def test_claims_are_checked_against_the_labels_that_scores_have(claim, says):
    given = {"logits": np.eye(4) - 0.5, "labels": np.eye(4, dtype=int), "role": "holdout"}
    found = nb.Evidence.from_predictions(**given, decision=nb.MultiLabel(), claims="misses:0")
    assert found.asked.risks[0].column == 0
    with pytest.raises(InvalidSample, match=says):
        nb.Evidence.from_predictions(**given, decision=nb.MultiLabel(), claims=claim)


def test_two_labels_of_one_name_are_refused():
    with pytest.raises(InvalidSample, match="found a more than once"):
        nb.MultiLabel(("a", "a", "b"))
