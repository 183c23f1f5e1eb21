"""Several labels a row, as tables write them: lists, or names or numbers between bars."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Bools
from ncbounds.errors import DataError, shown, suggest

#: What stands between the labels of a row in a text; a row without any is empty.
BAR = "|"

Sets = list[tuple[str, ...]]


def holds_lists(column: NDArray[Any]) -> bool:
    """Whether some cell of a column is a list."""
    return column.dtype == object and any(isinstance(x, list | tuple | np.ndarray) for x in column)


def holds_bars(column: NDArray[Any]) -> bool:
    """Whether some cell of a column is a text with a bar in it."""
    return column.dtype.kind in "OU" and any(isinstance(x, str) and BAR in x for x in column)


def label_sets(column: Iterable[Any], where: str) -> Sets:
    """Labels of each row, as they are written; an empty cell is none.

    Parameters
    ----------
    column : iterable of list, str, int or missing
        Lists of names or numbers; texts such as ``"cat|dog"`` or ``"0|3"``; single numbers.
    where : str
        Its place, for messages.

    Raises
    ------
    DataError
        If a cell is none of these.
    """
    return [tuple(_written(x, where) for x in _cell(cell)) for cell in column]


def _cell(cell: Any) -> list[Any]:
    if isinstance(cell, list | tuple | np.ndarray):
        return list(cell)
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
