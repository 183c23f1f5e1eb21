"""Tails of gamma laws of large shape, on which the library's series end too early."""

from __future__ import annotations

import mpmath as mp
import mpmath_truth as truth
import numpy as np
import pytest
from scipy import special

from ncbounds.numerics.gamma_tails import _coefficients, gamma_tail


@pytest.mark.parametrize("shape", [1e4, 1e6, 5e8, 1e12, 2.0**52])
@pytest.mark.parametrize("z", [-30.0, -7.0, -1.0, -1e-3, 0.0, 0.3, 2.0, 6.0, 12.0, 35.0])
def test_both_tails_at_high_precision(shape, z):
    excess = z / np.sqrt(shape)
    value = {s: gamma_tail(np.array([shape]), np.array([excess]), s)[0] for s in (1.0, -1.0)}
    with mp.workdps(60):
        x = mp.mpf(shape) * (1 + mp.mpf(excess))
        small = truth.gamma_above(shape, x) if z >= 0 else truth.gamma_below(shape, x)
        exact = {1.0: small, -1.0: 1 - small} if z >= 0 else {-1.0: small, 1.0: 1 - small}
        for sign, p in exact.items():
            assert abs(mp.mpf(value[sign]) / p - 1) < 3e-15 * (1 + z * z)


def test_the_library_is_matched_where_it_is_accurate():
    shape, excess = np.array([1e4, 2e4, 5e4])[:, None], np.linspace(-0.03, 0.03, 13)
    x = shape * (1.0 + excess)
    np.testing.assert_allclose(gamma_tail(shape, excess, 1.0), special.gammaincc(shape, x), 1e-11)
    np.testing.assert_allclose(gamma_tail(shape, excess, -1.0), special.gammainc(shape, x), 1e-11)


def test_far_out_the_tails_are_zero_and_one():
    for excess in (-1.0, -0.5, 0.9, 1e300):
        value = gamma_tail(np.array([1e4]), np.array([excess]), 1.0)[0]
        assert value == (0.0 if excess > 0 else 1.0)
        assert gamma_tail(np.array([1e4]), np.array([excess]), -1.0)[0] == 1.0 - value


def test_published_coefficients():
    """DiDonato and Morris, ACM TOMS 12 (1986) 377-393."""
    published = [
        (-1 / 3, 1 / 12, -2 / 135, 1 / 864, 1 / 2835, -139 / 777600),
        (-1 / 540, -1 / 288, 1 / 378),
        (25 / 6048, -139 / 51840),
    ]
    for found, stated in zip(_coefficients(), published, strict=False):
        np.testing.assert_allclose(found[: len(stated)], stated, rtol=1e-14)
