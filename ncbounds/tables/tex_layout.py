"""How a table is made to fit a page of LaTeX: smaller letters, broken words, several tables."""

from collections.abc import Sequence
from typing import NamedTuple

from ncbounds.lines import panels
from ncbounds.tables.table import Cell, Head, Table
from ncbounds.tables.tex_width import points


class Size(NamedTuple):
    """A size of letters: how much narrower than at ten points they are, and the gap of columns."""

    command: str
    scale: float
    gap: float


#: From large to small: cmr10, cmr9, cmr8, cmr7, whose letters are wider for their size.
SIZES = (
    Size(r"\normalsize", 1.0, 12.0),
    Size(r"\small", 0.926, 8.0),
    Size(r"\footnotesize", 0.852, 6.0),
    Size(r"\scriptsize", 0.815, 4.0),
)
#: A column is not broken to less than this share of its width, nor below so many points.
LEAST_SHARE, LEAST_POINTS = 0.4, 45.0


class Layout(NamedTuple):
    """How a table is set.

    ``parts`` are the columns of each tabular, ``broken`` the widths in points of columns whose
    words are broken, ``points`` the width of the widest tabular.
    """

    size: Size
    parts: list[list[int]]
    broken: dict[int, float]
    points: float


def layout(table: Table, room: float) -> Layout:
    """Return the largest letters that fit; then broken words, then several tabulars.

    A table that fits in no way is returned as narrow as it gets, with its width.
    """
    natural = [widest(table, i) for i in range(len(table.heads))]
    whole = [list(range(len(natural)))]
    for size in SIZES:
        needs = _width(natural, whole[0], size, {})
        if needs <= room:
            return Layout(size, whole, {}, needs)
    for size in SIZES[2:]:
        broken = _broken(table, natural, whole[0], size, room)
        if broken is not None:
            return Layout(size, whole, broken, _width(natural, whole[0], size, broken))
    return _several(table, natural, room)


def _several(table: Table, natural: list[float], room: float) -> Layout:
    """Tabulars that repeat the columns to keep, whose words are broken where they take too much."""
    size = SIZES[2]
    scaled = [w * size.scale for w in natural]
    others = [w for i, w in enumerate(scaled) if i not in table.keep]
    kept = sum(scaled[i] + size.gap for i in table.keep)
    broken: dict[int, float] = {}
    over = kept + max(others, default=0.0) - room
    if over > 0:
        first = max(table.keep, key=lambda i: (not table.heads[i].right, scaled[i]))
        broken = {first: max(scaled[first] - over, LEAST_POINTS)}
        scaled[first] = broken[first]
    families = [head.family or i for i, head in enumerate(table.heads)]
    parts = panels(scaled, room, table.keep, gap=size.gap, together=families)
    return Layout(size, parts, broken, max(_width(natural, p, size, broken) for p in parts))


def _broken(
    table: Table, natural: list[float], part: list[int], size: Size, room: float
) -> dict[int, float] | None:
    """Width of the widest column of words with which the table fits; None if that is too little."""
    words = [i for i in part if not table.heads[i].right]
    if not words:
        return None
    first = max(words, key=lambda i: natural[i])
    own = natural[first] * size.scale
    width = own - (_width(natural, part, size, {}) - room)
    return {first: width} if width >= max(LEAST_SHARE * own, LEAST_POINTS) else None


def _width(
    natural: Sequence[float], part: Sequence[int], size: Size, broken: dict[int, float]
) -> float:
    columns = sum(broken.get(i, natural[i] * size.scale) for i in part)
    return columns + size.gap * (len(part) - 1)


def widest(table: Table, column: int) -> float:
    """Width of a column at ten points."""
    head = table.heads[column]
    letters = table.footnotes()
    cells: list[Cell | Head] = [line[column] for b in table.blocks for line in b.lines]
    # a family's name stands over all of its columns
    family = points(head.family) / max(sum(h.family == head.family for h in table.heads), 1)
    return max(family, *(_points(x, letters) for x in [head, *cells]))


def _points(x: Cell | Head, letters: dict[str, str]) -> float:
    raised = ",".join(letters[note] for note in x.notes)
    return points(x[0], bold=isinstance(x, Cell) and x.style == "best", raised=len(raised))
