"""Margin bounds of one form: mean ramp loss + 2 Rademacher average + deviation, over all margins.

``value(gamma) = mean ramp_gamma(m_i) + 2 Rad(gamma) + 3 sqrt((ln(1/delta) + pay) / (2n))``.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.network._grid import price
from ncbounds.bounds.view import Outcome, View
from ncbounds.numerics import up

#: Largest mean ramp loss at which a vacuous bound is shown.
SHOWN_RAMP = 0.5


class Term(NamedTuple):
    """Value at one margin, and its additive terms."""

    k: int
    gamma: float
    empirical: float
    complexity: float
    confidence: float

    @property
    def value(self) -> float:
        """Sum of the terms."""
        return self.empirical + self.complexity + self.confidence


def mean_ramp(margins: Floats, gamma: float) -> float:
    """Mean of ``min(1, max(0, 1 - m/gamma))``; a margin that is not a number has loss 1."""
    loss = np.clip(1.0 - margins / gamma, 0.0, 1.0)
    return float(np.where(np.isnan(loss), 1.0, loss).mean())


def deviation(n: int, delta: float, pay: float) -> float:
    """``3 sqrt((ln(1/delta) + pay) / (2n))``."""
    return 3.0 * math.sqrt((math.log(1.0 / delta) + pay) / (2.0 * n))


def over_margins(
    view: View,
    delta: float,
    pay: float,
    gammas: Iterable[tuple[int, float]],
    twice_rademacher: Callable[[float], float],
    margins: Floats,
    details: dict[str, Any],
) -> Outcome:
    """Return the smallest value over a grid of margins.

    Large margins make every such value tend to 1 plus the deviation, so a minimum of 1 or more says
    nothing. Then the smallest value among margins with mean ramp loss at most 1/2 is shown, which
    is valid too and says by how much the bound is vacuous.

    Parameters
    ----------
    pay : float
        Price of all constants but the margin.
    gammas : iterable of (index, value)
    twice_rademacher : callable
        Twice the Rademacher average at a margin.
    margins : array of shape (n,)
    details : dict
        Shown with the row.
    """
    n = view.sample.n
    terms = [
        Term(
            k,
            gamma,
            float(up(mean_ramp(margins, gamma), 16 + math.ceil(math.log2(n + 1)))),
            float(up(twice_rademacher(gamma), 64)),
            float(up(deviation(n, delta, pay + price(k)), 16)),
        )
        for k, gamma in gammas
    ]
    best = min(terms, key=lambda t: t.value, default=None)
    vacuous = best is None or best.value >= 1.0
    if vacuous:
        shown = [t for t in terms if t.empirical <= SHOWN_RAMP]
        best = min(shown, key=lambda t: t.value, default=None)
    if best is None:
        reason = f"no margin has mean ramp loss {SHOWN_RAMP} or less"
        return Outcome(value=np.nan, n=n, reasons=(reason,), details=details)
    value = float(up(best.value, 4))
    return Outcome(
        value=value,
        n=n,
        terms={
            "empirical": best.empirical,
            "complexity": best.complexity,
            "confidence": best.confidence,
        },
        details={
            **details,
            "gamma": best.gamma,
            "pay": pay + price(best.k),
            **({"log10": math.log10(value)} if vacuous else {}),
        },
        claim=view.pooled(),
    )
