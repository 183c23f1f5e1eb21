"""Batches on their way to a device: by how many processes they are read, and how far ahead."""

import threading
from collections.abc import Iterator
from queue import Full, Queue
from typing import Any

from ncbounds.extraction.batches import FirstRows

#: Batches that are read before they are needed.
AHEAD = 3
_PATIENCE = 0.2  # seconds between two looks whether anybody still wants them
_END = object()


def with_workers(loader: Any, workers: int | None) -> Any:
    """Return a plain ``DataLoader`` anew with other reading processes; anything else as it is.

    One of an iterable data set stays as well: its processes would each read all of it.
    """
    if isinstance(loader, FirstRows):
        return FirstRows(with_workers(loader.loader, workers), loader.limit)
    from torch.utils.data import DataLoader

    batched = type(loader) is DataLoader and loader.batch_sampler is not None
    if workers is None or not batched or workers == loader.num_workers:
        return loader
    return DataLoader(
        loader.dataset,
        batch_sampler=loader.batch_sampler,
        collate_fn=loader.collate_fn,
        num_workers=workers,
        worker_init_fn=loader.worker_init_fn,
        generator=loader.generator,
        multiprocessing_context=loader.multiprocessing_context if workers else None,
    )


def read_ahead(batches: Iterator[Any]) -> Iterator[Any]:
    """Yield the same, read by a thread of its own a few batches ahead.

    What it raises is raised here; it ends when nobody reads on.
    """
    found: Queue[tuple[Any, BaseException | None]] = Queue(AHEAD)
    wanted = threading.Event()
    wanted.set()

    def put(item: tuple[Any, BaseException | None]) -> None:
        while wanted.is_set():
            try:
                return found.put(item, timeout=_PATIENCE)
            except Full:
                continue

    def read() -> None:
        try:
            for batch in batches:
                put((batch, None))
                if not wanted.is_set():
                    return
        except BaseException as error:  # a person's loader may raise anything
            put((None, error))
        else:
            put((_END, None))

    thread = threading.Thread(target=read, daemon=True, name="ncbounds (read)")
    thread.start()
    try:
        while True:
            batch, error = found.get()
            if error is not None:
                raise error
            if batch is _END:
                return
            yield batch
    finally:
        wanted.clear()
        thread.join()
