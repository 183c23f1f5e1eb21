"""A comparison in words: a table of pairs, and what is claimed."""

import math

import numpy as np

from ncbounds.comparison.pairs import ComparisonData
from ncbounds.errors import few, printable
from ncbounds.lines import aligned
from ncbounds.results import MARK
from ncbounds.tables import Table, plain_table

#: Candidates up to which pairs stand in a table; more are told by how many each one beats.
WIDEST = 12
#: Letters of all names up to which they stand over the columns too; longer ones have numbers.
ACROSS = 60
#: Decimals of a limit on the screen, rounded to the safe side.
DIGITS = 4


def at_least(limit: float) -> str:
    """A lower limit, rounded down."""
    return _rounded(math.floor(limit * 10**DIGITS))


def at_most(limit: float) -> str:
    """An upper limit, rounded up."""
    return _rounded(math.ceil(limit * 10**DIGITS))


def _rounded(units: int) -> str:
    if not units:
        return "0"
    text = f"{units / 10**DIGITS:.{DIGITS}f}"
    return text.replace("0.", ".", 1) if abs(units) < 10**DIGITS else text


def words(found: ComparisonData) -> str:
    """Return the table of pairs and what is claimed, each with the mark of what it is worth."""
    lines = [_rows(found), "", *aligned(cells(found)), "", *statements(found)]
    return "\n".join(map(printable, lines))


def _rows(found: ComparisonData) -> str:
    """What was compared on which rows."""
    first = found.candidates[0]
    rows = f"the same {found.n:,} {first.role} rows, drawn {first.sampling}"
    said = f"{len(found.candidates)} classifiers on {rows}"
    if first.error:
        said += f", by their {first.error}"
    if found.among > len(found.candidates):
        said += f", of {found.among} that could have been compared"
    return said


def statements(found: ComparisonData) -> list[str]:
    """Sentences: what is claimed of pairs, the best, the chosen one and the list."""
    mark, names = MARK[found.kind], found.names
    lines = [
        f"Each statement may be wrong with probability {found.delta:g} by itself; "
        f"{MARK['certificate']} certificate, {MARK['plug-in']} no guarantee",
        *_pairs(found),
        f"{mark} best: the best is among {_named(found, found.best)}; of several that are "
        "equally good, each by itself",
        f"{mark} regret: {names[found.chosen]} errs at most {at_most(found.regret)} more often "
        "than the best of these",
    ]
    if found.requirement is not None:
        how = "in the order given" if found.in_order else "Holm"
        listed = [names[t] for t in found.cheapest_first()]
        lines.append(
            f"{mark} list of those that err at most {found.requirement:g}, all at once ({how}; the "
            f"requirement was fixed beforehand{_cheapest(found)}): {few(listed) or 'none'}"
        )
    return [*lines, *_reasons(found)]


def _named(found: ComparisonData, marked: np.ndarray) -> str:
    inside = [name for name, yes in zip(found.names, marked, strict=True) if yes]
    return f"{few(inside)} ({len(inside)} of {len(found.names)})"


def _cheapest(found: ComparisonData) -> str:
    known = [t for t in found.cheapest_first() if not np.isnan(found.candidates[t].cost)]
    return ", cheapest first" if len(known) > 1 else ""


def _pairs(found: ComparisonData) -> list[str]:
    """Who beats whom, and which pairs the rows do not tell apart."""
    names, more = found.names, found.limits > 0
    count = len(names)
    if count == 1:
        return []
    share = found.delta / (found.among * (found.among - 1))
    each = f"delta {share:.2g} for each of {found.among * (found.among - 1)} ordered pairs"
    lines = []
    if count <= 4:
        for i, j in np.argwhere(more):
            lines.append(
                f"{MARK[found.kind_of(i, j)]} {names[i]} beats {names[j]} by at least "
                f"{at_least(found.limits[i, j])}: only {names[j]} errs on {found.only[j, i]:,} "
                f"rows, only {names[i]} on {found.only[i, j]:,}"
            )
    open_pairs = [
        f"{names[i]} and {names[j]}"
        for i in range(count)
        for j in range(i + 1, count)
        if not (more[i, j] or more[j, i])
    ]
    shown = count * (count - 1) // 2 - len(open_pairs)
    lines.append(f"pairs: {shown} of {count * (count - 1) // 2} told apart ({found.form}; {each})")
    if open_pairs:
        lines.append(f"not told apart by these rows: {few(open_pairs)}")
    return lines


def _reasons(found: ComparisonData) -> list[str]:
    """What lowers a kind or has to be known, once for all that it is about."""
    about: dict[str, list[str]] = {}
    for c in found.candidates:
        for reason in c.reasons:
            about.setdefault(reason, []).append(c.name)
    everyone = len(found.candidates)
    lines = [
        f"({reason}{'' if len(names) == everyone else ': ' + few(names)})"
        for reason, names in about.items()
    ]
    if found.beside and found.among < everyone + found.beside:
        lines.append(
            f"(that {found.among:,} could have been compared is declared: named before the rows "
            f"were looked at, beside {found.beside:,} more)"
        )
    elif found.beside:
        lines.append(
            f"(these may have been picked by looking, beside {found.beside:,} more, so that each "
            f"statement pays for all; --among {everyone} (among={everyone}) if they were named "
            "before the rows were looked at)"
        )
    if found.form == "stratified":
        lines.append(
            "(class counts were fixed by design: errors are weighted by the class frequencies of "
            "these rows)"
        )
    return lines


def table(found: ComparisonData) -> Table:
    """Return the table of pairs with what is claimed, to be written in any format."""
    return plain_table(cells(found), found.to_frame, notes=statements(found), caption=_rows(found))


def cells(found: ComparisonData) -> list[list[str]]:
    """Titles and lines: of few candidates all pairs, of many how many each one beats."""
    return _short(found) if len(found.candidates) > WIDEST else _limits(found)


def _limits(found: ComparisonData) -> list[list[str]]:
    """Limits of all pairs, a dash where the rows do not show that the row errs less often."""
    numbered = [f"{i} {name}" for i, name in enumerate(found.names, 1)]
    wide = sum(map(len, found.names)) > ACROSS
    heads = list(map(str, range(1, len(numbered) + 1))) if wide else found.names
    cells = [["errs less, by at least", *heads, "errors"]]
    for i, name in enumerate(numbered if wide else found.names):
        limits = [
            "" if i == j else at_least(x) if x > 0 else "–" for j, x in enumerate(found.limits[i])
        ]
        cells.append([name, *limits, f"{found.errors[i]:,}"])
    return cells


def _short(found: ComparisonData) -> list[list[str]]:
    """Of many candidates, fewest errors first: how many each one beats and is beaten by."""
    more = found.limits > 0
    cells = [["", "errors", "beats", "beaten by", "may be best"]]
    for t in np.argsort(found.errors, kind="stable"):
        counted = [f"{found.errors[t]:,}", str(more[t].sum()), str(more[:, t].sum())]
        cells.append([found.names[t], *counted, "yes" if found.best[t] else ""])
    return cells
