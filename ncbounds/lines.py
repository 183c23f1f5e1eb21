"""Cells as lines of text, no wider than the screen."""

from collections.abc import Collection, Hashable, Iterable, Sequence
from itertools import groupby
from textwrap import wrap

#: Columns of a screen whose width is not known.
WIDTH = 120


def aligned(
    cells: Sequence[Sequence[str]],
    left: Collection[int] = (0,),
    *,
    width: int | None = None,
    keep: Collection[int] = (0,),
) -> list[str]:
    """Lines of a table, its columns two blanks apart.

    Parameters
    ----------
    cells : sequence of rows, all of one length
    left : collection of int
        Columns that are aligned to the left; the others are to the right.
    width : int, optional
        A wider table is broken into several, one under the other, with a blank line between.
    keep : collection of int
        Columns that stand in each of them.
    """
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    whole = [list(range(len(widths)))]
    lines: list[str] = []
    for columns in panels(widths, width, keep, gap=2) if width is not None else whole:
        lines += [""] if lines else []
        lines += [
            "  ".join(
                row[i].ljust(widths[i]) if i in left else row[i].rjust(widths[i]) for i in columns
            ).rstrip()
            for row in cells
        ]
    return lines


def panels(
    widths: Sequence[float],
    limit: float,
    keep: Collection[int] = (0,),
    *,
    gap: float = 0,
    together: Sequence[Hashable] | None = None,
    last: Collection[int] = (),
) -> list[list[int]]:
    """Columns of each of the tables that a table which is too wide is broken into.

    Parameters
    ----------
    widths : sequence of float
        Of the columns, in any unit.
    limit : float
        What a table may be wide; one whose repeated columns and one other are wider is left so.
    keep : collection of int
        Columns that stand in every table.
    gap : float
        Between two columns.
    together : sequence, optional
        Neighbouring columns that are equal here are broken apart only if they have to be.
    last : collection of int
        Columns that are moved to the last table first.

    Returns
    -------
    list of list of int
        Indices of columns, in order.
    """
    if sum(widths) + gap * (len(widths) - 1) <= limit:
        return [list(range(len(widths)))]
    room = limit - sum(widths[i] + gap for i in keep) + gap
    key = together or range(len(widths))
    free = sorted((i for i in range(len(widths)) if i not in keep), key=lambda i: i in last)
    found: list[list[int]] = [[]]

    def needs(columns: Iterable[int]) -> float:
        return sum(widths[i] + gap for i in columns)

    for _, run in groupby(free, key=lambda i: key[i]):
        columns = list(run)
        for part in [columns] if needs(columns) <= room else [[i] for i in columns]:
            if found[-1] and needs([*found[-1], *part]) > room:
                found.append([])
            found[-1] += part
    return [sorted({*keep, *columns}) for columns in found]


def filled(text: str, width: int = WIDTH, indent: str = "  ") -> list[str]:
    """Words in lines of a width; those after the first are indented.

    Only words that are longer than a line are broken; non-breaking blanks become blanks.
    """
    lines = wrap(text, max(width, 20), subsequent_indent=indent, break_on_hyphens=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
