"""Closed form of the two-moment bound for equally correlated, equally distant margins."""

from __future__ import annotations

import math
from fractions import Fraction

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import finite, whole
from ncbounds.numerics.rounding import up

# Standardised means beyond it count as it: their squares overflow.
_FAR = 1e100


def etf_two_moment(k: int, d: float, rho: float) -> float:
    """Closed form for k margins of equal standardised mean d and equal correlation rho.

    Parameters
    ----------
    k
        Number of rivals, 1 or more.
    d
        Standardised mean; 1 is returned for d <= 0.
    rho
        Common correlation in ``[-1/(k-1), 1]``; 1/2 for a simplex frame with isotropic noise.

    Raises
    ------
    InvalidArgument
        k below 1 or no whole number, d or rho nan or infinite, or no correlation of k margins.
    """
    k, d, rho = whole("k", k, 1), min(finite("d", d), _FAR), finite("rho", rho)
    if not (rho * max(1, k - 1) >= -1.0 and rho <= 1.0):
        raise InvalidArgument(f"k is {k}, rho {rho}; needed: -1/(k-1) <= rho <= 1")
    if not d > 0:
        return 1.0
    a = (k - 1) * math.sqrt(1.0 - rho)
    b = max(0.0, float(1 + (k - 1) * Fraction(rho)))  # exact: near 0 its root would show rounding
    lead = k * (k * d * d - a * a)
    if lead <= 0:
        return 1.0
    # Larger root of lead g^2 - 2 k d b g + b (b - a^2) = 0; the bound holds for every g > -d.
    root = max(0.0, (k * d * b) ** 2 - lead * b * (b - a * a))
    g = (k * d * b + math.sqrt(root)) / lead
    value = (a + math.sqrt(b + k * g * g)) ** 2 / (k * (d + g) ** 2)
    return min(1.0, float(up(value, 32)))
