"""Many checkpoints: plan, map over an executor, keep every finished piece, collect.

Work is cut into checkpoints and, inside one, into bounds. Each bound's rows are one file, written
atomically and stamped with a key of everything it depends on, so that an interrupted run goes on
where it stopped, and nothing stale is taken for current.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

from ncbounds.bounds.bound import Bound
from ncbounds.bounds.selection import select
from ncbounds.data.fashion_mnist import install_hint
from ncbounds.data.manifest import Entry, Manifest, Task, load_manifest
from ncbounds.errors import NcboundsError
from ncbounds.evaluation.plan import Plan, check_delta, planned_rows
from ncbounds.evidence.asked import NOTHING, asked_for
from ncbounds.evidence.decision import MultiLabel
from ncbounds.evidence.label_claims import asked_under
from ncbounds.extraction.running import Running
from ncbounds.files import write_json
from ncbounds.report import Failure, Report
from ncbounds.runs.engine import failed, run_entries
from ncbounds.runs.executors import check_engine, runs_here
from ncbounds.runs.folder import collect, description, pending_bounds
from ncbounds.runs.keys import Keys, checkpoint_keys, with_key
from ncbounds.runs.series import check_logs
from ncbounds.runs.trust import refuse_untrusted, with_code

#: What is asked of several labels where nobody asks; the mean of a loss is part of it.
USUAL = asked_under(NOTHING, MultiLabel(), 2, scored=True)


def sweep(
    manifest: "Manifest | str | Path",
    out: "str | Path",
    executor: Executor | str | None = None,
    *,
    bounds: "str | Iterable[str | Bound] | None" = None,
    delta: float = 0.05,
    simultaneous: bool = False,
    workers: int | None = None,
    only: Iterable[str] | None = None,
    fresh: bool = False,
    claims: "str | Iterable[str] | None" = None,
    model: Any = None,
    trust: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
    device: str = "auto",
    precision: str | None = None,
    batch_size: int | str | None = None,
    workers_per_loader: int | None = None,
    limit: int | None = None,
    store_dtype: str | None = None,
) -> Report:
    """Evaluate every checkpoint of a manifest; finished work is found in ``out`` and kept.

    Parameters
    ----------
    manifest : Manifest or path of ``zoo.toml``
    out : path
        Run folder: ``store/`` (features), ``results/`` (one JSON file per checkpoint and bound),
        ``run.json``. Nothing is written elsewhere.
    executor : concurrent.futures.Executor or str, optional
        Where checkpoints are evaluated: ``"processes"`` of this machine (the default),
        ``"threads"``, ``"loky"``, ``"dask://host:port"``, or an executor. Its workers need to find
        the files under the same names; rows come back to ``out`` whether or not a disk is shared.
    bounds, delta, simultaneous
        As in :func:`ncbounds.evaluate`. With ``simultaneous`` delta is divided by the number of
        planned rows of the whole manifest.
    workers : int, optional
        Processes or threads (default: one per core); 0 runs in this process.
    only : iterable of str, optional
        Names of checkpoints to evaluate; delta is still divided over the whole manifest.
    fresh : bool
        Compute again what is already there; needed only where code that builds a network reads
        what neither its sources nor its arguments name.
    claims : str or iterable of str, optional
        What is asked beside the error of every task, and beside what its ``claims`` ask: words of
        :func:`ncbounds.evidence.asked.asked_for`, such as ``"balanced,worst,groups"``.
    model : optional
        Code that the manifest names, which may run where it does; or any other model, by which all
        checkpoints are built. See :meth:`Checkpoint.build`.
    trust : bool
        Whether all code that the manifest names may run.
    progress : callable ``(done, total, text)``, optional
        Called first with the number of checkpoints that were found done, then when one is done,
        with its name, and while one is extracted, with its name, its role, images per second and
        the time that is left.
    device : str
        Where networks run: ``"auto"`` (CUDA where this machine has it, else the CPU), ``"cpu"``,
        ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
    precision : {"fp32", "bf16", "fp16"}, optional
        In which numbers, by default those of the weights. In another precision it is another
        network that is evaluated; rows say so.
    batch_size : int or "auto", optional
        Rows of a forward pass at most; ``"auto"`` halves them where the device has no room.
    workers_per_loader : int, optional
        Processes that read a ``DataLoader``.
    limit : int, optional
        Only the first so many rows of each role: a look, whose rows are all plug-ins.
    store_dtype : "float16", optional
        Round the features that are kept: half the disk. Points whose prediction that could change
        count as errors, and rows that read features are plug-ins.

    Returns
    -------
    Report
        A checkpoint that cannot be evaluated is a row with its reason.

    Raises
    ------
    ManifestError
        If the manifest cannot be read, lacks a name of ``only``, or names code that nobody else
        has named.
    DataError
        If device, precision, batch_size, workers_per_loader, limit or store_dtype is none; if this
        machine lacks the device, and is where networks run; or if the log of a series cannot be
        read.

    Examples
    --------
    On Slurm, by dask-jobqueue::

        from dask_jobqueue import SLURMCluster

        with SLURMCluster(cores=4, memory="16GB", walltime="01:00:00") as cluster:
            cluster.scale(jobs=20)
            nb.sweep("zoo/", "runs/zoo", cluster.get_client().get_executor(pure=False))
    """
    book = manifest if isinstance(manifest, Manifest) else load_manifest(manifest)
    book = _asking(book, claims)
    if isinstance(executor, str):
        check_engine(executor, workers)
    book = with_code(book, model=model, trust=trust)
    how = (device, precision, batch_size, workers_per_loader, limit, store_dtype)
    running = Running(*how).resolved()
    if runs_here(executor):
        running.check_here()
    plan = make_plan(book, out, bounds=bounds, delta=delta, simultaneous=simultaneous)
    plan = replace(plan, running=running)
    entries = book.chosen(only)
    refuse_untrusted(book, entries)
    check_logs(entries)
    write_json(plan.out / "run.json", description(plan, book))
    tasks, keys, failures = _keys(plan, book, entries)
    todo = [
        (entry, tasks[entry.task])
        for entry in entries
        if entry.name in keys and (fresh or pending_bounds(plan, entry, keys[entry.name]))
    ]
    total = len(entries)
    done = total - len(todo)
    if progress:
        progress(len(keys) - len(todo), total, "")
        if failures:
            progress(done, total, "")

    def heard(entry: Entry, text: str) -> None:
        if progress:
            progress(done, total, f"{entry.name}: {text}")

    for entry, failure in run_entries(plan, todo, keys, executor, workers, fresh, heard):
        done += 1
        if failure is not None:
            failures[entry.name] = failure
        if progress:
            progress(done, total, entry.name)
    return collect(plan, entries, keys, failures)


def _keys(
    plan: Plan, book: Manifest, entries: Iterable[Entry]
) -> tuple[dict[str, Task], dict[str, Keys], dict[str, Failure]]:
    """Tasks with the hash of their data, and keys of all checkpoints, or why there is none.

    A person's data are read here once, whatever the number of checkpoints on them.
    """
    tasks: dict[str, Task] = {}
    broken: dict[str, BaseException] = {}
    keys: dict[str, Keys] = {}
    failures: dict[str, Failure] = {}
    for entry in entries:
        name = entry.task
        if name not in tasks and name not in broken:
            try:
                tasks[name] = with_key(book.tasks[name], plan.running.limit)
            except (Exception, SystemExit) as error:
                broken[name] = error
        if name in broken:
            failures[entry.name] = failed(plan, entry, broken[name])
            continue
        try:
            keys[entry.name] = checkpoint_keys(plan, entry, tasks[name])
        except OSError as error:
            what = "no such file" if isinstance(error, FileNotFoundError) else str(error.strerror)
            failures[entry.name] = Failure(
                entry.name, f"{error.filename}: {what}{install_hint(error.filename)}"
            )
        except NcboundsError as error:
            failures[entry.name] = failed(plan, entry, error)
    return tasks, keys, failures


def make_plan(
    manifest: Manifest,
    out: "str | Path",
    *,
    bounds: "str | Iterable[str | Bound] | None" = None,
    delta: float = 0.05,
    simultaneous: bool = False,
) -> Plan:
    """Fix what a run computes before anything is computed."""
    delta = check_delta(delta)
    asked = bounds if bounds is None or isinstance(bounds, str) else tuple(bounds)
    plain, chosen = select(asked), select(asked, USUAL)
    planned = sum(
        _spending(plain, chosen, e, manifest.tasks[e.task]) for e in manifest.checkpoints.values()
    )
    files = [(name, str(e.file)) for name, e in manifest.checkpoints.items()]
    what = repr((files, [b.id for b in chosen], delta, simultaneous))
    what += "".join(repr(task.claims) for task in manifest.tasks.values() if task.claims)
    identity = hashlib.sha256(what.encode("utf-8", "backslashreplace")).hexdigest()[:16]
    series = Counter(e.series for e in manifest.checkpoints.values() if e.series)
    return Plan(
        *(Path(out).resolve(), chosen, delta, simultaneous, planned, asked, identity),
        series=dict(series),
        for_means=frozenset({b.id for b in chosen} - {b.id for b in plain}),
    )


def _spending(plain: Sequence[Bound], with_means: Sequence[Bound], entry: Entry, task: Task) -> int:
    """Rows of a checkpoint that spend delta, as far as is known before its labels are read.

    Where nothing says how many labels a row has, the more of the two are planned.
    """
    asked = asked_for(task.claims)
    usual = asked_under(NOTHING, MultiLabel(ranked=entry.ranked), 2, scored=True)
    one = planned_rows(with_means if asked.means else plain, asked)
    several = planned_rows(with_means, usual if asked == NOTHING else asked, several_labels=True)
    if task.decision == "multi-label" or task.pairs or asked.of_labels:
        return several
    return one if task.decision or asked != NOTHING else max(one, several)


def _asking(book: Manifest, claims: "str | Iterable[str] | None") -> Manifest:
    """Return the manifest with more claims in each of its tasks."""
    words = tuple([claims] if isinstance(claims, str) else claims or ())
    if not words:
        return book
    if not all(isinstance(word, str) for word in words):
        raise NcboundsError(
            "claims of a run are words, such as 'balanced' or 'rare=7+8', which can be stored with "
            "it; others go to nb.evaluate(evidence, claims=...)"
        )
    tasks = {
        name: replace(task, claims=(*task.claims, *words)) for name, task in book.tasks.items()
    }
    for task in tasks.values():
        asked_for(task.claims)  # raises where one is none, or is there twice
    return replace(book, tasks=tasks)
