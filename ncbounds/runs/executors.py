"""Engines that exist already: any executor of ``concurrent.futures``, and those known by name."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from contextlib import contextmanager
from typing import Any, cast

from ncbounds.errors import NcboundsError
from ncbounds.runs.workers import Died, one_thread_each

#: Engines by name; an address of a Dask scheduler follows its word.
PROCESSES, THREADS, LOKY, DASK = "processes", "threads", "loky", "dask://"
ENGINES = f"{PROCESSES}, {THREADS}, {LOKY}, {DASK}HOST:PORT"
#: Seconds to wait for a scheduler.
PATIENCE = 10


def check_engine(name: str, workers: int | None) -> str:
    """Return the name of an engine, or say what is known.

    Raises
    ------
    NcboundsError
        No engine of that name; a number of workers that the engine would pass over.
    """
    if name not in (PROCESSES, THREADS, LOKY) and not name.startswith(DASK):
        raise NcboundsError(f"no engine is called {name!r}; there are {ENGINES}")
    if name.startswith(DASK) and workers is not None:
        raise NcboundsError(
            f"a Dask cluster has as many workers as were started there: leave workers = {workers} "
            f"out beside {name}"
        )
    if name != PROCESSES and workers is not None and workers < 1:
        raise NcboundsError(f"{name} needs at least one worker, found workers = {workers}")
    return name


def runs_here(executor: Executor | str | None) -> bool:
    """Whether an engine or executor is known to work on this machine."""
    if isinstance(executor, str):
        return not executor.startswith(DASK)
    return executor is None or isinstance(executor, ProcessPoolExecutor | ThreadPoolExecutor)


def over_executor(
    function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], executor: Executor
) -> Iterator[tuple[int, Any]]:
    """Yield the number of each job and what ``function(*job)`` returned, as they are done.

    A :class:`~ncbounds.runs.workers.Died` stands for a job whose worker died or raised.
    """
    futures = {executor.submit(function, *job): number for number, job in enumerate(jobs)}
    try:
        for future in as_completed(futures):
            yield futures[future], _outcome(future)
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def over_engine(
    function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], name: str, count: int
) -> Iterator[tuple[int, Any]]:
    """:func:`over_executor` by the name of an engine, with at most ``count`` jobs at a time.

    Raises
    ------
    NcboundsError
        A scheduler that does not answer, or a library that is not installed.
    """
    if name == LOKY:
        yield from _over_loky(function, jobs, count)
        return
    with opened(name, count) as executor:
        yield from over_executor(function, jobs, executor)


@contextmanager
def opened(name: str, count: int) -> Iterator[Executor]:
    """Executor of an engine by its name, with at most ``count`` jobs at a time.

    Raises
    ------
    NcboundsError
        As :func:`over_engine` does.
    """
    if name.startswith(DASK):
        with _dask(name) as executor:
            yield executor
    elif name == THREADS:
        with ThreadPoolExecutor(count) as executor:
            yield executor
    else:  # a pool that starts processes anew each time: torch does not survive a fork
        with _loky(count) as executor:
            yield executor


def _over_loky(
    function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], count: int
) -> Iterator[tuple[int, Any]]:
    """Jobs over processes of loky.

    A process that is killed breaks the pool. The few jobs that were in hand then are tried once
    more, each alone, so that the one that kills is known and the others are done.
    """
    waiting, suspects = deque(range(len(jobs))), deque[int]()
    while waiting or suspects:
        queue, width = (suspects, 1) if suspects else (waiting, count)
        with _loky(width) as pool:
            running: dict[Future[Any], int] = {}
            broken = False
            while (queue or running) and not broken:
                while queue and len(running) < width:
                    number = queue.popleft()
                    running[pool.submit(function, *jobs[number])] = number
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                broken = any(isinstance(f.exception(), BrokenExecutor) for f in done)
                for future in done:
                    number = running.pop(future)
                    if width > 1 and isinstance(future.exception(), BrokenExecutor):
                        suspects.append(number)
                    else:
                        yield number, _outcome(future)
            suspects.extend(running.values())


def _outcome(future: Future[Any]) -> Any:
    try:
        return future.result()
    except Exception as error:  # the worker died; the others' files are kept
        return Died(f"worker failed: {type(error).__name__}: {error}")


@contextmanager
def _loky(count: int) -> Iterator[Executor]:
    from joblib.externals.loky import ProcessPoolExecutor  # comes with scikit-learn

    with one_thread_each(), ProcessPoolExecutor(count) as executor:
        yield executor


@contextmanager
def _dask(name: str) -> Iterator[Executor]:
    """Executor of the scheduler at ``dask://host:port``."""
    address = name.removeprefix(DASK)
    try:
        from distributed import Client
    except ImportError:
        raise NcboundsError(
            f'{name} needs the package distributed: pip install "ncbounds[dask]"'
        ) from None
    try:
        client: Any = cast("Any", Client)(
            f"tcp://{address}", timeout=PATIENCE, set_as_default=False
        )
    except (OSError, TimeoutError, ValueError) as error:
        raise NcboundsError(
            f"no Dask scheduler answers at {address} ({error}); needed: the address that "
            "`dask scheduler` prints, such as dask://127.0.0.1:8786"
        ) from None
    with client:
        yield client.get_executor(pure=False)
