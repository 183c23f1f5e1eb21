"""``ncbounds list`` and ``ncbounds explain``."""

from typing import Annotated

import typer

from ncbounds.cli.console import console, user_errors
from ncbounds.errors import NcboundsError


def list_bounds(
    family: Annotated[str | None, typer.Option(help="only this family")] = None,
    kind: Annotated[str | None, typer.Option(help="only this best kind")] = None,
) -> None:
    """List the catalogue: best kind, id, sample that it reads, whose error, statement."""
    from rich import box
    from rich.table import Table

    from ncbounds.bounds import catalogue
    from ncbounds.report.legend import legend
    from ncbounds.results import MARK

    with user_errors():
        shown = [
            b
            for b in catalogue()
            if (family is None or b.family == family) and (kind is None or b.kind == kind)
        ]
        if not shown:
            families = sorted({b.family for b in catalogue()})
            raise NcboundsError(
                f"no such bounds; families: {', '.join(families)}; kinds: {', '.join(MARK)}"
            )
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=legend(), caption_justify="left")
        for title in ("bound", "sample", "about", "statement"):
            table.add_column(title, no_wrap=title != "statement")
        for name in dict.fromkeys(b.family for b in shown):
            table.add_section()
            table.add_row(f"[bold]{name}[/]")
            for b in shown:
                if b.family == name:
                    role = "any but test" if b.role == "any" else b.role
                    table.add_row(f"{MARK[b.kind]} {b.id}", role, b.target, b.title)
        console().print(table)


def explain(
    bound: Annotated[str, typer.Argument(help="id of a bound; see `ncbounds list`")],
    latex: Annotated[bool, typer.Option(help="the formulas alone, as LaTeX")] = False,
    bibtex: Annotated[bool, typer.Option(help="the references alone, as BibTeX")] = False,
) -> None:
    """Explain one bound: statement, formula, role, assumptions, source, when it is vacuous."""
    from ncbounds.bounds import get
    from ncbounds.bounds.explain import as_bibtex, as_latex, as_text

    with user_errors():
        found = get(bound)
        typer.echo(as_latex(found) if latex else as_bibtex(found) if bibtex else as_text(found))
