"""Every way to write a table, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ncbounds.errors import printable
from ncbounds.lines import aligned
from ncbounds.registry import Registry
from ncbounds.tables.markdown import markdown_text
from ncbounds.tables.programs import csv_text, jsonl_text
from ncbounds.tables.styled import html_text, styled
from ncbounds.tables.table import Table
from ncbounds.tables.tex import latex_text


@dataclass(frozen=True)
class TableFormat:
    """One way to write a table; ``ncbounds.register`` adds one.

    Attributes
    ----------
    name : str
        What is typed, e.g. ``"latex"``.
    write : callable
        Gives the text, or an object of pandas.
    text : bool
        Whether it is a text, which a command can print.
    """

    name: str
    write: Callable[[Table], Any]
    text: bool = True


def plain_text(table: Table) -> str:
    """Return lines of equal width; footnotes are left out."""
    cells = [[head.title for head in table.heads]]
    for block in table.blocks:
        if block.title:
            cells.append([f"{block.title}:", *[""] * (len(table.heads) - 1)])
        cells += [[f"{'*' * (c.style == 'best')}{c.text}" for c in line] for line in block.lines]
    left = [i for i, head in enumerate(table.heads) if not head.right]
    lines = aligned([[printable(text) for text in line] for line in cells], left)
    return "\n".join([*lines, "", *map(printable, table.below("*")), ""])


_SHIPPED = (
    TableFormat("text", plain_text),
    TableFormat("markdown", markdown_text),
    TableFormat("latex", latex_text),
    TableFormat("html", html_text),
    TableFormat("csv", lambda table: csv_text(table.frame())),
    TableFormat("jsonl", lambda table: jsonl_text(table.frame())),
    TableFormat("frame", lambda table: table.frame(), text=False),
    TableFormat("style", styled, text=False),
)

#: All formats; ``ncbounds.register`` adds one.
FORMATS: Registry[TableFormat] = Registry(
    TableFormat, "table format", lambda f: f.name, lambda: _SHIPPED
)


def written(table: Table, name: str) -> Any:
    """Write a table in a format by its name.

    Raises
    ------
    UnknownName
        With the nearest known name.
    """
    return FORMATS[name].write(table)
