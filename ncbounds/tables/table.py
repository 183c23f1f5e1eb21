"""What a table is, however it is written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

if TYPE_CHECKING:
    import pandas as pd

#: How a cell stands out: the one to quote, one that says nothing.
Style = Literal["", "best", "vacuous"]


class Cell(NamedTuple):
    """What is read of one cell, with footnotes."""

    text: str
    style: Style = ""
    notes: tuple[str, ...] = ()


class Head(NamedTuple):
    """Title of a column, the family that stands above it, footnotes about all of its cells."""

    title: str
    family: str = ""
    right: bool = True
    notes: tuple[str, ...] = ()


class Block(NamedTuple):
    """Lines under one heading, which may be empty."""

    title: str
    lines: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes
    ----------
    heads : tuple of Head
    blocks : tuple of Block
        With as many cells a line as there are heads.
    frame : callable
        Gives the same table for programs: numbers with full precision, one line a line.
    notes : tuple of str
        Stand under the table.
    quoted : str
        What it means that a cell is to be quoted, which is bold or has a star.
    caption, label : str
    keep : tuple of int
        Columns that are repeated where a table is broken into several because it is too wide.
    width : {"text", "column"} or float
        What LaTeX has room for: the text or a column of two of ``article``, or so many points.
    """

    heads: tuple[Head, ...]
    blocks: tuple[Block, ...]
    frame: "Callable[[], pd.DataFrame]"
    notes: tuple[str, ...] = ()
    quoted: str = ""
    caption: str = ""
    label: str = ""
    keep: tuple[int, ...] = (0,)
    width: str | float = "text"

    @property
    def lines(self) -> int:
        """Number of lines and headings."""
        return sum(len(b.lines) + bool(b.title) for b in self.blocks)

    def footnotes(self) -> dict[str, str]:
        """Each footnote's letter, in the order in which they are met."""
        met = [note for head in self.heads for note in head.notes]
        met += [
            note for b in self.blocks for line in b.lines for cell in line for note in cell.notes
        ]
        return {note: _letters(i) for i, note in enumerate(dict.fromkeys(met))}

    def below(self, best: str) -> list[str]:
        """What stands under the table, in order; ``best`` is how the cell to quote stands out."""
        some = any(c.style == "best" for b in self.blocks for line in b.lines for c in line)
        return [*self.notes, *([f"{best} {self.quoted}"] if some and self.quoted else [])]

    def tidied(self) -> Self:
        """Return it with footnotes that all cells of a column share at the column's title."""
        cells = list(zip(*(line for b in self.blocks for line in b.lines), strict=True))
        shared = [_shared(column) for column in cells]
        if not any(shared):
            return self
        heads = tuple(
            head._replace(notes=(*head.notes, *notes))
            for head, notes in zip(self.heads, shared, strict=True)
        )
        blocks = tuple(
            Block(b.title, tuple(_without(line, shared) for line in b.lines)) for b in self.blocks
        )
        return replace(self, heads=heads, blocks=blocks)


def plain_table(
    cells: Sequence[Sequence[str]],
    frame: "Callable[[], pd.DataFrame]",
    *,
    left: Sequence[int] = (0,),
    notes: Sequence[str] = (),
    caption: str = "",
) -> Table:
    """Make a table of titles and lines of text.

    Parameters
    ----------
    cells : sequence of rows
        Titles first.
    frame : callable
        As in :class:`Table`.
    left : sequence of int
        Columns that are aligned to the left.
    notes, caption
        As in :class:`Table`.
    """
    heads = tuple(Head(title, right=i not in left) for i, title in enumerate(cells[0]))
    lines = tuple(tuple(map(Cell, line)) for line in cells[1:])
    return Table(heads, (Block("", lines),), frame, tuple(notes), caption=caption)


def joined_table(
    parts: Mapping[str, Sequence[Sequence[str]]],
    frame: "Callable[[], pd.DataFrame]",
    *,
    notes: Sequence[str] = (),
    caption: str = "",
) -> Table:
    """Make one table of several, each under its heading; columns are those of any of them.

    Parameters
    ----------
    parts : mapping from heading to rows
        Titles first, the first column aligned to the left.
    frame, notes, caption
        As in :class:`Table`.
    """
    titles = list(dict.fromkeys(title for cells in parts.values() for title in cells[0]))
    blocks = []
    for heading, (own, *lines) in parts.items():
        by_title = (dict(zip(own, line, strict=True)) for line in lines)
        filled = tuple(tuple(Cell(of.get(title, "")) for title in titles) for of in by_title)
        blocks.append(Block(heading, filled))
    heads = tuple(Head(title, right=i > 0) for i, title in enumerate(titles))
    return Table(heads, tuple(blocks), frame, tuple(notes), caption=caption)


def _letters(i: int) -> str:
    """Letter of a footnote: a to z, then aa, ab and on."""
    rest, letter = divmod(i, 26)
    return (_letters(rest - 1) if rest else "") + chr(ord("a") + letter)


def _shared(column: Sequence[Cell]) -> tuple[str, ...]:
    """Footnotes of all cells of a column that have a text."""
    said = [cell.notes for cell in column if cell.text]
    return tuple(n for n in said[0] if all(n in notes for notes in said)) if said else ()


def _without(line: Sequence[Cell], shared: Sequence[tuple[str, ...]]) -> tuple[Cell, ...]:
    return tuple(
        cell._replace(notes=tuple(n for n in cell.notes if n not in notes))
        for cell, notes in zip(line, shared, strict=True)
    )
