"""Tables as Markdown."""

import re
from collections.abc import Iterable, Sequence

from ncbounds.errors import printable
from ncbounds.tables.table import Cell, Head, Table

#: What would be markup inside a cell. An underscore inside a word, a tilde before a blank and a
#: bracket that no link follows are none, and stay as they read best.
_MARKUP = re.compile(
    r"""[\\`*|<>&$] | (?<!\w)_ | _(?!\w) | ~(?!\ ) | \](?=[(\[:]) | !(?=\[) | (?<=[:.])//"""
    r"""| (?i:(?<=www)\.)""",
    re.VERBOSE,
)


def escaped(text: str) -> str:
    """A text with everything that Markdown would read as markup escaped."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", printable(text))


def rows(lines: Iterable[Sequence[str]]) -> list[str]:
    """Rows of a table, one a line."""
    return [f"| {' | '.join(map(escaped, line))} |" for line in lines]


def ruled(titles: Sequence[str], *lines: Sequence[str]) -> list[str]:
    """Rows of a table of numbers, with the rule under its titles."""
    return rows([titles, ["---:"] * len(titles), *lines])


def markdown_text(table: Table) -> str:
    """Return a table, its footnotes in brackets; the cell to quote has a star."""
    letters = table.footnotes()

    def text(cell: Cell | Head) -> str:
        told = ", ".join(letters[note] for note in cell.notes)
        best = "*" if isinstance(cell, Cell) and cell.style == "best" else ""
        return f"{best}{cell[0]}" + (f" ({told})" if told else "")

    lines = [[text(h) for h in table.heads], ["---:" if h.right else "---" for h in table.heads]]
    for block in table.blocks:
        if block.title:
            lines.append([f"{block.title}:", *[""] * (len(table.heads) - 1)])
        lines += [[text(cell) for cell in line] for line in block.lines]
    said = [*table.below("*"), *(f"({letter}) {note}" for note, letter in letters.items())]
    caption = [f"{escaped(table.caption)}", ""] if table.caption else []
    return "\n".join([*caption, *rows(lines), "", *(f"- {escaped(note)}" for note in said), ""])
