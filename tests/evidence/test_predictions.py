"""Evidence from predictions: errors are counted as they are for a head, and nothing else is."""

import dataclasses

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.errors import InvalidSample, MissingEvidence, OverlapError, RoleError
from ncbounds.evidence.answers import answers_of_outputs
from ncbounds.evidence.by_role import row_ids

RNG = np.random.default_rng(4)
N, C = 400, 4
LABELS = RNG.integers(0, C, N)
LOGITS = RNG.normal(size=(N, C)) + 2.0 * np.eye(C)[LABELS]


def from_predictions(**given):
    return nb.Evidence.from_predictions(**{"role": "holdout", "sampling": "iid", **given})


def rows(evidence, bounds="default"):
    return {(r.bound, *r.params): r for r in nb.evaluate(evidence, bounds=bounds).rows}


def probabilities():
    e = np.exp(LOGITS)
    return e / e.sum(1, keepdims=True)


def test_all_forms_count_what_a_head_on_the_logits_counts():
    head = nb.LinearHead(np.eye(C))
    sample = nb.Sample.from_arrays(LOGITS, LABELS, role="holdout", sampling="iid")
    counting = ("binomial", "kl_holdout", "hoeffding")
    wanted = nb.evaluate(nb.Evidence(head=head, holdout=sample), bounds=counting).rows
    assert len(wanted) == 4
    for form in (
        {"predicted": LOGITS.argmax(1), "classes": C},
        {"predicted": LOGITS.argmax(1).astype(float), "classes": C},
        {"logits": LOGITS},
        {"probabilities": probabilities()},
    ):
        found = nb.evaluate(from_predictions(labels=LABELS, **form), bounds=counting).rows
        for a, b in zip(wanted, found, strict=True):
            assert (a.value, a.kind, a.n, a.params) == (b.value, b.kind, b.n, b.params)
            assert b.kind == "certificate"


def test_ties_and_values_that_are_not_finite_are_errors():
    logits = np.array([[1, 1, 0], [2, 1, 0], [np.nan, 5, 0], [np.inf, 0, 0], [-np.inf, 3, 0]])
    assert answers_of_outputs(logits, "logits").tolist() == [-1, 0, -1, -1, -1]
    assert answers_of_outputs(np.array([0.5, 0.6, 0.4, np.nan]), "probabilities").tolist() == [
        *(-1, 1, 0, -1)
    ]
    assert answers_of_outputs(np.array([[0.0], [-0.1], [1e-300]]), "logits").tolist() == [-1, 0, 1]
    assert answers_of_outputs(np.array([1.0, 2.0, 3.0]), "logits", 2.0).tolist() == [0, -1, 1]
    near = np.array([0.5, 0.5])
    assert answers_of_outputs(np.array([[1.0, 0.5], [1.1, 0.5]]), "logits", near=near).tolist() == [
        *(-1, 0)
    ]
    found = rows(from_predictions(predicted=[0.0, np.nan, -1, 1], labels=[0, 1, 1, 1]))
    assert found["binomial",].details["errors"] == 2
    assert any(
        "2 of 4 holdout rows have no single prediction" in r for r in found["binomial",].reasons
    )


def test_adjacent_numbers_of_any_type_are_told_apart():
    for kind in (np.float16, np.float32, np.float64):
        low = kind(1.0)
        pair = np.array([[low, np.nextafter(low, kind(2))]], dtype=kind)
        assert answers_of_outputs(pair, "logits").tolist() == [1]
    assert answers_of_outputs(np.array([[2**62, 2**62 + 1]]), "logits").tolist() == [1]


def test_a_row_that_needs_a_head_says_so_and_is_left_out_where_nobody_asked():
    evidence = from_predictions(logits=LOGITS, labels=LABELS)
    asked = nb.evaluate(evidence, bounds="all").rows
    without = [r for r in asked if "needs a linear head" in " ".join(r.reasons)]
    counted = {r.bound for r in asked} - {r.bound for r in without}
    assert counted == {"binomial", "kl_holdout", "hoeffding", "mean_loss"}
    assert {"gaussian_head", "ncm_blocks", "split_head"} < {r.bound for r in without}
    assert all(len(r.reasons) == 1 for r in without)
    assert {r.bound for r in nb.evaluate(evidence).rows} == counted - {"mean_loss"}
    with pytest.raises(MissingEvidence, match="only predictions were given"):
        nb.bounds.get("gaussian_head")(evidence)
    with pytest.raises(MissingEvidence, match="no head is known"):
        _ = evidence.linear_head
    assert "the others need a linear head" in nb.evaluate(evidence).to_screen()


@pytest.mark.parametrize("bound", [b for b in nb.bounds.catalogue() if not b.reads_features])
def test_what_says_that_it_reads_no_features_computes_without_them(bound):
    e = from_predictions(
        logits={"holdout": LOGITS, "fit": -LOGITS, "unlabelled": LOGITS[:50] + 1.0},
        labels={"holdout": LABELS, "fit": LABELS},
        role=None,
    )
    found = nb.evaluate(e, bounds=[bound]).rows
    assert found
    assert not any("not computed" in reason for r in found for reason in r.reasons)


def test_several_roles_with_declarations_of_their_own():
    evidence = from_predictions(
        role=None,
        logits={"holdout": LOGITS[:300], "test": LOGITS[300:]},
        labels={"holdout": LABELS[:300], "test": LABELS[300:]},
        selected_among={"holdout": 7},
        ids={"holdout": np.arange(300), "test": np.arange(300, N)},
    )
    assert (evidence.holdout.selected_among, evidence.test.selected_among) == (7, 1)
    row = rows(evidence)["binomial",]
    assert row.kind == "certificate"
    assert "delta divided by 7 candidates" in row.reasons
    assert row.test.error == np.mean(LOGITS[300:].argmax(1) != LABELS[300:])
    unknown = from_predictions(logits=LOGITS, labels=LABELS, selected_among=None)
    assert rows(unknown)["binomial",].kind == "plug-in"


def test_copies_are_found_among_logits_ids_and_hashes():
    twice = np.concatenate([LOGITS, LOGITS[:40]])
    labels = np.concatenate([LABELS, LABELS[:40]])
    e = from_predictions(logits=twice, labels=labels)
    assert rows(e)["binomial",].kind == "plug-in"
    once = from_predictions(logits=twice, labels=labels, repeats="copies")
    assert (
        rows(once)["binomial",].value
        == rows(from_predictions(logits=LOGITS, labels=LABELS))["binomial",].value
    )
    answers = {"predicted": twice.argmax(1), "labels": labels}
    hashes = np.arange(len(twice)) % N
    assert rows(from_predictions(**answers, input_hashes=hashes))["binomial",].kind == "plug-in"
    assert from_predictions(**answers, input_hashes=hashes, repeats="copies").holdout.n == N
    with pytest.raises(InvalidSample, match="pass input_hashes="):
        from_predictions(**answers, repeats="copies")
    unchecked = rows(from_predictions(**answers))["binomial",]
    assert any("is not checked" in reason for reason in unchecked.reasons)
    names = {"holdout": ["a", "b"], "test": ["c", "a"]}
    with pytest.raises(OverlapError):
        from_predictions(
            role=None,
            predicted={"holdout": [0, 1], "test": [0, 1]},
            labels={"holdout": [0, 1], "test": [0, 1]},
            ids=names,
        )


def test_a_row_has_one_id_whether_a_file_gives_it_as_a_number_or_as_a_text():
    """Else a row that stands in two roles would be taken for two."""
    ids = [7, -8, 0, 2**63 - 1]
    for same in (np.array(ids, dtype=object), list(map(str, ids)), np.array(list(map(str, ids)))):
        assert row_ids(same).tolist() == ids
    large = np.array([2**64 - 1, 2**63], dtype=np.uint64)
    assert row_ids(large.astype(str)).tolist() == row_ids(large).tolist()
    odd = row_ids(["7", "07", "7.0", " 7", "-0", "٧", str(2**64), str(10**30)])
    assert len({*odd.tolist()}) == 8
    given = {"fit": [0, 1], "holdout": [1, 0]}
    with pytest.raises(OverlapError):
        from_predictions(
            role=None,
            predicted=given,
            labels=given,
            ids={"fit": [1, 2], "holdout": np.array([2, 3], dtype=object)},
        )


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, InvalidSample, "found none"),
        ({"predicted": [0], "logits": [[0, 1]]}, InvalidSample, "found predicted and logits"),
        ({"predicted": [[0, 1]]}, InvalidSample, "are logits= or probabilities="),
        ({"predicted": [0.5]}, InvalidSample, r"found such as 0\.5"),
        ({"predicted": [10**7]}, InvalidSample, "below 1000000"),
        ({"probabilities": [[1.5, 0.0]]}, InvalidSample, "found 1.5; other scores are logits="),
        ({"logits": [[0, 1]], "threshold": 0.3}, InvalidSample, "leave it out"),
        ({"logits": [0.1], "threshold": float("nan")}, InvalidSample, "a threshold is a number"),
        ({"logits": [[0, 1]], "role": None}, InvalidSample, "role='holdout'"),
        ({"logits": {"holdout": [[0, 1]]}}, InvalidSample, "leave role='holdout' out"),
        ({"logits": [[0, 1]], "role": "val"}, RoleError, "known: .*holdout"),
        ({"logits": [[0, 1, 2]], "classes": 2}, InvalidSample, "there are 3 logits per row"),
        ({"predicted": ["cat"]}, InvalidSample, "real numbers"),
        ({"logits": np.zeros((1, 2, 2))}, InvalidSample, r"shape \(n, C\)"),
    ],
)
def test_what_is_refused_and_what_to_type(given, error, message):
    with pytest.raises(error, match=message):
        from_predictions(labels=[0], **given)


def test_a_head_and_predictions_do_not_mix():
    answered = nb.Sample.from_answers(LABELS, LABELS, role="holdout")
    featured = nb.Sample.from_arrays(LOGITS, LABELS, role="holdout")
    with pytest.raises(InvalidSample, match="has predictions only"):
        nb.Evidence(head=nb.LinearHead(np.eye(C)), holdout=answered)
    with pytest.raises(InvalidSample, match="needs predictions"):
        nb.Evidence(head=nb.NoHead(C, "none"), holdout=featured)


def test_class_counts_are_those_of_the_law_once_said():
    e = from_predictions(predicted=[0, 1], labels=[0, 1])
    assert e.head.classes == 2
    assert e.head.counted
    said = from_predictions(predicted=[0, 1], labels=[0, 1], classes=5)
    assert said.holdout.counts.tolist() == [1, 1, 0, 0, 0]
    assert rows(said)["binomial", "per"].value == 1.0


def test_a_row_over_all_classes_needs_to_know_how_many_there_are():
    """A class that is rare enough to be missed is always wrong, and no row may pass it by."""
    answers = LOGITS[LABELS < 3, :3].argmax(1), LABELS[LABELS < 3]
    given = dict(zip(("predicted", "labels"), answers, strict=True))
    counted = rows(from_predictions(**given))
    assert counted["binomial",].kind == "certificate"
    assert counted["binomial", "per"].kind == "plug-in"
    assert "classes=C" in counted["binomial", "per"].reasons[0]
    for said in ({"classes": 4}, {"priors": [0.3, 0.3, 0.4]}):
        assert rows(from_predictions(**given, **said))["binomial", "per"].kind == "certificate"
    balanced = {**given, "priors": "balanced", "sampling": "stratified"}
    assert rows(from_predictions(**balanced))["binomial",].kind == "plug-in"
    assert rows(from_predictions(**balanced, classes=3))["binomial",].kind == "certificate"


def test_a_declaration_of_a_role_that_there_is_not_is_not_lost():
    given = {"role": None, "predicted": {"holdout": [0, 1]}, "labels": {"holdout": [0, 1]}}
    with pytest.raises(RoleError, match="val"):
        from_predictions(**given, selected_among={"val": 20})
    with pytest.raises(RoleError, match="val"):
        from_predictions(**given, groups={"val": [1, 1]})


def test_a_threshold_that_rounds_to_a_number_is_met_by_it():
    for kind in (np.float16, np.float32):
        z = np.array([0.3, 0.29, 0.31], dtype=kind)
        assert answers_of_outputs(z, "probabilities", 0.3).tolist() == [-1, 0, 1]


def test_certificates_from_predictions_cover():
    """Over many draws at a known error, the bound lies below it at most delta of the time."""
    rng, error, delta, draws = np.random.default_rng(9), 0.2, 0.2, 200
    below = 0
    for _ in range(draws):
        y = rng.integers(0, 3, 60)
        wrong = rng.random(60) < error
        e = from_predictions(predicted=np.where(wrong, (y + 1) % 3, y), labels=y, classes=3)
        below += nb.bounds.get("binomial")(e, delta).value < error
    assert below <= draws * delta + 3 * np.sqrt(draws * delta * (1 - delta))
    assert below > 0.02 * draws  # a bound that is never near the truth shows nothing


def test_parts_keep_their_answers():
    e = from_predictions(logits=LOGITS, labels=LABELS, ignore_label=3)
    kept = LABELS != 3
    assert np.array_equal(e.holdout.answers, LOGITS.argmax(1)[kept])
    part = e.holdout.take(np.array([2, 5]), "test")
    assert np.array_equal(part.answers, e.holdout.answers[[2, 5]])
    assert dataclasses.replace(e, test=part).test.n == 2
