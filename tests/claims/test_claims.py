"""Claims name and measure themselves, by hand, and know their true value in a world."""

from fractions import Fraction

import numpy as np
import pytest

from ncbounds.bounds import Outcome, bound, get
from ncbounds.claims import (
    CLAIMS,
    Decoded,
    FewShot,
    Gibbs,
    OtherHead,
    Saved,
    Unmeasured,
    UnseenClasses,
    Weighted,
    WorstClass,
    measured_error,
    named,
    register,
)
from ncbounds.claims.counted import LEVEL, counted_error
from ncbounds.errors import InvalidSample, UnknownName
from ncbounds.evaluation.evaluate import evaluate
from ncbounds.evidence.code_word import Compressed
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import binomial_interval, weighted_error_upper
from ncbounds.results import result_from_dict
from ncbounds.testing import Truth, worlds

HEAD = LinearHead([[-1.0], [1.0]])
TURNED = LinearHead([[1.0], [-1.0]])


def made(features, labels, **more):
    features = np.asarray(features, dtype=float).reshape(len(labels), -1)
    return Sample.from_arrays(
        features, labels, role="test", sampling="iid", repeats="by chance", **more
    )


def measured(claim, test, **more):
    return measured_error(claim, Evidence(head=HEAD, test=test, **more))


def test_errors_of_a_head_by_hand():
    # right, wrong, tie (wrong), non-finite (wrong), right
    test = made([-1, -1, 0, np.nan, 2], [0, 1, 0, 1, 1])
    found = measured(Saved(), test)
    assert found.error == 3 / 5
    assert (found.low, found.high) == pytest.approx(binomial_interval(3, 5, 0.95), rel=1e-12)
    assert found.reasons == ()
    assert measured(OtherHead("ncm", TURNED), test).error == 4 / 5


def test_weighted_error_by_hand():
    # class 0: 1 of 4 wrong; class 1: 1 of 2 wrong
    test = made([-1, -1, -1, 1, 1, -1], [0, 0, 0, 0, 1, 1])
    found = measured(Weighted(np.array([0.9, 0.1])), test)
    assert found.error == pytest.approx(0.9 * 0.25 + 0.1 * 0.5, rel=1e-14)
    a, b = (binomial_interval(1, n, 0.975) for n in (4, 2))
    assert found.low == pytest.approx(0.9 * a[0] + 0.1 * b[0], rel=1e-12)
    assert found.high == pytest.approx(0.9 * a[1] + 0.1 * b[1], rel=1e-12)
    assert "re-weighted" in found.reasons[0]
    turned = Weighted(np.array([0.9, 0.1]), OtherHead("refitted-head", TURNED))
    assert measured(turned, test).error == pytest.approx(0.9 * 0.75 + 0.1 * 0.5, rel=1e-14)


def test_own_frequencies_are_no_reweighting():
    test = made([-1, -1, -1, 1, 1, -1], [0, 0, 0, 0, 1, 1])
    assert measured(Weighted(np.array([4, 2]) / 6), test) == measured(Saved(), test)
    nearly = np.array([4, 2]) / 6 + [1e-6, -1e-6]
    assert measured(Weighted(nearly), test).reasons


def test_weights_over_other_classes():
    test = made([-1, 1], [0, 1])
    # the bound's sample had a third class, without and with weight
    assert measured(Weighted(np.array([0.3, 0.7, 0.0])), test).error == 0.0
    assert np.isnan(measured(Weighted(np.array([0.3, 0.6, 0.1])), test).error)
    # the test sample has a class that the bound's sample had not
    more = made([-1, 1, 1], [0, 1, 2])
    assert measured(Weighted(np.array([0.5, 0.5])), more).error == 0.0
    assert measured(Saved(), more).error == 1 / 3


def test_worst_class_by_hand():
    # class 0: 1 of 4 wrong; class 1: 1 of 2 wrong
    test = made([-1, -1, -1, 1, 1, -1], [0, 0, 0, 0, 1, 1])
    assert [measured(WorstClass(c, 2), test).error for c in (0, 1)] == [0.25, 0.5]
    assert measured(WorstClass(), test) is None
    turned = WorstClass(0, 2, OtherHead("refitted-head", TURNED))
    assert (turned.target, turned.qualifier) == ("refitted-head", "worst class")
    assert measured(turned, test).error == 0.75


def test_decoded_network_by_hand():
    test = made([-1, -1, 1, 1], [0, 0, 1, 1])
    word = Compressed(bits=8, predict={"test": lambda: np.array([0, 1, -1, 1])}, tried=1)
    assert measured(Decoded(), test, code_word=word).error == 0.5
    assert measured(Weighted(np.array([0.2, 0.8]), Decoded()), test, code_word=word).error == 0.5
    assert measured(Decoded(), test) is None


def test_what_is_not_there_is_not_measured():
    test = made([-1, -1, 1, 1], [0, 0, 1, 0])
    assert measured(Saved(), None) is None
    for claim in (Gibbs(), UnseenClasses(5, 5), OtherHead("ncm"), FewShot()):
        assert measured(claim, test) is None
        assert measured(Weighted(np.ones(2) / 2, claim), test) is None
    with pytest.raises(InvalidSample, match="finite number of shots"):
        measured(FewShot(np.inf), test)


def test_other_label_noise_is_said():
    e = Evidence(head=HEAD, test=made([-1, 1], [0, 1], label_noise=0.1))
    assert measured_error(Saved(), e, label_noise=0.1).reasons == ()
    (reason,) = measured_error(Saved(), e, label_noise=0.0).reasons
    assert "not comparable: label noise 0 in the bound's sample, 0.1 in test" in reason


@pytest.mark.parametrize(("name", "sampling"), [("simplex3", "iid"), ("label_noise", "stratified")])
def test_measured_and_true_errors_agree(name, sampling):
    (world,) = (w for w in worlds() if w.name == name)
    rng = np.random.default_rng(1)
    drawn = world.draw(rng).evidence
    test = world.sample("test", rng, 20_000, sampling=sampling)
    e = Evidence(head=drawn.head, test=test, holdout=drawn.holdout)
    worst = int(np.argmax(world.class_errors(drawn.head)[0]))
    other = OtherHead("refitted-head", world.draw(rng).evidence.head)
    w = np.array([0.5, 0.25, 0.25])
    for claim in (Saved(), other, Weighted(w), Weighted(w, other), WorstClass(worst, 3)):
        found, truth = measured_error(claim, e), claim.truth(world, e)
        assert abs(found.error - truth.error) < 0.025
        assert found.low - 0.01 < truth.error < found.high + 0.01
    few = Weighted(np.ones(3) / 3, FewShot(3))
    truth = few.truth(world, e)
    assert abs(measured_error(few, e).error - truth.error) < 0.02 + 5 * truth.se


def test_the_worst_class_is_the_largest_true_class_error():
    (world,) = (w for w in worlds() if w.name == "unequal_spreads")
    e = world.draw(np.random.default_rng(0)).evidence
    errors = world.class_errors(e.head)[0]
    assert errors.max() > 1.2 * errors.mean()
    assert WorstClass(0, 3).truth(world, e).error == errors.max()
    assert Saved().truth(world, e).error == pytest.approx(world.label_law @ errors, rel=1e-14)


def test_only_new_classes_have_a_true_error_in_a_population():
    (world,) = (w for w in worlds() if w.name == "class_population")
    e = world.draw(np.random.default_rng(0)).evidence
    assert Saved().truth(world, e) is None
    assert WorstClass(0, 4).truth(world, e) is None
    assert FewShot(5).truth(world, e) is None
    five, two = (UnseenClasses(k, 5).truth(world, e) for k in (5, 2))
    assert 0 < two.error < five.error - 5 * five.se
    (fixed,) = (w for w in worlds() if w.name == "simplex3")
    assert UnseenClasses(5, 5).truth(fixed, e) is None


def test_words_stand_for_claims():
    for word, claim in CLAIMS.items():
        assert word in (claim.target, claim.qualifier)
    with pytest.raises(UnknownName, match=r"did you mean 'saved'.*register"):
        named("savd")
    with pytest.raises(UnknownName, match="word of Saved"):
        register("saved", Gibbs())


class Everything(Unmeasured):
    """The classifier that is always wrong: a claim of somebody's own."""

    target = "everything"

    def measured(self, test, evidence, weights=None):
        return measured_error(Saved(), evidence)

    def truth(self, world, evidence, weights=None):
        return Truth(1.0)


def test_a_claim_of_ones_own_is_a_row_of_every_table(monkeypatch):
    monkeypatch.setitem(CLAIMS, "everything", Everything())

    def certain(view, delta):
        """Say 1."""
        return Outcome(value=1.0, n=view.sample.n)

    b = bound(family="mine", kind="plug-in", role="any", target="everything")(certain)
    sample = Sample.from_arrays([[-1.0], [1.0]], [0, 1], role="holdout", sampling="iid")
    report = evaluate(Evidence(head=HEAD, holdout=sample, test=made([-1, -2, 3], [0, 0, 0])), [b])
    (record,) = report.to_frame().to_dict("records")
    assert (record["target"], record["test_error"]) == ("everything", pytest.approx(1 / 3))


def test_a_row_that_is_read_back_keeps_the_words():
    sample = Sample.from_arrays([[-1.0], [1.0]], [0, 0], role="holdout", sampling="iid", classes=2)
    row = get("binomial")(Evidence(head=HEAD, holdout=sample), per="worst class")
    again = result_from_dict(row.to_dict())
    assert (again.target, again.qualifier, again.claim) == ("saved", "worst class", None)
    assert again == row or np.isnan(row.value)


def test_the_lower_end_of_a_weighted_error_is_rounded_down():
    counts, w = np.array([40, 60, 12]), np.array([0.25, 0.25, 0.5])
    y = np.repeat(np.arange(3), counts)
    test = made(np.ones(len(y)), y)
    for k in range(6, 12):
        wrong = np.concatenate([np.arange(n) < m for n, m in zip(counts, (3 * k, 4 * k, k))])
        right = counts - np.bincount(y[wrong], minlength=3)
        high = Fraction(weighted_error_upper(right, counts, w, (1 - LEVEL) / 2))
        assert 0 < Fraction(counted_error(test, wrong, w).low) < 1 - high
