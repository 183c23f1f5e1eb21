"""Many checkpoints: plan, map over an executor, keep every finished piece, collect.

Work is cut into checkpoints and, inside one, into bounds. Each bound's rows are one file, written
atomically and stamped with a key of everything it depends on, so that an interrupted run goes on
where it stopped, and nothing stale is taken for current.
"""

import hashlib
import json
import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ncbounds.bounds._bound import Bound
from ncbounds.errors import ManifestError, NcboundsError, suggest
from ncbounds.evaluation import bound_rows, listed, planned_rows, select
from ncbounds.files import read_json, write_json
from ncbounds.manifest import Entry, Manifest, Task, file_hash, load_manifest
from ncbounds.report import Failure, Report
from ncbounds.results import result_from_dict
from ncbounds.zoo.fashion14 import install_hint

#: Version of the layout of a run folder.
FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What a run computes; stored as ``run.json``.

    ``asked`` is the selection that ``bounds`` came from.
    ``planned`` is the number of rows that spend delta: checkpoints of the manifest times selected
    bounds that can be certificates or conditional, failed ones included. It is fixed before
    anything runs, so that resuming or merging does not change a row's delta.
    """

    out: Path
    bounds: tuple[Bound, ...]
    delta: float
    simultaneous: bool
    planned: int
    asked: "str | tuple[str | Bound, ...] | None" = None

    @property
    def each(self) -> float:
        """Delta of one row."""
        return self.delta / max(self.planned, 1) if self.simultaneous else self.delta

    def folder(self, entry: Entry) -> Path:
        """Folder of one checkpoint's results."""
        return self.out / "results" / entry.name.replace("/", "_")


def sweep(
    manifest: "Manifest | str | Path",
    out: "str | Path",
    executor: Executor | None = None,
    *,
    bounds: "str | Iterable[str | Bound] | None" = None,
    delta: float = 0.05,
    simultaneous: bool = False,
    workers: int | None = None,
    only: Iterable[str] | None = None,
    fresh: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> Report:
    """Evaluate every checkpoint of a manifest; finished work is found in ``out`` and kept.

    Parameters
    ----------
    manifest : Manifest or path of ``zoo.toml``
    out : path
        Run folder: ``store/`` (features), ``results/`` (one JSON file per checkpoint and bound),
        ``run.json``. Nothing is written elsewhere.
    executor : concurrent.futures.Executor, optional
        Where checkpoints are evaluated; by default processes of this machine.
    bounds, delta, simultaneous
        As in :func:`ncbounds.evaluate`. With ``simultaneous`` delta is divided by the number of
        planned rows of the whole manifest.
    workers : int, optional
        Processes if no executor is given (default: one per core); 0 runs in this process.
    only : iterable of str, optional
        Names of checkpoints to evaluate; delta is still divided over the whole manifest.
    fresh : bool
        Compute again what is already there.
    progress : callable ``(done, total, name)``, optional

    Returns
    -------
    Report
        A checkpoint that cannot be evaluated is a row with its reason.
    """
    book = manifest if isinstance(manifest, Manifest) else load_manifest(manifest)
    plan = make_plan(book, out, bounds=bounds, delta=delta, simultaneous=simultaneous)
    entries = _chosen(book, only)
    write_json(plan.out / "run.json", _describe(plan, book))
    keys: dict[str, str] = {}
    failures: dict[str, Failure] = {}
    todo = []
    for entry in entries:
        task = book.tasks[entry.task]
        try:
            keys[entry.name] = entry_key(entry, task)
        except OSError as error:
            what = "no such file" if isinstance(error, FileNotFoundError) else str(error.strerror)
            failures[entry.name] = Failure(
                entry.name, f"{error.filename}: {what}{install_hint(error.filename)}"
            )
            continue
        if fresh or _pending(plan, entry, keys[entry.name]):
            todo.append((entry, task))
    total = len(entries)
    done = total - len(todo)
    if progress:
        progress(done, total, "")
    for entry, failure in _run(plan, todo, keys, executor, workers, fresh):
        done += 1
        if failure is not None:
            failures[entry.name] = failure
        if progress:
            progress(done, total, entry.name)
    return collect(plan, entries, keys, failures)


def select_files(
    paths: Iterable[Path], manifest: "Path | None" = None
) -> tuple[Manifest, list[str] | None]:
    """Manifest and names that the command line's paths stand for.

    A folder with a ``zoo.toml``, or a manifest itself, stands for all its checkpoints; files stand
    for the entries of ``manifest`` (or of the ``zoo.toml`` beside them) that name them.

    Raises
    ------
    ManifestError
        If a file is in no manifest, or several manifests are meant.
    """
    files = [Path(p) for p in paths]
    if manifest is None:
        if len(files) == 1 and (files[0].suffix == ".toml" or (files[0] / "zoo.toml").exists()):
            return load_manifest(files[0]), None
        if not files[0].exists():
            raise ManifestError(f"{files[0]} does not exist")
        manifest = files[0] if files[0].is_dir() else files[0].parent
    book = load_manifest(manifest)
    by_file = {entry.file: name for name, entry in book.checkpoints.items()}
    names = []
    for file in files:
        if file.resolve() not in by_file and file.resolve() != book.path.parent:
            raise ManifestError(
                f"{file} is not in {book.path}; add a [checkpoints.NAME] table with file = "
                f"'{file.name}', or pass --data file.py:function"
            )
        names += [by_file[file.resolve()]] if file.resolve() in by_file else list(by_file.values())
    return book, names


def make_plan(
    manifest: Manifest,
    out: "str | Path",
    *,
    bounds: "str | Iterable[str | Bound] | None" = None,
    delta: float = 0.05,
    simultaneous: bool = False,
) -> Plan:
    """Fix what a run computes before anything is computed."""
    if not 0.0 < delta < 1.0:
        raise NcboundsError(f"delta is a probability in (0, 1), found {delta}")
    asked = bounds if bounds is None or isinstance(bounds, str) else tuple(bounds)
    chosen = select(asked)
    planned = len(manifest.checkpoints) * planned_rows(chosen)
    return Plan(Path(out).resolve(), chosen, delta, simultaneous, planned, asked)


def entry_key(entry: Entry, task: Task) -> str:
    """Hash of all that the results of a checkpoint depend on, besides the bound and delta."""
    parts = {
        "file": _file_hash(entry.file),
        "data": _file_hash(task.data),
        "code_word": _word_hash(entry.code_word),
        "entry": _json({**vars(entry), "file": "", "code_word": "", "group": {}}),
        "task": _json({**vars(task), "data": ""}),
        "code": code_hash(),
    }
    return hashlib.sha256(_json(parts).encode()).hexdigest()[:32]


@cache
def code_hash() -> str:
    """Hash of the package's source, except what only parses arguments or prints."""
    import ncbounds

    root = Path(ncbounds.__file__).parent
    skipped = {"cli.py", "cli_zoo.py"}
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if relative.parts[0] == "report" or relative.name in skipped:
            continue
        digest.update(str(relative).encode() + path.read_bytes())
    return digest.hexdigest()[:32]


def collect(
    plan: Plan,
    entries: Iterable[Entry],
    keys: Mapping[str, str],
    failures: Mapping[str, Failure],
) -> Report:
    """Read the stored rows of a plan back into a report, in the manifest's order."""
    rows, facts = [], {}
    for entry in entries:
        if entry.name in failures:
            continue
        stored = read_json(plan.folder(entry) / "facts.json") or {}
        facts[entry.name] = {**stored, "group": dict(entry.group), "protocol": entry.protocol}
        for b in plan.bounds:
            found = _stored(plan, entry, b, keys[entry.name])
            rows += listed([result_from_dict(r) for r in (found or [])], plan.asked)
    ordered = [failures[e.name] for e in entries if e.name in failures]
    return Report(rows, ordered, facts, simultaneous=plan.simultaneous)


def evaluate_entry(
    plan: Plan, entry: Entry, task: Task, key: str, fresh: bool = False
) -> Failure | None:
    """Evaluate one checkpoint; what is stored already is skipped. Runs in a worker."""
    folder = plan.folder(entry)
    try:
        pending = list(plan.bounds) if fresh else _pending(plan, entry, key)
        if not pending:
            return None
        from ncbounds.loading import evidence_of, facts_of

        evidence = evidence_of(entry, task, store=plan.out / "store")
        for b in pending:
            rows = [r.to_dict() for r in bound_rows(b, evidence, plan.each)]
            write_json(folder / f"{b.id}.json", {"key": _row_key(plan, b, key), "rows": rows})
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


def _run(
    plan: Plan,
    todo: list[tuple[Entry, Task]],
    keys: Mapping[str, str],
    executor: Executor | None,
    workers: int | None,
    fresh: bool,
) -> Iterator[tuple[Entry, Failure | None]]:
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


def _chosen(manifest: Manifest, only: Iterable[str] | None) -> list[Entry]:
    if only is None:
        return list(manifest.checkpoints.values())
    known = manifest.checkpoints
    for name in (names := list(only)):
        if name not in known:
            raise ManifestError(
                f"no checkpoint {name!r} in {manifest.path}; {suggest(name, list(known))}"
            )
    return [known[name] for name in names]


def _row_key(plan: Plan, b: Bound, key: str) -> str:
    text = f"{key} {b.id} {b.source_hash} {plan.each!r}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _stored(plan: Plan, entry: Entry, b: Bound, key: str) -> list[dict[str, Any]] | None:
    found = read_json(plan.folder(entry) / f"{b.id}.json")
    if not isinstance(found, dict) or found.get("key") != _row_key(plan, b, key):
        return None
    rows: list[dict[str, Any]] = found["rows"]
    return rows


def _pending(plan: Plan, entry: Entry, key: str) -> list[Bound]:
    missing = [b for b in plan.bounds if _stored(plan, entry, b, key) is None]
    facts = read_json(plan.folder(entry) / "facts.json")
    if not missing and (not facts or facts.get("key") != key):
        return list(plan.bounds[-1:])  # facts are written with the last bound
    return missing


def _describe(plan: Plan, manifest: Manifest) -> dict[str, Any]:
    from ncbounds import __version__

    return {
        "format": FORMAT,
        "version": __version__,
        "manifest": manifest.path.name,
        "manifest_sha256": file_hash(manifest.path),
        "bounds": [b.id for b in plan.bounds],
        "delta": plan.delta,
        "simultaneous": plan.simultaneous,
        "planned_rows": plan.planned,
        "delta_each": plan.each,
        "checkpoints": len(manifest.checkpoints),
    }


def _json(data: Any) -> str:
    return json.dumps(data, sort_keys=True, default=str)


@cache
def _hash_at(path: Path, size: int, time_ns: int) -> str:
    return file_hash(path)


def _word_hash(path: Path | None) -> str:
    """Hash of a code word, or why there is none: that is a row's reason, not a failure."""
    try:
        return "" if path is None else _file_hash(path)
    except OSError as error:
        return str(error.strerror)


def _file_hash(path: Path) -> str:
    if path.is_dir():
        return file_hash(path)
    stat = path.stat()
    return _hash_at(path, stat.st_size, stat.st_mtime_ns)
