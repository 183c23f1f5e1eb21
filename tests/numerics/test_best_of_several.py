"""Sets, regrets and lists of candidates: goldens, plain loops, exact coverage."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from fixtures.shares import unlucky
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, multinomial

from ncbounds import numerics as nm
from ncbounds.errors import InvalidArgument
from ncbounds.numerics import best as module
from ncbounds.numerics.best import only_one_errs


def matrix(rows):
    return np.array([[x == "1" for x in row] for row in rows])


@st.composite
def error_matrices(draw):
    total, n = draw(st.integers(2, 6)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    return rng.random((total, n)) < rng.random((total, 1))


@pytest.mark.golden("T.best_set")
def test_best_set(inputs, expected):
    value = nm.best_set(matrix(inputs["errors"]), float(inputs["delta"]))
    assert value.tolist() == expected


@pytest.mark.golden("T.regret")
def test_regret(inputs, expected, agrees):
    errors, delta = matrix(inputs["errors"]), float(inputs["delta"])
    agrees(nm.regret_upper(errors, inputs["chosen"], delta, form="two-step"), expected)
    assert nm.regret_upper(errors, inputs["chosen"], delta) < expected


@pytest.mark.golden("T.certified_list_holm")
def test_list_by_holm(inputs, expected):
    alpha, delta = float(inputs["alpha"]), float(inputs["delta"])
    assert nm.certified_list(inputs["errors"], inputs["n"], alpha, delta).tolist() == expected


@pytest.mark.golden("T.certified_list_ordered")
def test_list_in_order(inputs, expected):
    """In the golden each passes that the order reaches before its first failure."""
    alpha, delta = float(inputs["alpha"]), float(inputs["delta"])
    value = nm.certified_list(inputs["errors"], inputs["n"], alpha, delta, order=inputs["order"])
    assert value.tolist() == expected


@settings(max_examples=60, deadline=None)
@given(error_matrices(), st.sampled_from([0.05, 0.25, 0.5]), st.booleans())
def test_best_set_by_loops(errors, delta, stratified):
    others = len(errors) - 1
    stays = []
    for s in errors:
        against = [(int(np.sum(s & ~t)), int(np.sum(t & ~s))) for t in errors if t is not s]
        if stratified:
            n = errors.shape[1]
            lows = [nm.paired_lower_stratified(b, c, n, delta / others) for b, c in against]
            stays.append(max(lows) <= 0)
        else:
            tails = [binom.sf(b - 1, b + c, 0.5) for b, c in against]
            stays.append(min(tails) > delta / others * (1 - 1e-12))
    value = nm.best_set(errors, delta, stratified=stratified)
    np.testing.assert_array_equal(value, stays)
    assert value[errors.sum(axis=1).argmin()]


@settings(max_examples=40, deadline=None)
@given(error_matrices(), st.randoms(use_true_random=False))
def test_best_set_does_not_depend_on_the_order(errors, random):
    rows, columns = list(range(len(errors))), list(range(errors.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    value = nm.best_set(errors[rows][:, columns], 0.3)
    np.testing.assert_array_equal(value, nm.best_set(errors, 0.3)[rows])


@pytest.mark.parametrize("delta", [0.05, 0.25, 0.5])
def test_a_best_one_of_two_leaves_no_more_often_than_delta(delta):
    """Two of equal rates, by the law of b and c; tight at some number of rows."""
    worst = 0.0
    for n in (5, 8, 20):
        outcomes = np.array([x for x in itertools.product(range(n + 1), repeat=2) if sum(x) <= n])
        cells = np.column_stack([outcomes, n - outcomes.sum(axis=1)])
        gone = np.array([not leaves(b, c, n, delta) for b, c in outcomes])
        for share in (0.2, 0.5, 0.9, 1.0):
            law = [share / 2, share / 2, 1 - share]
            worst = max(worst, multinomial.pmf(cells, n, law)[gone].sum())
    assert 0.7 * delta < worst <= delta


def leaves(b: int, c: int, n: int, delta: float) -> bool:
    errors = np.zeros((2, n), dtype=bool)
    errors[0, :b] = True
    errors[1, b : b + c] = True
    return bool(nm.best_set(errors, delta)[0])


def test_one_candidate_is_the_best_without_regret():
    one = np.ones((1, 7), dtype=bool)
    assert nm.best_set(one, 0.9).tolist() == [True]
    assert nm.regret_upper(one, 0, 0.9) == 0.0


def test_counts_of_many_rows_are_exact():
    """Float32 alone would lose rows beyond 2^24."""
    errors = np.zeros((2, 2**24 + 2), dtype=bool)
    errors[0] = True
    errors[1, 0] = True
    assert only_one_errs(errors).tolist() == [[0, 2**24 + 1], [0, 0]]


@settings(max_examples=6, deadline=None)
@given(error_matrices(), st.sampled_from([0.05, 0.5]))
def test_regret_is_the_largest_limit_of_a_pair(errors, delta):
    """The exact form to the tolerance of its search, the others exactly."""
    n, share = errors.shape[1], delta / (len(errors) - 1)
    for form, limit in (
        ("exact", nm.paired_lower),
        ("two-step", nm.paired_lower_two_step),
        ("stratified", nm.paired_lower_stratified),
    ):
        for chosen, s in enumerate(errors):
            others = [t for i, t in enumerate(errors) if i != chosen]
            ups = [-limit(int(np.sum(t & ~s)), int(np.sum(s & ~t)), n, share) for t in others]
            off = 0.02 * (n + 1) ** 0.5 / n if form == "exact" else 1e-9
            value = nm.regret_upper(errors, chosen, delta, form=form)
            assert value == pytest.approx(max(0.0, *ups), abs=off)


@pytest.mark.parametrize("delta", [0.05, 0.25, 0.5])
def test_exact_miss_probability_of_the_regret_of_the_better_looking(delta):
    n = 8
    outcomes = np.array([x for x in itertools.product(range(n + 1), repeat=2) if sum(x) <= n])
    cells = np.column_stack([outcomes, n - outcomes.sum(axis=1)])
    limits = {(b, c): max(0.0, -nm.paired_lower(c, b, n, delta)) for b, c in outcomes}
    worst = 0.0
    for gap in {0.05, 0.3, *np.unique(list(limits.values()))}:
        for share in np.linspace(gap, 1, 8):
            law = np.clip([(share + gap) / 2, (share - gap) / 2, 1 - share], 0, 1)
            # the first is worse by the gap; the regret of the one chosen is that, or 0
            missed = [b <= c and limits[b, c] < gap - 1e-9 for b, c in outcomes]
            worst = max(worst, multinomial.pmf(cells, n, law / law.sum())[missed].sum())
    assert worst <= delta


@pytest.mark.parametrize("order", [None, [1, 0, 2]])
@pytest.mark.parametrize("delta", [0.05, 0.25])
@pytest.mark.parametrize("stratified", [False, True])
def test_exact_probability_of_a_false_list(order, delta, stratified):
    """Three independent candidates, some just above alpha, the others far below."""
    n, alpha, worst = 14, 0.3, 0.0
    ks = np.array(list(itertools.product(range(n + 1), repeat=3)))
    lists = {
        tuple(k): nm.certified_list(k, n, alpha, delta, order=order, stratified=stratified)
        for k in np.unique(np.minimum(ks, 4), axis=0)
    }
    listed = np.array([lists[tuple(np.minimum(k, 4))] for k in ks])
    assert not nm.certified_list([4], n, alpha, delta).any()  # so more errors are never listed
    for bad in itertools.product([False, True], repeat=3):
        rates = np.where(bad, alpha + 1e-9, 0.01)
        chance = np.prod(binom.pmf(ks, n, rates), axis=1)
        worst = max(worst, chance[(listed & np.array(bad)).any(axis=1)].sum())
    assert 0.4 * delta < worst <= delta


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=7), st.floats(0.05, 0.9))
def test_lists_contain_what_holds_for_every_alpha_and_grow_with_it(errors, alpha):
    each = nm.binomial_upper(np.array(errors), 60, 0.1 / len(errors)) <= alpha
    holm = nm.certified_list(errors, 60, alpha, 0.1)
    assert not np.any(each & ~holm)
    assert not np.any(holm & ~nm.certified_list(errors, 60, min(0.99, alpha * 1.1), 0.1))


def test_stratified_lists_follow_hoeffding_s_rule():
    """At n - 1 errors the limit is 1 - delta/n, above the exact one."""
    alpha = 1 - 0.2 / 3
    assert nm.certified_list([2], 3, alpha + 1e-9, 0.2, stratified=True).all()
    assert not nm.certified_list([2], 3, alpha - 1e-9, 0.2, stratified=True).any()


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (nm.best_set, (np.zeros((2, 3)), 0.1)),
        (nm.best_set, (np.zeros(3, dtype=bool), 0.1)),
        (nm.best_set, (np.zeros((0, 3), dtype=bool), 0.1)),
        (nm.best_set, (np.zeros((2, 3), dtype=bool), 0.7)),
        (nm.best_set, (np.zeros((2, 3), dtype=bool), 0.0)),
        (nm.regret_upper, (np.zeros((2, 3), dtype=bool), 2, 0.1)),
        (nm.regret_upper, (np.zeros((2, 3), dtype=bool), -1, 0.1)),
        (nm.certified_list, ([1, 4], 3, 0.1, 0.1)),
        (nm.certified_list, ([1, 2], 3, 1.0, 0.1)),
        (nm.certified_list, ([[1, 2]], 3, 0.5, 0.1)),
    ],
)
def test_impossible_inputs(function, arguments):
    with pytest.raises(InvalidArgument, match="needed"):
        function(*arguments)


def test_impossible_choices():
    with pytest.raises(InvalidArgument, match="1/4"):
        nm.certified_list([1, 2], 3, 0.5, 0.3, stratified=True)
    errors = np.zeros((2, 3), dtype=bool)
    with pytest.raises(InvalidArgument, match="two-step"):
        nm.regret_upper(errors, 0, 0.1, form="mcnemar")
    for form in ("exact", "stratified"):
        with pytest.raises(InvalidArgument, match="at most"):
            nm.regret_upper(errors, 0, 0.7, form=form)
    with pytest.raises(InvalidArgument, match="each once"):
        nm.certified_list([1, 2], 3, 0.5, 0.1, order=[0, 0])


def test_shares_of_rivals_add_up_to_no_more_than_delta(monkeypatch):
    """p-values that are above a third of delta, by less than an ulp, rule nobody out."""
    delta = unlucky(3)
    monkeypatch.setattr(module, "sign_test_p", lambda b, c: np.full(b.shape, delta / 3))
    errors = np.arange(40) < np.array([[1], [5], [10], [20]])
    assert nm.best_set(errors, delta).all()
