"""Limits at every look: goldens, quadrature, exact probabilities of ever missing."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds import numerics as nm
from ncbounds.errors import InvalidArgument
from ncbounds.numerics.anytime import log_evidence


@pytest.mark.golden("T.log_evidence")
def test_evidence(inputs, expected, agrees):
    agrees(log_evidence(inputs["errors"], inputs["n"], float(inputs["p"])), expected)


@pytest.mark.golden("T.anytime_upper")
def test_limit(inputs, expected, agrees):
    agrees(nm.anytime_upper(inputs["errors"], inputs["n"], float(inputs["delta"])), expected)


@pytest.mark.golden("T.log_beats")
def test_evidence_of_a_pair(inputs, expected):
    value = nm.log_beats(inputs["b"], inputs["c"])
    assert value == pytest.approx(expected, rel=1e-9, abs=1e-11)


def test_no_errors_by_hand():
    """n = 1: B(1/2, 3/2) = pi/2 and I_p(1/2, 3/2) = (2/pi)(asin sqrt p + sqrt(p(1-p)))."""
    p = 0.7
    root = math.asin(math.sqrt(p))
    by_hand = (root + math.sqrt(p * (1 - p))) / (2 * root * (1 - p))
    assert float(log_evidence(0, 1, p)) == pytest.approx(math.log(by_hand), rel=1e-9)


@pytest.mark.parametrize(("k", "n", "p"), [(0, 8, 0.4), (3, 50, 0.2), (40, 100, 0.6), (9, 9, 0.9)])
def test_evidence_by_quadrature(k, n, p):
    """The mixture of likelihood ratios over q <= p, and it is rounded down."""
    with mp.workdps(30):

        def weight(q):
            return 1 / mp.sqrt(q * (1 - q))

        def ratio(q):
            return (q / mp.mpf(p)) ** k * ((1 - q) / (1 - mp.mpf(p))) ** (n - k)

        cuts = [mp.mpf(p) * i / 8 for i in range(9)]
        whole = mp.quad(weight, cuts)
        exact = mp.log(mp.quad(lambda q: weight(q) * ratio(q), cuts) / whole)
        value = mp.mpf(float(log_evidence(k, n, p)))
        assert exact - 1e-9 <= value <= exact


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10**6), st.floats(0, 1), st.floats(1e-9, 0.5))
def test_limit_separates_refuted_from_possible(n, share, delta):
    k = int(share * n)
    limit = nm.anytime_upper(k, n, delta)
    assert nm.binomial_upper(k, n, delta) <= limit * (1 + 1e-9) <= 1 + 1e-9
    if k < n:
        assert log_evidence(k, n, limit) >= -math.log(delta) or limit == 1.0
        below = (k + 0.5) / n + (limit - (k + 0.5) / n) * (1 - 1e-6)
        assert log_evidence(k, n, below) < -math.log(delta)
    else:
        assert limit == 1.0


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 2000), st.data())
def test_monotone(n, data):
    k = data.draw(st.integers(0, n - 1))
    limits = nm.anytime_upper([k, k + 1, k], [n, n, n + 1], 0.1)
    assert limits[2] <= limits[0] <= limits[1]
    assert limits[0] < nm.anytime_upper(k, n, 0.05) <= 1


@pytest.mark.parametrize("delta", [0.05, 0.5])
@pytest.mark.parametrize("p", [0.02, 0.2, 0.5, 0.9])
def test_exact_probability_of_ever_missing(p, delta):
    """All paths of errors to 250 looks, stopped at the first limit below p."""
    looks = 250
    missed, alive = 0.0, np.array([1.0])
    for n in range(1, looks + 1):
        alive = np.append(alive * (1 - p), 0) + np.append(0, alive * p)
        k = np.arange(n + 1)
        out = (log_evidence(k, n, p) >= -math.log(delta)) & ((k + 0.5) / n <= p)
        missed += alive[out].sum()
        alive[out] = 0
    assert missed <= delta
    assert missed > 0.3 * delta or p == 0.02
    below = nm.anytime_upper(k, looks, delta) < p
    np.testing.assert_array_equal(below, out)


@pytest.mark.parametrize("delta", [0.05, 0.5])
@pytest.mark.parametrize("rate", [0.5, 0.4])
def test_exact_probability_of_ever_preferring_the_other(rate, delta):
    """Rows on which the two differ; B errs alone on at most half of them."""
    wrong, alive = 0.0, np.array([1.0])
    for m in range(1, 251):
        alive = np.append(alive * (1 - rate), 0) + np.append(0, alive * rate)
        b = np.arange(m + 1)
        out = nm.log_beats(b, m - b) >= -math.log(delta)
        wrong += alive[out].sum()
        alive[out] = 0
    assert wrong <= delta
    assert wrong > 0.4 * delta or rate < 0.5
    assert [nm.anytime_beats(int(i), int(m - i), delta) for i in b[::25]] == out[::25].tolist()


def test_without_rows_nothing_is_shown():
    assert nm.anytime_upper(0, 0, 0.05) == 1.0
    assert nm.log_beats(0, 0) == pytest.approx(0.0, abs=1e-11)
    assert not nm.anytime_beats(0, 0, 0.99)


def test_arrays_equal_scalars():
    values = nm.anytime_upper([[0], [3]], [5, 50], 0.1)
    assert values.shape == (2, 2)
    assert values[1, 1] == nm.anytime_upper(3, 50, 0.1)


@pytest.mark.parametrize(
    ("errors", "n", "delta"),
    [(3, 2, 0.1), (-1, 2, 0.1), (0.5, 2, 0.1), (math.nan, 2, 0.1), (0, 2, 0.6), (0, 2, 0.0)],
)
def test_impossible_inputs(errors, n, delta):
    with pytest.raises(InvalidArgument, match="needed"):
        nm.anytime_upper(errors, n, delta)


@pytest.mark.parametrize(("b", "c", "delta"), [(-1, 0, 0.1), (0, 0.5, 0.1), (1, 1, 1.0)])
def test_impossible_pairs(b, c, delta):
    with pytest.raises(InvalidArgument, match="needed"):
        nm.anytime_beats(b, c, delta)
