"""Ranges of rows of data that can be read from anywhere: arrays, data sets, loaders in order."""

from collections.abc import Mapping
from typing import Any

from ncbounds.data.batched import is_pair
from ncbounds.errors import DataError
from ncbounds.extraction.batches import row_count as known_rows

NEEDED = (
    "needed are rows that can be read from anywhere: a pair of arrays, a map-style Dataset, or a "
    "DataLoader of one in its own order (shuffle=False)"
)


def row_count(data: Any) -> int:
    """Return the number of rows of data that can be cut into ranges.

    Raises
    ------
    DataError
        If they cannot be.
    """
    known = known_rows(data) if is_pair(data) else None
    return len(_dataset(data)) if known is None else known


def rows_between(data: Any, start: int, stop: int, batch_size: int) -> Any:
    """Return rows ``start`` to ``stop`` of data, in a form that a network is run over.

    Raises
    ------
    DataError
        See :func:`row_count`.
    """
    if is_pair(data):
        rows = slice(start, stop)
        inputs, labels = (_cut(part, rows) for part in data)
        return inputs, labels
    from torch.utils.data import DataLoader, Subset

    part = Subset(_dataset(data), range(start, stop))
    if not isinstance(data, DataLoader):
        return DataLoader(part, batch_size)
    return DataLoader(
        part,
        data.batch_size or batch_size,
        num_workers=data.num_workers,
        collate_fn=data.collate_fn,
        pin_memory=data.pin_memory,
    )


def part_rows(n: int, number: int, parts: int) -> tuple[int, int]:
    """First row and end of part ``number`` of ``parts``; they differ by one row at most."""
    return number * n // parts, (number + 1) * n // parts


def _cut(values: Any, rows: slice) -> Any:
    if values is None:
        return None
    if isinstance(values, Mapping):
        return {name: value[rows] for name, value in values.items()}
    return values.iloc[rows] if hasattr(values, "iloc") else values[rows]


def _dataset(data: Any) -> Any:
    from torch.utils.data import DataLoader, Dataset, IterableDataset, SequentialSampler

    found, why = data, f"found {type(data).__name__}"
    if isinstance(data, DataLoader):
        found = data.dataset
        if not isinstance(data.sampler, SequentialSampler) or data.drop_last:
            raise DataError(f"the DataLoader shuffles or leaves rows out; {NEEDED}")
    if not isinstance(found, Dataset) or isinstance(found, IterableDataset):
        raise DataError(f"{why}; {NEEDED}")
    return found
