"""How one value is written."""

import math
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal

import numpy as np

from ncbounds.results import BoundResult, Row

#: What tables show in place of a value that is not defined.
UNDEFINED = "–"


def number(x: float, digits: int = 3, *, up: bool = False) -> str:
    """Format an error-like number: ``.208``, ``1.30``, ``3.2e4``, and ``–`` where it is undefined.

    ``digits`` decimals below 1, as many significant digits from there on (a vacuous value keeps
    its size), powers of ten from 1000 on and where no decimal would be left. With ``up`` a figure
    below 1 is never below ``x``, as a bound needs; from 1 on a bound says nothing either way.
    """
    if not math.isfinite(x):
        return UNDEFINED if math.isnan(x) else str(x)
    if x == 0:
        return "0"
    size, rounding = abs(x), ROUND_CEILING if up and x < 1 else ROUND_HALF_EVEN
    exponent = math.floor(math.log10(size))
    if size < 10.0**-digits or size >= 1000:
        figure = Decimal(x).quantize(Decimal(1).scaleb(exponent - 1), rounding)
        mantissa, power = f"{figure:.1e}".split("e")
        return f"{mantissa}e{int(power)}"
    places = digits if size < 1 else max(digits - 1 - exponent, 0)
    figure = Decimal(x).quantize(Decimal(1).scaleb(-places), rounding)
    if abs(figure) >= 1 > size:  # rounded up to 1: one decimal less, as for numbers from 1 on
        figure = figure.quantize(Decimal(1).scaleb(1 - digits))
    return f"{figure:f}".replace("0.", ".", 1) if abs(figure) < 1 else f"{figure:f}"


def significant(x: float, digits: int = 2) -> str:
    """Format a scale-free measure by significant digits: ``.0066``, ``2.6``, ``3.1e-5``."""
    if not math.isfinite(x) or x == 0 or not 1e-4 <= abs(x) < 1000:
        return number(x)
    places = max(digits - 1 - math.floor(math.log10(abs(x))), 0)
    return f"{x:.{places}f}".replace("0.", ".", 1) if abs(x) < 1 else f"{x:.{places}f}"


def interval(error: float, low: float, high: float) -> str:
    """``".197 [.189, .205]"``."""
    if np.isnan(error):
        return UNDEFINED
    return f"{number(error)} [{number(low)}, {number(high)}]"


def shown_value(r: Row) -> str:
    """Value or measure as tables show it; a bound is rounded up."""
    return number(r.value, up=True) if isinstance(r, BoundResult) else number(r.measure)


def shown_params(r: Row) -> str:
    """Parameters of a row, e.g. ``"m=5"``."""
    return ", ".join(
        f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in r.params.items()
    )
