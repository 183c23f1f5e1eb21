"""Losses of ranked labels, by hand and against every order that rounding leaves possible."""

from itertools import permutations

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.errors import InvalidSample
from ncbounds.evidence.label_risks import Hamming, OneError, PrecisionAt, Ranking, Subset
from ncbounds.evidence.rankings import one_errors, precision_losses, ranking_losses
from ncbounds.evidence.risks import losses_of

NONE = np.zeros(1)


def of_one(relevant, scores, off=0.0):
    """One-error, ranking loss and 1 - precision at 1, 2, 3 of a single row."""
    r, s, o = np.array([relevant], dtype=bool), np.array([scores], dtype=float), np.array([off])
    at = [float(precision_losses(r, s, o, k)[0]) for k in (1, 2, 3)]
    return float(one_errors(r, s, o)[0]), float(ranking_losses(r, s, o)[0]), at


def test_losses_by_hand():
    # relevant .9 and .2 of (.9, .5, .2, .1): pairs (.9 > .5, .1), (.2 > .1), and .2 < .5 is wrong
    assert of_one([1, 0, 1, 0], [0.9, 0.5, 0.2, 0.1]) == (0.0, 0.25, [0.0, 0.5, 1 / 3])
    assert of_one([0, 1, 0, 0], [0.9, 0.5, 0.2, 0.1]) == (1.0, 1 / 3, [1.0, 0.5, 2 / 3])
    # a tie of the top is an error; pairs and precision do not mind one among relevant labels
    assert of_one([1, 0, 0, 0], [1, 1, 0, 0]) == (1.0, 1 / 3, [1.0, 0.5, 2 / 3])
    assert of_one([1, 1, 0, 0], [1, 1, 0, 0]) == (1.0, 0.0, [0.0, 0.0, 1 / 3])
    # no label, all labels: no pair; the top one is wrong, or right
    assert of_one([0, 0, 0, 0], [1, 2, 3, 4]) == (1.0, 0.0, [1.0, 1.0, 1.0])
    assert of_one([1, 1, 1, 1], [1, 2, 3, 4]) == (0.0, 0.0, [0.0, 0.0, 0.0])
    # in doubt: a lead of .1 where rounding can do .1
    assert of_one([1, 0, 0, 0], [1, 0.9, 0, 0], 0.11) == (1.0, 1 / 3, [1.0, 0.5, 2 / 3])
    for bad in (np.nan, np.inf, -np.inf):
        for held in ([0, 0, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1]):
            assert of_one(held, [bad, 1, 2, 3]) == (1.0, 1.0, [1.0, 1.0, 1.0])


def possible_orders(scores, relevant, off):
    """Orders in which whatever leads by more than ``off`` stands before."""
    for order in permutations(range(len(scores))):
        place = np.argsort(order)
        if all(place[a] < place[b] for a in order for b in order if scores[a] - scores[b] > off):
            yield np.array(order)


def test_losses_are_the_largest_of_all_orders_that_are_possible():
    rng = np.random.default_rng(0)
    for _ in range(60):
        scores, held = rng.integers(0, 6, 5).astype(float), rng.random(5) < 0.5
        off = float(rng.choice([0.0, 1.0, 2.0]))
        one, ranking, at = of_one(held, scores, off)
        orders = list(possible_orders(scores, held, off))
        relevant = np.array([held[o] for o in orders])
        single = len({order[0] for order in orders}) == 1  # a tie of the top is an error
        assert one == (0.0 if single and relevant[0, 0] else 1.0)
        for k in (1, 2, 3):
            assert at[k - 1] == pytest.approx(1 - relevant[:, :k].sum(axis=1).min() / k)
        pairs = held.sum() * (~held).sum()
        wrong = [sum((~row[:i]).sum() for i in np.flatnonzero(row)) for row in relevant]
        assert ranking == pytest.approx(max(wrong) / max(pairs, 1))


RISKS = (OneError(), Ranking(), PrecisionAt(2), PrecisionAt(1), Hamming(), Subset())


def drawn(labels=6, seed=0, n=200):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-3, 4, (labels, 4)).astype(float)
    features = rng.integers(-3, 4, (n, 4)).astype(float)
    held = rng.random((n, labels)) < 0.4
    held[:3] = [[False], [True], [False]]
    return weight, features, held


def losses(risk, weight, features, held, bias=None, threshold=0.0, **more):
    sample = nb.Sample.from_arrays(features, held, role="holdout", sampling="iid", **more)
    decision = nb.MultiLabel(threshold=threshold)
    return losses_of(risk, sample, nb.LinearHead(weight, bias), decision)


@pytest.mark.parametrize("risk", RISKS, ids=lambda r: r.name)
def test_order_of_labels_constants_and_scale_change_nothing(risk):
    weight, features, held = drawn()
    found = losses(risk, weight, features, held)
    assert ((found >= 0) & (found <= 1)).all()
    assert 0 < found.mean() < 1
    order = np.array([3, 0, 5, 1, 2, 4])
    assert np.array_equal(losses(risk, weight[order], features, held[:, order]), found)
    added = losses(risk, weight, features, held, bias=np.full(6, 2.0), threshold=2.0)
    assert np.array_equal(added, found)
    for power in (500, -500):
        assert np.array_equal(losses(risk, np.ldexp(weight, power), features, held), found)


@pytest.mark.parametrize("risk", RISKS, ids=lambda r: r.name)
def test_losses_of_two_labels_and_of_rows_that_are_not_finite(risk):
    weight, features, held = drawn(labels=2)
    features[3:5] = [[np.nan] * 4, [np.inf] * 4]
    if isinstance(risk, PrecisionAt) and risk.k == 2:
        with pytest.raises(InvalidSample, match="k is smaller"):
            losses(risk, weight, features, held)
        return
    found = losses(risk, weight, features, held)
    assert found[3:5].tolist() == [1.0, 1.0]
    clean = losses(risk, weight, features[5:], held[5:])
    assert np.array_equal(found[5:], clean)


@pytest.mark.parametrize("risk", RISKS, ids=lambda r: r.name)
def test_rounded_features_make_no_loss_smaller_than_the_networks_own(risk):
    rng = np.random.default_rng(5)
    weight, own = rng.normal(size=(6, 8)), rng.normal(size=(600, 8)).astype(np.float32)
    weight[3] = weight[0] + 1e-3 * rng.normal(size=8)  # two labels whose order rounding can turn
    held = rng.random((600, 6)) < 0.4
    stored = losses(risk, weight, own.astype(np.float16), held, rounded=True)
    network = losses(risk, weight, own, held)
    assert (stored >= network).all()
    assert stored.mean() < network.mean() + 0.2


def test_scores_that_were_given_have_the_losses_of_a_head_with_these_logits():
    weight, features, held = drawn()
    logits = features @ weight.T
    given = nb.Evidence.from_predictions(
        logits=logits,
        labels=held,
        role="holdout",
        decision=nb.MultiLabel(),
        claims="one-error,ranking,precision@2,precision@1,hamming,subset",
    )
    for risk in RISKS:
        found = losses_of(risk, given.holdout, given.head, given.decision)
        assert np.array_equal(found, losses(risk, weight, features, held))
    with pytest.raises(InvalidSample, match="logits= or probabilities="):
        losses_of(PrecisionAt(4), given.holdout, given.head, given.decision)
    with pytest.raises(InvalidSample, match="logits= or probabilities= in place of"):
        nb.Evidence.from_predictions(
            predicted=held, labels=held, role="holdout", decision=nb.MultiLabel(), claims="ranking"
        )


def test_many_labels_are_worked_on_in_pieces(monkeypatch):
    weight, features, held = drawn()
    expected = [losses(risk, weight, features, held) for risk in RISKS]
    monkeypatch.setattr("ncbounds.evidence.logit_rows.PIECE", 42)
    for risk, whole in zip(RISKS, expected, strict=True):
        assert np.array_equal(losses(risk, weight, features, held), whole)
