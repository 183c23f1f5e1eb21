"""One forward pass from inputs to a sample: features, labels, and what the head said."""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import DataError, StoreError
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.sample import Sample
from ncbounds.extraction.batches import batches, data_parts, first_rows, iter_again
from ncbounds.extraction.loading import with_workers
from ncbounds.extraction.pace import Pace
from ncbounds.extraction.running import check_batch_size
from ncbounds.extraction.store import Stored, StoreWriter, read_stored, store_key
from ncbounds.extraction.stream import features_at, stream, tensors
from ncbounds.extraction.taps import HEAD, At, Pool, Pooling, declared_taps

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier

CONFIRMED_ROWS = 32
CONFIRMED_SHARE = 1e-3  # of the largest feature: rounding differs with the batch size
CHANGED = (
    "the data changed under the same key_parts, or the model did: delete the store and run again"
)


@overload
def extract(
    classifier: "Classifier",
    loader: Any,
    role: str | Draw,
    store: str | os.PathLike[str] | None = None,
    *,
    at: None = None,
    key_parts: Mapping[str, Any] | None = None,
    batch_size: int | str | None = None,
    device: str | None = None,
    precision: str | None = None,
    workers_per_loader: int | None = None,
    limit: int | None = None,
    progress: Callable[[Pace], None] | None = None,
    ignore_label: int | None = None,
    **declared: Any,
) -> Sample: ...


@overload
def extract(
    classifier: "Classifier",
    loader: Any,
    role: str | Draw,
    store: str | os.PathLike[str] | None = None,
    *,
    at: At,
    pool: Pool = "average",
    key_parts: Mapping[str, Any] | None = None,
    batch_size: int | str | None = None,
    device: str | None = None,
    precision: str | None = None,
    workers_per_loader: int | None = None,
    limit: int | None = None,
    progress: Callable[[Pace], None] | None = None,
    ignore_label: int | None = None,
    **declared: Any,
) -> dict[str, Sample]: ...


def extract(
    classifier: "Classifier",
    loader: Any,
    role: str | Draw,
    store: str | os.PathLike[str] | None = None,
    *,
    at: At | None = None,
    pool: Pool = "average",
    key_parts: Mapping[str, Any] | None = None,
    batch_size: int | str | None = None,
    device: str | None = None,
    precision: str | None = None,
    workers_per_loader: int | None = None,
    limit: int | None = None,
    progress: Callable[[Pace], None] | None = None,
    ignore_label: int | None = None,
    **declared: Any,
) -> Sample | dict[str, Sample]:
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
    at : str, iterable of str, or mapping, optional
        Places of the network: names of its modules, whose outputs are pooled, and ``"head"`` for
        what the head multiplies. All are read in the same forward pass. A mapping gives each its
        own pooling, as in ``{"layer1": 4, "layer3": "average"}``.
    pool : "average" or int
        How outputs at ``at`` become one row of features: images (n, channels, height, width) and
        tokens (n, t, d) are averaged over all positions but those that ``attention_mask`` marks as
        padding; p averages images to p x p. An output (n, d) is taken as it is. Axes are taken in
        this order: where a network has another one, name a place that flattens or pools.
    key_parts : mapping, optional
        What identifies inputs, labels and their order, for data that is known (a file's hash and
        row ranges). A lookup then needs no pass over the data. By default they are hashed; an
        iterable is read once more for that if it can be.
    batch_size : int, "auto" or None
        Rows of a forward pass at most; ``"auto"`` halves them where the device has no room. None
        takes batches of loaders as they are, and 256 rows of whole arrays.
    device : str, optional
        ``"auto"`` (CUDA where it is available, else the CPU), ``"cpu"``, ``"cuda"``, ``"cuda:1"``
        or ``"mps"``; the classifier stays there. By default where it is.
    precision : {"fp32", "bf16", "fp16"}, optional
        In which numbers the network runs, by default that of its weights. In another one it is
        another network, which the certificates are then about: see :meth:`Classifier.to`.
    workers_per_loader : int, optional
        Processes that read a ``DataLoader``, by default as many as it says itself.
    limit : int, optional
        Read only so many rows, the first ones: a look, every row on which is a plug-in.
    progress : callable, optional
        Called with a :class:`~ncbounds.extraction.pace.Pace` after each batch.
    ignore_label : int, optional
        Label of rows that are left out of the sample; see :meth:`Sample.from_arrays`.
    **declared
        ``sampling``, ``selected_among``, ``label_noise``, ``rows``, ``groups``, ``repeats`` of
        :class:`Draw`, where ``role`` is a word.

    Returns
    -------
    Sample, or dict of str to Sample if ``at`` is given
        Features in the module's precision, at least float32; one sample per named place.

    Raises
    ------
    DataError
        If batches are no (inputs, labels) pairs, lengths differ, or there are no rows.
    HeadNotFound
        If the head does not reproduce the logits of some batch, or the network is no fixed
        function of each row.
    TapRefused
        If a module gives no features, or none that are a function of each row alone.
    UnknownName
        If the network has no module of a name.
    StoreError
        If a stored folder was damaged, or holds other data.
    OutOfMemory
        If a batch does not fit on the device.
    """
    check_batch_size(batch_size)
    draw = Draw.of(role, **declared).first(limit)
    if at is None and pool != "average":
        raise DataError(f"pool={pool!r} without at=; the head's input is taken as it is")
    classifier.to(device, precision)
    taps = declared_taps(classifier.module, HEAD if at is None else at, pool)
    loader = with_workers(first_rows(loader, limit), workers_per_loader)
    if key_parts is not None and limit is not None:
        key_parts = {**key_parts, "limit": limit}
    data = None if key_parts is None else dict(key_parts)
    if store is not None and data is None and iter_again(loader):
        data = data_parts(loader)
    kept = {} if store is None or data is None else _found(classifier, data, taps, store)
    missing = {name: tap for name, tap in taps.items() if name not in kept}
    if kept and (not missing or iter_again(loader)):
        _confirm(classifier, loader, {name: taps[name] for name in kept}, kept)
    if missing:
        kept |= _run(classifier, loader, missing, store, key_parts, batch_size, progress)
    _check_rows(kept)
    samples = {
        name: Sample.from_arrays(
            kept[name].features,
            _labels(draw, kept[name]),
            role=draw,
            input_hashes=kept[name].input_hashes,
            module_disagreements=kept[name].meta.get("module_disagreements"),
            tap=None if at is None else name,
            ignore_label=None if draw.role == "unlabelled" else ignore_label,
            precision=classifier.precision,
        )
        for name in taps
    }
    return samples[HEAD] if at is None else samples


def _labels(draw: Draw, kept: Stored) -> NDArray[np.int64] | None:
    return None if draw.role == "unlabelled" and (kept.labels < 0).all() else kept.labels


def _found(
    classifier: "Classifier",
    data: Mapping[str, Any],
    taps: Mapping[str, Pooling],
    store: str | os.PathLike[str],
) -> dict[str, Stored]:
    found = {name: read_stored(store, _key(classifier, data, tap)) for name, tap in taps.items()}
    return {name: kept for name, kept in found.items() if kept is not None}


def _run(
    classifier: "Classifier",
    loader: Any,
    taps: Mapping[str, Pooling],
    store: str | os.PathLike[str] | None,
    key_parts: Mapping[str, Any] | None,
    batch_size: int | str | None,
    progress: Callable[[Pace], None] | None,
) -> dict[str, Stored]:
    if store is None:
        blocks: dict[str, list[NDArray[Any]]] = {name: [] for name in taps}
        keep = {name: parts.append for name, parts in blocks.items()}
        digest, disagreements = stream(classifier, loader, taps, keep, batch_size, progress)
        labels, hashes = np.concatenate(digest.labels), digest.hashes()
        return {
            name: Stored(np.concatenate(parts), labels, hashes, _counted(name, disagreements))
            for name, parts in blocks.items()
        }
    with ExitStack() as stack:
        writers = {name: stack.enter_context(StoreWriter(store)) for name in taps}
        keep = {name: writer.append for name, writer in writers.items()}
        digest, disagreements = stream(classifier, loader, taps, keep, batch_size, progress)
        data = digest.parts() if key_parts is None else dict(key_parts)
        for name, writer in writers.items():
            meta = {
                **_counted(name, disagreements),
                **_place(taps[name]),
                "identity": classifier.identity,
                "data": data,
                "head": classifier.head_report.name,
            }
            key = _key(classifier, data, taps[name])
            writer.commit(key, np.concatenate(digest.labels), digest.hashes(), meta)
    return _found(classifier, data, taps, store)


def _counted(name: str, disagreements: int) -> dict[str, Any]:
    """What is said about the head's own features only."""
    return {"module_disagreements": disagreements} if name == HEAD else {}


def _confirm(
    classifier: "Classifier",
    loader: Any,
    taps: Mapping[str, Pooling],
    kept: Mapping[str, Stored],
) -> None:
    """Find the head on the first rows, and see that stored features are what the network gives."""
    from ncbounds.checkpoints.head.arithmetic import rounding_share
    from ncbounds.checkpoints.head.trace import rows_at

    inputs, _ = next(batches(loader, CONFIRMED_ROWS))
    few = rows_at(tensors(inputs), slice(CONFIRMED_ROWS))
    found = features_at(classifier, loader, few, taps)
    share = max(CONFIRMED_SHARE, rounding_share(classifier.module))
    for name, fresh in found.items():
        stored = kept[name].features[: len(fresh)]
        scale = float(np.nanmax(np.abs(fresh), initial=0.0))
        if stored.shape != fresh.shape or not np.allclose(
            stored, fresh, rtol=0.0, atol=share * scale, equal_nan=True
        ):
            raise StoreError(
                f"stored features differ from what the network gives for the first rows; {CHANGED}"
            )


def _check_rows(kept: Mapping[str, Stored]) -> None:
    """See that all places were read on the same points, some of them perhaps at another time."""
    first, *others = kept.values()
    for other in others:
        if not (
            np.array_equal(first.input_hashes, other.input_hashes)
            and np.array_equal(first.labels, other.labels)
        ):
            raise StoreError(f"two places of the network were read on different points; {CHANGED}")


def _key(classifier: "Classifier", data: Mapping[str, Any], tap: Pooling) -> str:
    return store_key({"classifier": classifier.identity, "data": data, **_place(tap)})


def _place(tap: Pooling) -> dict[str, Any]:
    """Key parts of a place; the head's input has none, since it is a plain extraction."""
    return {} if tap.name == HEAD else {"tap": tap.name, "pool": tap.pool}
