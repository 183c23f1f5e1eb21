r"""Tails of a gamma variable of large shape, where the library's series end too early.

Temme's uniform expansion: with :math:`\lambda = x/a` and
:math:`\eta^2/2 = \lambda - 1 - \ln \lambda`, of the sign of :math:`\lambda - 1`,

.. math::
    Q(a, x) = \tfrac12 \mathrm{erfc}(\eta \sqrt{a/2})
        + \frac{e^{-a \eta^2 / 2}}{\sqrt{2 \pi a}} \sum_k c_k(\eta) a^{-k} ,

and :math:`P = 1 - Q` is the same with both signs turned (NIST Handbook, 8.12.3 to 8.12.11). From
shape 1e4 on four terms leave less than 1e-15 of the tail.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np
from scipy import special

from ncbounds.numerics.rounding import FloatArray
from ncbounds.numerics.series import x_minus_log1p

#: From this shape on the expansion serves; the library is accurate to 1e-13 below.
LARGE = 1e4
# exp(-a eta^2 / 2) underflows beyond, from the smallest large shape on.
_ETA = 0.39
_ORDER, _TERMS = 24, 4
# Coefficients of Stirling's series of Gamma(a) (8.12.9).
_STIRLING = (Fraction(1), Fraction(1, 12), Fraction(1, 288), Fraction(-139, 51840))


def gamma_tail(a: FloatArray, excess: FloatArray, sign: float) -> FloatArray:
    """``P(X >= x)`` for sign 1 and ``P(X <= x)`` for sign -1, X of gamma law of shape a >= 1e4.

    Parameters
    ----------
    a
        Shapes.
    excess
        ``x/a - 1``, -1 or more; broadcasts with ``a``.
    sign
        Which tail.

    Returns
    -------
    ndarray
        Probabilities to about 1e-13 relative; 0 or 1 where the smaller tail underflows.
    """
    a, mu = np.broadcast_arrays(a, excess)
    inside = np.clip(mu, -0.4, 0.6)
    eta = np.sign(inside) * np.sqrt(2.0 * x_minus_log1p(inside))
    eta = np.clip(eta, -_ETA, _ETA)
    total = np.zeros_like(eta)
    for c in reversed(_coefficients()):
        total = total / a + np.polynomial.polynomial.polyval(eta, c)
    near = 0.5 * special.erfc(sign * eta * np.sqrt(0.5 * a))
    rest = np.exp(-0.5 * a * eta * eta) / np.sqrt(2.0 * math.pi * a) * total
    far = np.abs(eta) >= _ETA
    return np.where(far, np.where(sign * eta > 0, 0.0, 1.0), np.maximum(near + sign * rest, 0.0))


@lru_cache(maxsize=1)
def _coefficients() -> tuple[FloatArray, ...]:
    """Taylor coefficients in eta of c_0 to c_3, exact and then rounded."""
    inverse = _inverse_excess(_ORDER + 2 * _TERMS)
    # inverse[i] multiplies eta^(i - 1) in 1/mu; c_0 = 1/mu - 1/eta
    c = inverse[1:]
    out = [c]
    for k in range(1, _TERMS):
        # c_k = c_(k-1)'/eta + (-1)^k g_k / mu, in which the poles cancel
        factor = (-1) ** k * _STIRLING[k]
        slope = [(i + 2) * c[i + 2] for i in range(len(c) - 2)]
        c = [s + factor * v for s, v in zip(slope, inverse[1:], strict=False)]
        out.append(c)
    return tuple(np.array([float(x) for x in c[:_ORDER]]) for c in out)


def _inverse_excess(order: int) -> list[Fraction]:
    """Coefficients of ``eta / mu`` as a series in eta, from ``mu mu' = eta (1 + mu)``."""
    mu = [Fraction(0), Fraction(1)]
    for m in range(2, order + 2):
        # coefficient of eta^m on both sides, solved for mu_m: (m + 1) mu_m + cross = mu_(m-1)
        cross = sum((mu[i] * (m + 1 - i) * mu[m + 1 - i] for i in range(2, m)), Fraction(0))
        mu.append((mu[m - 1] - cross) / (m + 1))
    inverse = [Fraction(1)]
    for m in range(1, order + 1):
        inverse.append(-sum((mu[i + 1] * inverse[m - i] for i in range(1, m + 1)), Fraction(0)))
    return inverse
