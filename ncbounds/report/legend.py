"""What stands under a table: the meaning of its marks and signs, and what delta was spent."""

import re
from collections.abc import Collection, Iterable

from ncbounds.report.cells import UNDEFINED
from ncbounds.results import MARK, Kind, Row

#: What the marks say, in few words.
_SAYS: dict[Kind, str] = {
    "certificate": "certificate",
    "conditional": "holds if its named assumption does",
    "plug-in": "plug-in, no guarantee",
    "measure": "measure, not an error",
}


def legend(kinds: Collection[Kind] = tuple(MARK)) -> str:
    """Return the meaning of the marks of these kinds, in one line."""
    return "   ".join(f"{MARK[kind]} {says}" for kind, says in _SAYS.items() if kind in kinds)


#: Before the certificate to quote, where there are no bold letters.
BEST = "*"
#: What it means, by whether all rows hold together.
QUOTED = {
    True: "the smallest certificate of its line: all hold together",
    False: "the certificate to quote: of the first bound, in a fixed order, that says something",
}


def kinds_in(cells: Iterable[str]) -> set[Kind]:
    """Kinds whose marks stand in any of these cells."""
    starts = {cell.removeprefix(BEST)[:1] for cell in cells}
    return {kind for kind, mark in MARK.items() if mark in starts}


def spent(rows: Iterable[Row], *, simultaneous: bool) -> str:
    """What delta was spent on rows, in a sentence."""
    each = {r.delta for r in rows if r.delta == r.delta}
    if not each:
        return ""
    if simultaneous:
        return f"All rows hold together; each spends delta {min(each):.3g}."
    if len(each) > 1:
        return f"Each row may fail with its own delta, {min(each):.3g} to {max(each):.3g}."
    return f"Each row may fail with probability {min(each):.3g}."


def signs(cells: Iterable[str]) -> list[str]:
    """What signs in cells mean, those that are there."""
    text = "\n".join(cells)
    own = re.search(r"^\S+ \S+ \(", text, re.MULTILINE)
    said = ["in brackets: measured error of the row's own target"] if own else []
    said += ["10^k is vacuous"] if "10^" in text else []
    return said + ([f"{UNDEFINED}\N{NO-BREAK SPACE}undefined"] if UNDEFINED in text else [])
