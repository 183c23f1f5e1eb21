"""Which checkpoints are meant: those that a zoo.toml describes, or files with data beside them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncbounds.cli.arguments import declarations, refuse_trust
from ncbounds.errors import NcboundsError, UnknownName, suggest

if TYPE_CHECKING:
    from ncbounds.data.manifest import Manifest


def open_checkpoints(
    paths: list[Path],
    manifest: Path | None,
    data: str | None,
    declared: dict[str, Any],
    picked: dict[str, Any],
    *,
    model: str | None,
    args: dict[str, Any],
    trust: bool,
) -> "tuple[Manifest, list[str]]":
    """Checkpoints as they were typed, and their names.

    ``declared`` are declarations by their option, ``picked`` fields of the entries.

    Raises
    ------
    NcboundsError
        If something was typed that does not go with a zoo.toml, or goes with one alone.
    """
    from ncbounds.runs.files import described, of_zoo
    from ncbounds.runs.paths import described_by_zoo
    from ncbounds.runs.trust import refuse_untrusted

    code: dict[str, Any] = {"model": model, "args": args, "data": data}
    if data is not None and not described_by_zoo(paths, manifest):
        refuse_trust(trust)
        book = described(paths, **code, **declarations(declared), **picked)
        return book, list(book.checkpoints)
    if declared:
        raise NcboundsError(
            f"{' and '.join(declared)} go with --data and checkpoint files; a zoo.toml says what "
            "they say itself"
        )
    book, only = of_zoo(paths, manifest, **code, trust=trust, **picked)
    names = list(book.checkpoints) if only is None else only
    refuse_untrusted(book, [book.checkpoints[name] for name in names])
    return book, names


def picked_of(names: list[str], only: list[str] | None) -> list[str]:
    """Names that were asked for, all unless some were.

    Raises
    ------
    UnknownName
        If there is no checkpoint of a name, with the nearest that there is.
    """
    for name in only or ():
        if name not in names:
            raise UnknownName(f"no checkpoint {name!r}; {suggest(name, names)}")
    return [name for name in names if not only or name in only]
