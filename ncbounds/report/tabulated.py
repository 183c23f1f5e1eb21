"""Tables of a report: one line a checkpoint, or a row, for papers, notebooks and programs."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ncbounds.errors import MissingEvidence, UnknownName, suggest
from ncbounds.evidence.asked import WORST
from ncbounds.report.averaged import averaged, words
from ncbounds.report.cells import shown_params
from ncbounds.report.columns import ALL, Column, frame, readable
from ncbounds.report.compact import Subject, by_subject
from ncbounds.report.data import ReportData
from ncbounds.report.grouping import Named, check_lots, difference, grouped, lots
from ncbounds.report.legend import QUOTED, kinds_in, legend, signs, spent
from ncbounds.report.saved import quotable
from ncbounds.report.sources import Entry, sources
from ncbounds.report.steps import cells as step_cells
from ncbounds.report.steps import frame as step_frame
from ncbounds.report.steps import steps_of
from ncbounds.report.trend import words_of
from ncbounds.results import MARK, BoundResult, Kind, Row
from ncbounds.tables import Block, Cell, Head, Table, joined_table

if TYPE_CHECKING:
    import pandas as pd

#: What a line may be about.
ROWS = ("checkpoint", "row", "step")


def tabulated(
    report: ReportData,
    rows: str = "checkpoint",
    columns: Sequence[str] | None = None,
    group: Named | None = None,
    kinds: str | Iterable[str] = ("certificate",),
    claim: str | None = None,
    *,
    over: Named | None = None,
    caption: str | None = None,
    label: str = "tab:ncbounds",
    width: str | float = "text",
) -> Table:
    """Make a table; see :meth:`ncbounds.report.report.Report.table`."""
    if rows not in ROWS:
        raise UnknownName(f"no lines {rows!r}; {suggest(rows, [*ROWS])}")
    asked = _kinds(kinds)
    kept = _kept(report, asked, claim)
    if rows == "step":
        return _by_step(report, caption, label, width)
    if rows == "row":
        made = _by_row(kept, columns)
    else:
        made = _by_checkpoint(report, kept, columns, group, claim, over)
    said = [spent(kept.rows, simultaneous=report.simultaneous), *made.notes]
    if report.rows and not kept.rows:
        said.append(f"There is no {' or '.join(asked)} in this report.")
    said += [f"Not evaluated: {f.checkpoint}: {f.reason}" for f in report.failures]
    return replace(
        made.tidied(),
        notes=tuple(filter(None, said)),
        quoted=QUOTED[report.simultaneous],
        caption=_caption(report, asked, claim) if caption is None else caption,
        label=label,
        width=width,
    )


def _caption(report: ReportData, kinds: Sequence[Kind], claim: str | None) -> str:
    many = len({r.checkpoint for r in report.rows})
    what = "Certified bounds" if kinds == ("certificate",) else "Bounds"
    errors = "the error" if claim in (None, "error") else f"the error ({claim})"
    return f"{what} of {errors}, beside what was measured, of {many} checkpoint{'s' * (many != 1)}"


def _kinds(kinds: str | Iterable[str]) -> tuple[Kind, ...]:
    """Kinds by their names, or all of them."""
    if kinds == "all":
        return tuple(MARK)
    asked = [kinds] if isinstance(kinds, str) else list(kinds)
    for kind in asked:
        if kind not in MARK:
            raise UnknownName(f"no kind {kind!r}; {suggest(kind, ['all', *MARK])}")
    return tuple(kind for kind in MARK if kind in asked)


def claim_of(r: Row) -> str:
    """Whose error a row speaks about, in a word; that of the saved classifier is ``"error"``."""
    asked = r.params.get("loss") or r.params.get("per") or r.qualifier
    return str(asked) if asked else "error" if r.target == "saved" else r.target


def _kept(report: ReportData, kinds: Sequence[str], claim: str | None) -> ReportData:
    """Rows of these kinds, about this claim."""
    if claim is not None:
        claim = WORST if claim == "worst" else claim
        known = list(dict.fromkeys(claim_of(r) for r in report.rows))
        if claim not in known:
            raise UnknownName(f"no row is about {claim!r}; {suggest(claim, known)}")
    rows = (r for r in report.rows if r.kind in kinds and claim in (None, claim_of(r)))
    return replace(report, rows=tuple(rows))


def _by_checkpoint(
    report: ReportData,
    kept: ReportData,
    columns: Sequence[str] | None,
    group: Named | None,
    claim: str | None,
    over: Named | None,
) -> Table:
    """One line a checkpoint, or a lot of checkpoints that differ in ``over`` alone."""
    found = sources(report, kept, columns, claim)
    rows, shown = by_subject(report), by_subject(kept)
    if over is not None:
        check_lots(report, over)
    counted = "seeds" if over == "seed" else "checkpoints"

    def entries(s: Subject) -> list[Entry]:
        mine = shown.get(s, [])
        best = quotable(mine, simultaneous=report.simultaneous)
        return [c.entry(s, rows[s], mine, best) for c in found]

    blocks: list[Block] = []
    records: list[dict[str, Any]] = []
    for title, subjects in grouped(report, group).items():
        alone = [(" ".join(s).rstrip(), [s]) for s in subjects]
        lines = []
        for name, lot in alone if over is None else lots(report, subjects, over):
            of = [Entry(Cell(str(len(lot))), len(lot), {counted: len(lot)})] if over else []
            line = [*of, *(averaged(same) for same in zip(*map(entries, lot), strict=True))]
            lines.append((Cell(name), *(e.cell for e in line)))
            values = {key: value for e in line for key, value in e.values.items()}
            records.append(({"group": title} if title else {}) | {"checkpoint": name} | values)
        blocks.append(Block(title, tuple(lines)))
    heads = [Head("checkpoint", right=False), *([Head(counted)] if over else [])]
    measured = [i for i, c in enumerate(found, len(heads)) if c.measured]
    # a mean has its spread in place of the interval
    heads += [
        Head(c.title.partition(" [")[0] if over and c.measured else c.title, c.family)
        for c in found
    ]
    return Table(
        tuple(heads),
        tuple(blocks),
        partial(_frame, records),
        (
            *_notes(blocks, [c.explained for c in found if c.explained]),
            *([] if over is None else [words(difference(report, over))]),
        ),
        keep=(0, *measured),
    )


def _notes(blocks: Sequence[Block], explained: Sequence[str]) -> tuple[str, ...]:
    texts = [cell.text for b in blocks for line in b.lines for cell in line[1:]]
    told = "; ".join(signs(texts)).replace("\N{NO-BREAK SPACE}", " ")
    said = [legend(kinds_in(texts)), f"{told[:1].upper()}{told[1:]}", ", ".join(explained)]
    return tuple(said)


def _frame(records: Sequence[dict[str, Any]]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame.from_records(list(records))


def _by_row(kept: ReportData, names: Sequence[str] | None) -> Table:
    """One line a row of the report, under the name of its checkpoint."""
    left_out = ("checkpoint", "params")  # the heading; what stands behind the bound
    columns = [c for c, _ in readable(kept) if c.name not in left_out]
    if names is not None:
        known = {c.name: c for c in ALL}
        missing = next((name for name in names if name not in known), None)
        if missing is not None:
            raise UnknownName(f"no column {missing!r}; {suggest(missing, [*known])}")
        columns = [known[name] for name in names if name != "checkpoint"]
    blocks = []
    for subject, rows in by_subject(kept).items():
        best = quotable(rows, simultaneous=kept.simultaneous)
        lines = tuple(
            tuple(_cell(c, r, best, with_params=names is None) for c in columns) for r in rows
        )
        blocks.append(Block(subject[0], lines))
    heads = tuple(
        Head("" if c.name == "kind" else c.title or c.name, right=c.right) for c in columns
    )
    said = legend({r.kind for r in kept.rows})
    everything = partial(frame, kept)
    chosen = everything if names is None else partial(_some, everything, names)
    return Table(heads, tuple(blocks), chosen, (said,))


def _by_step(report: ReportData, caption: str | None, label: str, width: str | float) -> Table:
    """One line a step of each series, with what can be said of them."""
    series = steps_of(report)
    if not series:
        raise MissingEvidence("no checkpoints of this report are a series: they have no steps")
    parts = {name: step_cells(steps) for name, steps in series.items()}
    said = [f"{word.series}: {word}" for word in words_of(report)]
    made = joined_table(parts, partial(step_frame, report), notes=said)
    about = f"{len(series)} series along their steps" if len(series) > 1 else "Along the steps"
    named = about if caption is None else caption
    return replace(made, caption=named, label=label, width=width)


def _some(everything: Any, names: Sequence[str]) -> "pd.DataFrame":
    found: pd.DataFrame = everything()
    return found.reindex(columns=list(dict.fromkeys(["checkpoint", *names])))


def _cell(column: Column, r: Row, best: BoundResult | None, *, with_params: bool) -> Cell:
    if column.name == "kind":
        return Cell(MARK[r.kind])
    if column.name == "bound" and with_params:
        return Cell(f"{r.bound} {shown_params(r)}".rstrip())
    value = column.value(r)
    text = column.written(r) if column.written is not None else "" if value is None else str(value)
    if column.name != "value":
        return Cell(text)
    vacuous = isinstance(r, BoundResult) and r.vacuous
    return Cell(text, "best" if r is best else "vacuous" if vacuous else "", r.reasons)
