"""``ncbounds list`` and ``ncbounds explain``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ncbounds.cli.console import console, echo, user_errors
from ncbounds.errors import NcboundsError

if TYPE_CHECKING:
    from ncbounds.bounds.bound import Bound


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
    bound: Annotated[str | None, typer.Argument(help="id of a bound; see `ncbounds list`")] = None,
    everything: Annotated[bool, typer.Option("--all", help="every bound of the catalogue")] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            help="write a page with set formulas: a file, or a folder for its index.html; with "
            "--all it begins with which guarantee there is under which assumption"
        ),
    ] = None,
    latex: Annotated[bool, typer.Option(help="the formulas alone, as LaTeX")] = False,
    bibtex: Annotated[bool, typer.Option(help="the references alone, as BibTeX")] = False,
) -> None:
    """Explain bounds: statement, formula, role, assumptions, source, when vacuous, confused with.

    One by its id, or --all.
    """
    from ncbounds.bounds import catalogue, get
    from ncbounds.bounds.explain import as_bibtex, as_latex, as_text

    with user_errors():
        if (bound is None) != everything:
            raise NcboundsError(
                "one bound or all: `ncbounds explain binomial`, `ncbounds explain --all`, "
                "`ncbounds explain --all --html catalogue.html`"
            )
        found = catalogue() if bound is None else (get(bound),)
        if html is not None:
            echo(f"written to {_written(html, None if everything else found)}")
            return
        said = as_latex if latex else as_bibtex if bibtex else as_text
        typer.echo("\n\n".join(filter(None, map(said, found))))


def _written(where: Path, bounds: "tuple[Bound, ...] | None") -> Path:
    """Write the page of some bounds, or of all; its path."""
    from ncbounds.files import write_text
    from ncbounds.report.page import catalogue_page

    path = where if where.suffix in (".html", ".htm") else where / "index.html"
    write_text(path, catalogue_page(bounds))
    return path
