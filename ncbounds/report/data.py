"""What a report holds; views read this and nothing else."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from ncbounds.results import Row


@dataclass(frozen=True)
class Failure:
    """A checkpoint that could not be evaluated, and why; ``series`` and ``step`` as in a row."""

    checkpoint: str
    reason: str
    series: str = ""
    step: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able fields, without those that say nothing."""
        said = {k: v for k, v in vars(self).items() if v != "" and v == v}
        return {"checkpoint": self.checkpoint, "reason": self.reason, **said}


@dataclass(frozen=True, eq=False)
class ReportData:
    """Results of one or many checkpoints.

    Attributes
    ----------
    rows : tuple of results
    failures : tuple of Failure
    facts : dict from checkpoint to what is known about it
        Group, sizes, head, collapse metrics, provenance; margins and pairs of classes may be made
        when they are read.
    simultaneous : bool
        Whether delta was divided over all rows, so that they hold together.
    planned : int
        Number of rows that delta is, or would be, divided over; 0 if it is not known.
    plan : str
        Hash of what was to be computed, which parts of one run have in common; empty if it is not
        known.
    left_out : mapping from role to int
        Checkpoints judged on such rows that this part of a report does not show: what is shown may
        have been picked among them by looking.
    """

    rows: tuple[Row, ...]
    failures: tuple[Failure, ...] = ()
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    simultaneous: bool = False
    planned: int = 0
    plan: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __init__(
        self,
        rows: Iterable[Row],
        failures: Iterable[Failure] = (),
        facts: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        simultaneous: bool = False,
        planned: int = 0,
        plan: str = "",
        left_out: Mapping[str, int] | None = None,
    ) -> None:
        object.__setattr__(self, "rows", tuple(rows))
        object.__setattr__(self, "failures", tuple(failures))
        object.__setattr__(self, "facts", dict(facts or {}))
        object.__setattr__(self, "simultaneous", simultaneous)
        object.__setattr__(self, "planned", planned)
        object.__setattr__(self, "plan", plan)
        object.__setattr__(self, "left_out", dict(left_out or {}))

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def with_facts(self, more: Mapping[str, Mapping[str, Any]]) -> Self:
        """Return the same report with more facts about some of its checkpoints."""
        if not more:
            return self
        facts = {name: {**about, **more.get(name, {})} for name, about in self.facts.items()}
        return replace(self, facts=facts)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form with all terms, details and provenance."""
        return {
            "rows": [r.to_dict() for r in self.rows],
            "failures": [f.to_dict() for f in self.failures],
            "facts": {name: dict(about) for name, about in self.facts.items()},
            "simultaneous": self.simultaneous,
            "planned": self.planned,
            "plan": self.plan,
            **({"left_out": dict(self.left_out)} if self.left_out else {}),
        }
