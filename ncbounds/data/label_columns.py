"""Several labels a row in the columns of a file of predictions: sets, or 0 and 1 for each label."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ncbounds.data.label_sets import (
    BAR,
    Sets,
    are_numbers,
    held_of,
    holds_bars,
    holds_lists,
    label_sets,
    reads_as_lists,
)
from ncbounds.errors import DataError, few, shown

Array = NDArray[Any]


class Columns(NamedTuple):
    """What stands for one thing in a file: one array, or a column for each label.

    ``names`` are those of the labels that the columns are called by, empty for numbers or an array.
    """

    called: str
    arrays: Sequence[Array]
    names: tuple[str, ...] = ()


class Several(NamedTuple):
    """Outputs (n, L) and which labels rows have, boolean (n, L), with names where there are any."""

    outputs: Array
    labels: Array
    names: tuple[str, ...]


def is_several(labels: Columns, decision: str | None, where: str) -> bool:
    """Whether rows have several labels: as declared, else by the shape of their columns.

    Raises
    ------
    DataError
        If texts with bars or brackets could be several labels or a name, or labels are not as
        declared.
    """
    by_shape = len(labels.arrays) > 1 or labels.arrays[0].ndim == 2
    by_shape = by_shape or holds_lists(labels.arrays[0])
    if by_shape and decision == "multi-class":
        raise DataError(
            f"{where}: {labels.called} has several labels a row: leave --decision multi-class out "
            "(or type --decision multi-label), or give one class for each row"
        )
    if not by_shape and decision is None and holds_bars(labels.arrays[0]):
        raise DataError(
            f"{where}: {labels.called} has texts with '{BAR}': type --decision multi-label if it "
            "stands between several labels, --decision multi-class if it is part of a name"
        )
    lists = False if by_shape or decision is not None else reads_as_lists(labels.arrays[0])
    if lists is None:
        raise DataError(
            f"{where}: {labels.called} has texts in brackets, not all of which are lists such as "
            "[0, 3] or ['cat', 'dog']: write all so, or type --decision multi-class if brackets "
            "are part of a name"
        )
    return by_shape or lists or decision == "multi-label"


def several(kind: str, outputs: Columns, labels: Columns, count: int | None, where: str) -> Several:
    """Bring outputs and labels to one order of the labels.

    Parameters
    ----------
    kind : {"predicted", "logits", "probabilities"}
    outputs, labels : Columns
    count : int, optional
        How many labels there are, where sets alone do not say it.
    where : str
        The file, for messages.

    Raises
    ------
    DataError
        If what is found is neither sets nor 0 and 1, or does not go together.
    """
    given, y = _read(outputs, where, scores=kind != "predicted"), _read(labels, where)
    sets = [found for found in (given, y) if isinstance(found, list)]
    wide = [found for found in (given, y) if not isinstance(found, list)]
    names = outputs.names or labels.names
    if not wide and not names and not are_numbers([row for found in sets for row in found]):
        names = tuple(sorted({label for found in sets for row in found for label in row}))
    widths = {found.shape[1] for found in wide}
    known = widths.pop() if widths else count
    if widths or (count is not None and known is not None and wide and known != count):
        raise DataError(
            f"{where}: {outputs.called} and {labels.called} are of different numbers of labels"
            f"{'' if count is None else f', or not of {count}'}"
        )
    if known is None or (not wide and len(names) > known):
        raise DataError(
            f"{where}: sets do not say how many labels there are, also those that no row has: type "
            f"--classes {max(len(names), 2)} if these are all ({few(names) or 'by their numbers'})"
        )
    _check_same_names((given, y), names, outputs, labels, where)
    names = (*names, *(f"(not seen {k})" for k in range(len(names), known))) if names else ()
    both = [held_of(f, names, known, where) if isinstance(f, list) else f for f in (given, y)]
    return Several(both[0], _in_order(both[1], labels, outputs, where), names)


def _read(found: Columns, where: str, scores: bool = False) -> "Array | Sets":
    """An array (n, L) of scores or of 0 and 1, or sets of labels."""
    array = found.arrays[0] if len(found.arrays) == 1 else np.column_stack(found.arrays)
    if scores:
        if array.ndim != 2 or array.dtype.kind not in "fiub":
            raise DataError(
                f"{where}: {found.called} needs a number for each label, found {array.dtype} of "
                f"shape {array.shape}"
            )
        return array
    if array.ndim == 1:
        return label_sets(array.tolist(), f"{where}: {found.called}")
    there: Array = np.asarray(array == 1)
    if array.dtype.kind not in "fiubO" or not (there | (array == 0)).all():
        odd = array[~(there | (array == 0))]
        raise DataError(f"{where}: {found.called} is 0 or 1 for each label, found {shown(odd[0])}")
    return there


def _in_order(y: Array, labels: Columns, outputs: Columns, where: str) -> Array:
    """Labels in the order of the outputs, where both are called by names."""
    if not labels.names or not outputs.names or labels.names == outputs.names:
        return y
    if {*labels.names} != {*outputs.names}:
        odd = sorted({*labels.names} ^ {*outputs.names})
        raise DataError(
            f"{where}: {labels.called} and {outputs.called} name different labels: {few(odd)} "
            "stands on one side only"
        )
    return y[:, [labels.names.index(name) for name in outputs.names]]


def _check_same_names(
    read: "Sequence[Array | Sets]",
    names: tuple[str, ...],
    outputs: Columns,
    labels: Columns,
    where: str,
) -> None:
    """Raise where one side is called by names and the other by numbers, whose order is not said."""
    for found, side, other in zip(read, (outputs, labels), (labels, outputs), strict=True):
        if isinstance(found, list):
            numbers = are_numbers(found) and any(x not in names for row in found for x in row)
            unclear = numbers if names else not are_numbers(found)
        else:
            unclear = bool(names) and not side.names
        if unclear:
            raise DataError(
                f"{where}: {side.called} and {other.called} have names on one side and numbers on "
                "the other, and which number each label has is not said; call both by names, or "
                "by numbers (columns label_0, label_1, ..., logit_0, ...)"
            )
