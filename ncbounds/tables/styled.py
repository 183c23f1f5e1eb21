"""Tables as a styled frame of pandas, which writes HTML."""

from html import escape
from typing import TYPE_CHECKING, Any

from ncbounds.errors import printable
from ncbounds.tables.table import Cell, Head, Table

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

_STYLES: list[Any] = [
    {"selector": "th, td", "props": "padding: .15em .6em; text-align: right; white-space: nowrap"},
    {"selector": ".left, th.row_heading", "props": "text-align: left; vertical-align: top"},
    {"selector": ".best", "props": "font-weight: bold"},
    {"selector": ".vacuous", "props": "opacity: .55"},
    {"selector": "caption", "props": "text-align: left"},
]


def styled(table: Table) -> "Styler":
    """Return a frame of texts with their styles; its index are the headings of blocks."""
    import pandas as pd
    from pandas.io.formats.style import Styler

    letters = table.footnotes()
    lines = [line for block in table.blocks for line in block.lines]
    titles = [_text(head, letters) for head in table.heads]
    families = [printable(head.family) for head in table.heads]
    columns = pd.MultiIndex.from_arrays([families, titles]) if any(families) else pd.Index(titles)
    headings = [printable(block.title) for block in table.blocks for _ in block.lines]
    index = pd.MultiIndex.from_arrays([headings, range(len(lines))])
    texts = pd.DataFrame([[_text(c, letters) for c in line] for line in lines], index, columns)
    classes = pd.DataFrame(
        [
            [
                c.style if head.right else f"{c.style} left".strip()
                for c, head in zip(line, table.heads, strict=True)
            ]
            for line in lines
        ],
        index,
        columns,
    )
    made = Styler(texts, uuid="ncbounds", cell_ids=False, escape="html")
    for axis in (0, 1):
        made = made.format_index(escape="html", axis=axis)
    made = made.hide(axis="index", level=1) if any(headings) else made.hide(axis="index")
    if table.caption:
        made = made.set_caption(escape(printable(table.caption)))
    return made.set_td_classes(classes).set_table_styles(_STYLES)


def html_text(table: Table) -> str:
    """Return a piece of HTML, without scripts, with footnotes in a list under the table."""
    from markupsafe import Markup

    letters = table.footnotes()
    said = [*table.below("Bold:"), *(f"({letter}) {note}" for note, letter in letters.items())]
    notes = Markup("").join(Markup("<li>{}</li>\n").format(printable(note)) for note in said)
    below = f"<ul>\n{notes}</ul>\n" if said else ""
    return f"<div>\n{styled(table).to_html()}{below}</div>\n"


def _text(cell: Cell | Head, letters: dict[str, str]) -> str:
    told = ", ".join(letters[note] for note in cell.notes)
    return printable(cell[0]) + (f" ({told})" if told else "")
