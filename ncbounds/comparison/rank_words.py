"""The table of a ranking, for a terminal."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from ncbounds.comparison.order import FEWEST, FEWEST_OF_FACTOR
from ncbounds.comparison.ranked import Ranked
from ncbounds.errors import printable
from ncbounds.lines import aligned
from ncbounds.tables import Table, plain_table

if TYPE_CHECKING:
    import pandas as pd

#: Titles and what stands under them.
_HEAD = (
    *("", "sample", "pairs", "wrong [95 %]", "tau-b", "pairs", "inside strata [95 %]"),
    *("worst factor", "regret", "random"),
)


def rank_words(ranked: Iterable[Ranked], delta: float, families: int) -> str:
    """Return the table, least sign error first, what has a dash last, and what it means."""
    ranked = list(ranked)
    known = [(r.sign_error, r.factor_error, r.regret) for r in ranked]
    if ranked and np.isnan(known).all():
        most = max(r.resolved for r in ranked)
        return (
            f"nothing is ranked: the test rows show the order of {most} pairs of checkpoints at "
            f"delta {delta:g},\nand {FEWEST} are needed: evaluate more checkpoints into this run, "
            "or more test rows"
        )
    cells = [_HEAD, *map(_cells, _in_order(ranked))]
    return "\n".join(map(printable, [*aligned(cells, left=(0, 1)), "", *_legend(delta, families)]))


def rank_table(
    ranked: Iterable[Ranked], delta: float, families: int, frame: "Callable[[], pd.DataFrame]"
) -> Table:
    """Return the same table, to be written in any format; what it means stands in one note."""
    head = ["quantity", *_HEAD[1:5], "pairs in strata", *_HEAD[6:]]
    notes = [" ".join(_legend(delta, families))]
    return plain_table(
        [head, *map(_cells, _in_order(ranked))],
        frame,
        left=(0, 1),
        notes=notes,
        caption="How quantities order checkpoints, beside their errors",
    )


def _in_order(ranked: Iterable[Ranked]) -> list[Ranked]:
    return sorted(ranked, key=lambda r: (np.isnan(r.sign_error), r.sign_error, -r.resolved))


def _legend(delta: float, families: int) -> list[str]:
    return [
        "wrong: share of the resolved pairs of checkpoints that a smaller value orders wrongly, a",
        "tie by half; .5 is no order at all. A pair is resolved where test rows show which of",
        f"the two errs less often, all pairs at once at delta {delta:g}. Inside strata: pairs of",
        "equal label law, fit and head rows. Worst factor: pairs that differ in it alone, at least",
        f"{FEWEST_OF_FACTOR} resolved.",
        f"Intervals redraw the {families} families and describe these checkpoints. Regret: of the",
        "pick in the largest stratum, beside a random pick.",
        f"– : fewer than {FEWEST} resolved pairs, or no count of the target's errors. Measures",
        "that grow with quality are negated.",
    ]


def _cells(r: Ranked) -> tuple[str, ...]:
    name = f"{r.name} {r.params}".rstrip() + (f" [{r.target}]" if r.target != "saved" else "")
    name += f" ({r.error})" if r.error else ""
    factor = f"{r.factor} {_share(r.factor_error)}" if r.factor else "–"
    return (
        name,
        r.kind if r.kind == "baseline" else r.role,
        str(r.resolved),
        _with_ends(r.sign_error, r.low, r.high),
        _share(r.tau_b),
        str(r.within_resolved),
        _with_ends(r.within, r.within_low, r.within_high),
        factor,
        _share(r.regret, 3),
        _share(r.random_regret, 3),
    )


def _share(x: float, digits: int = 2) -> str:
    if np.isnan(x):
        return "–"
    text = f"{x:.{digits}f}"
    return text.replace("0.", ".", 1) if abs(x) < 1 and float(text) else text


def _with_ends(x: float, low: float, high: float) -> str:
    return "–" if np.isnan(x) else f"{_share(x)} [{_share(low)}, {_share(high)}]"
