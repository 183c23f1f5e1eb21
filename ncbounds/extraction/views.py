"""Views of places on disk: the whole output where it is narrow, else its signed hash."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.data.batched import is_pair
from ncbounds.depth.hashing import sign_hash
from ncbounds.depth.probes import BLOCK
from ncbounds.errors import DataError
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.roles import LABELS_OPTIONAL, Role
from ncbounds.evidence.sample import Sample
from ncbounds.extraction.batches import DataDigest, as_array, batches, first_rows
from ncbounds.extraction.extract import extract
from ncbounds.extraction.places import INPUT, Places
from ncbounds.extraction.taps import HASH, HEAD
from ncbounds.extraction.tokens import MEAN

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier

#: Arrays of size x size that are alive at once: moments of three samples and their solvers.
ARRAYS = 8


def announcement(
    places: Places,
    size: int,
    loaders: Mapping[Role, Any],
    limit: int | None = None,
    store_dtype: str | None = None,
) -> list[str]:
    """Which places are read, and the disk and memory that this takes."""
    names = ", ".join(places.shapes)
    row = (4 if store_dtype is None else 2) * sum(
        min(int(np.prod(shape)), size) for shape in places.shapes.values()
    )
    found = [f"{len(places.shapes)} places: {names}"]
    read = list(loaders.values())
    memory = f"memory for moments {8 * ARRAYS * size * size / 2**20:.0f} MiB, whatever the rows"
    if all(map(is_pair, read)):
        n = sum(min(len(loader[1]), limit or len(loader[1])) for loader in read)
        return [*found, f"views of {n} rows: {n * row / 2**20:.0f} MiB of disk; {memory}"]
    return [*found, f"views: {row / 2**10:.1f} KiB of disk a row; {memory}"]


def read_views(
    classifier: "Classifier",
    loader: Any,
    draw: Draw,
    places: Places,
    size: int,
    folder: str | os.PathLike[str],
    options: Mapping[str, Any],
    token: str = MEAN,
) -> dict[str, Sample]:
    """Views of one sample at all places; the head's features stay whole under ``"head"``."""
    modules = [name for name in places.shapes if name not in (INPUT, HEAD)]
    pool = f"{HASH}:{size}" + ("" if token == MEAN else f"@{token}")
    at = {**dict.fromkeys(modules, pool), HEAD: "average"}
    found = extract(classifier, loader, draw, store=folder, at=at, **options)
    if INPUT in places.shapes:
        read = first_rows(loader, options.get("limit"))
        found[INPUT] = _input_view(read, found[HEAD], size, Path(folder))
    return found


def _input_view(loader: Any, head: Sample, size: int, folder: Path) -> Sample:
    """Views of the inputs of the rows of a sample.

    Raises
    ------
    DataError
        If the data are in another order, or others, when they are read once more.
    """
    digest = DataDigest()

    features = _on_disk(_hashed_inputs(loader, size, digest), folder)
    hashes = digest.hashes()
    if head.kept is not None:
        features, hashes = features[head.kept], hashes[head.kept]
    if head.input_hashes is None or not np.array_equal(hashes, head.input_hashes):
        raise DataError(
            f"the {head.role} loader gives other inputs, or another order, each time that it is "
            "read; pass it with shuffle=False and without augmentation"
        )
    return replace(head, features=features, tap=INPUT)


def _hashed_inputs(loader: Any, size: int, digest: DataDigest) -> Iterator[NDArray[Any]]:
    """Views of inputs, batch by batch, whose rows and labels ``digest`` is told."""
    for inputs, labels in batches(loader):
        digest.add(inputs, labels)
        rows = np.reshape(as_array(inputs), (len(labels), -1))
        yield sign_hash(rows.astype(np.float32), size)


def one_view(
    classifier: "Classifier | None",
    loader: Any,
    draw: Draw,
    place: str,
    size: int,
    folder: str | os.PathLike[str],
    options: Mapping[str, Any],
) -> Sample:
    """View of ``size`` coordinates of one sample at one place; inputs need no network."""
    if place == INPUT:
        digest = DataDigest()
        features = np.concatenate(list(_hashed_inputs(loader, size, digest)))
        labels = np.concatenate(digest.labels)
        return Sample.from_arrays(
            features,
            None if draw.role in LABELS_OPTIONAL else labels,
            role=draw,
            input_hashes=digest.hashes(),
            tap=INPUT,
            ignore_label=None if draw.role in LABELS_OPTIONAL else options.get("ignore_label"),
        )
    if classifier is None:
        raise DataError(f"{place} is a layer of a network, and none is given")
    views = read_views(classifier, loader, draw, Places({place: ()}, 1), size, folder, options)
    return replace(
        views[place], features=counted_rows(views[place], views[HEAD], views[HEAD], size)
    )


def _on_disk(blocks: Iterable[NDArray[Any]], folder: str | os.PathLike[str] | None) -> NDArray[Any]:
    """Rows that were written to a nameless file, mapped into memory."""
    width, dtype = 0, np.dtype(np.float32)
    with tempfile.TemporaryFile(dir=folder) as stream:
        for block in blocks:
            width, dtype = block.shape[1], block.dtype
            stream.write(np.ascontiguousarray(block).data)
        stream.flush()
        return np.memmap(stream, dtype=dtype, mode="r").reshape(-1, width)


def counted_rows(
    view: Sample,
    head: Sample,
    counted: Sample,
    size: int,
    folder: str | os.PathLike[str] | None = None,
) -> NDArray[Any]:
    """Features of a view on the rows that count, narrow enough.

    ``head`` is the sample at the head as it was read, ``counted`` what the evidence made of it.
    What is hashed only now goes to a nameless file in ``folder``.
    """
    features = view.features
    if counted.n != head.n and counted.kept is not None:  # declared copies count once
        kept = np.arange(head.n) if head.kept is None else head.kept
        features = features[np.searchsorted(kept, counted.kept)]
    if features.shape[1] <= size:
        return features
    if not len(features):
        return features[:, :size]
    starts = range(0, len(features), BLOCK)
    return _on_disk((sign_hash(features[i : i + BLOCK], size) for i in starts), folder)
