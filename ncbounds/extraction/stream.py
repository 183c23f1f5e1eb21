"""One pass of a network over batches: features at each place, labels, and what the head said."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import DataError
from ncbounds.extraction.batches import DataDigest, batches, class_count
from ncbounds.extraction.taps import HEAD, Pooling

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier


def stream(
    classifier: "Classifier",
    loader: Any,
    taps: Mapping[str, Pooling],
    batch_size: int,
    keep: Mapping[str, Callable[[NDArray[Any]], None]],
    ignore_label: int | None = None,
) -> tuple[DataDigest, int]:
    """Run all batches; return hashes with labels, and how often the module's argmax differs."""
    digest = DataDigest()
    disagreements = 0
    for inputs, labels in batches(loader, batch_size):
        digest.add(inputs, labels)
        found, logits = features_at(classifier, loader, inputs, taps, ignore_label)
        for name, block in found.items():
            keep[name](block)
        if HEAD in found and not classifier.predicts:
            with np.errstate(invalid="ignore", over="ignore"):
                own = classifier.head.logits(found[HEAD])
            disagreements += count_disagreements(logits, own)
    if not digest.labels:
        raise DataError("the loader yields no rows; a generator can be read only once")
    return digest, disagreements


def features_at(
    classifier: "Classifier",
    loader: Any,
    inputs: Any,
    taps: Mapping[str, Pooling],
    ignore_label: int | None = None,
) -> tuple[dict[str, NDArray[Any]], NDArray[Any]]:
    """Return features of a batch at each place, and the logits, from one forward pass."""
    named = {name: tap for name, tap in taps.items() if name != HEAD}
    reading = classifier.reading(tensors(inputs), lambda: class_count(loader, ignore_label), named)
    found = {**reading.taps, HEAD: reading.features}
    return {name: as_numbers(found[name]) for name in taps}, as_numbers(reading.logits)


def count_disagreements(module_logits: NDArray[Any], head_logits: NDArray[np.float64]) -> int:
    """Count rows whose argmax differs, or where only one of the two is finite."""
    a, b = np.isfinite(module_logits).all(1), np.isfinite(head_logits).all(1)
    differ = module_logits.argmax(1) != head_logits.argmax(1)
    return int((np.where(a & b, differ, a != b)).sum())


def tensors(inputs: Any) -> Any:
    """Return inputs as tensors, in the same form."""
    import torch

    if isinstance(inputs, Mapping):
        return {k: torch.as_tensor(v) for k, v in inputs.items()}
    if isinstance(inputs, tuple | list):
        return tuple(torch.as_tensor(v) for v in inputs)
    if isinstance(inputs, np.ndarray) and not inputs.flags.writeable:
        inputs = inputs.copy()  # torch has no read-only tensors
    return torch.as_tensor(inputs)


def as_numbers(tensor: Any) -> NDArray[Any]:
    """Numbers of a tensor as an array, in float32 at least."""
    import torch

    wide = tensor if tensor.dtype == torch.float64 else tensor.float()
    array: NDArray[Any] = wide.cpu().numpy()
    return array
