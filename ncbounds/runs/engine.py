"""Checkpoints mapped over workers."""

import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from typing import Any

from ncbounds.data.manifest import Entry, Task
from ncbounds.errors import NcboundsError
from ncbounds.evaluation.plan import Plan
from ncbounds.evaluation.rows import bound_rows
from ncbounds.files import read_sealed, write_sealed, write_text
from ncbounds.report import Failure
from ncbounds.runs.executors import PROCESSES, over_engine, over_executor
from ncbounds.runs.folder import pending_bounds, stored_facts
from ncbounds.runs.keys import Keys
from ncbounds.runs.workers import Died, over_workers, say, saying_to

#: Where the traceback of a failure that is no error of ours is kept, in the checkpoint's folder.
TRACEBACK = "traceback.txt"


def evaluate_entry(
    plan: Plan, entry: Entry, task: Task, keys: Keys, fresh: bool = False
) -> Failure | None:
    """Evaluate one checkpoint; what is stored already is skipped. Runs in a worker."""
    folder = plan.folder(entry)
    try:
        pending = list(plan.bounds) if fresh else pending_bounds(plan, entry, keys)
        if not pending:
            return None
        from ncbounds.evaluation.facts import facts_of
        from ncbounds.runs.subject import evidence_of

        store = plan.out / "store"
        evidence = evidence_of(entry, task, store, plan.running, say=say)
        for b in pending:
            if not plan.gives(b, evidence.asked.means):
                continue  # which the facts say
            rows = [r.to_dict() for r in bound_rows(b, evidence, plan.each)]
            piece = {"key": keys.rows[b.id], "rows": rows}
            # what a machine that stops leaves unfinished is known by its seal, and computed again
            write_sealed(folder / f"{b.id}.json", piece, sync=False)
        if fresh or stored_facts(plan, entry, keys) is None:
            write_sealed(folder / "facts.json", {**facts_of(evidence), "key": keys.facts})
        (folder / TRACEBACK).unlink(missing_ok=True)
    except (Exception, SystemExit) as error:  # it must not take the other checkpoints with it
        return failed(plan, entry, error)
    return None


def failed(plan: Plan, entry: Entry, error: BaseException) -> Failure:
    """Failure of one checkpoint; where other code than ours raised, its traceback is kept.

    A person's loader, builder or file may raise anything, ``SystemExit`` too.
    """
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, NcboundsError) and error.__cause__ is None:
        return Failure(entry.name, reason)
    path = plan.folder(entry) / TRACEBACK
    try:
        write_text(path, "".join(traceback.format_exception(error)))
    except OSError as full:
        return Failure(entry.name, f"{reason} (its traceback cannot be kept: {full})")
    return Failure(entry.name, f"{reason} (see {path.relative_to(plan.out)} of the run)")


def evaluate_elsewhere(
    plan: Plan, entry: Entry, task: Task, keys: Keys, fresh: bool
) -> tuple[Failure | None, dict[str, dict[str, Any]]]:
    """Evaluate in a process that may be on another machine; what it stored comes along."""
    failure = evaluate_entry(plan, entry, task, keys, fresh)
    pieces = {}
    for name, key in {**keys.rows, "facts": keys.facts}.items():
        found = read_sealed(plan.folder(entry) / f"{name}.json")
        if found is not None and found.get("key") == key:
            pieces[name] = found
    return failure, pieces


def _keep(plan: Plan, entry: Entry, pieces: Mapping[str, dict[str, Any]]) -> None:
    """Store what another machine stored, unless the two share a disk."""
    for name, piece in pieces.items():
        path = plan.folder(entry) / f"{name}.json"
        if read_sealed(path) != piece:
            write_sealed(path, piece)


def run_entries(
    plan: Plan,
    todo: list[tuple[Entry, Task]],
    keys: Mapping[str, Keys],
    executor: Executor | str | None,
    workers: int | None,
    fresh: bool,
    heard: Callable[[Entry, str], None] = lambda entry, text: None,
) -> Iterator[tuple[Entry, Failure | None]]:
    """Yield each entry with its failure, or None, as it is done.

    What an evaluation says on its way is passed to ``heard``, unless it runs in an executor.
    """
    count = min(len(todo), (os.cpu_count() or 1) if workers is None else workers)
    local = executor is None or executor == PROCESSES
    if not todo:
        return
    if local and count < 1:
        with _threads_given_back():
            for entry, task in todo:
                with saying_to(partial(heard, entry)):
                    found = evaluate_entry(plan, entry, task, keys[entry.name], fresh)
                yield entry, found
        return
    jobs = [(plan, entry, task, keys[entry.name], fresh) for entry, task in todo]
    if local:
        done = over_workers(
            evaluate_entry, jobs, count, lambda number, text: heard(jobs[number][1], text)
        )
    elif isinstance(executor, str):
        done = over_engine(evaluate_elsewhere, jobs, executor, count)
    else:
        assert executor is not None
        done = over_executor(evaluate_elsewhere, jobs, executor)
    for number, found in done:
        entry = todo[number][0]
        if isinstance(found, Died):
            yield entry, Failure(entry.name, found.reason)
            continue
        if not local:
            found, pieces = found
            _keep(plan, entry, pieces)
        yield entry, found


@contextmanager
def _threads_given_back() -> Iterator[None]:
    """Let a person's own process keep its number of torch threads; an evaluation sets it to 1."""
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
