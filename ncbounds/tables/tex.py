"""Tables as LaTeX: booktabs, no wider than the page, with footnotes."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ncbounds.errors import printable
from ncbounds.tables.table import Cell, Head, Table
from ncbounds.tables.tex_layout import Layout, layout
from ncbounds.tables.tex_width import points

#: Points that ``article`` has room for: its text, and a column with the option ``twocolumn``.
ROOM = {"text": 345.0, "column": 200.0}
#: Lines up to which a table is one float.
FLOAT = 36
#: Letters after which a word may be broken: in notes, and in names that have too little room.
WORD, NAME = 40, 12
#: Letters up to here are known to pdfLaTeX; italic ones are at most so much wider.
LATIN, ITALIC = 0x17F, 1.1

_TEX = {
    "✓": r"$\checkmark$",
    "~": r"$\sim$",
    "±": r"$\pm$",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "{": r"\{",
    "}": r"\}",
    "\\": r"\textbackslash{}",
    "$": r"\$",
    "^": r"\^{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    # after the end of a row these would be its options
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}


#: Signs behind which a name may be broken.
_BREAKS = "_-/.:=@\\"
#: A power of ten as it is escaped.
_POWER = re.compile(r"\b10\\\^\{\}(?:\\allowbreak\{\})?(\d|k)\b")


def escaped(text: str, unbroken: int = 0) -> str:
    """A text with everything that LaTeX would read as a command escaped.

    With ``unbroken`` it may be broken behind signs, and after so many other letters.
    """
    text = printable(text)
    out, run = "", 0
    for c, after in zip(text, f"{text} "[1:], strict=True):
        run = 0 if c.isspace() else run + 1
        out += _TEX.get(c, c)
        behind = c in _BREAKS and not (c == "." and after.isdigit())
        if unbroken and after != " " and (behind or run == unbroken):
            out, run = out + r"\allowbreak{}", 0
    out = _POWER.sub(r"$10^\1$", out)
    return out if unbroken else out.replace("--", "-{}-")


def latex_text(table: Table) -> str:
    """Return a table for ``article`` with the packages ``booktabs``, ``longtable``, ``amssymb``.

    What fits on a page is a float, with the notes under it; a longer one goes on from page to page.
    Letters become smaller, the widest words are broken, and in the end the table is broken into
    several, until it is as wide as there is room.
    """
    room = ROOM[table.width] if isinstance(table.width, str) else float(table.width)
    plan = layout(table, room)
    lines = [
        r"% needs \usepackage{booktabs,longtable,amssymb}",
        f"% {plan.points:.0f}pt wide, for {room:.0f}pt{_shrink(plan, room)}",
    ]
    if any(
        ord(c) > LATIN and c not in "–" and c not in _TEX for text in _texts(table) for c in text
    ):
        lines.append("% has letters that pdfLaTeX does not know: use LuaLaTeX or XeLaTeX")
    size = rf"{plan.size.command}\setlength{{\tabcolsep}}{{{plan.size.gap / 2:g}pt}}%"
    notes = [rf"\par{{\footnotesize\raggedright\noindent {text}\par}}" for text in _said(table)]
    if table.lines * len(plan.parts) <= FLOAT or table.width != "text":
        parts = [_tabular(table, plan, part, room) for part in plan.parts]
        body = [r"\begin{table}[tbp]", *_captioned(table), r"\centering", size]
        body += ["\n\\par\\medskip\n".join(parts), r"\par\smallskip", *notes, r"\end{table}"]
    else:
        named: dict[str, Any] = {"caption": _caption(table) or None, "label": table.label or None}
        body = ["{" + size]
        for part in plan.parts:
            body.append(_tabular(table, plan, part, room, environment="longtable", **named))
            named = {}
        body += [*notes, "}"]
    return "\n".join([*lines, *body, ""])


def _shrink(plan: Layout, room: float) -> str:
    """What to do where nothing made it fit."""
    return "" if plan.points <= room else ": too wide; name fewer columns, or turn the page"


def _texts(table: Table) -> Iterator[str]:
    yield from (text for head in table.heads for text in (head.title, head.family))
    for block in table.blocks:
        yield block.title
        yield from (cell.text for line in block.lines for cell in line)


def _caption(table: Table) -> str:
    return escaped(table.caption, WORD)


def _captioned(table: Table) -> list[str]:
    label = rf"\label{{{table.label}}}" if table.label else ""
    return [rf"\caption{{{_caption(table)}}}{label}"] if table.caption or label else []


def _said(table: Table) -> list[str]:
    said = [escaped(note, WORD) for note in table.below("Bold:")]
    return said + [
        rf"\textsuperscript{{{letter}}}~{escaped(note, WORD)}"
        for note, letter in table.footnotes().items()
    ]


def _tabular(table: Table, plan: Layout, part: Sequence[int], room: float, **longtable: Any) -> str:
    """One tabular, or a ``longtable``."""
    import pandas as pd
    from pandas.io.formats.style import Styler

    letters = table.footnotes()
    heads = [table.heads[i] for i in part]
    titles = [_cell(head, letters) for head in heads]
    families = [escaped(head.family) for head in heads]
    rows = []
    for block in table.blocks:
        for piece in _fitting(block.title, room / plan.size.scale):
            heading = rf"\makebox[0pt][l]{{\emph{{{escaped(piece)}}}}}"
            rows.append([rf"\addlinespace {heading}", *[""] * (len(part) - 1)])
        rows += [[_cell(line[i], letters, i in plan.broken) for i in part] for line in block.lines]
    columns = pd.MultiIndex.from_arrays([families, titles]) if any(families) else pd.Index(titles)
    text: str = (
        Styler(pd.DataFrame(rows, columns=columns))
        .hide(axis="index")
        .to_latex(
            column_format=f"@{{}}{''.join(_column(table, plan, i) for i in part)}@{{}}",
            hrules=True,
            multicol_align="c",
            **longtable,
        )
    )
    return text.rstrip()


def _column(table: Table, plan: Layout, i: int) -> str:
    if i in plan.broken:
        return f"p{{{plan.broken[i]:.1f}pt}}"
    return "r" if table.heads[i].right else "l"


def _cell(x: Cell | Head, letters: dict[str, str], broken: bool = False) -> str:
    text = rf"\raggedright {escaped(x[0], NAME)}" if broken and x[0] else escaped(x[0])
    if isinstance(x, Cell) and x.style == "best":
        text = rf"\textbf{{{text}}}"
    raised = ",".join(letters[note] for note in x.notes)
    return text + (rf"\textsuperscript{{{raised}}}" if raised else "")


def _fitting(text: str, room: float) -> list[str]:
    """A heading in pieces that are no wider than the table may be."""
    pieces: list[str] = []
    for c in printable(text):
        if pieces and points(pieces[-1] + c) * ITALIC <= room:
            pieces[-1] += c
        else:
            pieces.append(c)
    return pieces
