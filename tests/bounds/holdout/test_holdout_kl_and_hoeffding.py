"""The two textbook forms of the held-out certificate."""

import math

import mpmath
import numpy as np
import pytest

from ncbounds.bounds import get
from ncbounds.claims import Saved
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample

SIGN = LinearHead([[-1.0], [1.0]], [0.0, 0.0])
kl_holdout, hoeffding = get("kl_holdout"), get("hoeffding")


def drawn(f, y, **declared):
    """A sample of a law with two atoms."""
    return Sample.from_arrays(f, y, role="holdout", repeats="by chance", **declared)


def evidence(k, n, sampling="iid"):
    """One class on the line, k of n points on the wrong side."""
    f = np.r_[np.full(k, -1.0), np.ones(n - k)][:, None]
    y = np.r_[np.ones(n, dtype=int)]
    return Evidence(head=SIGN, holdout=drawn(f, y, sampling=sampling))


def exact_kl_upper(k, n, delta):
    with mpmath.workdps(40):
        q, c = mpmath.mpf(k) / n, mpmath.log(1 / mpmath.mpf(delta)) / n

        def kl(p):
            a = q * mpmath.log(q / p) if q > 0 else mpmath.mpf(0)
            b = (1 - q) * mpmath.log((1 - q) / (1 - p)) if q < 1 else mpmath.mpf(0)
            return a + b

        low, high = q, mpmath.mpf(1)
        for _ in range(130):
            mid = (low + high) / 2
            low, high = (mid, high) if kl(mid) <= c else (low, mid)
        return high


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 40), (1, 40), (20, 40), (39, 40), (77, 4000)])
@pytest.mark.parametrize("delta", [0.05, 0.9, 1e-12])
def test_kl_is_the_exact_inversion_rounded_up(k, n, delta):
    row = kl_holdout(evidence(k, n), delta=delta)
    exact = exact_kl_upper(k, n, delta)
    assert row.kind == "certificate"
    assert row.value >= exact
    assert row.value == pytest.approx(float(exact), rel=1e-9)
    assert sum(row.terms.values()) == pytest.approx(row.value, rel=1e-12)


def test_kl_without_errors_by_hand():
    assert kl_holdout(evidence(0, 100), delta=0.05).value == pytest.approx(1 - 0.05**0.01)


def test_kl_at_all_errors_is_one():
    assert kl_holdout(evidence(7, 7), delta=0.05).value == 1.0


@pytest.mark.parametrize(("k", "n"), [(0, 1), (3, 50), (50, 50)])
def test_hoeffding_by_hand(k, n):
    row = hoeffding(evidence(k, n), delta=0.05)
    hand = k / n + math.sqrt(math.log(20) / (2 * n))
    assert row.value == pytest.approx(hand, rel=1e-12)
    with mpmath.workdps(40):
        exact = mpmath.mpf(k) / n + mpmath.sqrt(mpmath.log(1 / mpmath.mpf(0.05)) / (2 * n))
    assert row.value >= exact
    assert sum(row.terms.values()) == pytest.approx(row.value, rel=1e-12)


@pytest.mark.parametrize("n", [3001, 7919, 20011, 40009])
def test_hoeffding_is_rounded_up_where_the_errors_outweigh_the_deviation(n):
    for k in range(n // 2, n - n // 10, n // 40):
        row = hoeffding(evidence(k, n), delta=0.5)
        with mpmath.workdps(40):
            exact = mpmath.mpf(k) / n + mpmath.sqrt(mpmath.log(2) / (2 * n))
        assert exact <= row.value <= exact * (1 + 1e-14)


@pytest.mark.parametrize("bound", [kl_holdout, hoeffding])
def test_coverage_by_enumeration(bound):
    n, delta = 15, 0.2
    values = [bound(evidence(k, n), delta=delta).value for k in range(n + 1)]
    for p in [*np.linspace(0.01, 0.99, 99), *(v * (1 + 1e-9) for v in values if v < 0.999)]:
        missed = math.fsum(
            math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1) if values[k] < p
        )
        assert missed <= delta


@pytest.mark.parametrize("bound", [kl_holdout, hoeffding])
def test_both_draws_and_the_weights(bound):
    f = np.r_[np.full(2, -1.0), np.ones(6), np.full(4, -1.0)][:, None]
    y = np.r_[np.ones(8, dtype=int), np.zeros(4, dtype=int)]
    rows = {}
    for sampling in ("iid", "stratified"):
        sample = drawn(f, y, sampling=sampling)
        rows[sampling] = bound(Evidence(head=SIGN, holdout=sample), delta=0.05)
        assert rows[sampling].kind == "certificate"
    assert rows["iid"].value == rows["stratified"].value
    assert rows["iid"].claim == Saved()
    assert rows["stratified"].claim.weights == pytest.approx([1 / 3, 2 / 3])


def test_delta_is_divided_by_the_number_of_candidates():
    f, y = np.ones((50, 1)), np.ones(50, dtype=int)
    chosen = drawn(f, y, sampling="iid", selected_among=10)
    row = kl_holdout(Evidence(head=SIGN, holdout=chosen), delta=0.05)
    assert row.value == pytest.approx(1 - 0.005 ** (1 / 50))
    assert row.kind == "certificate"
