"""Numbers as tables show them."""

import math
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal

#: Decimals shown of a number below 1.
DIGITS = 3


def number(x: float, *, up: bool = False) -> str:
    """Format an error-like number: ``.208``, ``1.30``, ``3.2e4``, ``nan``.

    Three decimals below 1, three significant digits from there on (a vacuous value keeps its size),
    powers of ten from 1000 on and below .001. With ``up`` the printed figure is never below ``x``,
    as a bound needs.
    """
    if not math.isfinite(x):
        return str(x)
    if x == 0:
        return "0"
    size, rounding = abs(x), ROUND_CEILING if up else ROUND_HALF_EVEN
    exponent = math.floor(math.log10(size))
    if size < 10.0**-DIGITS or size >= 1000:
        figure = Decimal(x).quantize(Decimal(1).scaleb(exponent - 1), rounding)
        digits, power = f"{figure:.1e}".split("e")
        return f"{digits}e{int(power)}"
    places = DIGITS if size < 1 else 2 - exponent
    figure = Decimal(x).quantize(Decimal(1).scaleb(-places), rounding)
    return f"{figure:f}".replace("0.", ".", 1) if size < 1 else f"{figure:f}"
