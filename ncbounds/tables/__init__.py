"""Tables of anything: numbers for programs, cells for readers, and every way to write them."""

from ncbounds.tables.formats import FORMATS, TableFormat, written
from ncbounds.tables.table import Block, Cell, Head, Table, joined_table, plain_table

__all__ = [
    "FORMATS",
    "Block",
    "Cell",
    "Head",
    "Table",
    "TableFormat",
    "joined_table",
    "plain_table",
    "written",
]
