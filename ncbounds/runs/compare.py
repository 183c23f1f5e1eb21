"""From stored runs and checkpoints to candidates."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ncbounds.comparison.candidates import Candidate
from ncbounds.comparison.comparison import Comparison
from ncbounds.comparison.stored import judged_beside, stored_candidates
from ncbounds.data.manifest import Manifest
from ncbounds.errors import DataError
from ncbounds.evidence.evidence import Evidence
from ncbounds.extraction.running import Running
from ncbounds.files import write_text
from ncbounds.report import load_report
from ncbounds.runs.own_data import kept_by_name
from ncbounds.runs.subject import evidence_of
from ncbounds.tables.programs import csv_text


def is_run(path: Path) -> bool:
    """Whether a folder holds stored results."""
    return (path / "report.json").is_file()


def of_runs(
    folders: Sequence[Path], names: Sequence[str] = (), role: str = "holdout"
) -> tuple[list[Candidate], int]:
    """Candidates of stored runs, and how many more were judged on such rows.

    What a candidate costs is the size of its file, where that is left.

    Parameters
    ----------
    folders : sequence of path
    names : sequence of str
        Checkpoints, by default all; in several runs each is called ``RUN/CHECKPOINT``.
    role : str

    Raises
    ------
    NcboundsError
        If a run cannot be read, or keeps no such errors.
    """
    facts: dict[str, Any] = {}
    costs, beside = {}, 0
    for folder in folders:
        report = load_report(folder)
        beside += report.left_out.get(role, 0)
        for name, known in report.facts.items():
            called = name if len(folders) == 1 else f"{folder.name}/{name}"
            if called in facts:
                raise DataError(f"two checkpoints are called {called}; name the runs differently")
            facts[called] = known
            file = folder / str(known.get("file", ""))
            if file.is_file():
                costs[called] = float(file.stat().st_size)
    found = stored_candidates(facts, names, role, costs)
    return found, beside + judged_beside(facts, [c.name for c in found], role)


def evidences(book: Manifest, names: Sequence[str], running: Running) -> dict[str, Evidence]:
    """Evidence of checkpoints of a manifest, one after the other, by name.

    Raises
    ------
    NcboundsError
        If a checkpoint cannot be read or built, or its data not be read.
    """
    book = kept_by_name(book)
    chosen = {name: book.checkpoints[name] for name in names}
    return {n: evidence_of(e, book.tasks[e.task], None, running) for n, e in chosen.items()}


def write_comparison(found: Comparison, folder: Path) -> list[str]:
    """Write pairs, candidates and the words into a folder; returns the names of the files."""
    written = {
        "pairs.csv": csv_text(found.to_frame()),
        "candidates.csv": csv_text(found.to_candidates()),
        "comparison.txt": f"{found}\n",
    }
    for name, text in written.items():
        write_text(folder / name, text)
    return list(written)
