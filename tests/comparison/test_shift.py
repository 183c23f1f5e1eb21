"""Statements about a target that differs from the held-out rows."""

import numpy as np
import pytest

import ncbounds as nb
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
