"""One forward pass from inputs to a sample: features, labels, and what the head said."""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import DataError
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.roles import LABELS_OPTIONAL
from ncbounds.evidence.sample import Sample
from ncbounds.extraction.batches import DataDigest, Labels, first_rows, gives_other_rows
from ncbounds.extraction.loading import with_workers
from ncbounds.extraction.lookup import (
    beginning_of,
    check_rows,
    disagreements,
    look_up,
    network_keys,
    place,
)
from ncbounds.extraction.pace import Pace
from ncbounds.extraction.rounding import checked_dtype, rounded
from ncbounds.extraction.running import check_batch_size
from ncbounds.extraction.store import Stored, StoreWriter, note_use, read_stored, store_key
from ncbounds.extraction.stream import features_at, stream
from ncbounds.extraction.taps import HEAD, At, Pool, Pooling, declared_taps, hash_size

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier


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
    store_dtype: str | None = None,
    used_by: str | None = None,
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
    store_dtype: str | None = None,
    used_by: str | None = None,
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
    store_dtype: str | None = None,
    used_by: str | None = None,
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
        Batches of inputs (tensor, array, or mapping by keyword) with integer labels (n,), or 0 and
        1 for each of several labels (n, L), in a fixed order, or mappings by keyword with
        ``labels`` inside; or ``(inputs, labels)`` as whole arrays or frames of n rows; or a
        map-style data set of such rows. Labels None stand for
        ``role="unlabelled"``. One that gives other rows on a second pass is noticed by its first
        batch, and said on every row: the sample is the draw that was kept.
    role : str or Draw
        What the rows were used for, or all that is declared about them.
    store : path, optional
        Folder under which features are kept and found again. Without it they stay in memory.
    at : str, iterable of str, or mapping, optional
        Places of the network: names of its modules, whose outputs are pooled, and ``"head"`` for
        what the head multiplies. All are read in the same forward pass. A mapping gives each its
        own pooling, as in ``{"layer1": 4, "layer3": "average"}``.
    pool : "average", "hash" or int
        How outputs at ``at`` become one row of features: images (n, channels, height, width) and
        tokens (n, t, d) are averaged over all positions but those that ``attention_mask`` marks as
        padding; p averages images to p x p. An output (n, d) is taken as it is. ``"hash"`` keeps
        whole images, averages tokens, and hashes what has more than 512 coordinates to as many
        (``"hash:1000"``: to 1000). ``"average@class"`` and ``"hash@last"`` take one token in place
        of their mean: the first, the last that is no padding, or a position (``"hash@3"``). Axes
        are taken in this order: where a network has another one, name a place that flattens or
        pools.
    key_parts : mapping, optional
        What identifies inputs, labels and their order, for data that is known (a file's hash and
        row ranges). A lookup then needs no pass over the data. By default they are hashed while
        they are read; where the store has data that begin in the same way, they are read once more
        for that, if they can be.
    batch_size : int, "auto" or None
        Rows of a forward pass at most; ``"auto"`` halves them where the device has no room. None
        takes batches of loaders as they are, and 256 rows of whole arrays, or up to 1,024 of
        less than 4 kB.
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
    store_dtype : "float16", optional
        Round the features that are kept in ``store`` to it: half the disk. Points whose prediction
        that could change count as errors, and rows that read features are plug-ins; see
        :attr:`Sample.rounded`.
    used_by : str, optional
        Name of the checkpoint, for who lists or prunes the store.
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
    dtype = None if store is None else checked_dtype(store_dtype)
    if classifier.predicts and dtype is not None:
        raise DataError("logits that are predictions are kept as they are: leave store_dtype out")
    kept: dict[str, Stored] = {}
    networks: dict[str, str] = {}
    if store is not None:
        first, loader = beginning_of(loader, batch_size)
        if first is not None:
            fresh = features_at(classifier, loader, first.inputs, taps, ignore_label)
            fresh = {name: rounded(block, dtype) for name, block in fresh.items()}
            networks = network_keys(classifier, first.inputs, taps, dtype)
            kept = look_up(classifier, loader, first, fresh, networks, store, key_parts)
    uses: dict[str, dict[str, str]] = {}
    if store is not None and used_by is not None:
        uses = {n: {"checkpoint": used_by, "role": draw.role, "tap": n} for n in taps}
        for name, stored in kept.items():
            note_use(store, networks[name], stored.meta["key"], uses[name])
    missing = {name: tap for name, tap in taps.items() if name not in kept}
    if missing:
        keys = (networks, store, key_parts, uses)
        kept |= _run(classifier, loader, missing, *keys, dtype, ignore_label, batch_size, progress)
    check_rows(kept)
    samples = {
        name: Sample.from_arrays(
            kept[name].features,
            _labels(draw, kept[name]),
            role=draw,
            input_hashes=kept[name].input_hashes,
            module_disagreements=disagreements(classifier, kept[name]) if name == HEAD else None,
            tap=None if at is None else name,
            other_rows=bool(kept[name].meta.get("other_rows")),
            ignore_label=None if draw.role in LABELS_OPTIONAL else ignore_label,
            rounded=dtype is not None,
            precision=classifier.precision,
        )
        for name in taps
    }
    return samples[HEAD] if at is None else samples


def _labels(draw: Draw, kept: Stored) -> Labels | None:
    return None if draw.role in LABELS_OPTIONAL and (kept.labels < 0).all() else kept.labels


def _run(
    classifier: "Classifier",
    loader: Any,
    taps: Mapping[str, Pooling],
    networks: Mapping[str, str],
    store: str | os.PathLike[str] | None,
    key_parts: Mapping[str, Any] | None,
    uses: Mapping[str, Mapping[str, str]],
    dtype: str | None,
    ignore_label: int | None,
    batch_size: int | str | None,
    progress: Callable[[Pace], None] | None,
) -> dict[str, Stored]:
    if store is None:
        blocks: dict[str, list[NDArray[Any]]] = {name: [] for name in taps}
        keep = {name: parts.append for name, parts in blocks.items()}
        digest, differ = stream(classifier, loader, taps, keep, batch_size, progress, ignore_label)
        labels, hashes, said = np.concatenate(digest.labels), digest.hashes(), _said(loader, digest)
        return {
            name: Stored(np.concatenate(parts), labels, hashes, {**_counted(name, differ), **said})
            for name, parts in blocks.items()
        }
    with ExitStack() as stack:
        # views of many places are read beside each other, so that they stay mapped
        packs = all(hash_size(tap.pool) is None for tap in taps.values())
        writers = {name: stack.enter_context(StoreWriter(store, packs=packs)) for name in taps}
        keep = {name: _rounding(writer, dtype) for name, writer in writers.items()}
        digest, differ = stream(classifier, loader, taps, keep, batch_size, progress, ignore_label)
        data = digest.parts() if key_parts is None else dict(key_parts)
        key, said = store_key(data), _said(loader, digest)
        labels, hashes = np.concatenate(digest.labels), digest.hashes()
        for name, writer in writers.items():
            meta = {
                **_counted(name, differ),
                **place(taps[name]),
                **said,
                "rounded": dtype,
                "key": key,
                "identity": classifier.identity,
                "data": data,
                "head": classifier.head_report.name,
            }
            writer.commit(networks[name], key, labels, hashes, meta, uses.get(name))
    found = {name: read_stored(store, networks[name], key) for name in taps}
    return {name: kept for name, kept in found.items() if kept is not None}


def _rounding(writer: StoreWriter, dtype: str | None) -> Callable[[NDArray[Any]], None]:
    return lambda block: writer.append(rounded(block, dtype))


def _counted(name: str, differ: int) -> dict[str, Any]:
    """What is said about the head's own features only."""
    return {"module_disagreements": differ} if name == HEAD else {}


def _said(loader: Any, digest: DataDigest) -> dict[str, Any]:
    """What is said about data that are another draw each time that they are read."""
    return {"other_rows": True} if gives_other_rows(loader, digest) else {}
