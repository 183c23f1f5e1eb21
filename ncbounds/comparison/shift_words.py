"""The table of statements about a shifted target, for a terminal."""

from collections.abc import Sequence

import numpy as np

from ncbounds.comparison.statement import Statement
from ncbounds.comparison.words import at_least, at_most
from ncbounds.errors import printable
from ncbounds.lines import aligned
from ncbounds.results import MARK

COVARIATE = (
    "covariate shift (other inputs of the same classes) has no number here: a limit would need the "
    "true ratio of the two densities, and an estimated one guarantees nothing; label some rows of "
    "the target instead (ncbounds watch)"
)
_HEAD = ("checkpoint", "statement", "", "value", "measured", "claim")


def shift_words(statements: Sequence[Statement]) -> str:
    """Return the table, one statement a line, and under it reasons and diagnostics."""
    cells = [_HEAD, *(_cells(s) for s in statements)]
    lines = aligned(cells, left=(0, 1, 2, 5))
    each = max((s.delta for s in statements), default=0.0)
    lines += ["", f"Each statement may be wrong with probability {each:g} by itself."]
    for s in statements:
        lines += _diagnostics(s)
    seen: dict[str, list[str]] = {}
    for s in statements:
        for reason in s.reasons:
            seen.setdefault(reason, []).append(s.statement)
    lines += [f"({', '.join(dict.fromkeys(names))}: {r})" for r, names in seen.items()]
    return "\n".join(map(printable, [*lines, COVARIATE]))


def _cells(s: Statement) -> tuple[str, ...]:
    value = "–"
    if not np.isnan(s.value):
        value = at_least(s.value) if s.relation == ">=" else at_most(s.value)
    measured = "" if np.isnan(s.measured) else f"{s.measured:.4f}".replace("0.", ".", 1)
    mark = f"{MARK[s.kind]} {s.relation}"
    return (s.checkpoint, s.statement, mark, value, measured, s.claim)


def _diagnostics(s: Statement) -> list[str]:
    if s.statement != "label_shift":
        return []
    level = float(s.details["least refuting level"])
    above = f"{1.005 * level:.3g}"  # to three digits, never below it
    lines = [f"{s.checkpoint}: label shift is refuted from level {above} on"]
    if level >= 1:
        lines = [f"{s.checkpoint}: label shift is refuted at no level"]
    ranges = s.details.get("class priors")
    if ranges is not None:
        known = np.where(np.isnan(ranges), [0.0, 1.0], ranges)
        shown = "  ".join(
            f"{c}: {at_least(low)}-{at_most(high)}" for c, (low, high) in enumerate(known)
        )
        lines.append(f"{s.checkpoint}: class proportions of the target, under it: {shown}")
    return lines
