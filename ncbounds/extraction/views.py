"""Views of places on disk: the whole output where it is narrow, else its signed hash."""

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.data.batched import is_pair
from ncbounds.depth.hashing import sign_hash
from ncbounds.depth.probes import BLOCK
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.roles import Role
from ncbounds.evidence.sample import Sample
from ncbounds.extraction.batches import as_array, batches
from ncbounds.extraction.extract import extract
from ncbounds.extraction.places import INPUT, Places
from ncbounds.extraction.running import BATCH_ROWS
from ncbounds.extraction.taps import HASH, HEAD

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier

#: Arrays of size x size that are alive at once: moments of three samples and their solvers.
ARRAYS = 8


def announcement(places: Places, size: int, loaders: Mapping[Role, Any]) -> list[str]:
    """Which places are read, and the disk and memory that this takes."""
    names = ", ".join(places.shapes)
    row = 4 * sum(min(int(np.prod(shape)), size) for shape in places.shapes.values())
    found = [f"{len(places.shapes)} places: {names}"]
    read = list(loaders.values())
    memory = f"memory for moments {8 * ARRAYS * size * size / 2**20:.0f} MiB, whatever the rows"
    if all(map(is_pair, read)):
        n = sum(len(loader[1]) for loader in read)
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
) -> dict[str, Sample]:
    """Views of one sample at all places; the head's features stay whole under ``"head"``."""
    modules = [name for name in places.shapes if name not in (INPUT, HEAD)]
    at = {**dict.fromkeys(modules, f"{HASH}:{size}"), HEAD: "average"}
    found = extract(classifier, loader, draw, store=folder, at=at, **options)
    if INPUT in places.shapes:
        blocks = (
            sign_hash(np.reshape(as_array(x), (len(y), -1)).astype(np.float32), size)
            for x, y in batches(loader, BATCH_ROWS)
        )
        features = _on_disk(blocks, Path(folder))
        if found[HEAD].kept is not None:
            features = features[found[HEAD].kept]
        found[INPUT] = replace(found[HEAD], features=features, tap=INPUT)
    return found


def _on_disk(blocks: Iterable[NDArray[Any]], folder: Path) -> NDArray[Any]:
    """Rows that were written to a nameless file, mapped into memory."""
    width, dtype = 0, np.dtype(np.float32)
    with tempfile.TemporaryFile(dir=folder) as stream:
        for block in blocks:
            width, dtype = block.shape[1], block.dtype
            stream.write(np.ascontiguousarray(block).data)
        stream.flush()
        return np.memmap(stream, dtype=dtype, mode="r").reshape(-1, width)


def counted_rows(view: Sample, head: Sample, counted: Sample, size: int) -> NDArray[Any]:
    """Features of a view on the rows that count, narrow enough.

    ``head`` is the sample at the head as it was read, ``counted`` what the evidence made of it.
    """
    features = view.features
    if counted.n != head.n and counted.kept is not None:  # declared copies count once
        kept = np.arange(head.n) if head.kept is None else head.kept
        features = features[np.searchsorted(kept, counted.kept)]
    if features.shape[1] <= size:
        return features
    blocks = [sign_hash(features[i : i + BLOCK], size) for i in range(0, len(features), BLOCK)]
    return np.concatenate(blocks) if blocks else features[:, :size]
