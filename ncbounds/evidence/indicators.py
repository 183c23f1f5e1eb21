"""Several labels a point: indicators of shape (n, L), read from arrays or lists of labels."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Bools, plain_array
from ncbounds.budgets import CLASSES
from ncbounds.errors import InvalidSample, shown

#: Answers about labels, (n, L): 1 given, 0 not given, -1 no answer.
Given = NDArray[np.int8]


def several(labels: object) -> bool:
    """Whether labels are several a point: rows of indicators, or lists of labels."""
    if isinstance(labels, Sequence) and not isinstance(labels, str | bytes):
        return any(_is_list(row) for row in labels[:1])
    array = plain_array(labels, "labels")
    return array.ndim == 2 or (array.dtype.kind == "O" and any(map(_is_list, array.flat[:1])))


def indicators_of(
    labels: object, n: int, classes: int | None, what: str = "labels", width: int | None = None
) -> Bools:
    """Which labels each point has, boolean of shape (n, L).

    Parameters
    ----------
    labels : array-like
        Of shape (n, L): 1 where a point has the label, else 0. Or n lists of label numbers 0 to
        L - 1, which may be empty.
    n : int
    classes : int or None
        L; has to be said of lists.
    what : str
        Their name in messages.
    width : int, optional
        L where it is known and was not said of them.

    Raises
    ------
    InvalidSample
        If they are neither, or of another shape.
    """
    found = answers_of_labels(labels, n, classes, what, width)
    if (found < 0).any():
        raise InvalidSample(
            f"{what} of several labels a point are 0 or 1, found {int((found < 0).sum())} missing "
            "values or -1; leave these rows out first"
        )
    return found.astype(np.bool_)


def answers_of_labels(
    labels: object, n: int, classes: int | None, what: str, width: int | None = None
) -> Given:
    """Indicators as :func:`indicators_of` reads them, -1 where a value is -1 or nan."""
    lists = _lists(labels, classes)
    classes = width if classes is None else classes
    if lists is not None:
        return _of_lists(lists, n, classes, what).astype(np.int8)
    y = plain_array(labels, what)
    if y.ndim != 2 or len(y) != n:
        raise InvalidSample(
            f"{n} rows need {what} of shape ({n}, L), one column a label, found {y.shape}"
        )
    columns = y.shape[1]
    if classes is not None and classes != columns:
        raise InvalidSample(f"there are {classes} labels, but {what} have {columns} columns")
    if not 2 <= columns <= CLASSES:
        raise InvalidSample(
            f"{what} of several labels a point have 2 columns or more, found {columns}; one label "
            "that is there or not is a choice of two classes: pass it as 0 and 1 of shape (n,)"
        )
    if y.dtype.kind == "O":
        y = plain_array(y.tolist(), what)
    if y.dtype.kind not in "iubf":
        raise InvalidSample(f"{what} of several labels a point are 0 or 1, found {y.dtype}")
    missing = np.isnan(y) if y.dtype.kind == "f" else np.zeros(1, dtype=np.bool_)
    odd = ~((y == 0) | (y == 1) | (y == -1) | missing)
    if odd.any():
        raise InvalidSample(
            f"{what} of several labels a point are 0 or 1, found {shown(str(y[odd][0]))}; lists of "
            "label numbers are passed as lists, with classes=L"
        )
    return np.where(missing, -1, y).astype(np.int8)


def _is_list(row: Any) -> bool:
    there = isinstance(row, Collection | np.ndarray) and not isinstance(row, str | bytes)
    return there and getattr(row, "ndim", 1) == 1  # numbers of a framework have no dimension


def _lists(labels: Any, classes: int | None) -> list[Any] | None:
    """Rows as lists of labels if that is what they are; nested lists of 0 and 1 are indicators."""
    rows: list[Any]
    if isinstance(labels, np.ndarray) and labels.dtype.kind == "O" and labels.ndim == 1:
        rows = labels.tolist()
    elif isinstance(labels, Sequence) and not isinstance(labels, str | bytes):
        rows = list(labels)
    elif hasattr(labels, "dtype") and hasattr(labels, "tolist") and str(labels.dtype) == "object":
        rows = labels.tolist()  # a series of lists
    else:
        return None
    if not all(map(_is_list, rows)):
        return None
    if classes is None and len({len(row) for row in rows}) == 1:
        return None  # without their number, rows of equal length are indicators
    binary = all(len(row) == classes and all(x in (0, 1) for x in row) for row in rows)
    if binary and any(len(set(row)) < len(row) for row in rows):
        return None  # a list names no label twice
    return rows


def _of_lists(rows: list[Any], n: int, classes: int | None, what: str) -> Bools:
    if classes is None:
        raise InvalidSample(
            f"{what} are lists of different lengths: say how many labels there are (classes=L), or "
            "pass indicators of shape (n, L)"
        )
    if len(rows) != n:
        raise InvalidSample(f"{n} rows need as many lists of {what}, found {len(rows)}")
    if not 2 <= classes <= CLASSES:
        raise InvalidSample(f"classes counts labels, from 2 to {CLASSES}; found {classes}")
    # of two labels, [0, 1] may mean both of them, or the second one
    unclear = classes == 2 and bool(rows) and all(sorted(row) == [0, 1] for row in rows)
    out = np.zeros((n, classes), dtype=np.bool_)
    for i, row in enumerate(rows):
        held = [_number(x, classes, what) for x in row]
        if unclear or len(set(held)) < len(held):
            raise InvalidSample(
                f"{what} with classes= are lists of label numbers, and row {i} has "
                f"{shown(str(list(row)), 60)}: pass indicators as an array, "
                "numpy.asarray(labels), and lists without repeats"
            )
        out[i, held] = True
    return out


def _number(x: Any, classes: int, what: str) -> int:
    whole = isinstance(x, int | np.integer) and not isinstance(x, bool | np.bool_)
    if not whole or not 0 <= x < classes:
        raise InvalidSample(
            f"{what} are lists of label numbers 0 to {classes - 1}, found {shown(repr(x))}"
        )
    return int(x)
