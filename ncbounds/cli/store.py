"""``ncbounds store``."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ncbounds.cli.console import console, echo, user_errors
from ncbounds.errors import StoreError

if TYPE_CHECKING:
    from ncbounds.extraction.inventory import Item

#: Users of an entry that are listed by name.
NAMED = 3


def store(
    run: Annotated[Path, typer.Argument(help="a run folder, or a store")],
    manifest: Annotated[
        Path | None,
        typer.Option(help="zoo.toml: what none of its checkpoints uses can go too"),
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="remove what can go")] = False,
) -> None:
    """List the features that a run keeps: what, how much, since when, for whom; remove the rest.

    Equal arrays are kept once, refitted heads of one backbone together, rectified features packed
    without loss.
    """
    with user_errors():
        from ncbounds.data.manifest import load_manifest
        from ncbounds.extraction.inventory import freed, inventory
        from ncbounds.extraction.inventory import prune as remove
        from ncbounds.extraction.store import store_size

        folder = _store_of(run)
        names = None if manifest is None else set(load_manifest(manifest).checkpoints)
        if prune:
            gone, size = remove(folder, names)
            _show(gone)
            echo(f"removed {len(gone)} entries, {_mib(size)}; {_mib(store_size(folder))} are left")
            return
        items = inventory(folder, names)
        _show(items)
        echo(f"{folder}: {len(items)} entries, {_mib(store_size(folder))}")
        if size := freed(folder, items):
            typed = f" --manifest {manifest}" if manifest else ""
            echo(f"`ncbounds store {run}{typed} --prune` would free {_mib(size)}")


def _store_of(run: Path) -> Path:
    for folder in (run / "store", run):
        if (folder / "arrays").is_dir() or any(folder.glob("*/meta.json")):
            return folder
    raise StoreError(f"{run} holds no store of features; needed is a run folder, or its store/")


def _show(items: "list[Item]") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if not items:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("entry", "features", "MiB", "written", "used by"):
        table.add_column(title, justify="right" if title == "MiB" else "left")
    for item in items:
        used = ", ".join(item.used_by[:NAMED])
        if len(item.used_by) > NAMED:
            used += f" and {len(item.used_by) - NAMED} more"
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(item.written))
        last = f"can go: {item.goes}" if item.goes else used or "not said"
        name = f"{item.path.parent.name[:8]}/{item.path.stem[:8]}"
        row = (name, item.what, f"{item.size / 2**20:.1f}", when, last)
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
