"""Averages over classes that are asked for: values by hand, exact coverage, the measured error."""

import itertools
import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from fixtures.shares import Kept, unlucky, within
from scipy.stats import binom

import ncbounds as nb
from ncbounds.bounds import get
from ncbounds.bounds.holdout._averages import joint_limits
from ncbounds.errors import InvalidSample
from ncbounds.numerics import binomial_upper, weighted_error_upper
from ncbounds.numerics.rounding import part_of

BALANCED = np.full(3, 1 / 3)


def evidence(errors, counts, *, sampling="iid", claims="balanced", role="holdout", **more):
    """Predictions with so many errors in each class."""
    y = np.repeat(np.arange(len(counts)), counts)
    wrong = np.concatenate([np.arange(n) < k for k, n in zip(errors, counts, strict=True)])
    answers = np.where(wrong, (y + 1) % len(counts), y)
    return nb.Evidence.from_predictions(
        predicted=answers,
        labels=y,
        role=role,
        sampling=sampling,
        classes=len(counts),
        claims=claims,
        **more,
    )


def row(e, bound="binomial", per="balanced", delta=0.05):
    return get(bound)(e, delta, per=per)


@pytest.mark.parametrize("sampling", ["iid", "stratified"])
def test_balanced_error_from_both_draws(sampling):
    e = evidence([4, 5, 3], [400, 60, 12], sampling=sampling)
    found = row(e)
    assert found.value == weighted_error_upper([4, 5, 3], [400, 60, 12], BALANCED, 0.05)
    assert (found.kind, found.target, found.qualifier) == ("certificate", "saved", "balanced")
    assert found.terms["empirical"] == pytest.approx((4 / 400 + 5 / 60 + 3 / 12) / 3)
    # the sum of class limits, which it replaces, is larger
    hand = np.mean(binomial_upper([4, 5, 3], [400, 60, 12], 0.05 / 3))
    assert found.value < hand
    assert row(e, "kl_holdout").value >= hand


def test_a_group_reads_its_own_classes_alone():
    e = evidence([4, 5, 3], [400, 60, 12], claims="rare=1+2")
    same = evidence([399, 5, 3], [400, 60, 12], claims="rare=1+2")
    assert row(e, per="rare").value == row(same, per="rare").value
    hand = np.dot([0.5, 0.5], binomial_upper([5, 3], [60, 12], 0.025))
    assert row(e, per="rare").value == pytest.approx(hand, rel=1e-9)
    assert row(e, "hoeffding", "rare").value == pytest.approx(
        (5 / 60 + 3 / 12) / 2 + math.sqrt(math.log(20) * (1 / 60 + 1 / 12) / 8)
    )


def test_every_holdout_row_knows_the_claims():
    e = evidence([1, 2, 0], [30, 20, 10], claims="balanced,worst")
    bounds = ("binomial", "kl_holdout", "hoeffding")
    found = {(r.bound, r.params.get("per")) for r in nb.evaluate(e, bounds)}
    assert found == set(itertools.product(bounds, (None, "balanced", "worst class")))
    kl, hoeffding = (row(e, b, "worst class").value for b in bounds[1:])
    assert max(binomial_upper([1, 2, 0], [30, 20, 10], 0.05 / 3)) <= kl <= hoeffding


def test_rows_that_are_asked_for_share_a_simultaneous_delta():
    plain = nb.evaluate(evidence([1, 1, 1], [9, 9, 9], claims=None), ["binomial"], 0.06, True)
    more = nb.evaluate(evidence([1, 1, 1], [9, 9, 9]), ["binomial"], 0.06, True)
    assert (plain.planned, more.planned) == (2, 3)
    assert {r.delta for r in more} == {part_of(0.06, 3)}


def test_a_class_without_points_counts_in_full():
    found = row(evidence([0, 0, 0], [50, 50, 0]))
    assert found.value >= 1 / 3
    assert found.value == weighted_error_upper([0, 0, 0], [50, 50, 0], BALANCED, 0.05)


def test_classes_that_were_only_seen_give_no_certificate_over_all():
    y = np.array([0, 1, 2] * 10)
    seen = nb.Evidence.from_predictions(
        predicted=y, labels=y, role="holdout", sampling="iid", claims="balanced,worst,pair=0+1"
    )
    assert row(seen).kind == row(seen, per="worst class").kind == "plug-in"
    assert row(seen, per="pair").kind == "certificate"


def test_an_average_that_nobody_asked_for():
    with pytest.raises(InvalidSample, match=r"evidence.asking\('balanced'\)"):
        row(evidence([0, 0], [5, 5], claims=None))


@pytest.mark.parametrize("per", ["balanced", "rare"])
def test_exact_coverage_of_the_row(per):
    """All counts of errors of three classes: the miss rate of no rates exceeds delta."""
    counts, delta = (4, 3, 1), 0.25
    w = {"balanced": BALANCED, "rare": np.array([0, 0.5, 0.5])}[per]
    outcomes = list(itertools.product(*(range(n + 1) for n in counts)))
    values = np.array(
        [row(evidence(k, counts, claims="balanced,rare=1+2"), per=per, delta=delta).value
         for k in outcomes]
    )  # fmt: skip
    worst = 0.0
    grid = (0.02, 0.1, 0.25, 0.4, 0.6, 0.8, 0.95, 1.0)
    law = [{r: binom.pmf(np.arange(n + 1), n, r) for r in grid} for n in counts]
    for r in itertools.product(grid, repeat=3):
        a, b, c = (law[i][rate] for i, rate in enumerate(r))
        chance = np.einsum("i,j,k->ijk", a, b, c).ravel()
        worst = max(worst, float(chance[values < w @ r].sum()))
    assert 0.3 * delta < worst <= delta


def test_measured_error_has_the_sharp_interval():
    errors, counts = np.array([4, 5, 3, 1]), np.array([400, 60, 12, 30])
    y = np.repeat(np.arange(4), counts)
    wrong = np.concatenate([np.arange(n) < k for k, n in zip(errors, counts, strict=True)])
    both = {"holdout": np.where(wrong, (y + 1) % 4, y)}
    e = nb.Evidence.from_predictions(
        predicted=both | {"test": both["holdout"]},
        labels={"holdout": y, "test": y},
        sampling="iid",
        classes=4,
        claims="balanced",
    )
    (test,) = (r.test for r in nb.evaluate(e, ["binomial"]) if r.qualifier == "balanced")
    w = np.full(4, 0.25)
    assert test.error == pytest.approx(np.mean(errors / counts))
    high = weighted_error_upper(errors, counts, w, 0.025)
    low = 1 - weighted_error_upper(counts - errors, counts, w, 0.025)
    assert (test.low, test.high) == pytest.approx((low, high), rel=1e-9)


@pytest.mark.parametrize("bound", ["ncm_blocks", "ncm_few_shot", "ncm_leave_one_out"])
def test_few_shot_rows_know_the_claims(bound):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), (60, 30, 15))
    f = rng.normal(size=(105, 4)) + 1.5 * np.eye(3, 4)[y]
    head = nb.LinearHead(np.eye(3, 4))
    holdout = nb.Sample.from_arrays(f, y, role="holdout", sampling="iid")
    test = nb.Sample.from_arrays(f[::-1] + 0.1, y[::-1], role="test", sampling="iid")
    e = nb.Evidence(head=head, holdout=holdout, test=test)
    found = {r.params.get("per"): r for r in nb.evaluate(e, [bound], claims="balanced,rare=2")}
    assert found["rare"].qualifier == "rare"
    assert found["rare"].test.error != found["balanced"].test.error
    alone = [nb.evaluate(e, [bound], claims=f"c={c}").rows[-1] for c in range(3)]
    if bound != "ncm_blocks":  # which is no linear function of the class errors
        assert found["balanced"].value == pytest.approx(np.mean([r.value for r in alone]))
    assert found["rare"].value == alone[2].value


def test_classes_without_errors_or_points_count_in_sums_of_class_limits():
    e = evidence([4, 0, 0], [400, 60, 0])
    kl = nb.formulas.kl_holdout
    hand = (kl(4, 400, 0.05 / 3) + kl(0, 60, 0.05 / 3) + 1) / 3
    assert row(e, "kl_holdout").value == pytest.approx(hand, rel=1e-12)
    hand = (4 / 400 + 0 + 1) / 3 + math.sqrt(math.log(20) * (1 / 400 + 1 / 60) / 18)
    assert row(e, "hoeffding").value == pytest.approx(hand, rel=1e-12)


def test_shares_of_classes_add_up_to_no_more_than_delta():
    delta, limit = unlucky(3), Kept(nb.formulas.kl_holdout, 2)
    joint_limits([1, 0, 2], np.array([9, 9, 9]), np.ones(3, dtype=bool), limit, delta)
    assert [within(d, 3, delta) for d in limit.found] == [True] * 3


@pytest.mark.parametrize("bound", ["binomial", "kl_holdout", "hoeffding"])
def test_a_head_that_was_fitted_on_the_rows_has_no_certificate(bound):
    e = evidence([4, 5, 3], [400, 60, 12], role="head", claims="balanced,worst")
    for params in ({}, {"per": "balanced"}, {"per": "worst class"}):
        assert get(bound)(e, role="head", **params).kind == "plug-in"


def test_weighted_sums_are_rounded_up():
    """Weights and class limits as they are, in exact arithmetic."""
    for counts in itertools.product((2000, 2999), (1500, 1777), (1001, 1333)):
        errors = [int(0.6 * n) for n in counts]
        e = evidence(errors, counts, claims="some=0:0.3+1:0.6+2:0.1")
        found = row(e, "kl_holdout", per="some")
        w = [Fraction(x) for x in found.details["weights"]]
        parts = [Fraction(u) for u in found.details["per class"]]
        assert found.value >= sum(a * b for a, b in zip(w, parts, strict=True))
        rate = sum(a * Fraction(k, n) for a, k, n in zip(w, errors, counts, strict=True))
        squares = sum(a * a / n for a, n in zip(w, counts, strict=True))
        with mp.workdps(40):
            rate, squares = (mp.mpf(x.numerator) / x.denominator for x in (rate, squares))
            exact = rate + mp.sqrt(-mp.log(mp.mpf(0.05)) * squares / 2)
            assert row(e, "hoeffding", per="some").value >= exact


def test_the_worst_class_has_the_largest_of_limits_that_hold_together():
    errors, counts = [1, 2, 0], [30, 20, 10]
    e = evidence(errors, counts, claims="worst")
    for bound, limit in (
        ("kl_holdout", nb.formulas.kl_holdout),
        ("hoeffding", nb.formulas.hoeffding),
    ):
        hand = max(limit(k, n, 0.05 / 3) for k, n in zip(errors, counts, strict=True))
        assert row(e, bound, "worst class").value == pytest.approx(hand, rel=1e-12)
