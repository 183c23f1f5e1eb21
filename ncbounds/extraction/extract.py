"""One forward pass from inputs to a sample: features, labels, and what the head said."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import DataError, StoreError
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.sample import Sample
from ncbounds.extraction.batches import DataDigest, batches, class_count, data_parts, iter_again
from ncbounds.extraction.store import Stored, StoreWriter, read_stored, store_key

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier

CONFIRMED_ROWS = 32
CONFIRMED_SHARE = 1e-3  # of the largest feature: rounding differs with the batch size


def extract(
    classifier: "Classifier",
    loader: Any,
    role: str | Draw,
    store: str | os.PathLike[str] | None = None,
    *,
    key_parts: Mapping[str, Any] | None = None,
    batch_size: int = 256,
    **declared: Any,
) -> Sample:
    """Run the network once over the data and return its features and labels as a sample.

    The head is checked on every batch, and some rows of it are run again alone and in other
    company. Values that are not finite are passed on; they count as errors later.

    Parameters
    ----------
    classifier : Classifier
    loader : iterable of (inputs, labels), or a pair of arrays
        Batches of inputs (tensor, array, or mapping by keyword) with integer labels, in a fixed
        order; or ``(inputs, labels)`` as whole arrays or frames of n rows. Labels None stand for
        ``role="unlabelled"``.
    role : str or Draw
        What the rows were used for, or all that is declared about them.
    store : path, optional
        Folder under which features are kept and found again. Without it they stay in memory.
    key_parts : mapping, optional
        What identifies inputs, labels and their order, for data that is known (a file's hash and
        row ranges). A lookup then needs no pass over the data. By default they are hashed; an
        iterable is read once more for that if it can be.
    batch_size : int
        Rows per forward pass where whole arrays are given.
    **declared
        ``sampling``, ``selected_among``, ``label_noise``, ``rows``, ``groups`` of :class:`Draw`,
        where ``role`` is a word.

    Returns
    -------
    Sample
        Features in the module's precision, at least float32.

    Raises
    ------
    DataError
        If batches are no (inputs, labels) pairs, lengths differ, or there are no rows.
    HeadNotFound
        If the head does not reproduce the logits of some batch, or the network is no fixed
        function of each row.
    StoreError
        If a stored folder was damaged.
    """
    draw = Draw.of(role, **declared)
    data = None if key_parts is None else dict(key_parts)
    if store is not None and data is None and iter_again(loader):
        data = data_parts(loader, batch_size)
    key = None if data is None or store is None else _key(classifier, data)
    kept = read_stored(store, key) if store is not None and key is not None else None
    if kept is not None:
        _confirm(classifier, loader, kept, batch_size)
    else:
        kept = _run(classifier, loader, store, key_parts, batch_size)
    return Sample.from_arrays(
        kept.features,
        None if draw.role == "unlabelled" and (kept.labels < 0).all() else kept.labels,
        role=draw,
        input_hashes=kept.input_hashes,
        module_disagreements=int(kept.meta["module_disagreements"]),
    )


def _run(
    classifier: "Classifier",
    loader: Any,
    store: str | os.PathLike[str] | None,
    key_parts: Mapping[str, Any] | None,
    batch_size: int,
) -> Stored:
    if store is None:
        blocks: list[NDArray[Any]] = []
        digest, disagreements = _stream(classifier, loader, batch_size, blocks.append)
        meta: dict[str, Any] = {"module_disagreements": disagreements}
        labels = np.concatenate(digest.labels)
        return Stored(np.concatenate(blocks), labels, digest.hashes(), meta)
    with StoreWriter(store) as writer:
        digest, disagreements = _stream(classifier, loader, batch_size, writer.append)
        data = digest.parts() if key_parts is None else dict(key_parts)
        key = _key(classifier, data)
        meta = {
            "module_disagreements": disagreements,
            "identity": classifier.identity,
            "data": data,
            "head": classifier.head_report.name,
        }
        writer.commit(key, np.concatenate(digest.labels), digest.hashes(), meta)
    kept = read_stored(store, key)
    assert kept is not None
    return kept


def _confirm(classifier: "Classifier", loader: Any, kept: Stored, batch_size: int) -> None:
    """Find the head on the first rows, and see that stored features are what the network gives."""
    from ncbounds.checkpoints.head.trace import first_rows

    inputs, _ = next(batches(loader, min(batch_size, CONFIRMED_ROWS)))
    rows = first_rows(_tensors(inputs), CONFIRMED_ROWS)
    fresh = _numpy(classifier.features_and_logits(rows, lambda: class_count(loader))[0])
    stored = kept.features[: len(fresh)]
    scale = float(np.nanmax(np.abs(fresh), initial=0.0))
    if stored.shape != fresh.shape or not np.allclose(
        stored, fresh, rtol=0.0, atol=CONFIRMED_SHARE * scale, equal_nan=True
    ):
        raise StoreError(
            "stored features differ from what the network gives for the first rows; the data "
            "changed under the same key_parts, or the model did: delete the store and run again"
        )


def _stream(
    classifier: "Classifier", loader: Any, batch_size: int, keep: Any
) -> tuple[DataDigest, int]:
    """Run all batches; return hashes with labels, and how often the module's argmax differs."""
    digest = DataDigest()
    disagreements = 0
    for inputs, labels in batches(loader, batch_size):
        digest.add(inputs, labels)
        features, logits = classifier.features_and_logits(
            _tensors(inputs), lambda: class_count(loader)
        )
        block = _numpy(features)
        keep(block)
        with np.errstate(invalid="ignore", over="ignore"):
            own = classifier.head.logits(block)
        disagreements += count_disagreements(_numpy(logits), own)
    if not digest.labels:
        raise DataError("the loader yields no rows; a generator can be read only once")
    return digest, disagreements


def count_disagreements(module_logits: NDArray[Any], head_logits: NDArray[np.float64]) -> int:
    """Count rows whose argmax differs, or where only one of the two is finite."""
    a, b = np.isfinite(module_logits).all(1), np.isfinite(head_logits).all(1)
    differ = module_logits.argmax(1) != head_logits.argmax(1)
    return int((np.where(a & b, differ, a != b)).sum())


def _key(classifier: "Classifier", data: Mapping[str, Any]) -> str:
    return store_key({"classifier": classifier.identity, "data": data})


def _tensors(inputs: Any) -> Any:
    import torch

    if isinstance(inputs, Mapping):
        return {k: torch.as_tensor(v) for k, v in inputs.items()}
    if isinstance(inputs, tuple | list):
        return tuple(torch.as_tensor(v) for v in inputs)
    if isinstance(inputs, np.ndarray) and not inputs.flags.writeable:
        inputs = inputs.copy()  # torch has no read-only tensors
    return torch.as_tensor(inputs)


def _numpy(tensor: Any) -> NDArray[Any]:
    import torch

    wide = tensor if tensor.dtype == torch.float64 else tensor.float()
    array: NDArray[Any] = wide.cpu().numpy()
    return array
