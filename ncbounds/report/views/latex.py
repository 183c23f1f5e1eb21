"""LaTeX."""

from ncbounds.report.columns import cells, readable, titles
from ncbounds.report.data import ReportData
from ncbounds.report.view import view

_TEX = {
    "✓": r"$\checkmark$",
    "~": r"$\sim$",
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
    # after the end of a row these would be its options
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}


def escaped(cell: str) -> str:
    """A cell with everything that LaTeX would read as a command escaped."""
    return "".join(_TEX.get(c, c) for c in cell)


@view("table.tex")
def latex(report: ReportData) -> str:
    """A booktabs ``longtable`` for reading."""
    body = [" & ".join(escaped(c) for c in row) + r" \\" for row in cells(report)]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs,longtable,amssymb}",
            r"\begin{longtable}{"
            + "".join("r" if c.right else "l" for c, _ in readable(report))
            + "}",
            r"\toprule",
            " & ".join(escaped(title) for title in titles(report)) + r" \\",
            r"\midrule",
            r"\endhead",
            *body,
            r"\bottomrule",
            r"\end{longtable}",
            "",
        ]
    )
