"""The binomial certificate: exact coverage by enumeration, and its per-class rows."""

import itertools
import json
import math

import mpmath
import numpy as np
import pytest
from fixtures.evidence import drawn, evidence_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from ncbounds.bounds import get
from ncbounds.claims import Saved
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample

SIGN = LinearHead([[-1.0], [1.0]], [0.0, 0.0])
binomial = get("binomial")


def evidence(wrong, counts, *, sampling="iid", role="holdout", ties=False, **parts):
    """Two classes, ``wrong[c]`` of ``counts[c]`` points of class c on the wrong side."""
    f, y = [], []
    for c, (k, n) in enumerate(zip(wrong, counts, strict=True)):
        side = 2.0 * c - 1.0
        f += [0.0 if ties else -side] * k + [side] * (n - k)
        y += [c] * n
    declared = {"sampling": sampling, "repeats": "by chance", "classes": len(counts)}
    return evidence_of(SIGN, drawn(np.array(f)[:, None], y, role, **declared), **parts)


def exact_upper(k, n, delta):
    """Largest p with P(Bin(n, p) <= k) >= delta, by bisection in 40 digits."""
    if k == n:
        return mpmath.mpf(1)
    with mpmath.workdps(40):
        low, high = mpmath.mpf(k) / n, mpmath.mpf(1)
        for _ in range(120):
            p = (low + high) / 2
            tail = mpmath.fsum(
                mpmath.binomial(n, j) * p**j * (1 - p) ** (n - j) for j in range(k + 1)
            )
            low, high = (p, high) if tail >= delta else (low, p)
        return high


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 9), (3, 9), (8, 9), (9, 9), (40, 900)])
@pytest.mark.parametrize("delta", [0.05, 0.5, 1e-6])
def test_value_is_the_exact_inversion_rounded_up(k, n, delta):
    row = binomial(evidence([k, 0], [max(k, n // 2), n - max(k, n // 2)]), delta=delta)
    exact = exact_upper(k, n, mpmath.mpf(delta))
    assert row.kind == "certificate"
    assert row.value >= exact
    assert row.value == pytest.approx(float(exact), rel=1e-9)
    assert row.terms["empirical"] == k / n
    assert sum(row.terms.values()) == pytest.approx(row.value, rel=1e-12)


def test_no_errors_by_hand():
    row = binomial(evidence([0, 0], [30, 70]), delta=0.05)
    assert row.value == pytest.approx(1 - 0.05**0.01, rel=1e-12)
    assert row.n == 100
    assert row.terms["empirical"] == 0


def test_ties_are_errors():
    tied = binomial(evidence([3, 0], [20, 20], ties=True), delta=0.05)
    wrong = binomial(evidence([3, 0], [20, 20]), delta=0.05)
    assert tied.value == wrong.value
    assert tied.details["errors"] == 3


def test_rows_that_are_not_finite_are_errors():
    f = np.array([[1.0], [np.nan], [np.inf], [1.0]])
    sample = Sample.from_arrays(
        f, [1, 1, 1, 1], role="holdout", sampling="iid", repeats="by chance"
    )
    row = binomial(Evidence(head=SIGN, holdout=sample), delta=0.05)
    assert row.details["errors"] == 2


def test_labels_without_an_output_are_errors_and_a_class_of_their_own():
    f, y = np.array([[1.0], [1.0], [-1.0], [1.0]]), [1, 1, 0, 4]
    sample = Sample.from_arrays(f, y, role="holdout", sampling="iid")
    e = Evidence(head=SIGN, holdout=sample)
    assert binomial(e, delta=0.05).details["errors"] == 1
    worst = binomial(e, delta=0.05, per="worst class")
    assert len(worst.details["per class"]) == 5
    assert worst.value == 1.0


def test_exact_coverage_of_the_pooled_value():
    """Violation probability is at most delta for every p, and nearly delta where it jumps."""
    n, delta = 12, 0.1
    values = [binomial(evidence([k, 0], [n, 0]), delta=delta).value for k in range(n + 1)]
    tight = [v * (1 + 1e-9) for v in values[:-1]]
    for p in [*np.linspace(0.001, 0.999, 200), *tight]:
        missed = math.fsum(
            math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1) if values[k] < p
        )
        assert missed <= delta * (1 + 1e-12)
        if p in tight:
            assert missed >= delta * (1 - 1e-6)


def violation(values, probabilities, counts):
    """P(value < weighted error) for independent errors with class probabilities."""
    n = sum(counts)
    mean = sum(c * p for c, p in zip(counts, probabilities, strict=True)) / n
    law = np.ones(1)
    for c, p in zip(counts, probabilities, strict=True):
        pmf = [math.comb(c, k) * p**k * (1 - p) ** (c - k) for k in range(c + 1)]
        law = np.convolve(law, pmf)
    return float(sum(law[k] for k in range(n + 1) if values[k] < mean - 1e-15))


@pytest.mark.parametrize("counts", [(1, 3), (2, 2), (1, 5), (3, 5)])
@pytest.mark.parametrize("delta", [0.05, 0.25])
def test_stratified_coverage_by_enumeration(counts, delta):
    """Errors of different probabilities: the edge rule is needed at n - 1 errors."""
    n = sum(counts)
    values, plain = [], []
    for k in range(n + 1):
        split = [min(k, counts[0]), k - min(k, counts[0])]
        values.append(binomial(evidence(split, counts, sampling="stratified"), delta=delta).value)
        plain.append(binomial(evidence(split, counts), delta=delta).value)
    worst = worst_plain = 0.0
    grid = [*np.linspace(0, 1, 41), *np.linspace(0.9, 1, 41)]
    for p in itertools.product(grid, repeat=2):
        worst = max(worst, violation(values, p, counts))
        worst_plain = max(worst_plain, violation(plain, p, counts))
    assert worst <= delta * (1 + 1e-9)
    if counts == (1, 3) and delta == 0.25:
        assert worst_plain > delta * 1.05
    assert values[n - 1] == pytest.approx(1 - delta / n)
    assert values[: n - 1] == plain[: n - 1]


def test_stratified_row_speaks_about_the_samples_weights():
    e = evidence([1, 2], [10, 30], sampling="stratified")
    row = binomial(e, delta=0.05)
    assert row.claim.weights == pytest.approx([0.25, 0.75])
    assert binomial(evidence([1, 2], [10, 30]), delta=0.05).claim == Saved()


def test_prescribed_class_probabilities_by_hand():
    e = evidence([1, 2], [10, 30], sampling="stratified", priors="balanced")
    row = binomial(e, delta=0.05)
    hand = 0.5 * exact_upper(1, 10, 0.025) + 0.5 * exact_upper(2, 30, 0.025)
    assert row.value >= hand
    assert row.value == pytest.approx(float(hand), rel=1e-9)
    assert row.claim.weights == pytest.approx([0.5, 0.5])
    # drawn at random, class probabilities are the law's own and change nothing
    same = binomial(evidence([1, 2], [10, 30], priors="balanced"), delta=0.05)
    assert same.value == binomial(evidence([1, 2], [10, 30]), delta=0.05).value
    # frequencies equal to the prescribed ones need no class bounds
    even = evidence([1, 2], [20, 20], sampling="stratified", priors="balanced")
    pooled = evidence([1, 2], [20, 20], sampling="stratified")
    assert binomial(even, delta=0.05).value == binomial(pooled, delta=0.05).value


def test_prescribed_probabilities_of_a_head_with_fewer_classes_than_labels():
    f, y = np.array([[1.0]] * 8 + [[-1.0]] * 8 + [[1.0]] * 4), [1] * 8 + [0] * 8 + [2] * 4
    sample = Sample.from_arrays(f, y, role="holdout", sampling="stratified")
    row = binomial(Evidence(head=SIGN, holdout=sample, priors=[0.5, 0.5]), delta=0.05)
    assert row.claim.weights == pytest.approx([0.5, 0.5, 0.0])
    # the two classes with weight are in proportion to their counts: one count of their 16 points
    assert row.value == pytest.approx(1 - 0.05 ** (1 / 16), rel=1e-9)


@pytest.mark.parametrize("counts", [(3, 3), (2, 4)])
def test_prescribed_probabilities_of_the_classes_left_by_enumeration(counts):
    """Both classes with weight, in proportion to their counts: their rates may differ as they like.

    A third class has points and no weight. The sharp case is that of equal rates.
    """
    delta, w = 0.05, np.array(counts) / sum(counts)
    y = np.repeat([0, 1, 2], (*counts, 2))

    def value(k):
        wrong = np.concatenate([np.arange(n) < m for n, m in zip((*counts, 2), (*k, 2))])
        f = np.where(wrong != (y == 1), 1.0, -1.0)[:, None]
        sample = Sample.from_arrays(
            f, y, role="holdout", sampling="stratified", repeats="by chance"
        )
        return binomial(Evidence(head=SIGN, holdout=sample, priors=w), delta=delta).value

    outcomes = list(itertools.product(*(range(n + 1) for n in counts)))
    values = np.array([value(k) for k in outcomes])
    just_above = [v * (1 + 1e-9) for v in values if v < 1]
    worst = 0.0
    for r in [*itertools.product(np.linspace(0, 1, 21), repeat=2), *zip(just_above, just_above)]:
        law = [[math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
               for n, p in zip(counts, r)]  # fmt: skip
        chance = np.outer(*law).ravel()
        worst = max(worst, float(chance[values < w @ np.array(r)].sum()))
    assert 0.999 * delta < worst <= delta * (1 + 1e-9)


def test_worst_class_by_hand():
    row = binomial(evidence([1, 4], [50, 50]), delta=0.05, per="worst class")
    assert row.value == pytest.approx(float(exact_upper(4, 50, 0.025)), rel=1e-9)
    assert row.n == 50
    assert (row.claim.worst, row.claim.classes) == (1, 2)
    assert (row.target, row.qualifier, row.params) == (
        "saved",
        "worst class",
        {"per": "worst class"},
    )
    assert "here of class 1)" in row.reasons[-1]
    assert "largest class error" in row.reasons[-1]


def test_small_classes_get_the_larger_share_of_delta():
    """10 and 40 points: x^10 + x^40 = delta, and x = 1 - u is the same for both at no errors."""
    x = brentq(lambda x: x**10 + x**40 - 0.05, 0.0, 1.0, xtol=1e-15)
    row = binomial(evidence([0, 0], [10, 40]), delta=0.05, per="worst class")
    assert row.details["per class"] == pytest.approx([1 - x, 1 - x], rel=1e-9)
    equal_shares = 1 - (0.05 / 2) ** (1 / 10)
    assert row.value < equal_shares


def test_worst_class_coverage_by_enumeration():
    """All class bounds hold together: the union over classes is paid."""
    counts, delta, p = (6, 6), 0.3, (0.38, 0.38)
    value = {
        (a, b): binomial(evidence([a, b], counts), delta=delta, per="worst class").value
        for a in range(7)
        for b in range(7)
    }
    pmf = [math.comb(6, k) * p[0] ** k * (1 - p[0]) ** (6 - k) for k in range(7)]
    per_class = {k: float(exact_upper(k, 6, delta / 2)) for k in range(7)}
    missed_any = 1 - math.fsum(pmf[k] for k in range(7) if per_class[k] >= p[0]) ** 2
    assert missed_any <= delta
    for (a, b), v in value.items():
        assert v == pytest.approx(max(per_class[a], per_class[b]), rel=1e-9)


def test_an_empty_class_has_the_bound_one():
    row = binomial(evidence([0, 0], [40, 0]), delta=0.05, per="worst class")
    assert row.value == 1.0
    assert row.n == 0


def test_kinds():
    assert binomial(evidence([1, 1], [9, 9], role="head"), delta=0.1, role="head").kind == "plug-in"
    assert binomial(evidence([1, 1], [9, 9], role="fit"), delta=0.1, role="fit").kind == "plug-in"
    big = binomial(evidence([1, 1], [9, 9], sampling="stratified"), delta=0.4)
    assert big.kind == "plug-in"
    assert any("0.25" in reason for reason in big.reasons)
    unknown = binomial(evidence([1, 1], [9, 9], sampling="unknown"), delta=0.1)
    assert unknown.kind == "plug-in"
    json.dumps(big.to_dict())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_order_of_the_three_forms(data):
    n = data.draw(st.integers(1, 300))
    k = data.draw(st.integers(0, n))
    delta = data.draw(st.floats(1e-9, 0.99))
    e = evidence([k, 0], [n, 0])
    values = [get(name)(e, delta=delta).value for name in ("binomial", "kl_holdout", "hoeffding")]
    assert values[0] <= values[1] * (1 + 1e-12)
    assert values[1] <= values[2] * (1 + 1e-12)


def test_prescribed_probabilities_with_a_class_of_one_point():
    row = binomial(evidence([0, 2], [1, 30], sampling="stratified", priors="balanced"), delta=0.05)
    assert row.terms["empirical"] == pytest.approx(0.5 * 2 / 30)
    assert row.n == 1
