"""The long table: one row per checkpoint, bound, sample and parameters."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncbounds.errors import NcboundsError
from ncbounds.files import write_text
from ncbounds.report.cells import interval, legend, shown_params, shown_value
from ncbounds.report.columns import COLUMNS, record
from ncbounds.report.views.latex import escaped
from ncbounds.report.views.markdown import READING
from ncbounds.results import MARK, BoundResult, Row, result_from_dict

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Failure:
    """A checkpoint that could not be evaluated, and why."""

    checkpoint: str
    reason: str


@dataclass(frozen=True, eq=False)
class Report:
    """Results of one or many checkpoints.

    Attributes
    ----------
    rows : tuple of results
    failures : tuple of Failure
    facts : dict from checkpoint to what is known about it
        Group, sizes, head, collapse metrics, provenance.
    simultaneous : bool
        Whether delta was divided over all rows, so that they hold together.
    """

    rows: tuple[Row, ...]
    failures: tuple[Failure, ...] = ()
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    simultaneous: bool = False

    def __init__(
        self,
        rows: Iterable[Row],
        failures: Iterable[Failure] = (),
        facts: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        simultaneous: bool = False,
    ) -> None:
        object.__setattr__(self, "rows", tuple(rows))
        object.__setattr__(self, "failures", tuple(failures))
        object.__setattr__(self, "facts", dict(facts or {}))
        object.__setattr__(self, "simultaneous", simultaneous)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, bound: str) -> "Report":
        """Return the rows of one bound."""
        kept = [r for r in self.rows if r.bound == bound]
        if not kept:
            from ncbounds.errors import UnknownName, suggest

            names = sorted({r.bound for r in self.rows})
            raise UnknownName(f"no rows of bound {bound!r}; {suggest(bound, names)}")
        return Report(kept, facts=self.facts, simultaneous=self.simultaneous)

    def best_certificate(self, checkpoint: str | None = None) -> BoundResult:
        """Smallest certificate about the saved classifier.

        Raises
        ------
        NcboundsError
            If rows do not hold together (each spent its own delta), or there is no certificate.
        """
        found = [
            r
            for r in self.rows
            if isinstance(r, BoundResult)
            and r.kind == "certificate"
            and r.target == "saved"
            and not r.qualifier
            and (checkpoint is None or r.checkpoint == checkpoint)
        ]
        if len(found) > 1 and not self.simultaneous:
            raise NcboundsError(
                f"the smallest of {len(found)} certificates that each hold with their own delta is "
                "no certificate; evaluate with simultaneous=True (--simultaneous)"
            )
        if not found:
            raise NcboundsError("no certificate about the saved classifier in this report")
        return min(found, key=lambda r: r.value)

    def whatif(self, *, n: int | None = None, delta: float | None = None) -> "Report":
        """Return rows as they would be with ``n`` points or another ``delta``.

        Only rows whose value follows from n, delta and reported terms; measured terms (an error
        rate, a Gibbs loss at the reported posterior) are kept as they are, so a new row is a
        plug-in and says so. At its own n and delta a row has its own value. Rows that rest on
        quantities that another sample would change are left out; ``failures`` says why.

        Parameters
        ----------
        n : int, optional
            Number of points that the row's confidence term divides by, the row's ``n``; for a row
            that counts held-out points, as many points for the same head.
        delta : float in (0, 1), optional

        Raises
        ------
        InvalidSample
            If n or delta is impossible.
        """
        from ncbounds.report.whatif import whatif

        return whatif(self, n=n, delta=delta)

    def to_frame(self) -> "pd.DataFrame":
        """Return a frame with :data:`COLUMNS`; a failed checkpoint is one row with its reason."""
        import pandas as pd

        records = [record(r) for r in self.rows]
        records += [{"checkpoint": f.checkpoint, "reasons": f.reason} for f in self.failures]
        frame = pd.DataFrame.from_records(records, columns=list(COLUMNS))
        return frame.astype({"n": "Int64"})  # a failed checkpoint has no n

    def to_csv(self, path: "str | Path | None" = None) -> str:
        """Write (and return) :meth:`to_frame` as CSV with full precision."""
        return _write(self.to_frame().to_csv(index=False, lineterminator="\n"), path)

    def to_markdown(self, path: "str | Path | None" = None) -> str:
        """Write (and return) a table for reading, as Markdown."""
        cells = [list(READING), ["---"] * 6 + ["---:"] * 3, *self._reading()]
        lines = ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in cells]
        return _write("\n".join([*lines, "", legend(), ""]), path)

    def to_latex(self, path: "str | Path | None" = None) -> str:
        r"""Write (and return) a booktabs ``longtable`` for reading.

        It compiles in a document that loads ``booktabs``, ``longtable`` and ``amssymb``.
        """
        head = " & ".join(READING) + r" \\"
        body = [" & ".join(escaped(c) for c in row) + r" \\" for row in self._reading()]
        text = "\n".join(
            [
                r"% needs \usepackage{booktabs,longtable,amssymb}",
                r"\begin{longtable}{llllllrrr}",
                r"\toprule",
                head,
                r"\midrule",
                r"\endhead",
                *body,
                r"\bottomrule",
                r"\end{longtable}",
                "",
            ]
        )
        return _write(text, path)

    def to_html(self, path: "str | Path | None" = None) -> str:
        """Write (and return) one self-contained page: no script, no outside resource."""
        from ncbounds.report.views.html import render

        return _write(render(self), path)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form with all terms, details and provenance."""
        return {
            "rows": [r.to_dict() for r in self.rows],
            "failures": [vars(f) for f in self.failures],
            "facts": dict(self.facts),
            "simultaneous": self.simultaneous,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Report":
        """Rebuild a report from :meth:`to_dict`."""
        return cls(
            [result_from_dict(r) for r in data["rows"]],
            [Failure(**f) for f in data["failures"]],
            data["facts"],
            simultaneous=data["simultaneous"],
        )

    def __repr__(self) -> str:
        names = {r.checkpoint for r in self.rows}
        many = "checkpoint" if len(names) == 1 else "checkpoints"
        head = f"Report: {len(self.rows)} rows, {len(names)} {many}"
        lines = [
            f"  {MARK[r.kind]} {shown_value(r):>8}  {r.bound} {shown_params(r)} "
            f"[{r.role}, {r.target}]"
            for r in self.rows[:40]
        ]
        more = [f"  ... {len(self.rows) - 40} more"] if len(self.rows) > 40 else []
        return "\n".join([head, *lines, *more, legend()])

    def _repr_html_(self) -> str:
        from ncbounds.report.views.html import fragment

        return fragment(self)

    def _reading(self) -> Iterator[list[str]]:
        for r in self.rows:
            test = "" if r.test is None else interval(r.test.error, r.test.low, r.test.high)
            yield [
                r.checkpoint,
                r.bound,
                shown_params(r),
                f"{MARK[r.kind]} {r.kind}",
                r.target,
                r.role,
                str(r.n),
                shown_value(r),
                test,
            ]
        for f in self.failures:
            yield [f.checkpoint, f.reason, *[""] * 7]


def load_report(path: "str | Path") -> Report:
    """Read back ``report.json`` of a run folder, or such a file."""
    path = Path(path)
    path = path / "report.json" if path.is_dir() else path
    try:
        return Report.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise NcboundsError(f"no stored report at {path}; run `ncbounds evaluate` first") from None


def _write(text: str, path: "str | Path | None") -> str:
    if path is not None:
        write_text(Path(path), text)
    return text
