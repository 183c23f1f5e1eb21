"""LaTeX."""

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
}


def escaped(cell: str) -> str:
    """A cell with everything that LaTeX would read as a command escaped."""
    return "".join(_TEX.get(c, c) for c in cell)
