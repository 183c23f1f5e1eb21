"""Cells as lines of text."""

from collections.abc import Collection, Sequence


def aligned(cells: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> list[str]:
    """Lines of a table, its columns two blanks apart.

    Parameters
    ----------
    cells : sequence of rows, all of one length
    left : collection of int
        Columns that are aligned to the left; the others are to the right.
    """
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            c.ljust(w) if i in left else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
