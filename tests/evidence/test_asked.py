"""What is asked beside the error: words and mappings become averages and losses with names."""

from dataclasses import dataclass

import numpy as np
import pytest
from fixtures.evidence import drawn, evidence_of

import ncbounds as nb
from ncbounds.claims import Answered, Cost, TopK
from ncbounds.errors import InvalidSample
from ncbounds.evidence.asked import asked_for
from ncbounds.evidence.risks import losses_of, losses_of_scores
from ncbounds.testing.asking import mapped

HEAD = nb.LinearHead(np.eye(3))
NAMED = nb.MultiClass(("cat", "dog", "eel"))


def weights(claims, **parts):
    fit = drawn(np.eye(3)[[0] * 150 + [1] * 60 + [2] * 4], [0] * 150 + [1] * 60 + [2] * 4, "fit")
    e = evidence_of(HEAD, parts.pop("fit", fit), decision=NAMED, **parts).asking(claims)
    return {name: w.tolist() for name, w in e.class_weights().items()}


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ("balanced", {"balanced": [1 / 3] * 3}),
        ("pets=cat+dog", {"pets": [0.5, 0.5, 0]}),
        ("pets=0+dog, fish=eel", {"pets": [0.5, 0.5, 0], "fish": [0, 0, 1]}),
        ("sea=cat:0.25+eel:0.75", {"sea": [0.25, 0, 0.75]}),
        ({"sea": {"eel": 0.75, 0: 0.25}}, {"sea": [0.25, 0, 0.75]}),
        ({"sea": [0.25, 0.0, 0.75]}, {"sea": [0.25, 0, 0.75]}),
        ({"pets": [0, 1]}, {"pets": [0.5, 0.5, 0]}),
        ("groups", {"many-shot": [1, 0, 0], "medium-shot": [0, 1, 0], "few-shot": [0, 0, 1]}),
    ],
)
def test_class_weights_by_hand(claims, expected):
    assert weights(claims) == {name: pytest.approx(w) for name, w in expected.items()}


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ("balancd", "did you mean 'balanced'"),
        ("pets=cat+dgo", "did you mean 'dog'"),
        ("pets=cat+0", "stands there twice"),
        ("pets=cat+7", "no class 7"),
        ("pets=", "a group has a name and a class"),
        ("pets=cat:0.5+dog", "give each class a weight"),
        ("pets=cat:0.5+dog:0.6", "sum to 1, found 1.1"),
        ("pets=cat,pets=dog", "two claims are called pets"),
        ("balanced,balanced", "two claims are called balanced"),
        ("few-shot=eel", "has a meaning already"),
        ("top-1", "from k = 2 on"),
        ("answered:2", "between 0 and 1"),
        ("answered:x", "is no number"),
        (3, "a claim is one of balanced"),
    ],
)
def test_what_is_no_claim_is_said(claims, message):
    with pytest.raises(InvalidSample, match=message):
        weights(claims)


def test_the_words_that_groups_without_training_points_suggest_work():
    with pytest.raises(InvalidSample, match=r"--claim rare=7\+8\+9"):
        weights("groups", fit=None)
    assert weights("rare=1+2", fit=None) == {"rare": [0, 0.5, 0.5]}


def test_groups_without_a_class_give_no_row():
    held = drawn(np.eye(3)[[0, 1, 2] * 5], [0, 1, 2] * 5, repeats="by chance")
    fit = drawn(np.eye(3)[[0, 1, 2]], [0, 1, 2], "fit")
    report = nb.evaluate(evidence_of(HEAD, held, fit), ["binomial"], claims="groups")
    assert {r.params.get("per") for r in report} == {None, "worst class", "few-shot"}


def brute_top_k(scores, labels, k):
    """1 unless fewer than k others have as high a score as the label."""
    out = []
    for s, y in zip(scores, labels, strict=True):
        bad = not np.isfinite(s).all() or not 0 <= y < len(s)
        out.append(float(bad or sum(x >= s[y] for j, x in enumerate(s) if j != y) >= k))
    return out


def test_top_k_against_brute_force_with_ties_and_odd_values():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, (300, 6)).astype(float)  # many ties
    labels = rng.integers(0, 7, 300)  # 6 is a class without a score
    scores[::37, 2], scores[5, 1] = np.nan, np.inf
    answers = np.zeros(300, dtype=int)
    for k in (2, 3, 5):
        assert losses_of_scores(TopK(k), labels, answers, scores).tolist() == brute_top_k(
            scores, labels, k
        )
    with pytest.raises(InvalidSample, match="no error at all"):
        losses_of_scores(TopK(6), labels, answers, scores)


def test_top_k_of_a_head_is_that_of_its_logits_and_a_lead_within_rounding_is_none():
    rng = np.random.default_rng(1)
    head = nb.LinearHead(rng.normal(size=(8, 5)), rng.normal(size=8))
    f, y = rng.normal(size=(200, 5)), rng.integers(0, 8, 200)
    e = evidence_of(head, drawn(f, y))
    expected = brute_top_k(head.logits(f), y, 3)
    assert losses_of(TopK(3), e.holdout, head, e.decision).tolist() == expected
    # rows 0 and 1 of the head differ by less than a sum may be off
    w = np.array([[1.0, 1.0], [1.0 + 2e-16, 1.0], [2.0, 2.0], [0.0, 0.0]])
    near = evidence_of(nb.LinearHead(w), drawn(np.ones((1, 2)), [1]))
    assert losses_of(TopK(2), near.holdout, near.head, near.decision).tolist() == [1.0]
    scaled = mapped(e, head=nb.LinearHead(head.weight * 1e200, head.bias * 1e200))
    assert losses_of(TopK(3), scaled.holdout, scaled.head, e.decision).tolist() == expected


def test_answers_above_a_confidence_by_hand():
    # shares .9, .6, .8 and none; threshold .7: the first and third are answered
    shares = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [np.nan, 1.0]])
    labels, answers = np.array([0, 0, 0, 1]), np.array([0, 1, 1, -1])
    scores = np.log(shares)
    wrong, silent = Answered(0.7), Answered(0.7, wrong=False)
    assert np.array_equal(
        losses_of_scores(wrong, labels, answers, scores), [0, np.nan, 1, np.nan], equal_nan=True
    )
    assert losses_of_scores(silent, labels, answers, scores).tolist() == [0, 1, 0, 1]
    # at the threshold, within rounding: an error counts, what is right does not
    at = np.log([[0.7, 0.3], [0.7, 0.3]])
    found = losses_of_scores(wrong, np.array([0, 1]), np.array([0, 0]), at)
    assert np.array_equal(found, [np.nan, 1], equal_nan=True)


def test_a_tie_above_the_confidence_is_a_wrong_answer():
    # equal shares .45, .45: with a threshold of .4 one of the two is answered
    scores, tie = np.log([[0.45, 0.45, 0.1]]), np.array([-1])
    for label in (0, 1, 2):
        found = losses_of_scores(Answered(0.4), np.array([label]), tie, scores)
        assert found.tolist() == [1.0]
    assert np.isnan(losses_of_scores(Answered(0.5), np.array([0]), tie, scores)).all()
    assert losses_of_scores(Answered(0.4, wrong=False), np.array([0]), tie, scores) == [1.0]


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 1e200])
def test_a_row_that_is_not_finite_says_nothing_of_the_losses_of_others(odd):
    head = nb.LinearHead(np.eye(4))
    # the label has the least logit in rows 0 to 3, and the largest in the others
    f, y = np.tile([4.0, 3.0, 2.0, 1.0], (8, 1)), np.repeat([3, 0], 4)
    plain, spoilt = f.copy(), f.copy()
    spoilt[0, 1] = odd
    for risk in (TopK(2), Answered(0.3), Answered(0.3, wrong=False)):
        a, b = (
            losses_of(risk, evidence_of(head, drawn(x, y)).holdout, head, nb.MultiClass())
            for x in (plain, spoilt)
        )
        assert np.array_equal(a[1:], b[1:])
    assert losses_of(TopK(2), drawn(spoilt, y), head, nb.MultiClass())[0] == 1


def test_an_unknown_doubt_is_counted_against_the_label():
    scores, label = np.array([[4.0, 3.0, 2.0]]), np.array([0])
    for off in (np.nan, np.inf):
        assert TopK(2).losses(label, label, scores, np.array([off])) == [1.0]


def test_costs_by_hand():
    cost = Cost([[0, 1, 4], [2, 0, 2], [1, 1, 0]])
    labels, answers = np.array([0, 0, 1, 2, 2, 5]), np.array([2, 1, 0, 2, -1, 0])
    found = cost.losses(labels, answers, np.empty((6, 0)), np.zeros(6))
    assert found.tolist() == [1, 0.25, 0.5, 0, 1, 1]
    for bad, message in [([[0, -1], [1, 0]], "from 0 on"), ([[0, 0], [0, 0]], "all 0")]:
        with pytest.raises(InvalidSample, match=message):
            Cost(bad)


def test_claims_of_several_kinds_add_up():
    asked = asked_for(["balanced,worst", {"rare": [1]}, TopK(5), "answered:0.9"])
    assert asked.per == ("worst class", "balanced", "rare")
    assert asked.counted[0] == "top-5 error"
    assert len(asked.counted) == 3
    assert not asked.means
    assert asked_for([Cost(np.ones((2, 2)))]).means == ("cost / largest cost",)


@pytest.mark.parametrize(
    ("points", "group"),
    [(101, "many-shot"), (100, "medium-shot"), (20, "medium-shot"), (19, "few-shot")],
)
def test_groups_by_training_points_meet_at_their_ends(points, group):
    y = np.repeat([0, 1, 2], (150, points, 150))
    found = weights("groups", fit=drawn(np.eye(3)[y], y, "fit"))
    assert [name for name, w in found.items() if w[1]] == [group]


def test_a_share_that_the_logits_leave_open_is_counted_against_the_classifier():
    """Logits of 1e8, an ulp beyond the threshold: sums may be off by more."""
    head = nb.LinearHead(np.array([[1e8, 1.0], [1e8, 0.0]]))
    near, threshold = 1 + 2.0**-26, 1 / (1 + np.exp(-1.0))
    held = drawn([[1.0, near], [1.0, near + 1.0]] * 2, [0, 0, 1, 1], repeats="by chance")
    e = evidence_of(head, held)
    found = losses_of(Answered(threshold), e.holdout, head, e.decision)
    assert np.array_equal(found, [np.nan, 0, 1, 1], equal_nan=True)
    silent = losses_of(Answered(threshold, wrong=False), e.holdout, head, e.decision)
    assert silent.tolist() == [1, 0, 1, 0]


@dataclass(frozen=True)
class Own:
    """A loss of one's own, the same for each row."""

    value: float
    binary: bool
    scored: bool = False
    name: str = "own"

    def losses(self, labels, answers, scores, off):
        return np.full(len(labels), self.value)


@pytest.mark.parametrize("scored", [False, True])
@pytest.mark.parametrize(
    ("value", "binary"), [(0.9, True), (-1.0, True), (1.5, False), (-0.5, False), (np.inf, False)]
)
def test_a_loss_of_ones_own_is_counted_only_if_it_is_what_it_says(value, binary, scored):
    """A count of 0.9s is no count, and kl of means beyond 1 would be cut to a certificate."""
    risk = Own(value, binary, scored)
    of_head = evidence_of(HEAD, drawn(np.eye(3)[[0] * 9], [0] * 9, "holdout")).asking(risk)
    with pytest.raises(InvalidSample, match="own needs losses"):
        losses_of(risk, of_head.holdout, HEAD, of_head.decision)
    bounds = ["binomial", "mean_loss"]
    rows = [r for r in nb.evaluate(of_head, bounds).rows if "loss" in r.params]
    assert rows
    assert all(np.isnan(r.value) and r.kind == "plug-in" for r in rows)
    if scored:
        with pytest.raises(InvalidSample, match="own needs losses"):
            nb.Evidence.from_predictions(
                logits=np.eye(3)[[0] * 9], labels=[0] * 9, role="holdout", claims=risk
            )
