"""What is computed, fixed before anything is."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ncbounds.bounds.bound import Bound
from ncbounds.data.manifest import Entry
from ncbounds.errors import InvalidSample
from ncbounds.evidence.asked import NOTHING, Asked
from ncbounds.extraction.running import USUAL, Running
from ncbounds.numerics.rounding import part_of
from ncbounds.results import Row


def planned_rows(
    bounds: Iterable[Bound],
    asked: Asked = NOTHING,
    *,
    losses_alone: bool = False,
    several_labels: bool = False,
) -> int:
    """Rows of one checkpoint that spend delta: those of bounds that can be certificates.

    Parameters
    ----------
    bounds : iterable of Bound
    asked : Asked
        What is asked beside the error.
    losses_alone : bool
        Whether losses are all that is known of it.
    several_labels : bool
        Whether points may have several labels.
    """
    known = {"losses_alone": losses_alone, "several_labels": several_labels}
    return sum(len(b.rows_for(asked, **known)) for b in bounds if b.spends_delta)


def listed(rows: Iterable[Row], bounds: "str | Iterable[str | Bound] | None") -> list[Row]:
    """Rows that a report lists of those that a selection gives.

    Where a bound was asked for, a row says that its code word, or a head, was not given, or that it
    is about one class a point; in a default report, where nobody asked, there is no such row.
    """
    default = bounds is None or bounds == "default"
    return [r for r in rows if not (default and "not given" in r.details)]


def check_delta(delta: Any) -> float:
    """Return delta in float64, in which its shares are; raise InvalidSample if not in (0, 1)."""
    if isinstance(delta, str) or not 0.0 < delta < 1.0:
        raise InvalidSample(f"delta is a probability in (0, 1), found {delta!r}; 0.05 is usual")
    return float(delta)


@dataclass(frozen=True)
class Plan:
    """What a run computes; stored as ``run.json``.

    ``asked`` is the selection that ``bounds`` came from, ``identity`` a hash of all checkpoints
    and of what is computed of them, ``running`` how networks are run, ``series`` the number of
    checkpoints of each series. ``for_means`` are bounds that give rows only where a mean of a loss
    is asked for, as it is usually of several labels.
    ``planned`` is the number of rows that spend delta: checkpoints of the manifest times selected
    bounds that can be certificates or conditional, failed ones included. It is fixed before
    anything runs, so that resuming or merging does not change a row's delta.
    """

    out: Path
    bounds: tuple[Bound, ...]
    delta: float
    simultaneous: bool
    planned: int
    asked: "str | tuple[str | Bound, ...] | None" = None
    identity: str = ""
    running: Running = USUAL
    series: Mapping[str, int] = field(default_factory=dict)
    for_means: frozenset[str] = frozenset()

    @property
    def each(self) -> float:
        """Delta of one row."""
        return part_of(self.delta, max(self.planned, 1)) if self.simultaneous else self.delta

    def gives(self, b: Bound, means: Sequence[str]) -> bool:
        """Whether there are rows of a bound where means of these losses are asked for."""
        return bool(means) or b.id not in self.for_means

    def folder(self, entry: Entry) -> Path:
        """Folder of one checkpoint's results."""
        return self.out / "results" / folder_name(entry.name)


#: Characters that some file system or shell does not take, and the one that quotes them.
_QUOTED = re.compile(r"""[\x00-\x1f\x7f"%#*/:<>?\\|\ud800-\udfff]|^\.|[. ]$""")
_LONGEST = 150


def folder_name(name: str) -> str:
    """Name of a folder for a checkpoint's name: another one for another name, never a path."""
    quoted = _QUOTED.sub(lambda found: f"%{ord(found[0]):02X}", name)
    # file systems take names for equal that differ in case or in how a character is composed
    alone = name == unicodedata.normalize("NFKC", name).casefold()
    if name and alone and len(quoted.encode()) <= _LONGEST:
        return quoted
    # '#' is quoted above, so that no other name has this one
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:24]
    return f"{quoted.encode()[:_LONGEST].decode(errors='ignore')}#{mark}"
