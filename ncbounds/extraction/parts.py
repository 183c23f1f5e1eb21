"""Extraction in parts: contiguous ranges of rows, each a folder of its own, complete or absent.

::

    part-00003-of-00008/
        features.npy, labels.npy, input_hashes.npy    of these rows
        moments.npz                                   their class moments
        part.json                                     which rows, of which network, and all hashes

Each part needs nothing of the others: they are made one after the other, by an executor, or one
process each; who reads them adds their moments and maps their rows side by side.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import DataError, InvalidSample, StoreError
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.sample import Sample
from ncbounds.extraction.content import content_hash
from ncbounds.extraction.growing_array import GrowingArray, sync
from ncbounds.extraction.joined import joined
from ncbounds.extraction.lookup import first_rows_of, network_keys
from ncbounds.extraction.ranges import part_rows, row_count, rows_between
from ncbounds.extraction.rounding import rounded
from ncbounds.extraction.store import remove_abandoned, sync_folder, unfinished
from ncbounds.extraction.stream import features_at, stream
from ncbounds.extraction.taps import HEAD, declared_taps
from ncbounds.files import read_sealed, write_sealed
from ncbounds.statistics.class_moments import ClassMoments
from ncbounds.statistics.moments import class_moments

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier

#: What gives a classifier and its data; called in the process that extracts a part.
Source = Callable[[], "tuple[Classifier, Any]"]

FEATURES, LABELS, HASHES, MOMENTS, META = (
    *("features.npy", "labels.npy", "input_hashes.npy"),
    *("moments.npz", "part.json"),
)
_NAME = re.compile(r"part-(\d{5})-of-(\d{5})")
_SUMS = ("count", "mean", "within", "trace")


def extract_parts(
    source: Source,
    out: str | os.PathLike[str],
    *,
    parts: int,
    numbers: Iterable[int] | None = None,
    executor: Executor | None = None,
    batch_size: int = 256,
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
    batch_size : int
        Rows of a forward pass where data are no loader.
    dtype : "float16", optional
        Round features to it; see :attr:`Sample.rounded`.
    done : callable, optional
        Called with the number of each part that is there.

    Raises
    ------
    StoreError
        If parts of another network or of other data stand in the folder, or some could not be made.
        All that are finished are kept, and the same call goes on from there.
    DataError
        If the data cannot be cut, or have fewer rows than there are parts.
    """
    if parts < 1:
        raise DataError(f"parts is a number from 1 on, found {parts}")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = range(parts) if numbers is None else list(numbers)
    settings = (folder, parts, batch_size, dtype)
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
            f"{_listed(failed)} of {parts} could not be made (part {number}: "
            f"{type(error).__name__}: {error}); the others are kept, the same call goes on there"
        ) from error


def read_parts(
    folder: str | os.PathLike[str],
    role: str | Draw,
    *,
    ignore_label: int | None = None,
    **declared: Any,
) -> Sample:
    """Read all parts as one sample, whose features are mapped and whose moments are added.

    Parameters
    ----------
    folder : path
        That :func:`extract_parts` wrote, by however many processes.
    role, ignore_label, **declared
        As in :func:`ncbounds.extract`.

    Raises
    ------
    StoreError
        If parts are missing or damaged, or are of different networks.
    """
    draw = Draw.of(role, **declared)
    found = _all(Path(folder))
    labels = np.concatenate([part.array(LABELS) for part in found])
    unlabelled = draw.role == "unlabelled" and bool((labels < 0).all())
    sample = Sample.from_arrays(
        joined([part.folder / FEATURES for part in found]),
        None if unlabelled else labels,
        role=draw,
        input_hashes=np.concatenate([part.array(HASHES) for part in found]),
        module_disagreements=sum(part.meta["module_disagreements"] for part in found),
        ignore_label=None if draw.role == "unlabelled" else ignore_label,
        rounded=found[0].meta["dtype"] is not None,
    )
    if sample.kept is None and all(part.meta["moments"] for part in found):
        # a cached property finds its value here
        sample.__dict__["moments"] = _added(found).over(sample.classes)
    return sample


def read_moments(folder: str | os.PathLike[str]) -> ClassMoments:
    """Return the class moments of all parts, without looking at a row.

    Raises
    ------
    StoreError
        As :func:`read_parts` does.
    InvalidSample
        If features are not finite, or rows have no labels.
    """
    return _added(_all(Path(folder)))


@dataclass(frozen=True, eq=False)
class _Part:
    folder: Path
    meta: dict[str, Any]

    def array(self, name: str) -> NDArray[Any]:
        """Labels or hashes, checked."""
        found: NDArray[Any] = np.load(self.folder / name, allow_pickle=False)
        if content_hash(found) != self.meta["digests"][name]:
            raise StoreError(_damaged(self.folder, f"{name} is not what was written"))
        return found

    def moments(self) -> ClassMoments:
        """Moments of its rows, checked."""
        if not self.meta["moments"]:
            raise InvalidSample(f"{self.folder} has no moments: {self.meta['no_moments']}")
        with np.load(self.folder / MOMENTS, allow_pickle=False) as file:
            sums = {name: file[name] for name in _SUMS}
        if _sums_hash(sums) != self.meta["digests"][MOMENTS]:
            raise StoreError(_damaged(self.folder, f"{MOMENTS} is not what was written"))
        return ClassMoments(**sums)


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
    batch_size: int,
    dtype: str | None,
) -> None:
    n = row_count(data)
    start, stop = part_rows(n, number, parts)
    if n < parts:
        raise DataError(f"{n} rows make at most {n} parts, found {parts}")
    rows = rows_between(data, start, stop, batch_size)
    first, rows = first_rows_of(rows, batch_size)
    if first is None:
        raise DataError(f"rows {start} to {stop} could not be read")
    taps = declared_taps(classifier.module, HEAD, "average")
    features_at(classifier, rows, first.inputs, taps)  # finds the head
    about = {
        "rows": [start, stop],
        "n": n,
        "parts": parts,
        "network": network_keys(classifier, first.inputs, taps, dtype)[HEAD],
        "dtype": dtype,
    }
    target = out / f"part-{number:05d}-of-{parts:05d}"
    if target.exists():
        _check_same(target, about, first.hashes)
        return
    remove_abandoned(out)
    fresh = unfinished(out)
    try:
        meta = _write(classifier, rows, fresh, start, stop - start, batch_size, dtype)
        write_sealed(fresh / META, {**about, **meta, "identity": classifier.identity})
        sync_folder(fresh)
        try:
            os.rename(fresh, target)
        except OSError:  # another process was faster
            if not (target / META).is_file():
                raise
        sync_folder(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _write(
    classifier: "Classifier",
    rows: Any,
    folder: Path,
    before: int,
    count: int,
    batch_size: int,
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
        digest, differ = stream(classifier, rows, taps, batch_size, {HEAD: keep})
        digests = {FEATURES: grown[0].finish()}
    finally:
        for array in grown:
            array.close()
    labels = np.concatenate(digest.labels)
    if len(labels) != count:
        raise DataError(f"the data gave {len(labels)} rows where {count} were asked for")
    for name, array in ((LABELS, labels), (HASHES, digest.hashes())):
        digests[name] = content_hash(array)
        with open(folder / name, "wb") as file:
            np.save(file, array)
            sync(file)
    why = ""
    try:
        sums = _moments(folder, labels, classifier.head.classes)
        digests[MOMENTS] = _sums_hash(sums)
        with open(folder / MOMENTS, "wb") as file:
            np.savez(file, **sums)  # type: ignore[arg-type]
            sync(file)
    except InvalidSample as error:
        why = str(error)
    sizes = {name: (folder / name).stat().st_size for name in digests}
    return {
        "digests": digests,
        "sizes": sizes,
        "moments": not why,
        "no_moments": why,
        "module_disagreements": differ,
    }


def _moments(folder: Path, labels: NDArray[np.int64], classes: int) -> dict[str, NDArray[Any]]:
    features = np.load(folder / FEATURES, mmap_mode="r", allow_pickle=False)
    found = class_moments(features, labels, max(classes, int(labels.max()) + 1))
    return {name: getattr(found, name) for name in _SUMS}


def _all(folder: Path) -> list[_Part]:
    """All parts of the folder, in order, of which none is missing."""
    sets: dict[int, dict[int, Path]] = {}
    for path in sorted(folder.glob("part-*-of-*")):
        if match := _NAME.fullmatch(path.name):
            sets.setdefault(int(match[2]), {})[int(match[1])] = path
    if not sets:
        raise StoreError(f"{folder} holds no parts; `ncbounds extract` writes them")
    # where it was begun in another number of parts, the complete set is meant
    parts, there = max(sets.items(), key=lambda item: (len(item[1]) == item[0], len(item[1])))
    missing = set(range(parts)) - set(there)
    if missing:
        raise StoreError(
            f"{_listed(missing)} of {parts} in {folder} are missing; the command that wrote the "
            "others goes on there"
        )
    found = [_Part(path, _meta(path)) for _, path in sorted(there.items())]
    for key in ("network", "n", "dtype"):
        if len({part.meta[key] for part in found}) != 1:
            raise StoreError(
                f"parts in {folder} differ in {key}: they are of different extractions"
            )
    return found


def _added(found: list[_Part]) -> ClassMoments:
    """Moments of all rows: those of the parts, added."""
    each = [part.moments() for part in found]
    classes = max(moments.classes for moments in each)
    total = ClassMoments.empty(classes, each[0].dim)
    for moments in each:
        total = total + moments.over(classes)
    return total


def _meta(folder: Path) -> dict[str, Any]:
    meta = read_sealed(folder / META)
    if meta is None:
        raise StoreError(_damaged(folder, f"{META} is not what was written"))
    for name, size in meta["sizes"].items():
        file = folder / name
        there = file.stat().st_size if file.is_file() else None
        if there != size:
            raise StoreError(_damaged(folder, f"{name} had {size} bytes, found {there}"))
    return meta


def _check_same(folder: Path, about: dict[str, Any], first: NDArray[np.uint64]) -> None:
    """See that a part that is there is the one that would be made."""
    meta = _meta(folder)
    other = [key for key, value in about.items() if meta[key] != value]
    hashes = np.load(folder / HASHES, mmap_mode="r", allow_pickle=False)
    if not np.array_equal(hashes[: len(first)], first):
        other.append("data")
    if other:
        raise StoreError(
            f"{folder} is of another extraction (other {', '.join(other)}); write to another folder"
        )


def _sums_hash(sums: dict[str, NDArray[Any]]) -> str:
    return " ".join(content_hash(sums[name]) for name in _SUMS)


def _listed(numbers: Iterable[int]) -> str:
    found = sorted(numbers)
    shown = ", ".join(map(str, found[:8])) + (", ..." if len(found) > 8 else "")
    return f"part {shown}" if len(found) == 1 else f"parts {shown}"


def _damaged(folder: Path, what: str) -> str:
    return f"the part {folder} is damaged: {what}; delete the folder and run again"
