"""One forward pass from inputs to a sample: features, labels, and what the head said."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import DataError
from ncbounds.samples.roles import check_role
from ncbounds.samples.sample import Sample
from ncbounds.samples.store import Stored, StoreWriter, read_stored, store_key

if TYPE_CHECKING:
    from ncbounds.checkpoints.classifier import Classifier

Digests = NDArray[np.uint64]
DIGEST_BYTES = 16


def extract(
    classifier: "Classifier",
    loader: Any,
    role: str,
    store: str | os.PathLike[str] | None = None,
    *,
    sampling: str = "unknown",
    selected_among: int | None = 1,
    label_noise: float = 0.0,
    rows: object | None = None,
    groups: object | None = None,
    key_parts: Mapping[str, Any] | None = None,
    batch_size: int = 256,
) -> Sample:
    """Run the network once over the data and return its features and labels as a sample.

    The head is checked on every batch. Values that are not finite are passed on; they count as
    errors later.

    Parameters
    ----------
    classifier : Classifier
    loader : iterable of (inputs, labels), or a pair of arrays
        Batches of inputs (tensor, array, or mapping by keyword) with integer labels, in a fixed
        order; or ``(inputs, labels)`` as whole arrays of n rows. Labels None stand for
        ``role="unlabelled"``.
    role : {"fit", "head", "holdout", "unlabelled", "test"}
    store : path, optional
        Folder under which features are kept and found again. Without it they stay in memory.
    sampling, selected_among, label_noise, rows, groups
        See :class:`Sample`.
    key_parts : mapping, optional
        What identifies inputs, labels and their order, for data that is known (a file's hash and
        row ranges). A lookup then needs no pass over the data. By default they are hashed; an
        iterable is read once more for that if it can be.
    batch_size : int
        Rows per forward pass where whole arrays are given.

    Returns
    -------
    Sample
        Features in the module's precision, at least float32.

    Raises
    ------
    DataError
        If batches are no (inputs, labels) pairs, lengths differ, or there are no rows.
    HeadNotFound
        If the head does not reproduce the logits of some batch.
    StoreError
        If a stored folder was damaged.
    """
    check_role(role)
    data = None if key_parts is None else dict(key_parts)
    if store is not None and data is None and iter_again(loader):
        data = data_parts(loader, batch_size)
    key = None if data is None or store is None else _key(classifier, data)
    kept = read_stored(store, key) if store is not None and key is not None else None
    if kept is None:
        kept = _run(classifier, loader, store, key_parts, batch_size)
    return Sample.from_arrays(
        kept.features,
        None if role == "unlabelled" and (kept.labels < 0).all() else kept.labels,
        role=role,
        sampling=sampling,
        selected_among=selected_among,
        label_noise=label_noise,
        rows=rows,
        groups=groups,
        input_hashes=kept.input_hashes,
        module_disagreements=int(kept.meta["module_disagreements"]),
    )


def iter_again(loader: Any) -> bool:
    """Whether the data can be read more than once: arrays and loaders can, generators cannot."""
    return is_pair(loader) or iter(loader) is not loader


def is_pair(loader: Any) -> bool:
    """Whether the data is a pair of whole arrays rather than an iterable of batches."""
    return (
        isinstance(loader, tuple | list)
        and len(loader) == 2
        and (hasattr(loader[0], "shape") or isinstance(loader[0], Mapping))
        and (loader[1] is None or hasattr(loader[1], "shape"))
    )


def data_parts(loader: Any, batch_size: int = 256) -> dict[str, Any]:
    """Return the key parts of inputs, labels and order: one pass over the data, no network."""
    digest = DataDigest()
    for inputs, labels in batches(loader, batch_size):
        digest.add(inputs, labels)
    return digest.parts()


@dataclass
class DataDigest:
    """Hashes rows while they stream by."""

    rows: list[bytes] = field(default_factory=list)
    labels: list[NDArray[np.int64]] = field(default_factory=list)
    forms: set[str] = field(default_factory=set)

    def add(self, inputs: Any, labels: NDArray[np.int64]) -> None:
        """Add one batch."""
        arrays = (
            [_array(v) for _, v in sorted(inputs.items())]
            if isinstance(inputs, Mapping)
            else [_array(v) for v in (inputs if isinstance(inputs, tuple | list) else [inputs])]
        )
        self.forms.add(" ".join(f"{a.dtype}{a.shape[1:]}" for a in arrays))
        self.rows.append(_row_digests(arrays))
        self.labels.append(labels)

    def parts(self) -> dict[str, Any]:
        """Return the parts of the key that the data determine."""
        digest = hashlib.sha256()
        for block in self.rows:
            digest.update(block)
        for labels in self.labels:
            digest.update(labels.tobytes())
        return {"data": digest.hexdigest(), "forms": sorted(self.forms)}

    def hashes(self) -> Digests:
        """One 64-bit hash per row."""
        both = np.frombuffer(b"".join(self.rows), dtype=np.uint64).reshape(-1, 2)
        return both[:, 0].copy()


def batches(loader: Any, batch_size: int) -> Iterator[tuple[Any, NDArray[np.int64]]]:
    """Yield (inputs, labels) batches with inputs as given and labels as int64.

    Raises
    ------
    DataError
        If a batch is no pair, or its lengths differ.
    """
    for batch in _slices(loader, batch_size) if is_pair(loader) else _pairs(loader):
        inputs, labels = batch
        n = _length(inputs)
        y = np.full(n, -1, dtype=np.int64) if labels is None else _labels(labels)
        if y.shape != (n,):
            raise DataError(f"a batch of {n} rows needs {n} integer labels, found shape {y.shape}")
        if n:
            yield inputs, y


def _pairs(loader: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    for batch in loader:
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise DataError(
                f"the loader yields {type(batch).__name__}; needed are (inputs, labels) pairs, "
                "with inputs a tensor or a mapping by keyword"
            )
        yield batch[0], batch[1]


def _slices(pair: Any, size: int) -> Iterator[tuple[Any, Any]]:
    inputs, labels = pair
    if size < 1:
        raise DataError(f"batch_size is at least 1, found {size}")
    n = _length(inputs)
    if labels is not None and len(labels) != n:
        raise DataError(f"{n} rows of inputs need {n} labels, found {len(labels)}")
    for start in range(0, n, size):
        part = slice(start, start + size)
        chosen = (
            {k: v[part] for k, v in inputs.items()} if isinstance(inputs, Mapping) else inputs[part]
        )
        yield chosen, None if labels is None else labels[part]


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
        meta = {"module_disagreements": disagreements}
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


def _stream(
    classifier: "Classifier", loader: Any, batch_size: int, keep: Any
) -> tuple[DataDigest, int]:
    """Run all batches; return hashes with labels, and how often the module's argmax differs."""
    digest = DataDigest()
    disagreements = 0
    for inputs, labels in batches(loader, batch_size):
        digest.add(inputs, labels)
        features, logits = classifier.features_and_logits(_tensors(inputs))
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
    flat = [a.reshape(n, -1).view(np.uint8) if a[0:1].size else None for a in arrays]
    views = [memoryview(f) for f in flat if f is not None]  # type: ignore[arg-type]
    if len(views) == 1:
        return b"".join(
            hashlib.blake2b(views[0][i], digest_size=DIGEST_BYTES).digest() for i in range(n)
        )
    digests = []
    for i in range(n):
        digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for view in views:
            digest.update(view[i])
        digests.append(digest.digest())
    return b"".join(digests)


def _labels(labels: Any) -> NDArray[np.int64]:
    y = _array(labels)
    if y.dtype.kind not in "iub":
        raise DataError(f"labels are class numbers, found {y.dtype} of shape {y.shape}")
    return y.astype(np.int64)


def _length(inputs: Any) -> int:
    first = next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs
    first = first[0] if isinstance(first, tuple | list) else first
    return len(first)
