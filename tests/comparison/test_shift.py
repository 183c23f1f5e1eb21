"""Statements about a target that differs from the held-out rows."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from fixtures.shares import Kept, unlucky, within

import ncbounds as nb
from ncbounds.bounds.holdout.binomial import binomial_formula
from ncbounds.comparison import laws, shift, votes
from ncbounds.comparison.shift_words import shift_words
from ncbounds.errors import InvalidSample, MissingEvidence
from ncbounds.numerics import (
    binomial_upper,
    label_shift,
    prior_ball,
    refuting_level,
    shifted_priors,
    votes_lower,
    weighted_error_upper,
)

CONFUSION = np.array([[90, 8, 2], [5, 80, 15], [10, 10, 130]])
SEEN = np.array([30, 200, 70])


def rows_of(table):
    """Labels and predictions of a confusion table."""
    c, j = np.nonzero(np.ones_like(table))
    return np.repeat(c, table.ravel()), np.repeat(j, table.ravel())


def subject(table=CONFUSION, seen=SEEN, target_labels=None, name="a", **declared):
    y, answers = rows_of(np.asarray(table))
    predicted = {"holdout": answers}
    labels = {"holdout": y}
    if seen is not None:
        predicted["target"] = np.repeat(np.arange(len(seen)), seen)
        if target_labels is not None:
            labels["target"] = target_labels
    declared = {"sampling": "iid", "classes": 3, **declared}
    return nb.Evidence.from_predictions(
        predicted=predicted, labels=labels, checkpoint=name, **declared
    )


def test_new_priors_and_the_balls_around_them():
    w = np.array([0.2, 0.3, 0.5])
    found = nb.shifted(subject(), priors=w, radius=0.3)
    k, n = np.array([10, 20, 20]), np.array([100, 100, 150])
    assert found["new_priors"].value == weighted_error_upper(k, n, w, 0.05)
    limits = binomial_upper(k, n, 0.05 / 3 * (1 - 1e-12))
    for radius in (0.1, 0.3):
        ball = found[f"prior_ball {radius}"]
        assert ball.value == pytest.approx(prior_ball(limits, w, radius), abs=1e-9)
    assert found["new_priors"].kind == "certificate"
    assert found["new_priors"].details["counts"] == [100, 100, 150]
    assert "laws inside each class" in found["new_priors"].reasons[0]
    assert "covariate shift" in str(found)


def test_groups_in_place_of_classes():
    evidence = subject(seen=None)
    groups = np.arange(350) % 2
    found = nb.shifted(evidence, priors=[0.9, 0.1], groups=groups)
    wrong = evidence.decision.wrong(evidence.holdout, evidence.head)
    k = np.bincount(groups[wrong])
    expected = weighted_error_upper(k, np.array([175, 175]), [0.9, 0.1], 0.05)
    assert found["new_priors"].value == expected
    assert "group proportions" in found["new_priors"].claim
    drawn_by_class = subject(seen=None, sampling="stratified")
    lowered = nb.shifted(drawn_by_class, priors=[0.9, 0.1], groups=groups)["new_priors"]
    assert lowered.kind == "plug-in"
    assert nb.shifted(drawn_by_class, priors="balanced")["new_priors"].kind == "certificate"


def test_label_shift_only_on_declaration_and_with_its_diagnostics():
    with pytest.raises(MissingEvidence, match="nothing was asked"):
        nb.shifted(subject())
    found = nb.shifted(subject(), label_shift_declared=True)["label_shift"]
    table = np.hstack([CONFUSION, np.zeros((3, 1), dtype=int)])
    assert found.value == label_shift(table, [*SEEN, 0], 0.05).value
    assert (found.kind, found.relation) == ("conditional", "<=")
    ranges = np.array(found.details["class priors"])
    assert (ranges[:, 0] < ranges[:, 1]).all()
    text = str(nb.shifted(subject(), label_shift_declared=True))
    assert "refuted at no level" in text or "refuted from level" in text
    assert "may look like a shift of priors" in text


def test_what_is_refuted_is_printed_as_that_and_has_no_value():
    # nothing of the source is ever predicted as class 2, half of the target is
    table = np.array([[100, 0, 0], [0, 100, 0], [50, 50, 0]])
    found = nb.shifted(subject(table, [50, 50, 100]), label_shift_declared=True)
    row = found["label_shift"]
    assert (row.relation, np.isnan(row.value)) == ("refuted", True)
    assert "refuted at level 0.05" in row.reasons[0]
    assert "? refuted" in str(found)


def test_label_shift_needs_target_rows_drawn_at_random():
    with pytest.raises(InvalidSample, match="no rows of role target"):
        nb.shifted(subject(seen=None), label_shift_declared=True)
    sampling = {"holdout": "iid", "target": "stratified"}
    labels = np.repeat(np.arange(3), 100)
    lowered = subject(sampling=sampling, target_labels=labels)
    found = nb.shifted(lowered, label_shift_declared=True)["label_shift"]
    assert found.kind == "plug-in"
    assert found.measured == np.mean(np.repeat(np.arange(3), SEEN) != labels)


def test_classes_that_were_only_counted_are_not_all_of_the_law():
    found = nb.shifted(subject(classes=None), priors="balanced", label_shift_declared=True)
    assert found["new_priors"].kind == found["label_shift"].kind == "plug-in"
    said = nb.shifted(subject(classes=None), priors=[0.2, 0.3, 0.5])
    assert said["new_priors"].kind == "certificate"


def test_ranges_and_level_of_the_programme():
    ranges = shifted_priors(CONFUSION, SEEN, 0.05)
    wider = shifted_priors(CONFUSION, SEEN, 0.001)
    assert (wider[:, 0] <= ranges[:, 0] + 1e-9).all()
    assert (wider[:, 1] >= ranges[:, 1] - 1e-9).all()
    # the least squares solution of the counts, about (.03, .8, .17), lies inside
    rates = CONFUSION / CONFUSION.sum(axis=1, keepdims=True)
    pi = np.linalg.solve(rates.T, SEEN / SEEN.sum())
    assert (ranges[:, 0] <= np.maximum(pi, 0)).all()
    assert (ranges[:, 1] >= pi).all()
    table = np.array([[40, 0], [36, 4]])
    level = refuting_level(table, [20, 20])
    assert 0 < level < 1
    assert label_shift(table, [20, 20], level).refuted
    assert not label_shift(table, [20, 20], level / 2).refuted


def test_votes_limit_the_mean_error_from_below():
    a = subject(name="a")
    b = subject(seen=[130, 100, 70], name="b")
    found = nb.shifted([a, b])
    row = found["votes_lower"]
    apart = int((np.repeat(np.arange(3), SEEN) != np.repeat(np.arange(3), [130, 100, 70])).sum())
    shares = np.where(np.arange(300) < apart, 0.5, 1.0)
    assert row.value == pytest.approx(votes_lower(shares, 2, 0.05), abs=1e-12)
    assert (row.relation, row.kind) == (">=", "certificate")
    gap = found["shift not shown"]
    sources = 2 * binomial_upper(50, 350, 0.05 / 4)
    assert gap.value == pytest.approx(votes_lower(shares, 2, 0.025) - sources / 2, abs=1e-9)


def test_votes_show_a_shift_where_networks_part():
    sure = np.array([[100, 0, 0], [0, 100, 0], [0, 0, 150]])
    a, b = (subject(sure, s, name=n) for n, s in (("a", [300, 0, 0]), ("b", [0, 300, 0])))
    assert nb.shifted([a, b])["shift shown"].value > 0.4


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"priors": [0.5, 0.5]}, "no proportions of 3 classes"),
        ({"priors": [0.5, 0.6, 0.1]}, "of sum 1"),
        ({"priors": "even"}, "balanced"),
        ({"priors": "balanced", "groups": [0, 1]}, "one for each of 350"),
        ({"radius": 0.2}, "priors"),
        ({"priors": "balanced", "delta": 0.6}, "at most 1/2"),
    ],
)
def test_impossible_questions(options, says):
    with pytest.raises(InvalidSample, match=says):
        nb.shifted(subject(), **options)


def test_target_rows_are_apart_from_all_others_and_need_no_labels():
    f = np.random.default_rng(0).normal(size=(9, 2))
    sample = nb.Sample.from_arrays(f, role="target", sampling="iid")
    evidence = nb.Evidence(head=nb.LinearHead(np.eye(2), np.zeros(2)), target=sample)
    assert (evidence.target.n, set(evidence.samples())) == (9, {"target"})
    with pytest.raises(nb.errors.OverlapError):
        nb.Evidence.from_predictions(
            predicted={"holdout": [0], "target": [0]},
            labels={"holdout": [0]},
            ids={"holdout": [7], "target": [7]},
        )


def _misses(runs, seed, n=60, m=60):
    """Label shift inside its assumption at delta 1/2: how often the value is below the truth."""
    rng = np.random.default_rng(seed)
    law = np.array([[0.9, 0.1], [0.2, 0.8]])
    missed = 0
    for _ in range(runs):
        table = np.array([rng.multinomial(n, row) for row in law])
        seen = rng.multinomial(m, [0.1, 0.9] @ law)
        found = nb.shifted(subject(table, seen, classes=2), label_shift_declared=True, delta=0.5)[
            "label_shift"
        ]
        missed += not found.value >= 0.1 * 0.1 + 0.9 * 0.2
    return missed


@pytest.mark.slow
def test_coverage_of_label_shift_inside_its_assumption():
    assert _misses(100, 1) <= 67


def test_networks_that_tie_vote_for_nothing():
    y, answers = rows_of(CONFUSION)
    tied = [
        nb.Evidence.from_predictions(
            predicted={"holdout": answers, "target": np.full(200, -1)},
            labels={"holdout": y},
            sampling="iid",
            classes=3,
            checkpoint=name,
        )
        for name in "ab"
    ]
    assert nb.shifted(tied)["votes_lower"].value == votes_lower(np.zeros(200), 2, 0.05) > 0.4


def named(classes, votes, checkpoint):
    """Predictions of class numbers that a file calls ``classes``; all right on holdout."""
    return nb.Evidence.from_predictions(
        predicted={"holdout": [0, 1], "target": votes},
        labels={"holdout": [0, 1]},
        sampling="iid",
        classes=len(classes),
        decision=nb.MultiClass(classes),
        checkpoint=checkpoint,
    )


def test_votes_are_for_names_of_classes_however_a_file_numbers_them():
    a = named(("cat", "dog"), [0] * 100 + [1] * 100, "a")
    b = named(("ant", "cat", "dog"), [1] * 100 + [2] * 100, "b")
    agreed = nb.shifted([a, b])["votes_lower"].value
    assert agreed == votes_lower(np.ones(200), 2, 0.05)
    parted = nb.shifted([a, named(("ant", "cat", "dog"), [0] * 100 + [2] * 100, "b")])
    assert parted["votes_lower"].value == votes_lower(np.repeat([0.5, 1], 100), 2, 0.05)
    with pytest.raises(InvalidSample, match="numbers in b"):
        nb.shifted([a, subject(seen=[50, 100, 50], name="b")])


def networks_on(features, hashes, **declared):
    """Two networks that agree on every row of the target, each with hashes of its inputs."""
    head = nb.LinearHead(np.eye(2), np.zeros(2))
    held = nb.Sample.from_arrays(np.eye(2), [0, 1], role="holdout", sampling="iid")
    return {
        name: nb.Evidence(
            head=head,
            holdout=held,
            target=nb.Sample.from_arrays(
                features, role="target", sampling="iid", input_hashes=h, **declared
            ),
        )
        for name, h in zip("ab", hashes, strict=True)
    }


def test_votes_on_inputs_in_another_order_are_refused():
    f, h = np.random.default_rng(0).normal(size=(50, 2)), np.arange(50, dtype=np.uint64)
    assert nb.shifted(networks_on(f, [h, h]))["votes_lower"].value == 0
    with pytest.raises(InvalidSample, match="same rows in the same order"):
        nb.shifted(networks_on(f, [h, h[::-1]]))


def test_rows_that_rounding_could_turn_certify_no_dissent():
    f = np.ones((200, 2), dtype=np.float16)  # both logits equal once rounded
    h = np.arange(200, dtype=np.uint64)
    found = nb.shifted(networks_on(f, [h, h], rounded=True, repeats="by chance"))
    assert found["votes_lower"].value > 0.4
    assert {s.kind for s in found.statements if s.checkpoint == "all"} == {"plug-in"}


def test_networks_that_were_chosen_on_the_target_pay_for_all_that_could_be():
    among = {"holdout": 1, "target": 4}
    chosen = [
        subject(seen=s, name=n, selected_among=among)
        for s, n in ((SEEN, "a"), ([130, 100, 70], "b"))
    ]
    found, free = (
        nb.shifted(chosen),
        nb.shifted([subject(), subject(seen=[130, 100, 70], name="b")]),
    )
    shares = np.where(np.arange(300) < 100, 0.5, 1.0)
    assert found["votes_lower"].value == pytest.approx(votes_lower(shares, 2, 0.05 / 16), abs=1e-9)
    lost = free["shift not shown"].value - found["shift not shown"].value
    least = votes_lower(shares, 2, 0.025) - votes_lower(shares, 2, 0.025 / 16)
    assert lost == pytest.approx(least, abs=1e-9)
    both = subject(selected_among={"holdout": 5, "target": 4})
    table = np.hstack([CONFUSION, np.zeros((3, 1), dtype=int)])
    value = nb.shifted(both, label_shift_declared=True)["label_shift"].value
    assert value == pytest.approx(label_shift(table, [*SEEN, 0], 0.05 / 20).value, abs=1e-9)


def test_ranges_and_levels_are_shown_rounded_outward():
    found = nb.shifted(subject(), label_shift_declared=True)
    row = found["label_shift"]
    details = {"class priors": [[0.10009, 0.20001], [np.nan, np.nan]]}
    words = shift_words([replace(row, details={**details, "least refuting level": 0.012344})])
    assert "0: .1000-.2001  1: 0-1.0000" in words
    level = float(words.split("refuted from level ")[1].split()[0])
    assert 0.012344 <= level < 0.0125


def test_an_error_of_rows_drawn_by_class_is_called_weighted():
    by_class = nb.shifted(subject(sampling="stratified", seen=None), priors="balanced")
    assert "weighted by their class frequencies" in by_class["source"].claim
    assert "weighted" not in nb.shifted(subject(), priors="balanced")["source"].claim


def test_shares_of_statements_add_up_to_no_more_than_delta(monkeypatch):
    limit, source = Kept(binomial_upper, 2), Kept(binomial_formula, 2)
    programme = Kept(label_shift, 2)
    monkeypatch.setattr(shift, "binomial_upper", limit)
    monkeypatch.setattr(laws, "binomial_formula", source)
    monkeypatch.setattr(shift, "label_shift", programme)
    delta = unlucky(3)
    nb.shifted(subject(seen=None), priors="balanced", delta=delta)
    assert within(limit.found[-1], 3, delta)  # of the ball, by class
    delta = unlucky(6)
    nb.shifted([subject(name=name) for name in "abc"], delta=delta)
    assert [within(d, 6, delta) for d in source.found[-3:]] == [True] * 3  # of the proof
    among = {"holdout": 5, "target": 3}
    for delta in np.linspace(0.03, 0.05, 8).tolist():
        nb.shifted(subject(selected_among=among), label_shift_declared=True, delta=delta)
        assert within(programme.found[-1], 15, delta)


def test_a_difference_of_near_limits_is_rounded_down(monkeypatch):
    """Votes just above the mean limit of the sources: the true difference is hardly above 0."""
    for errors in range(1, 30):
        tables = [
            np.diag([100 - k, 100, 150]) + np.diag([k, 0], 1)
            for k in range(errors, 12 * errors, 4 * errors)
        ]
        networks = [subject(t, name=n) for t, n in zip(tables, "abc", strict=False) if t.min() >= 0]
        if len(networks) < 3:
            break
        k = [int(t.sum() - np.trace(t)) for t in tables]
        limits = [Fraction(binomial_upper(x, 350, 0.05 / 6 * (1 - 1e-16))) for x in k]
        vote = float(sum(limits) / 3) + 1e-9
        monkeypatch.setattr(votes, "votes_lower", lambda *_, vote=vote: vote)
        assert (
            Fraction(nb.shifted(networks)["shift shown"].value) <= Fraction(vote) - sum(limits) / 3
        )


@pytest.mark.parametrize("role", ["holdout", "target"])
def test_one_network_without_a_declared_draw_lowers_what_all_take_part_in(role):
    sampling = {"holdout": "iid", "target": "iid", role: "unknown"}
    found = nb.shifted([subject(), subject(seen=[130, 100, 70], name="b", sampling=sampling)])
    assert found["shift not shown"].kind == "plug-in"
    votes = "plug-in" if role == "target" else "certificate"
    assert found["votes_lower"].kind == votes


def test_the_source_of_rows_drawn_by_class_has_the_edge_rule():
    """At n - 1 of n: 1 - delta/n, above the exact limit of draws of one law."""
    table = [[0, 40, 0], [0, 0, 20], [9, 0, 1]]
    drawn, by_class = (
        nb.shifted(subject(table, seen=None, sampling=s), priors="balanced")["source"].value
        for s in ("iid", "stratified")
    )
    assert by_class == pytest.approx(1 - 0.05 / 70, rel=1e-12)
    assert drawn == binomial_upper(69, 70, 0.05) < by_class


def test_limits_of_the_source_pay_for_what_it_was_chosen_among():
    chosen = nb.shifted(subject(seen=None, selected_among=5), priors=[0.2, 0.3, 0.5])
    for name in ("source", "new_priors", "prior_ball 0.1"):
        strict = nb.shifted(subject(seen=None), priors=[0.2, 0.3, 0.5], delta=0.01)
        assert chosen[name].value == strict[name].value
        assert chosen[name].delta == 0.05
