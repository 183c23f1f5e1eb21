"""Whatever a person has as one sample, as batches of inputs with labels.

One sample is one of: a pair ``(inputs, labels)`` of arrays, tensors or frames; a mapping or a data
frame with the labels inside; a map-style data set, or a list, of rows; an iterable of batches.
Rows and batches are pairs, or mappings with the labels inside, whose other entries are the
network's keyword inputs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ncbounds.errors import DataError, few

#: Where labels stand in a mapping or a frame.
LABELS = ("labels", "label", "target", "targets", "y")


def is_pair(loader: Any) -> bool:
    """Whether the data is a pair of whole arrays rather than an iterable of batches."""
    return (
        isinstance(loader, tuple | list)
        and len(loader) == 2
        and (hasattr(loader[0], "shape") or isinstance(loader[0], Mapping))
        and (loader[1] is None or hasattr(loader[1], "shape"))
    )


def is_one_sample(found: Mapping[Any, Any]) -> bool:
    """Whether a mapping holds inputs with their labels, rather than samples by role."""
    return any(name in LABELS for name in found)


def as_batches(loader: Any, batch_size: int = 256) -> Any:
    """Return a pair of whole arrays, or an iterable of batches, of what one sample is given as.

    Raises
    ------
    DataError
        If it is neither, or holds no labels where there should be some.
    """
    if is_pair(loader):
        return loader
    if isinstance(loader, tuple) and len(loader) == 2 and hasattr(loader[0], "shape"):
        if _are_labels(loader[1]):
            return loader[0], _stacked(loader[1])
    elif isinstance(loader, Mapping) or is_frame(loader):
        return _labels_inside(loader)
    elif is_array(loader):
        return loader, None
    return _rows(loader, batch_size) if is_rows(loader) else loader


def is_array(value: Any) -> bool:
    """Whether it is an array or a tensor."""
    return hasattr(value, "shape") and hasattr(value, "dtype")


def is_frame(value: Any) -> bool:
    """Whether it is a data frame, a table with named columns."""
    return hasattr(value, "columns") and hasattr(value, "iloc")


def _are_labels(values: Any) -> bool:
    """Whether these are numbers, one a row, or lists of numbers."""
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        return False
    lists = bool(len(values)) and all(isinstance(v, list | tuple) for v in values)
    flat = [x for v in values for x in v] if lists else values
    return all(isinstance(x, int | float | np.integer) for x in flat)


def is_rows(loader: Any) -> bool:
    """Whether items are single rows: those of a map-style data set, or with one label each."""
    from torch.utils.data import Dataset, IterableDataset

    if isinstance(loader, IterableDataset):
        return _is_row(next(iter(loader), None))
    if isinstance(loader, Dataset):
        return True
    if not hasattr(loader, "__getitem__") or not hasattr(loader, "__len__"):
        return False
    if not hasattr(loader, "__iter__"):
        return True
    if isinstance(getattr(loader, "features", None), Mapping):  # of the library datasets
        return True
    return bool(len(loader)) and _is_row(loader[0])


def _is_row(first: Any) -> bool:
    """Whether the first item is one row with its label, not a batch."""
    if isinstance(first, Mapping):
        label = next((first[name] for name in LABELS if name in first), None)
    else:
        label = first[1] if isinstance(first, tuple | list) and len(first) == 2 else None
    return label is not None and np.ndim(label) == 0


def _rows(rows: Any, batch_size: int) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(rows, batch_size=batch_size, collate_fn=_collate)


def _collate(rows: list[Any]) -> Any:
    """Stack rows; where they cannot be, say what a loader of one's own is needed for."""
    from torch.utils.data import default_collate

    try:
        return default_collate([_as_arrays(row) for row in rows])
    except (TypeError, RuntimeError, KeyError) as error:
        raise DataError(
            f"rows of the data set cannot be stacked ({type(error).__name__}: {error}); let its "
            "transform return tensors of one shape, or pass a "
            "torch.utils.data.DataLoader(dataset, batch_size=256, collate_fn=...)"
        ) from error


def _as_arrays(row: Any) -> Any:
    """Lists of numbers in a row as arrays, without the texts that stand beside a network's input.

    A row of the library ``datasets`` has its columns as lists and texts.
    """
    if isinstance(row, Mapping):
        return {k: _stacked(v) for k, v in row.items() if not isinstance(v, str | bytes)}
    return tuple(map(_stacked, row)) if isinstance(row, tuple | list) else row


def pairs(loader: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield (inputs, labels) of each batch.

    Raises
    ------
    DataError
        If a batch is neither a pair nor a mapping with labels.
    """
    for batch in loader:
        if isinstance(batch, Mapping):
            yield _labels_inside(batch)
        elif isinstance(batch, tuple | list) and len(batch) == 2:
            yield batch[0], batch[1]
        else:
            count = f" of {len(batch)}" if isinstance(batch, tuple | list) else ""
            raise DataError(
                f"the loader yields {type(batch).__name__}{count}; needed are (inputs, labels) "
                "pairs, with inputs a tensor or a mapping by keyword, or mappings with 'labels' "
                "inside: yield ((first, second), labels) for a network of two inputs"
            )


def _labels_inside(batch: Any) -> tuple[Any, Any]:
    """Split a mapping by keyword, or a data frame, into inputs and labels."""
    frame = is_frame(batch)
    names = [*(batch.columns if frame else batch)]
    where = [name for name in LABELS if name in names]
    if len(where) != 1:
        found = "several of" if where else "none of"
        raise DataError(
            f"a {type(batch).__name__} with {few(map(repr, names))} has {found} "
            f"{', '.join(map(repr, where or LABELS))}; needed its labels under one of these, or "
            "(inputs, labels) pairs (labels None for the role unlabelled)"
        )
    if frame:
        return batch.drop(columns=where), batch[where[0]]
    inputs = {str(k): _stacked(v) for k, v in batch.items() if k != where[0]}
    if not inputs:
        raise DataError(f"a {type(batch).__name__} with {few(map(repr, names))} has no inputs")
    return inputs, _stacked(batch[where[0]])


def _stacked(value: Any) -> Any:
    """Return a list of numbers as an array; anything else as it is.

    Raises
    ------
    DataError
        If it is a list of lists of different lengths, which labels of each row may be.
    """
    try:
        return np.asarray(value) if isinstance(value, list) else value
    except ValueError:
        raise DataError(
            "lists of different lengths make no array; lists of label numbers become 0 and 1 for "
            "each of L labels by numpy.array([[k in row for k in range(L)] for row in labels])"
        ) from None
