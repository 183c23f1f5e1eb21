"""One pass of a network over batches: features at each place, labels, and what the head said.

On a GPU three things go on at once: a thread reads, hashes and page-locks the next batches, the
GPU runs one, and the features of the one before are brought back, compared and written.
"""

import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import DataError, OutOfMemory
from ncbounds.extraction.batches import DataDigest, batches, class_count, row_count
from ncbounds.extraction.loading import read_ahead
from ncbounds.extraction.pace import Pace
from ncbounds.extraction.running import AUTO
from ncbounds.extraction.taps import HEAD, Pooling

if TYPE_CHECKING:
    from torch import Tensor

    from ncbounds.checkpoints.head.classifier import Classifier
    from ncbounds.checkpoints.head.reading import Reading

#: What takes features of shape (n, d) at one place.
Keep = Mapping[str, Callable[[NDArray[Any]], None]]


def stream(
    classifier: "Classifier",
    loader: Any,
    taps: Mapping[str, Pooling],
    keep: Keep,
    batch_size: int | str | None = None,
    progress: Callable[[Pace], None] | None = None,
    ignore_label: int | None = None,
) -> tuple[DataDigest, int]:
    """Run all batches; return hashes with labels, and how often the module's argmax differs."""
    digest = DataDigest()
    total, start, done = row_count(loader), time.perf_counter(), 0
    size = _Size(batch_size)

    def counted() -> int | None:
        return class_count(loader, ignore_label)

    waiting: deque[_Found] = deque()
    disagreements: Tensor | int = 0
    for batch in _ready(loader, digest, size, ahead=classifier.lag > 0):
        for reading in _readings(classifier, batch, taps, size, counted):
            waiting.append(_Found(reading, taps))
            if HEAD in taps and not classifier.predicts:
                own = classifier.head_logits(reading.features)
                disagreements = disagreements + count_disagreements(reading.logits, own)
            while len(waiting) > classifier.lag:
                waiting.popleft().keep(keep)
            done += len(reading.logits)
            if progress is not None:
                progress(Pace(done, total, time.perf_counter() - start, len(reading.logits)))
    classifier.settle()
    for found in waiting:
        found.keep(keep)
    if not digest.labels:
        raise DataError("the loader yields no rows; a generator can be read only once")
    return digest, int(disagreements)


class _Size:
    """Rows of a forward pass at most; no number takes batches as they come."""

    def __init__(self, asked: int | str | None) -> None:
        self.auto = asked == AUTO
        self.rows = asked if isinstance(asked, int) else None

    def halve(self, rows: int, error: OutOfMemory) -> None:
        """Take half as many as did not fit."""
        if not self.auto or rows < 2:
            raise error
        import torch

        self.rows = rows // 2
        torch.cuda.empty_cache()
        warnings.warn(
            f"out of memory at {rows} rows: batches of {self.rows} from here on", stacklevel=2
        )


def _ready(loader: Any, digest: DataDigest, size: _Size, ahead: bool) -> Iterator[Any]:
    """Yield batches of tensors that were hashed; for a GPU page-locked, and some of them ahead."""
    import torch

    locked = ahead and torch.cuda.is_available()
    slices = size.rows  # of all the data, though passes may have to be halved

    def hashed() -> Iterator[Any]:
        for inputs, labels in batches(loader, slices):
            digest.add(inputs, labels)
            found = tensors(inputs)
            yield _each(found, lambda t: t.pin_memory() if t.is_cpu else t) if locked else found

    return read_ahead(hashed()) if ahead else hashed()


def _readings(
    classifier: "Classifier",
    batch: Any,
    taps: Mapping[str, Pooling],
    size: _Size,
    classes: Callable[[], int | None],
) -> Iterator["Reading"]:
    """Run a batch, in parts where it is too large."""
    from ncbounds.checkpoints.head.trace import rows_at, rows_of

    named = {name: tap for name, tap in taps.items() if name != HEAD}
    start, rows = 0, rows_of(batch)
    while start < rows:
        count = rows - start if size.rows is None else min(size.rows, rows - start)
        part = batch if count == rows else rows_at(batch, slice(start, start + count))
        try:
            reading = classifier.reading(part, classes, named, ahead=True)
        except OutOfMemory as error:
            size.halve(count, error)
            continue
        yield reading
        start += count


class _Found:
    """Features of a pass on their way to the host."""

    def __init__(self, reading: "Reading", taps: Mapping[str, Pooling]) -> None:
        from ncbounds.checkpoints.head.device import Fetch

        self._parts = {name: Fetch(_wide(t)) for name, t in _by_place(reading, taps).items()}

    def keep(self, keep: Keep) -> None:
        for name, part in self._parts.items():
            keep[name](part.wait().numpy())


def features_at(
    classifier: "Classifier",
    loader: Any,
    inputs: Any,
    taps: Mapping[str, Pooling],
    ignore_label: int | None = None,
) -> dict[str, NDArray[Any]]:
    """Return features of a batch at each place, from one forward pass."""
    named = {name: tap for name, tap in taps.items() if name != HEAD}
    reading = classifier.reading(inputs, lambda: class_count(loader, ignore_label), named)
    return {name: _wide(t).cpu().numpy() for name, t in _by_place(reading, taps).items()}


def _by_place(reading: "Reading", taps: Mapping[str, Pooling]) -> "dict[str, Tensor]":
    found = {**reading.taps, HEAD: reading.features}
    return {name: found[name] for name in taps}


def _wide(tensor: "Tensor") -> "Tensor":
    import torch

    return tensor if tensor.dtype == torch.float64 else tensor.float()


def count_disagreements(module_logits: "Tensor", head_logits: "Tensor") -> "Tensor":
    """Count rows whose argmax differs, or where only one of the two is finite; no wait for it."""
    import torch

    a, b = torch.isfinite(module_logits).all(1), torch.isfinite(head_logits).all(1)
    differ = module_logits.argmax(1) != head_logits.argmax(1)
    return torch.where(a & b, differ, a != b).sum()


def tensors(inputs: Any) -> Any:
    """Return inputs as tensors, in the same form."""
    import torch

    def tensor(value: Any) -> Any:
        if isinstance(value, np.ndarray) and not value.flags.writeable:
            value = value.copy()  # torch has no read-only tensors
        return torch.as_tensor(value)

    return _each(inputs, tensor)


def _each(inputs: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(inputs, Mapping):
        return {name: change(value) for name, value in inputs.items()}
    if isinstance(inputs, tuple | list):
        return tuple(change(value) for value in inputs)
    return change(inputs)
