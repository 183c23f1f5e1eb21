"""Batches of inputs with labels, and hashes of their rows."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.data.batched import as_batches, is_pair, pairs
from ncbounds.errors import DataError
from ncbounds.evidence.indicators import indicators_of
from ncbounds.extraction.running import BATCH_BYTES, BATCH_ROWS, MOST_ROWS

DIGEST_BYTES = 16
#: From so many rows on, an input that equals the labels is no chance.
TOLD_ROWS = 8

#: Labels of n rows: int64 of shape (n,), or boolean of shape (n, L), which of L labels each has.
Labels = NDArray[Any]


@dataclass(frozen=True)
class FirstRows:
    """Only the first rows of an iterable of batches; the last batch is cut."""

    loader: Any
    limit: int


def first_rows(loader: Any, limit: int | None) -> Any:
    """Return data of the first rows only: a pair of whole arrays stays one."""
    if limit is None:
        return loader
    if not is_pair(loader):
        return FirstRows(loader, limit)
    inputs, labels = (_unframed(part) for part in loader)
    return _part(inputs, slice(limit)), None if labels is None else labels[:limit]


def iter_again(loader: Any) -> bool:
    """Whether the data can be read more than once: arrays and loaders can, generators cannot."""
    if isinstance(loader, FirstRows):
        return iter_again(loader.loader)
    return is_pair(loader) or not isinstance(loader, Iterator)


def check_again(loader: Any, role: str) -> None:
    """Raise DataError for data that can be read only once."""
    if not iter_again(loader):
        raise DataError(
            f"the {role} data can be read only once; pass a DataLoader, a list of batches or "
            "(inputs, labels)"
        )


def check_one_label(loader: Any, role: str, what: str, instead: str) -> None:
    """Raise DataError for rows with several labels, where ``what`` is about one class a row.

    The first batch is read for it, and no network; ``instead`` says what there is for such rows.
    """
    for _, labels in islice(batches(loader, TOLD_ROWS), 1):
        if labels.ndim == 2:
            raise DataError(
                f"the {role} rows may have several labels (shape (n, {labels.shape[1]})), and "
                f"{what} about one class a row: {instead}; if each row has exactly one label, pass "
                "class numbers, labels.argmax(axis=1)"
            )


def batches(loader: Any, batch_size: int | None = None) -> Iterator[tuple[Any, Labels]]:
    """Yield (inputs, labels) batches with inputs as given and labels as :data:`Labels`.

    Whatever :func:`ncbounds.data.batched.as_batches` reads is read; None takes :func:`usual_rows`
    of whole arrays.

    Raises
    ------
    DataError
        If a batch is no pair, its lengths differ, labels of batches differ in shape, or the labels
        are an input too.
    """
    if isinstance(loader, FirstRows):
        yield from _cut(batches(loader.loader, batch_size), loader.limit)
        return
    given = as_batches(loader, batch_size or BATCH_ROWS)
    width: tuple[int, ...] | None = None
    for inputs, labels in _slices(given, batch_size) if is_pair(given) else pairs(given):
        n = _length(inputs)
        y = np.full(n, -1, dtype=np.int64) if labels is None else _labels(labels)
        if len(y) != n or (y.ndim == 2 and y.dtype != np.bool_) or y.ndim > 2:
            column = "; labels.reshape(-1) makes them one a row" * (y.shape == (n, 1))
            raise DataError(
                f"a batch of {n} rows needs {n} integer labels, found shape {y.shape}{column}"
            )
        width = y.shape[1:] if width is None else width
        if y.shape[1:] != width:
            raise DataError(
                f"labels of one batch have shape {(n, *width)}, of another {y.shape}; needed is "
                "one form for all: class numbers (n,), or 0 and 1 for each label, (n, L)"
            )
        if n:
            _check_not_told(inputs, y)
            yield inputs, y


def _check_not_told(inputs: Any, labels: Labels) -> None:
    """Raise DataError if one of several inputs is the labels: the answer, told to the network."""
    if len(labels) < TOLD_ROWS or (labels == labels[0]).all():
        return
    named = inputs.items() if isinstance(inputs, Mapping) else enumerate(inputs)
    several = isinstance(inputs, Mapping | tuple | list)
    for name, value in named if several else ():
        if getattr(value, "shape", None) == labels.shape and np.array_equal(_array(value), labels):
            raise DataError(
                f"the input {name!r} is the labels themselves, so that the network is told the "
                "answer; leave it out of the inputs (of a mapping with labels inside, they are "
                "not passed on)"
            )


def _cut(source: Iterator[tuple[Any, Labels]], left: int) -> Iterator[tuple[Any, Labels]]:
    for inputs, labels in source:
        cut = len(labels) > left
        yield (_part(inputs, slice(left)), labels[:left]) if cut else (inputs, labels)
        left -= len(labels)
        if left <= 0:
            return


def class_count(loader: Any, ignore_label: int | None = None) -> int | None:
    """Return the number of classes of the data; None where only one pass over it is possible.

    Labels are 0, 1, ..., so that it is the largest plus 1; ``ignore_label`` is the label of no
    class. Labels of shape (n, L) name L. Loaders are read through.
    """
    if not iter_again(loader):
        return None
    given: Any = loader if isinstance(loader, FirstRows) else as_batches(loader)
    if is_pair(given):
        parts = [] if given[1] is None else [_labels(given[1])]
    else:
        parts = [labels for _, labels in batches(given)]
    if parts and parts[0].ndim == 2:
        return int(parts[0].shape[1])
    kept = [y if ignore_label is None else y[y != ignore_label] for y in parts]
    largest = max((int(y.max(initial=-1)) for y in kept), default=-1)
    return largest + 1 if largest >= 0 else None


def gives_other_rows(loader: Any, digest: "DataDigest") -> bool:
    """Whether a second pass begins otherwise than the one that ``digest`` has seen.

    Only the first batch is read once more; whole arrays, and what can be read only once, are not.
    """
    if is_pair(loader) or not iter_again(loader) or not digest.rows:
        return False
    again = DataDigest()
    for inputs, labels in islice(batches(loader, len(digest.labels[0])), 1):
        again.add(inputs, labels)
    same = again.rows == digest.rows[:1]
    return not (same and np.array_equal(again.labels[0], digest.labels[0]))


def usual_rows(inputs: Any) -> int:
    """Rows of a batch of whole arrays where nothing is said; more of small rows of numbers."""
    arrays = _values(inputs)
    if not all(str(getattr(a, "dtype", "")).rpartition(".")[2].startswith("float") for a in arrays):
        return BATCH_ROWS  # what tokens become in a network is not small
    row = max(1, sum(int(a.nbytes) for a in arrays) // max(1, _length(inputs)))
    return min(MOST_ROWS, max(BATCH_ROWS, BATCH_BYTES // row))


def _slices(pair: Any, size: int | None) -> Iterator[tuple[Any, Any]]:
    inputs, labels = (_unframed(part) for part in pair)
    if size is None:
        size = usual_rows(inputs)
    if size < 1:
        raise DataError(f"batch_size is at least 1, found {size}")
    n = _length(inputs)
    if labels is not None and len(labels) != n:
        raise DataError(f"{n} rows of inputs need {n} labels, found {len(labels)}")
    for start in range(0, n, size):
        part = slice(start, start + size)
        yield _part(inputs, part), None if labels is None else labels[part]


def _part(inputs: Any, rows: slice) -> Any:
    if isinstance(inputs, Mapping):
        return {name: value[rows] for name, value in inputs.items()}
    if isinstance(inputs, tuple | list):
        return type(inputs)(value[rows] for value in inputs)
    return inputs[rows]


def _unframed(part: Any) -> Any:
    """Take the numbers out of a data frame or a series, whose own index means nothing here."""
    return part.to_numpy() if hasattr(part, "to_numpy") and hasattr(part, "iloc") else part


def data_parts(loader: Any) -> dict[str, Any]:
    """Return the key parts of inputs, labels and order: one pass over the data, no network."""
    digest = DataDigest()
    for inputs, labels in batches(loader):
        digest.add(inputs, labels)
    return digest.parts()


def whole_inputs(loader: Any) -> tuple[NDArray[Any], NDArray[np.uint64]]:
    """Inputs of all batches as one array (n, ...), and one 64-bit hash per row."""
    digest = DataDigest()
    blocks = []
    for inputs, labels in batches(loader):
        digest.add(inputs, labels)
        blocks.append(as_array(inputs))
    return np.concatenate(blocks), digest.hashes()


def as_array(inputs: Any) -> NDArray[Any]:
    """Inputs as a NumPy array of their own type; bfloat16, which it has not, as float32."""
    import torch

    if not isinstance(inputs, torch.Tensor):
        return np.asarray(inputs)
    wide = inputs.float() if inputs.dtype == torch.bfloat16 else inputs
    array: NDArray[Any] = wide.detach().cpu().numpy()
    return array


@dataclass
class DataDigest:
    """Hashes rows while they stream by."""

    rows: list[bytes] = field(default_factory=list)
    labels: list[Labels] = field(default_factory=list)
    forms: set[str] = field(default_factory=set)

    def add(self, inputs: Any, labels: Labels) -> None:
        """Add one batch."""
        arrays = [_array(value) for value in _values(inputs)]
        self.forms.add(" ".join(f"{a.dtype}{a.shape[1:]}" for a in arrays))
        self.rows.append(_row_digests(arrays))
        self.labels.append(labels)
        if labels.ndim == 2:
            self.forms.add(f"{labels.shape[1]} labels a row")

    def parts(self) -> dict[str, Any]:
        """Return the parts of the key that the data determine."""
        digest = hashlib.sha256()
        for block in self.rows:
            digest.update(block)
        for labels in self.labels:
            digest.update(labels.tobytes())
        return {"data": digest.hexdigest(), "forms": sorted(self.forms)}

    def hashes(self) -> NDArray[np.uint64]:
        """One 64-bit hash per row."""
        both = np.frombuffer(b"".join(self.rows), dtype=np.uint64).reshape(-1, 2)
        return both[:, 0].copy()


def _array(value: Any) -> NDArray[Any]:
    """Bytes of an array or tensor, in a form that NumPy knows (bfloat16 has none)."""
    import torch

    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = value.view(torch.int16) if value.dtype == torch.bfloat16 else value
        value = value.numpy()
    return np.ascontiguousarray(value)


def _row_digests(arrays: list[NDArray[Any]]) -> bytes:
    n = len(arrays[0])
    flat = [a.reshape(n, -1).view(np.uint8) for a in arrays if a.size]
    digests = []
    for i in range(n):
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for array in flat:
            digest.update(array[i])
        digests.append(digest.digest())
    return b"".join(digests)


def _labels(labels: Any) -> Labels:
    y = _array(labels)
    if y.ndim == 2 and y.shape[1] > 1:
        return indicators_of(y, len(y), None)
    if y.dtype.kind not in "iub":
        way = "convert class numbers with labels.long() or labels.astype('int64')"
        if y.dtype.kind not in "f":
            way = (
                "number names in the order of the network's outputs, [names.index(label) for label "
                "in labels]"
            )
        elif y.ndim > 2:
            way = "these look like inputs: a sample is (inputs, labels), in this order"
        raise DataError(f"labels are integers 0, 1, ..., found {y.dtype} of shape {y.shape}; {way}")
    return y.astype(np.int64)


def row_count(loader: Any) -> int | None:
    """Return the number of rows, where the data say so without being read."""
    if isinstance(loader, FirstRows):
        inside = row_count(loader.loader)
        return None if inside is None else min(inside, loader.limit)
    if is_pair(loader):
        return _length(loader[0])
    try:
        return None if getattr(loader, "drop_last", False) else len(loader.dataset)
    except (AttributeError, TypeError):
        return None


def _length(inputs: Any) -> int:
    first = next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs
    first = first[0] if isinstance(first, tuple | list) else first
    return len(first)


def _values(inputs: Any) -> list[Any]:
    if isinstance(inputs, Mapping):
        return [value for _, value in sorted(inputs.items())]
    return list(inputs) if isinstance(inputs, tuple | list) else [inputs]
