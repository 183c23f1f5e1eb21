"""Checkpoints mapped over workers."""

import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, as_completed
from contextlib import contextmanager
from functools import partial

from ncbounds.data.manifest import Entry, Task
from ncbounds.errors import NcboundsError
from ncbounds.evaluation.plan import Plan
from ncbounds.evaluation.rows import bound_rows
from ncbounds.files import write_sealed, write_text
from ncbounds.report import Failure
from ncbounds.runs.folder import pending_bounds, stored_facts
from ncbounds.runs.keys import facts_key, row_key
from ncbounds.runs.workers import Died, over_workers, say, saying_to

#: Where the traceback of a failure that is no error of ours is kept, in the checkpoint's folder.
TRACEBACK = "traceback.txt"


def evaluate_entry(
    plan: Plan, entry: Entry, task: Task, key: str, fresh: bool = False
) -> Failure | None:
    """Evaluate one checkpoint; what is stored already is skipped. Runs in a worker."""
    folder = plan.folder(entry)
    try:
        pending = list(plan.bounds) if fresh else pending_bounds(plan, entry, key)
        if not pending:
            return None
        from ncbounds.evaluation.facts import facts_of
        from ncbounds.runs.subject import evidence_of

        store = plan.out / "store"
        evidence = evidence_of(entry, task, store, plan.running, say=say)
        for b in pending:
            rows = [r.to_dict() for r in bound_rows(b, evidence, plan.each)]
            write_sealed(folder / f"{b.id}.json", {"key": row_key(plan, b, key), "rows": rows})
        if fresh or stored_facts(plan, entry, key) is None:
            write_sealed(folder / "facts.json", {**facts_of(evidence), "key": facts_key(key)})
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
    return Failure(entry.name, f"{reason} (see {path.relative_to(plan.out)})")


def run_entries(
    plan: Plan,
    todo: list[tuple[Entry, Task]],
    keys: Mapping[str, str],
    executor: Executor | None,
    workers: int | None,
    fresh: bool,
    heard: Callable[[Entry, str], None] = lambda entry, text: None,
) -> Iterator[tuple[Entry, Failure | None]]:
    """Yield each entry with its failure, or None, as it is done.

    What an evaluation says on its way is passed to ``heard``, unless it runs in an executor.
    """
    count = min(len(todo), (os.cpu_count() or 1) if workers is None else workers)
    if executor is None and count < 1:
        if todo:
            with _threads_given_back():
                for entry, task in todo:
                    with saying_to(partial(heard, entry)):
                        found = evaluate_entry(plan, entry, task, keys[entry.name], fresh)
                    yield entry, found
        return
    jobs = [(plan, entry, task, keys[entry.name], fresh) for entry, task in todo]
    if executor is None:
        told = over_workers(
            evaluate_entry, jobs, count, lambda number, text: heard(jobs[number][1], text)
        )
        for number, found in told:
            entry = jobs[number][1]
            yield entry, Failure(entry.name, found.reason) if isinstance(found, Died) else found
        return
    futures: dict[Future[Failure | None], Entry] = {
        executor.submit(evaluate_entry, *job): job[1] for job in jobs
    }
    try:
        for future in as_completed(futures):
            entry = futures[future]
            try:
                yield entry, future.result()
            except Exception as error:  # the worker died; the others' files are kept
                reason = f"worker failed: {type(error).__name__}: {error}"
                yield entry, Failure(entry.name, reason)
    except BaseException:
        for future in futures:
            future.cancel()
        raise


@contextmanager
def _threads_given_back() -> Iterator[None]:
    """Let a person's own process keep its number of torch threads; an evaluation sets it to 1."""
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
