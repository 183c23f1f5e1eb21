"""Checkpoint files, a model and data: a manifest in memory, which goes the road of every other."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ncbounds.bounds.bound import Bound
from ncbounds.data.fields import check_decision
from ncbounds.data.manifest import ALL_ROWS, Entry, Manifest, Task
from ncbounds.data.role_names import by_role, check_role_names
from ncbounds.errors import DataError, InvalidSample
from ncbounds.evidence.loss import declared_loss
from ncbounds.evidence.roles import Role, check_repeats
from ncbounds.report import Report
from ncbounds.runs.folder import default_folder
from ncbounds.runs.own_data import task_of
from ncbounds.runs.paths import find_checkpoints, select_files
from ncbounds.runs.series import found_series
from ncbounds.runs.sweep import sweep
from ncbounds.runs.trust import user_code, with_code

#: Roles that a candidate can have been chosen on, for a number of candidates that names none.
CHOSEN_ON: tuple[Role, ...] = ("head", "holdout", "unlabelled")


def evaluate_files(
    paths: "str | Path | Sequence[str | Path]",
    *,
    data: Any,
    model: Any = None,
    args: Mapping[str, Any] | None = None,
    roles: "str | Mapping[str, str] | None" = None,
    role_names: Mapping[str, str] | None = None,
    data_args: Mapping[str, Any] | None = None,
    transform: str | None = None,
    sampling: str = "unknown",
    selected_among: "int | Mapping[str, int]" = 1,
    repeats: str | None = None,
    ignore_label: int | None = None,
    priors: Any = None,
    decision: str | None = None,
    thresholds: "float | Sequence[float] | None" = None,
    probability_thresholds: "float | Sequence[float] | None" = None,
    ranked: bool = False,
    procedure: Mapping[str, Any] | None = None,
    loss: str | None = None,
    code_word: "str | Path | None" = None,
    tried: int | None = None,
    key: str | None = None,
    weights: Literal["ema", "raw"] | None = None,
    head: str | None = None,
    output: "str | int | None" = None,
    parts: "Sequence[str | Path]" = (),
    log: "str | Path | None" = None,
    names: Sequence[str] | None = None,
    out: "str | Path | None" = None,
    bounds: "str | Iterable[str | Bound] | None" = None,
    claims: "str | Iterable[str] | None" = None,
    delta: float = 0.05,
    simultaneous: bool = False,
    executor: Executor | str | None = None,
    workers: int | None = None,
    fresh: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
    device: str = "auto",
    precision: str | None = None,
    batch_size: "int | str | None" = None,
    workers_per_loader: int | None = None,
    limit: int | None = None,
    store_dtype: str | None = None,
) -> Report:
    """Evaluate checkpoint files on data of one's own; finished work is kept and found again.

    Parameters
    ----------
    paths : path or sequence of paths
        Files, patterns such as ``runs/*/best.pt``, or folders: those with a ``config.json`` are one
        checkpoint, others are searched. A checkpoint is called by its path from the folder that
        was given, or from the one that all have in common. Files that look like one run
        (``epoch-2.pt``, ``epoch-10.pt``, ``checkpoint-500/``) are a series: rows name it and the
        step, and stand in the order of steps.
    data : str, path, mapping, callable or one sample
        ``"FILE.py:FUNCTION"`` (or ``"package.module:FUNCTION"``) that is, or returns, a dict from
        role to a sample; in Python also the function or the dict itself. It is called once per
        process. A sample is a pair ``(inputs, labels)`` or triple ``(inputs, labels, groups)`` of
        arrays, tensors or frames; a frame or mapping with ``labels`` inside; a map-style data set;
        a ``DataLoader`` or other iterable of batches, which are pairs or mappings with ``labels``
        inside, whose other entries are the network's keyword inputs. Data that are one sample
        need ``roles``. Or a path: a file of arrays (``.npz``, ``.csv``, ``.parquet``) or a folder
        of idx files as in a manifest, with ``roles``; or a folder whose parts are the samples: such
        files, ``PART/inputs.npy`` with ``PART/labels.npy``, images ``PART/CLASS/*.png`` with
        ``transform``, or what ``datasets`` saved to disk.
    model : str, callable or nn.Module, optional
        See :meth:`Checkpoint.build`, or ``"FILE.py:FUNCTION"``.
    args : mapping, optional
        Keyword arguments for the model.
    roles : str, or mapping from role to rows, optional
        Of a file, for example ``{"holdout": "0:4000", "test": "4000:8000"}``; a role alone takes
        all rows, or says what data that are one sample were used for.
    role_names : mapping from name to role, optional
        Where parts of the data have other names: ``{"train": "fit", "val": "holdout"}``;
        ``"none"`` leaves a part out.
    data_args : mapping, optional
        Keyword arguments of the data function.
    transform : str, optional
        ``"FILE.py:FUNCTION"``: from a PIL image to a tensor, for folders of images; from a row to a
        row, for what ``datasets`` saved. A function without parameters, or a class, is called for
        it first.
    sampling : {"unknown", "iid", "stratified"}
        How the points were drawn; no row is a certificate if that is unknown.
    selected_among : int, or mapping from role to int
        Number of checkpoints that could have been picked by comparing them on a sample, from a
        list that was fixed before. An adaptive search (early stopping, a scheduler on the loss of
        the sample) is not covered by the number of its looks.
    repeats : {"by chance", "copies"}, optional
        Why points stand more than once; see :class:`~ncbounds.Draw`.
    ignore_label : int, optional
        Label of rows that are left out, such as 255.
    priors : "balanced" or list of float, optional
        The law's class probabilities.
    decision : {"multi-class", "multi-label"}, optional
        How many labels a row has; by default the labels' shape says it.
    thresholds, probability_thresholds : float or sequence of float, optional
        Of rows with several labels: what a logit, or its sigmoid, exceeds where a label is given,
        fixed before the samples were seen; 0, probability 1/2, unless given.
    ranked : bool
        Whether logits only rank several labels, as those of a pick-all-label loss do.
    procedure, loss, code_word, tried, key, weights, head, output, parts
        As in a manifest.
    log : path, optional
        CSV file with a column ``step`` (or ``epoch``) and any numbers, such as the training loss
        and the learning rate, of the run that the checkpoints are a series of.
    names : sequence of str, optional
        Names of the checkpoints, in order, in place of their paths.
    out : path, optional
        Run folder; by default one in the user's cache folder.
    bounds, claims, delta, simultaneous, executor, workers, fresh, progress
        See :func:`ncbounds.sweep`. Functions and modules that are passed as objects stay in this
        process, where checkpoints are evaluated one after the other; what is named as
        ``"FILE.py:FUNCTION"`` can go to other processes.
    device, precision, batch_size, workers_per_loader, limit, store_dtype
        How networks are run; see :func:`ncbounds.sweep`.

    Returns
    -------
    Report
        A checkpoint that cannot be evaluated, whatever raised what, is a row with its reason.

    Raises
    ------
    DataError
        If a path does not exist, or options do not fit the data.
    InvalidSample
        If delta, sampling or a number of candidates is none.
    UnknownName, InvalidArgument
        If there is no such loss.
    """
    typed = [paths] if isinstance(paths, str | Path) else list(paths)
    book = described(
        typed,
        data=data,
        model=model,
        args=args,
        roles=roles,
        role_names=role_names,
        data_args=data_args,
        transform=transform,
        sampling=sampling,
        selected_among=selected_among,
        repeats=repeats,
        ignore_label=ignore_label,
        priors=priors,
        decision=decision,
        thresholds=_plain(thresholds),
        probability_thresholds=_plain(probability_thresholds),
        ranked=ranked,
        loss=loss,
        names=names,
        procedure=dict(procedure or {}),
        code_word=None if code_word is None else Path(code_word).resolve(),
        tried=tried,
        key=key,
        weights=weights,
        head=head,
        output=output,
        parts=tuple(Path(part).resolve() for part in parts),
        log=None if log is None else Path(log).resolve(),
    )
    stays = _stays_here(model, data)
    if stays and workers:
        raise DataError(
            f"workers={workers} needs data and model that other processes can import: name them as "
            f"'FILE.py:FUNCTION' in place of {stays}, or leave workers out"
        )
    return sweep(
        book,
        default_folder(Path(typed[0])) if out is None else out,
        executor,
        bounds=bounds,
        claims=claims,
        delta=delta,
        simultaneous=simultaneous,
        workers=0 if stays else workers,
        fresh=fresh,
        progress=progress,
        device=device,
        precision=precision,
        batch_size=batch_size,
        workers_per_loader=workers_per_loader,
        limit=limit,
        store_dtype=store_dtype,
    )


def described(
    paths: "Sequence[str | Path]", *, names: Sequence[str] | None = None, **declared: Any
) -> Manifest:
    """Describe checkpoint files and their data in memory; see :func:`evaluate_files`.

    ``declared`` is what :func:`declared_task` takes.

    Raises
    ------
    DataError, InvalidSample, UnknownName, InvalidArgument
        As :func:`evaluate_files` does.
    """
    files = find_checkpoints(paths)
    task, shared = declared_task(**declared)
    series = {files[name]: called for name, called in found_series(files).items()}
    entries = {
        n: replace(shared, name=n, file=f, series=series.get(f, ""))
        for n, f in _named(files, names).items()
    }
    return Manifest(None, {task.name: task}, entries)


def declared_task(
    *,
    data: Any,
    model: Any = None,
    args: Mapping[str, Any] | None = None,
    roles: "str | Mapping[str, str] | None" = None,
    role_names: Mapping[str, str] | None = None,
    data_args: Mapping[str, Any] | None = None,
    transform: str | None = None,
    sampling: str = "unknown",
    selected_among: "int | Mapping[str, int]" = 1,
    repeats: str | None = None,
    ignore_label: int | None = None,
    priors: Any = None,
    decision: str | None = None,
    loss: str | None = None,
    **fields: Any,
) -> tuple[Task, Entry]:
    """Task of data, and what all checkpoints on it have in common; see :func:`evaluate_files`.

    ``fields`` are those of :class:`~ncbounds.data.manifest.Entry`. The entry has no name and no
    file.

    Raises
    ------
    DataError, InvalidSample, UnknownName, InvalidArgument
        As :func:`evaluate_files` does.
    """
    if loss is not None:
        declared_loss(loss)
    names_of = check_role_names(role_names or {})
    task, rows = task_of(
        data,
        {roles: ALL_ROWS} if isinstance(roles, str) else dict(roles or {}),
        names_of,
        args=data_args or {},
        transform=transform,
        sampling=sampling,
        priors=priors,
    )
    task = replace(
        task,
        repeats=check_repeats(repeats),
        ignore_label=ignore_label,
        decision=check_decision(decision),
    )
    shared = Entry(
        name="",
        file=Path(),
        task=task.name,
        model=user_code(model),
        args=dict(args or {}),
        roles=rows,
        selected_among=chosen_among(selected_among, names_of),
        loss=loss,
        **fields,
    )
    return task, shared


def of_zoo(
    paths: "Sequence[str | Path]",
    manifest: "str | Path | None" = None,
    *,
    model: str | None = None,
    args: Mapping[str, Any] | None = None,
    data: str | None = None,
    trust: bool = False,
    **fields: Any,
) -> tuple[Manifest, list[str] | None]:
    """Return a manifest with what was typed beside it, and the names that ``paths`` stand for.

    Parameters
    ----------
    paths, manifest
        See :func:`ncbounds.runs.paths.select_files`.
    model, args, data, trust
        See :func:`ncbounds.runs.trust.with_code`.
    **fields
        Fields of all checkpoints in place of their own.

    Raises
    ------
    DataError
        If there are arguments without a model.
    ManifestError
        If the manifest cannot be read, or does not name the code or a file.
    """
    if args and model is None:
        raise DataError("--args goes with --model; a zoo.toml names args beside its models")
    book, only = select_files(list(map(Path, paths)), None if manifest is None else Path(manifest))
    book = with_code(book, model=model, args=args, data=data, trust=trust)
    return changed(book, **fields), only


def changed(book: Manifest, **fields: Any) -> Manifest:
    """Return a manifest in which all checkpoints have the same new ``fields``."""
    entries = {name: replace(e, **fields) for name, e in book.checkpoints.items()}
    return replace(book, checkpoints=entries)


def chosen_among(number: "int | Mapping[str, int]", names: Mapping[str, str]) -> dict[Role, int]:
    """Number of candidates by role; a number alone counts where candidates can be compared.

    Raises
    ------
    InvalidSample
        If a number is none.
    """
    alone: dict[str, int] = {} if isinstance(number, Mapping) else dict.fromkeys(CHOSEN_ON, number)
    chosen = by_role(
        number if isinstance(number, Mapping) else alone, names, "selected_among", all_named=False
    )
    for role, count in chosen.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InvalidSample(f"--selected-among {role}: a number from 1 on, found {count!r}")
    return chosen


def _named(files: Mapping[str, Path], names: Sequence[str] | None) -> dict[str, Path]:
    if not names:
        return dict(files)
    if len(names) != len(files) or len({*names}) < len(names) or not all(names):
        raise DataError(
            f"--name is given once for each of {len(files)} checkpoints ({', '.join(files)}), each "
            f"another one; found {', '.join(map(repr, names))}"
        )
    return dict(zip(names, files.values()))


def _plain(thresholds: Any) -> "float | tuple[float, ...] | None":
    """Thresholds as numbers that a hash can be taken of."""
    if thresholds is None:
        return None
    found = tuple(map(float, np.ravel(thresholds)))
    return found[0] if np.ndim(thresholds) == 0 else found


def _stays_here(*things: Any) -> str:
    """What cannot be named to another process, or nothing."""
    objects = [t for t in things if t is not None and not isinstance(t, str | Path)]
    return " and ".join(getattr(t, "__qualname__", type(t).__name__) for t in objects)
