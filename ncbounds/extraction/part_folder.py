"""Folders of an extraction in parts: what they hold, and how they are read as one.

::

    part-00003-of-00008/
        features.npy, labels.npy, input_hashes.npy    of these rows
        moments.npz                                   their class moments
        part.json                                     which rows, of which network, and all hashes
    head.npz                                          weight and bias that multiply the features
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import InvalidSample, StoreError
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.roles import LABELS_OPTIONAL
from ncbounds.evidence.sample import Sample
from ncbounds.extraction.content import content_hash
from ncbounds.extraction.joined import joined
from ncbounds.files import read_sealed
from ncbounds.statistics.class_moments import ClassMoments

FEATURES, LABELS, HASHES, MOMENTS, META = (
    *("features.npy", "labels.npy", "input_hashes.npy"),
    *("moments.npz", "part.json"),
)
HEAD_FILE = "head.npz"
#: What each part of one extraction says alike.
_ALIKE = ("network", "identity", "n", "dtype", "precision")
#: Words for what messages would name oddly.
_WORDS = {"identity": "head", "dtype": "--store"}
_NAME = re.compile(r"part-(\d{5})-of-(\d{5})")
SUMS = ("count", "mean", "within", "trace")


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
        That :func:`~ncbounds.extraction.parts.extract_parts` wrote, by however many processes.
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
    unlabelled = draw.role in LABELS_OPTIONAL and bool((labels < 0).all())
    sample = Sample.from_arrays(
        joined([part.folder / FEATURES for part in found]),
        None if unlabelled else labels,
        role=draw,
        input_hashes=np.concatenate([part.array(HASHES) for part in found]),
        module_disagreements=sum(part.meta["module_disagreements"] for part in found),
        ignore_label=None if draw.role in LABELS_OPTIONAL else ignore_label,
        other_rows=any(part.meta.get("other_rows") for part in found),
        rounded=found[0].meta["dtype"] is not None,
        precision=found[0].meta.get("precision"),
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


def holds_parts(folder: Path) -> bool:
    """Whether a folder is one that :func:`read_parts` reads, as far as its names say."""
    return any(_NAME.fullmatch(path.name) for path in folder.glob("part-*-of-*"))


def folders_of_parts(path: Path) -> list[Path]:
    """Folders of parts that a path stands for: itself, or those in it, one for each role."""
    if holds_parts(path):
        return [path]
    return [p for p in sorted(path.iterdir()) if holds_parts(p)] if path.is_dir() else []


def about_parts(folder: str | os.PathLike[str]) -> dict[str, str]:
    """Hash of all that the parts hold, and by what device and in which precision they were made.

    Raises
    ------
    StoreError
        As :func:`read_parts` does.
    """
    found = _all(Path(folder))
    digests = json.dumps([part.meta["digests"] for part in found], sort_keys=True)
    made = {
        name: ", ".join(sorted({str(part.meta.get(name, "not known")) for part in found}))
        for name in ("device", "precision")
    }
    return {"sha256": hashlib.sha256(digests.encode()).hexdigest(), **made}


@dataclass(frozen=True, eq=False)
class Part:
    """One folder, and what its ``part.json`` says."""

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
            sums = {name: file[name] for name in SUMS}
        if sums_hash(sums) != self.meta["digests"][MOMENTS]:
            raise StoreError(_damaged(self.folder, f"{MOMENTS} is not what was written"))
        return ClassMoments(**sums)


def _all(folder: Path) -> list[Part]:
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
    others = [path for number, found in sets.items() if number != parts for path in found.values()]
    if missing:
        raise StoreError(
            f"{listed(missing)} of {parts} in {folder} are missing; the command that wrote the "
            "others goes on there"
        )
    found = [Part(path, _meta(path)) for _, path in sorted(there.items())]
    _check_one_extraction(folder, found, [Part(path, _meta(path)) for path in others])
    return found


def _check_one_extraction(folder: Path, found: list[Part], others: list[Part]) -> None:
    """See that all parts are of one network and one data, those of another number of parts too."""
    for key in _ALIKE:
        if len({part.meta.get(key) for part in (*found, *others)}) != 1:
            raise StoreError(
                f"parts in {folder} differ in {_WORDS.get(key, key)}: they are of different "
                "extractions"
            )
    for name in (LABELS, HASHES) if others else ():
        whole = np.concatenate([part.array(name) for part in found])
        for part in others:
            if not np.array_equal(whole[slice(*part.meta["rows"])], part.array(name)):
                raise StoreError(
                    f"{part.folder} and the {len(found)} parts beside it differ in data: they are "
                    "of different extractions; delete those that are not meant"
                )


def _added(found: list[Part]) -> ClassMoments:
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


def check_same(
    folder: Path, about: dict[str, Any], hashes: NDArray[np.uint64], labels: NDArray[np.int64]
) -> None:
    """See that a part that is there is the one that would be made.

    Raises
    ------
    StoreError
        If it is damaged, or of another network or other data; ``hashes`` and ``labels`` are those
        of its first rows, or of all.
    """
    meta = _meta(folder)
    other = [_WORDS.get(key, key) for key, value in about.items() if meta.get(key) != value]
    for name, rows in ((HASHES, hashes), (LABELS, labels)):
        kept = np.load(folder / name, mmap_mode="r", allow_pickle=False)
        if not np.array_equal(kept[: len(rows)], rows) and "data" not in other:
            other.append("data")
    if other:
        raise StoreError(
            f"{folder} is of another extraction (other {', '.join(other)}); write to another folder"
        )


def sums_hash(sums: dict[str, NDArray[Any]]) -> str:
    """Hash of the sums that moments are made of."""
    return " ".join(content_hash(sums[name]) for name in SUMS)


def listed(numbers: Iterable[int]) -> str:
    """Name parts by their numbers."""
    found = sorted(numbers)
    shown = ", ".join(map(str, found[:8])) + (", ..." if len(found) > 8 else "")
    return f"part {shown}" if len(found) == 1 else f"parts {shown}"


def _damaged(folder: Path, what: str) -> str:
    return f"the part {folder} is damaged: {what}; delete the folder and run again"
