"""The compact table for a terminal, and what has to be said under it."""

from typing import TYPE_CHECKING

from ncbounds.lines import WIDTH, filled, panels
from ncbounds.report.compact import (
    OF_FIT,
    Shown,
    blocks,
    by_subject,
    header,
    leading,
    lines,
    used,
)
from ncbounds.report.data import ReportData
from ncbounds.report.legend import BEST, QUOTED, kinds_in, legend, signs, spent
from ncbounds.report.notes import notes
from ncbounds.report.saved import quotable
from ncbounds.report.view import view
from ncbounds.results import MARK

if TYPE_CHECKING:
    from rich.text import Text

#: Why there is no certificate, where nobody said how the points were drawn.
UNDECLARED = (
    "No certificate without a declared draw: if the points were drawn independently, say so "
    "with --sampling iid (sampling = 'iid' in zoo.toml, sampling='iid' in Python)."
)
_STYLES = {MARK["certificate"]: "green", MARK["plug-in"]: "dim"}
#: Blanks before the cells of a line whose name stands above them.
_INDENT = 2


def table(report: ReportData, width: int = WIDTH) -> "Text":
    """Compact table with the families' names over their columns, no wider than a terminal.

    A wider one is broken between families; names and measured errors stand in each part. Names
    that leave no room stand above their lines.
    """
    from rich.text import Text

    shown = used(report)
    titles = header(report, shown)
    body = _marked(report, shown)
    measured = [i for i, column in enumerate(leading(report)) if column.measured]
    families = [""] * (len(titles) - len(shown)) + [c.heading for c in shown]
    for i in measured:
        families[i] = "measured"
    cells = [row for _, rows in body for row in rows]
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    widest = max([0, *(w + 1 for w in widths[len(titles) - len(shown) :])])
    above = widths[0] + sum(widths[i] + 1 for i in measured) + widest > width
    if above:
        widths[0] = _INDENT
    out = Text(no_wrap=True)
    parts = panels(
        widths,
        width,
        [0, *measured],
        gap=1,
        together=[family or i for i, family in enumerate(families)],
        last=[i for i, title in enumerate(titles) if title in OF_FIT],
    )
    for part in parts:
        out.append("\n" if out.plain else "")
        sizes = [widths[i] for i in part]
        out.append(_families([families[i] for i in part], sizes) + "\n", "dim")
        heads = [titles[i] for i in part]
        first = f"{heads[0]}\n" if above else ""
        out.append(first + _joined([""] * above + heads[above:], sizes) + "\n", "bold")
        out.append("─" * min(sum(sizes) + len(sizes) - 1, width) + "\n", "dim")
        for block, rows in body:
            if block:
                out.append(f"{block}\n", "bold")
            for row in rows:
                out.append(f"{row[0]}\n{'':{_INDENT}}" if above else f"{row[0]:<{sizes[0]}}")
                for i in part[1:]:
                    out.append(f" {row[i]:>{widths[i]}}", _style(row[i]))
                out.append("\n")
    return out


def _style(cell: str) -> str | None:
    if cell.startswith(BEST):
        return "bold green"
    return "dim" if "^" in cell else _STYLES.get(cell[:1])


def _marked(report: ReportData, shown: list[Shown]) -> list[tuple[str, list[list[str]]]]:
    """Lines with a star before the certificate of each that may be quoted."""
    rows, first = by_subject(report), len(leading(report))
    body = lines(report, shown)
    for (_, cells), subjects in zip(body, blocks(report).values(), strict=True):
        for row, subject in zip(cells, subjects, strict=True):
            best = quotable(rows[subject], simultaneous=report.simultaneous)
            for i, c in enumerate(shown, first):
                if best is not None and c.row(rows[subject]) is best:
                    row[i] = BEST + row[i]
    return body


@view("screen", file=False)
def screen(report: ReportData) -> str:
    """The compact table with its caption, as plain text."""
    return f"{table(report).plain}{caption(report)}\n" if report.rows else ""


def _joined(cells: list[str], widths: list[int]) -> str:
    pairs = list(zip(cells, widths, strict=True))
    return " ".join([f"{pairs[0][0]:<{pairs[0][1]}}", *(f"{c:>{w}}" for c, w in pairs[1:])])


def _families(families: list[str], widths: list[int]) -> str:
    """Each family's name, ending where the run of its columns ends."""
    text, ends = "", [sum(widths[: i + 1]) + i for i in range(len(widths))]
    for i, end in enumerate(ends):
        if families[i : i + 2] != [families[i]] * 2:
            text = f"{text} ".ljust(end - len(families[i])) + families[i]
    return text.rstrip()


def caption(report: ReportData, width: int = WIDTH) -> str:
    """What stands under the table: its marks, its columns, what delta was spent, what was noticed.

    Only what is in the table is explained.
    """
    shown = used(report)
    cells = [cell for _, rows in _marked(report, shown) for row in rows for cell in row]
    titles = [f"{c.title}: {', else '.join(c.bounds)}" for c in shown]
    certified = any(r.kind == "certificate" for r in report.rows)
    undeclared = any(r.sampling == "unknown" for r in report.rows)
    said = [
        legend({r.kind for r in report.rows} if not shown else kinds_in(cells)),
        f"{BEST} {QUOTED[report.simultaneous]}" if any(c.startswith(BEST) for c in cells) else "",
        f"{spent(report.rows, simultaneous=report.simultaneous)} {_of_fit(report, shown)}".strip(),
        _signs(cells, shown),
    ]
    # a title and what it stands for are not broken apart where a line has room for them
    named = ", ".join(
        title.replace(" ", "\N{NO-BREAK SPACE}") if len(title) < width - 2 else title
        for title in titles
    )
    more = [*notes(report), *([UNDECLARED] if undeclared and not certified else [])]
    return "\n".join(
        [
            *(line for text in said if text for line in filled(text, width)),
            *(f"  {line}" for line in filled(named, width - 2, "")),
            *(line for text in more for line in filled(text, width)),
        ]
    )


def _of_fit(report: ReportData, shown: list[Shown]) -> str:
    """Which columns are about the training sample."""
    titles = [title for title in header(report, []) if title in OF_FIT]
    titles += [c.title for c in shown if c.on_fit]
    return f"Training sample: {', '.join(titles)}." if titles else ""


def _signs(cells: list[str], shown: list[Shown]) -> str:
    """What signs in the cells mean, and where more is said."""
    said = "; ".join(
        [*signs(cells), f"`ncbounds explain ID` explains{':' if shown else ' a bound.'}"]
    )
    return said[:1].upper() + said[1:]
