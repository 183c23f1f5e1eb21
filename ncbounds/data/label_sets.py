"""Several labels a row, as tables write them: lists, or names or numbers between bars."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Bools
from ncbounds.errors import DataError, shown, suggest

#: What stands between the labels of a row in a text; a row without any is empty.
BAR = "|"

#: A label in a list that is written as a text, and such a list.
_LABEL = re.compile(r"""[0-9]+|'[^'\\]*'|"[^"\\]*\"""")
_LIST = re.compile(rf"\[\s*(?:(?:{_LABEL.pattern})\s*(?:,\s*(?:{_LABEL.pattern})\s*)*)?\]")

Sets = list[tuple[str, ...]]


def is_list(cell: Any) -> bool:
    """Whether a cell of a column is a list, not a text that may read as one."""
    return isinstance(cell, list | tuple | np.ndarray)


def holds_lists(column: NDArray[Any]) -> bool:
    """Whether some cell of a column is a list."""
    return column.dtype == object and any(map(is_list, column))


def holds_bars(column: NDArray[Any]) -> bool:
    """Whether some cell of a column is a text with a bar in it."""
    return column.dtype.kind in "OU" and any(isinstance(x, str) and BAR in x for x in column)


def written_list(text: str) -> list[str] | None:
    """Labels of a list that stands in a text, ``[0, 3]`` or ``['cat', 'dog']``; None if none does.

    Nothing else is a list: ``['cat' 'dog']``, as arrays are printed, says one thing in Python and
    means another.
    """
    if not _LIST.fullmatch(text.strip()):
        return None
    return [x[1:-1] if x[0] in "'\"" else x.lstrip("0") or "0" for x in _LABEL.findall(text)]


def in_brackets(text: str) -> bool:
    """Whether a text begins and ends with brackets, as a list does and a name may."""
    return text.strip().startswith("[") and text.strip().endswith("]")


def reads_as_lists(column: NDArray[Any]) -> bool | None:
    """Whether the texts of a column are lists; None where some of them are, or all look so."""
    of_texts = column.dtype.kind in "OU"
    cells = [x for x in column if isinstance(x, str) and x.strip()] if of_texts else []
    read = [written_list(x) is not None for x in cells]
    if not cells or all(read):
        return bool(cells)
    return None if any(read) or all(map(in_brackets, cells)) else False


def label_sets(column: Iterable[Any], where: str) -> Sets:
    """Labels of each row, as they are written; an empty cell is none.

    Parameters
    ----------
    column : iterable of list, str, int or missing
        Lists of names or numbers; texts such as ``"cat|dog"``, ``"0|3"``, ``"[0, 3]"``; single
        numbers.
    where : str
        Its place, for messages.

    Raises
    ------
    DataError
        If a cell is none of these, or a list could as well be 0 and 1 for each label.
    """
    cells = list(column)
    rows = [tuple(_written(x, where) for x in _cell(cell, where)) for cell in cells]
    lists = [row for row, cell in zip(rows, cells, strict=True) if is_list(cell) or _opened(cell)]
    # of two labels, [0, 1] may mean both of them, or the second one
    of_two = len(lists) == len(rows) and all(sorted(row) == ["0", "1"] for row in lists)
    for row in lists:
        if of_two or len({*row}) < len(row):
            raise DataError(
                f"{where}: lists are of labels, without repeats, and one is "
                f"[{shown(', '.join(row), 60)}]; 0 and 1 for each label stand in columns label_0, "
                "label_1, ... (predicted_0, predicted_1, ...)"
            )
    return rows


def _opened(cell: Any) -> bool:
    return isinstance(cell, str) and in_brackets(cell)


def _cell(cell: Any, where: str) -> list[Any]:
    if is_list(cell):
        return list(cell)
    if _opened(cell):
        found = written_list(cell)
        if found is None:
            raise DataError(
                f"{where}: {shown(cell, 60)!r} stands in brackets and is no list; lists are "
                "written [0, 3] or ['cat', 'dog']"
            )
        return list(found)
    if isinstance(cell, str):
        return [part.strip() for part in cell.split(BAR) if part.strip()]
    missing = cell is None or (isinstance(cell, float) and np.isnan(cell)) or str(cell) == "<NA>"
    return [] if missing else [cell]


def _written(label: Any, where: str) -> str:
    if isinstance(label, float | np.floating) and float(label).is_integer():
        label = int(label)  # pandas has numbers with gaps as floats
    if isinstance(label, bool | np.bool_) or not isinstance(label, str | int | np.integer):
        raise DataError(
            f"{where}: {shown(repr(label))} is no label; needed are names or numbers, in lists or "
            f"as texts such as 'cat{BAR}dog'"
        )
    return str(label)


def are_numbers(sets: Sets) -> bool:
    """Whether all labels are written as numbers."""
    return all(label.isdecimal() for labels in sets for label in labels)


def held_of(sets: Sets, names: Sequence[str], count: int, where: str) -> Bools:
    """Which of ``count`` labels each row has, boolean of shape (n, count).

    Parameters
    ----------
    sets : list of tuples of str
        From :func:`label_sets`.
    names : sequence of str
        Names of the labels, in the order of their numbers; empty if they have none.
    count : int
    where : str
        Their place, for messages.

    Raises
    ------
    DataError
        If a label has no such name or number.
    """
    number = {name: k for k, name in enumerate(names)}
    if not number or (are_numbers(sets) and not all(x in number for row in sets for x in row)):
        number = {str(k): k for k in range(count)}
    found = np.zeros((len(sets), count), dtype=np.bool_)
    for i, labels in enumerate(sets):
        for label in labels:
            if label not in number:
                known = suggest(label, list(names)) if names else f"labels are 0 to {count - 1}"
                raise DataError(f"{where}: no label {shown(label)!r}; {known}")
            found[i, number[label]] = True
    return found
