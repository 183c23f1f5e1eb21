"""What stands behind the rows of each checkpoint: its head, what was chosen, where it ran."""

from ncbounds.errors import few, printable
from ncbounds.lines import WIDTH, aligned, filled
from ncbounds.report.compact import by_subject
from ncbounds.report.data import ReportData
from ncbounds.results import Row

_HEAD = ("checkpoint", "head", "differs by", "device", "precision", "format", "seconds")


def behind(report: ReportData, width: int = WIDTH) -> list[str]:
    """Lines of a table, one a checkpoint, and what was chosen: an output, weights, a folded head.

    Columns that nothing is known of are left out. ``differs by`` is how far the logits of the head
    that was found are from the network's at most; ``seconds`` those that rows took to compute,
    without the pass through the network.
    """
    subjects = by_subject(report)
    cells = [_HEAD, *(_cells(" ".join(s).rstrip(), rows) for s, rows in subjects.items())]
    used = [i for i in range(len(_HEAD)) if any(line[i] for line in cells[1:])]
    table = [[printable(line[i]) for i in used] for line in cells]
    lines = aligned(table, left=range(len(used) - 1), width=width)
    notes: dict[str, dict[str, None]] = {}
    for (name, _), rows in subjects.items():
        for note in rows[0].provenance.get("checkpoint_notes", ()):
            notes.setdefault(str(note), {})[name] = None
    for note, names in notes.items():
        whom = "all" if len(names) == len({name for name, _ in subjects}) else few(names)
        lines += filled(printable(f"{note}: {whom}"), width)
    return lines


def _cells(name: str, rows: list[Row]) -> tuple[str, ...]:
    about = rows[0].provenance
    off = about.get("head_max_abs_diff")
    head = about.get("head") or ("none" if about.get("no_head") else "")
    said = (str(about.get(key) or "") for key in ("device", "precision", "checkpoint_format"))
    seconds = f"{sum(r.seconds for r in rows):.2f}"
    return (name, str(head), "" if off is None else f"{off:.1e}", *said, seconds)
