"""Choosing among checkpoint files: each is read and built when its turn comes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ncbounds.choosing.choice import Choice
from ncbounds.choosing.choose import SHARE
from ncbounds.choosing.estimates import HEADS
from ncbounds.data.manifest import Entry, Manifest
from ncbounds.data.points import entry_points
from ncbounds.data.user import NamedCode, UserCode
from ncbounds.errors import DataError, NcboundsError
from ncbounds.evaluation.choose import choose
from ncbounds.extraction.running import Running
from ncbounds.runs.files import declared_task, of_zoo
from ncbounds.runs.own_data import kept_by_name
from ncbounds.runs.paths import find_checkpoints, is_zoo
from ncbounds.runs.subject import draw_of, network_of
from ncbounds.runs.trust import refuse_untrusted

#: Fields of an entry that say which network is meant, not what its data were.
_NETWORK = ("key", "weights", "head", "output", "parts")


def choose_files(
    paths: "str | Path | Sequence[str | Path]",
    *,
    data: Any,
    manifest: "str | Path | None" = None,
    model: Any = None,
    args: Any = None,
    trust: bool = False,
    layers: str | Iterable[str] | None = None,
    heads: Sequence[str] = tuple(HEADS),
    delta: float = 0.05,
    share: float = SHARE,
    store: "str | Path | None" = None,
    device: str = "auto",
    precision: str | None = None,
    batch_size: "int | str | None" = None,
    failed: Callable[[str, NcboundsError], None] | None = None,
    say: Callable[[str], None] | None = None,
    **declared: Any,
) -> Choice:
    """Choose a head on one layer of one of several checkpoint files.

    Parameters
    ----------
    paths : path or sequence of paths
        Files, patterns or folders, as for :func:`ncbounds.evaluate_files`; or a folder with a
        ``zoo.toml``, which says how its checkpoints are built.
    data : str, path, mapping, callable or one sample
        Rows of the new task by role, as for :func:`ncbounds.evaluate_files`.
    manifest : path, optional
        ``zoo.toml`` that describes the files.
    model, args, trust
        As for :func:`ncbounds.evaluate_files`; ``trust`` runs the code that a ``zoo.toml`` names.
    layers : str or iterable of str, optional
        ``"all"`` (outputs of blocks, which are found), or names of modules, or patterns.
    heads, delta, share, store, failed, say
        See :func:`ncbounds.choose`.
    device, precision, batch_size
        How networks are run.
    **declared
        ``roles``, ``role_names``, ``data_args``, ``transform``, ``sampling``, ``selected_among``,
        ``repeats``, ``ignore_label``, and ``key``, ``weights``, ``head``, ``output``, ``parts`` of
        :func:`ncbounds.evaluate_files`.

    Returns
    -------
    Choice

    Raises
    ------
    NcboundsError
        As :func:`ncbounds.choose`, and where files or data cannot be read.
    """
    typed = [paths] if isinstance(paths, str | Path) else list(paths)
    network = {name: declared.pop(name) for name in _NETWORK if name in declared}
    zoo = manifest is not None or any(map(is_zoo, map(Path, typed)))
    code: dict[str, Any] = {"model": model, "args": args}
    task, shared = declared_task(data=data, **declared, **({} if zoo else {**code, **network}))
    if zoo:
        book, names = of_zoo(typed, manifest, **code, trust=trust, **network)
        entries = [book.checkpoints[name] for name in names or book.checkpoints]
        refuse_untrusted_networks(book, entries)
    elif trust:
        raise DataError("trust goes with a zoo.toml; code that is named here is trusted already")
    else:
        found = find_checkpoints(typed)
        entries = [replace(shared, name=name, file=file) for name, file in found.items()]
    whole = kept_by_name(Manifest(None, {task.name: task}, {}))
    task = whole.tasks[task.name]
    points = entry_points(shared, task)
    running = Running(device, precision, batch_size).resolved()
    choice = choose(
        {entry.name: partial(network_of, entry, running) for entry in entries},
        {role: drawn.loader for role, drawn in points.items()},
        None if layers is None or layers == "all" else layers,
        heads=heads,
        delta=delta,
        share=share,
        draws={role: draw_of(shared, task, role, drawn) for role, drawn in points.items()},
        ignore_label=task.ignore_label,
        batch_size=running.batch_size,
        store=store,
        failed=failed,
        say=say,
    )
    chosen = next(
        (e for e in entries if choice.network and e.name == choice.place.checkpoint), None
    )
    return replace(choice, network="" if chosen is None else _in_python(chosen))


def _in_python(entry: Entry) -> str:
    """A checkpoint as :func:`ncbounds.load_chosen` takes it, in Python."""
    model = entry.model.spec if isinstance(entry.model, UserCode | NamedCode) else entry.model
    words = [repr(_from_here(entry.file))]
    if model is not None:
        called = repr(model) if isinstance(model, str) else getattr(model, "__name__", "model")
        words.append(f"model={called}")
    words += [f"args={dict(entry.args)!r}"] if entry.args else []
    words += [
        f"{name}={_value(getattr(entry, name))!r}" for name in _NETWORK if getattr(entry, name)
    ]
    return ", ".join(words)


def _value(found: Any) -> Any:
    return [_from_here(part) for part in found] if isinstance(found, tuple) else found


def _from_here(path: Path) -> str:
    """The path from the current folder, where it is inside."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def refuse_untrusted_networks(book: Manifest, entries: Iterable[Entry]) -> None:
    """Raise where a network's code is named by a manifest alone; its data are not read here."""
    plain = replace(
        book, tasks={name: replace(task, data=Path()) for name, task in book.tasks.items()}
    )
    refuse_untrusted(plain, entries)
