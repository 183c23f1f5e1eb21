"""What stands behind the rows of each checkpoint: its head, the output that was read, where it ran."""

from collections.abc import Mapping
from typing import Any

from ncbounds.errors import printable
from ncbounds.lines import WIDTH, aligned
from ncbounds.report.compact import by_subject
from ncbounds.report.data import ReportData
from ncbounds.results import Row

_HEAD = ("checkpoint", "head", "differs by", "output", "device", "precision", "format", "seconds")


def behind(report: ReportData, width: int = WIDTH) -> list[str]:
    """Lines of a table, one a checkpoint; columns that nothing is known of are left out.

    ``differs by`` is how far the logits of the head that was found are from the network's at most;
    ``seconds`` those that rows took to compute, without the pass through the network.
    """
    cells = [_HEAD, *(_cells(" ".join(s).rstrip(), rows) for s, rows in by_subject(report).items())]
    filled = [i for i in range(len(_HEAD)) if any(line[i] for line in cells[1:])]
    table = [[printable(line[i]) for i in filled] for line in cells]
    return aligned(table, left=range(len(filled) - 1), width=width)


def _cells(name: str, rows: list[Row]) -> tuple[str, ...]:
    about = rows[0].provenance
    off = about.get("head_max_abs_diff")
    return (
        name,
        _said(about, "head") or ("none" if about.get("no_head") else ""),
        "" if off is None else f"{off:.1e}",
        _said(about, "output"),
        _said(about, "device"),
        _said(about, "precision"),
        _said(about, "checkpoint_format"),
        f"{sum(r.seconds for r in rows):.2f}",
    )


def _said(about: Mapping[str, Any], key: str) -> str:
    found = about.get(key)
    return "" if found is None else str(found)
