"""Look in a store for what a network gives, knowing as little of the data as is needed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import StoreError
from ncbounds.extraction.batches import DataDigest, Labels, batches, data_parts, iter_again
from ncbounds.extraction.running import BATCH_ROWS
from ncbounds.extraction.store import Stored, points_of, read_stored, store_key
from ncbounds.extraction.stream import count_disagreements, tensors
from ncbounds.extraction.taps import HEAD, Pooling

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier

CONFIRMED_ROWS = 32
CONFIRMED_SHARE = 1e-3  # of the largest feature: rounding differs with the batch size
HEAD_ROWS = 4096  # that go through a head at once
CHANGED = (
    "the data changed under the same key_parts, or a file or variable that the code of the network "
    "reads did: delete the store (the folder store/ of a run) and run again"
)


@dataclass(frozen=True, eq=False)
class Beginning:
    """The first rows of some data, read before the others.

    ``inputs`` in the form in which a network takes them, with ``labels`` and ``hashes`` of k rows.
    """

    inputs: Any
    labels: Labels
    hashes: NDArray[np.uint64]


def beginning_of(loader: Any, batch_size: int | str | None) -> tuple[Beginning | None, Any]:
    """Read the first rows; return them, None if there are none, and what to read all rows from."""
    from ncbounds.checkpoints.head.trace import first_rows

    again = iter_again(loader)
    size = batch_size if isinstance(batch_size, int) else BATCH_ROWS
    source = batches(loader, min(size, CONFIRMED_ROWS) if again else size)
    batch = next(source, None)
    if batch is None:
        return None, loader
    small = first_rows(tensors(batch[0]), CONFIRMED_ROWS)
    digest = DataDigest()
    digest.add(small, batch[1][:CONFIRMED_ROWS])
    found = Beginning(small, digest.labels[0], digest.hashes())
    return found, loader if again else chain([batch], source)


def look_up(
    classifier: "Classifier",
    loader: Any,
    first: Beginning,
    fresh: Mapping[str, NDArray[Any]],
    networks: Mapping[str, str],
    store: str | os.PathLike[str],
    key_parts: Mapping[str, Any] | None,
) -> dict[str, Stored]:
    """Return what the store has of each place; ``fresh`` are features of the first rows there.

    Data without ``key_parts`` is read through for its hash only where the store has something that
    begins with the same rows.

    Raises
    ------
    StoreError
        If what is stored is damaged, or is not what the network gives for the first rows.
    """
    from ncbounds.checkpoints.head.arithmetic import rounding_share

    if key_parts is None:
        begun = any(_begins(store, network, first) for network in networks.values())
        if not begun or not iter_again(loader):
            return {}
        key_parts = data_parts(loader)
    data = store_key(key_parts)
    found = {name: read_stored(store, network, data) for name, network in networks.items()}
    kept = {name: stored for name, stored in found.items() if stored is not None}
    share = max(CONFIRMED_SHARE, rounding_share(classifier.module))
    for name, stored in kept.items():
        if stored.meta.get("other_rows"):  # the first rows are those of another draw
            continue
        _confirm(stored.features[: len(fresh[name])], fresh[name], share)
    return kept


def disagreements(classifier: "Classifier", kept: Stored) -> int | None:
    """Rows where the module's own argmax differs from that of the float64 head; None if unknown.

    Features that were stored with another head of the same backbone go through this one.
    """
    if kept.meta.get("identity", classifier.identity) == classifier.identity:
        count: int | None = kept.meta.get("module_disagreements")
        return count
    if kept.meta.get("rounded"):
        return None
    import torch

    found, n = 0, len(kept.features)
    for start in range(0, n, HEAD_ROWS):
        block = torch.from_numpy(np.array(kept.features[start : start + HEAD_ROWS]))
        block = block.to(classifier.device)
        logits = classifier.logits_of(block)
        found += int(count_disagreements(logits, classifier.head_logits(block)))
    return found


def check_rows(kept: Mapping[str, Stored]) -> None:
    """See that all places were read on the same points, some of them perhaps at another time."""
    first, *others = kept.values()
    for other in others:
        if not (
            np.array_equal(first.input_hashes, other.input_hashes)
            and np.array_equal(first.labels, other.labels)
        ):
            raise StoreError(f"two places of the network were read on different points; {CHANGED}")


def _begins(store: str | os.PathLike[str], network: str, first: Beginning) -> bool:
    return any(
        np.array_equal(hashes[: len(first.hashes)], first.hashes)
        and np.array_equal(labels[: len(first.labels)], first.labels)
        for labels, hashes in points_of(store, network)
    )


def _confirm(stored: NDArray[Any], fresh: NDArray[Any], share: float) -> None:
    """See that stored features of the first rows are what the network gives."""
    scale = float(np.abs(fresh[np.isfinite(fresh)]).max(initial=0.0))
    if stored.shape != fresh.shape or not np.allclose(
        stored, fresh, rtol=0.0, atol=share * scale, equal_nan=True
    ):
        raise StoreError(
            f"stored features differ from what the network gives for the first rows; {CHANGED}"
        )


def network_keys(
    classifier: "Classifier",
    batch: Any,
    taps: Mapping[str, Pooling],
    dtype: str | None = None,
) -> dict[str, str]:
    """Key of the network up to each place, with what its features are rounded to.

    Its head is no part of it.
    """
    backbone = classifier.backbone(batch)
    common = {"classifier": backbone} if dtype is None else {"classifier": backbone, "dtype": dtype}
    return {name: store_key({**common, **place(tap)}) for name, tap in taps.items()}


def place(tap: Pooling) -> dict[str, Any]:
    """Key parts of a place; the head's input has none, since it is a plain extraction."""
    return {} if tap.name == HEAD else {"tap": tap.name, "pool": tap.pool}
