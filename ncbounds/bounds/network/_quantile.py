"""The margin that measures of the family divide by."""

import math
from collections.abc import Iterable

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.network._read import undefined
from ncbounds.bounds.view import Outcome, View

#: Share of training points whose margin may be smaller.
SHARE = 0.1


def tenth(margins: Floats) -> float:
    """Tenth percentile of the margins, with its sign; an error's margin is not made positive."""
    return float(np.quantile(margins, SHARE, method="lower"))


def product_formula(norms: Iterable[float], margins: Floats) -> float:
    """Product of the layers' norms over the tenth percentile of ``margins`` of shape (n,)."""
    return math.prod(norms) / tenth(margins)


def per_margin(view: View, size: float, details: dict[str, object]) -> Outcome:
    """Return ``size / margin``; undefined where the margin is not positive."""
    gamma = tenth(view.margins)
    if not gamma > 0:
        return undefined(view, f"the tenth percentile of the margins is {gamma:.3g}, not positive")
    if not np.isfinite(size):
        return undefined(view, "a norm is not finite")
    return Outcome(value=size / gamma, n=view.sample.n, details={**details, "margin": gamma})
