"""Checkpoints mapped over workers."""

import os
import traceback
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context

from ncbounds.data.manifest import Entry, Task
from ncbounds.errors import NcboundsError
from ncbounds.evaluation.plan import Plan
from ncbounds.evaluation.rows import bound_rows
from ncbounds.files import read_json, write_json
from ncbounds.report import Failure
from ncbounds.runs.folder import pending_bounds
from ncbounds.runs.keys import row_key


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

        evidence = evidence_of(entry, task, store=plan.out / "store")
        for b in pending:
            rows = [r.to_dict() for r in bound_rows(b, evidence, plan.each)]
            write_json(folder / f"{b.id}.json", {"key": row_key(plan, b, key), "rows": rows})
        facts = read_json(folder / "facts.json")
        if fresh or not facts or facts.get("key") != key:
            write_json(folder / "facts.json", {**facts_of(evidence), "key": key})
    except NcboundsError as error:
        return Failure(entry.name, f"{type(error).__name__}: {error}")
    except Exception as error:  # a bug must not take the other checkpoints with it
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
        return Failure(entry.name, f"{type(error).__name__}: {error} (see traceback.txt)")
    return None


def run_entries(
    plan: Plan,
    todo: list[tuple[Entry, Task]],
    keys: Mapping[str, str],
    executor: Executor | None,
    workers: int | None,
    fresh: bool,
) -> Iterator[tuple[Entry, Failure | None]]:
    """Yield each entry with its failure, or None, as it is done."""
    count = min(len(todo), (os.cpu_count() or 1) if workers is None else workers)
    if executor is None and count < 1:
        for entry, task in todo:
            yield entry, evaluate_entry(plan, entry, task, keys[entry.name], fresh)
        return
    with _pool(executor, count) as pool:
        futures: dict[Future[Failure | None], Entry] = {
            pool.submit(evaluate_entry, plan, entry, task, keys[entry.name], fresh): entry
            for entry, task in todo
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
def _pool(executor: Executor | None, workers: int) -> Iterator[Executor]:
    """Use the caller's executor, or processes with one BLAS thread each (cores are shared out)."""
    if executor is not None:
        yield executor
        return
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
