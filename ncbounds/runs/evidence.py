"""From checkpoint files to the evidence about each, to look at one of them closely."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ncbounds.evidence.evidence import Evidence
from ncbounds.extraction.running import AUTO, Running
from ncbounds.runs.compare import evidences
from ncbounds.runs.files import described, of_zoo
from ncbounds.runs.paths import described_by_zoo
from ncbounds.runs.trust import refuse_untrusted


def load_evidence(
    paths: "str | Path | Sequence[str | Path]",
    *,
    only: "str | Sequence[str] | None" = None,
    manifest: "str | Path | None" = None,
    device: str = AUTO,
    precision: str | None = None,
    batch_size: "int | str | None" = None,
    limit: int | None = None,
    **declared: Any,
) -> dict[str, Evidence]:
    """Read, build and run checkpoints, and return what bounds would see of each, by name.

    Nothing is kept on disk; :func:`ncbounds.evaluate_files` and :func:`ncbounds.sweep` go the same
    road and keep it.

    Parameters
    ----------
    paths : path or sequence of paths
        A folder with a ``zoo.toml``, or files that it describes. With ``data=``, files, patterns or
        folders of any place.
    only : str or sequence of str, optional
        Names of checkpoints; by default all.
    manifest : path, optional
        The ``zoo.toml`` of files that lie elsewhere.
    device, precision, batch_size, limit
        How networks are run; see :func:`ncbounds.sweep`.
    **declared
        ``data``, ``model``, ``roles``, ``sampling`` and whatever else
        :func:`ncbounds.evaluate_files` declares, where no manifest does.

    Raises
    ------
    NcboundsError
        If a checkpoint cannot be read or built, or its data not be read.
    """
    typed = [paths] if isinstance(paths, str | Path) else list(paths)
    running = Running(device, precision, batch_size=batch_size, limit=limit)
    names = None
    if "data" in declared and not described_by_zoo(typed, manifest):
        book = described(typed, **declared)
    else:
        book, names = of_zoo(typed, manifest, **declared)
    entries = book.chosen([only] if isinstance(only, str) else names if only is None else only)
    refuse_untrusted(book, entries)
    return evidences(book, [entry.name for entry in entries], running)
