"""Extraction in parts: contiguous ranges of rows, each a folder of its own, complete or absent.

Each part needs nothing of the others: they are made one after the other, by an executor, or one
process each; who reads them adds their moments and maps their rows side by side.
"""

import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.data.batched import is_pair
from ncbounds.errors import DataError, InvalidSample, StoreError
from ncbounds.extraction.batches import DataDigest, Labels, batches, gives_other_rows
from ncbounds.extraction.content import content_hash
from ncbounds.extraction.growing_array import GrowingArray, sync
from ncbounds.extraction.loading import with_workers
from ncbounds.extraction.lookup import Beginning, beginning_of, network_keys
from ncbounds.extraction.part_folder import (
    FEATURES,
    HASHES,
    HEAD_FILE,
    LABELS,
    META,
    MOMENTS,
    SUMS,
    check_same,
    listed,
    sums_hash,
)
from ncbounds.extraction.ranges import part_rows, row_count, rows_between
from ncbounds.extraction.rounding import rounded
from ncbounds.extraction.running import BATCH_ROWS
from ncbounds.extraction.store import remove_abandoned, sync_folder, unfinished
from ncbounds.extraction.stream import features_at, stream
from ncbounds.extraction.taps import HEAD, declared_taps
from ncbounds.files import npz_bytes, write_bytes, write_sealed
from ncbounds.statistics.moments import class_moments

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier

#: What gives a classifier and its data; called in the process that extracts a part.
Source = Callable[[], "tuple[Classifier, Any]"]


def extract_parts(
    source: Source,
    out: str | os.PathLike[str],
    *,
    parts: int,
    numbers: Iterable[int] | None = None,
    executor: Executor | None = None,
    batch_size: int | str | None = None,
    workers_per_loader: int | None = None,
    dtype: str | None = None,
    done: Callable[[int], None] | None = None,
) -> None:
    """Run a network over its data part by part; parts that are there are left as they are.

    Parameters
    ----------
    source : callable
        Returns the classifier and its data, which can be read from any row on: a pair of arrays,
        a map-style Dataset, or a DataLoader of one in its own order. Under an executor of processes
        it goes to them by pickle.
    out : path
        Folder of the parts, made if it is not there.
    parts : int
        How many there are; the rows are shared out evenly, in order.
    numbers : iterable of int, optional
        Which of them, from 0 on, are made here; by default all.
    executor : concurrent.futures.Executor, optional
        Where they are made; by default one after the other, in this process.
    batch_size, workers_per_loader
        As in :func:`ncbounds.extract`.
    dtype : "float16", optional
        Round features to it; see :attr:`Sample.rounded`.
    done : callable, optional
        Called with the number of each part that is there.

    Raises
    ------
    StoreError
        If parts of another network or of other data stand in the folder, or some could not be made.
        All that are finished are kept, and the same call goes on from there. Of arrays all rows are
        compared, of other data, which may be dear to read, the first 32 of each part.
    DataError
        If the data cannot be cut, or have fewer rows than there are parts.
    """
    if parts < 1:
        raise DataError(f"parts is a number from 1 on, found {parts}")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = range(parts) if numbers is None else list(numbers)
    settings = (folder, parts, batch_size, workers_per_loader, dtype)
    if executor is None:
        classifier, data = source()
        for number in chosen:
            _make(classifier, data, number, *settings)
            if done:
                done(number)
        return
    futures = {executor.submit(_made, source, number, *settings): number for number in chosen}
    failed: dict[int, BaseException] = {}
    for future in as_completed(futures):
        number, error = futures[future], future.exception()
        if error is not None:
            failed[number] = error
        elif done:
            done(number)
    if failed:
        number, error = min(failed.items())
        raise StoreError(
            f"{listed(failed)} of {parts} could not be made (part {number}: "
            f"{type(error).__name__}: {error}); the others are kept, the same call goes on there"
        ) from error


def _made(source: Source, number: int, *settings: Any) -> None:
    """Make one part in another process."""
    classifier, data = source()
    _make(classifier, data, number, *settings)


def _make(
    classifier: "Classifier",
    data: Any,
    number: int,
    out: Path,
    parts: int,
    batch_size: int | str | None,
    workers: int | None,
    dtype: str | None,
) -> None:
    from ncbounds.checkpoints.head.device import describe

    n = row_count(data)
    start, stop = part_rows(n, number, parts)
    if n < parts:
        raise DataError(f"{n} rows make at most {n} parts, found {parts}")
    size = batch_size if isinstance(batch_size, int) else BATCH_ROWS
    rows = with_workers(rows_between(data, start, stop, size), workers)
    first, rows = beginning_of(rows, batch_size)
    if first is None:
        raise DataError(f"rows {start} to {stop} could not be read")
    taps = declared_taps(classifier.module, HEAD, "average")
    features_at(classifier, rows, first.inputs, taps)  # finds the head
    about = {
        "rows": [start, stop],
        "n": n,
        "parts": parts,
        "network": network_keys(classifier, first.inputs, taps, dtype)[HEAD],
        "identity": classifier.identity,
        "dtype": dtype,
        "precision": classifier.precision,
    }
    target = out / f"part-{number:05d}-of-{parts:05d}"
    if target.exists():
        check_same(target, about, *_seen(rows, first))
        return
    remove_abandoned(out)
    if not (out / HEAD_FILE).exists():
        head = classifier.head
        write_bytes(out / HEAD_FILE, npz_bytes(weight=head.weight, bias=head.bias))
    fresh = unfinished(out)
    try:
        meta = _write(classifier, rows, fresh, start, stop - start, batch_size, dtype)
        write_sealed(fresh / META, {**about, **meta, "device": describe(classifier.device)})
        sync_folder(fresh)
        try:
            os.rename(fresh, target)
        except OSError:  # another process was faster
            if not (target / META).is_file():
                raise
        sync_folder(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _seen(rows: Any, first: Beginning) -> tuple[NDArray[np.uint64], Labels]:
    """Hashes and labels to know a part by: all of arrays, of other data those read already."""
    if not is_pair(rows):
        return first.hashes, first.labels
    digest = DataDigest()
    for inputs, labels in batches(rows):
        digest.add(inputs, labels)
    return digest.hashes(), np.concatenate(digest.labels)


def _write(
    classifier: "Classifier",
    rows: Any,
    folder: Path,
    before: int,
    count: int,
    batch_size: int | str | None,
    dtype: str | None,
) -> dict[str, Any]:
    """Write what one part holds; return what is said about it."""
    taps = declared_taps(classifier.module, HEAD, "average")
    grown: list[GrowingArray] = []

    def keep(block: NDArray[Any]) -> None:
        block = rounded(block, dtype)
        if not grown:
            grown.append(GrowingArray(folder / FEATURES, block, before))
        grown[0].append(block)

    try:
        digest, differ = stream(classifier, rows, taps, {HEAD: keep}, batch_size)
        digests = {FEATURES: grown[0].finish()}
    finally:
        for file in grown:
            file.close()
    labels = np.concatenate(digest.labels)
    if len(labels) != count:
        raise DataError(f"the data gave {len(labels)} rows where {count} were asked for")
    for name, array in ((LABELS, labels), (HASHES, digest.hashes())):
        digests[name] = content_hash(array)
        with open(folder / name, "wb") as handle:
            np.save(handle, array)
            sync(handle)
    why = ""
    try:
        sums = _moments(folder, labels, classifier.head.classes)
        digests[MOMENTS] = sums_hash(sums)
        with open(folder / MOMENTS, "wb") as handle:
            np.savez(handle, **sums)  # type: ignore[arg-type]
            sync(handle)
    except InvalidSample as error:
        why = str(error)
    sizes = {name: (folder / name).stat().st_size for name in digests}
    return {
        "digests": digests,
        "sizes": sizes,
        "moments": not why,
        "no_moments": why,
        "module_disagreements": differ,
        "other_rows": gives_other_rows(rows, digest),
    }


def _moments(folder: Path, labels: Labels, classes: int) -> dict[str, NDArray[Any]]:
    if labels.ndim == 2:
        raise InvalidSample("its rows may have several labels, and moments are of one class a row")
    features = np.load(folder / FEATURES, mmap_mode="r", allow_pickle=False)
    found = class_moments(features, labels, max(classes, int(labels.max()) + 1))
    return {name: getattr(found, name) for name in SUMS}
