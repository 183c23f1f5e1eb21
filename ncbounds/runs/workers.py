"""Processes that may be killed without taking the others along, and that end with their parent.

Each has a pipe of its own, so that it is known which job a worker had in hand when it died: a pool
of the standard library breaks as a whole, and its workers outlive a parent that is killed.
"""

import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any

#: Seconds between two looks at workers whose pipe a process of theirs may hold open.
LOOK = 1.0
#: Seconds that a worker has to clean up before it is killed.
PATIENCE = 5.0

#: What workers need before their first job.
PRELOADED = ["ncbounds.runs.preload"]
#: Who hears what a job says on its way.
_HEARER: ContextVar[Callable[[str], None] | None] = ContextVar("hearer", default=None)

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Died:
    """What came of a job whose worker ended before it had an answer, or had none to give."""

    reason: str


class _Worker:
    """One process and the job that it has in hand."""

    def __init__(self, function: Callable[..., Any]) -> None:
        context = _context()
        self.pipe, theirs = context.Pipe()
        # not a daemon: a person's loader may have processes of its own
        self.process: BaseProcess = context.Process(  # type: ignore[attr-defined]
            target=_serve, args=(function, theirs, dict(os.environ))
        )
        self.process.start()
        theirs.close()
        self.job: int | None = None
        self.started = False

    def answer(self) -> "tuple[Any] | str | None":
        """What came of the job, or what it says; None where the worker has only started."""
        try:
            found = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(PATIENCE)
            return (Died(_last_words(self.process.exitcode, self.started)),)
        self.started = True
        return found if found is None or isinstance(found, str) else (found[0],)

    def stop(self) -> None:
        """End the process: at once where it is idle, else as an interruption would."""
        self.pipe.close()
        if self.job is not None:
            self.process.terminate()
        self.process.join(PATIENCE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()


def over_workers(
    function: Callable[..., Any],
    jobs: Sequence[tuple[Any, ...]],
    count: int,
    heard: Callable[[int, str], None] = lambda number, text: None,
) -> Iterator[tuple[int, Any]]:
    """Yield the number of each job and what ``function(*job)`` returned, as they are done.

    Parameters
    ----------
    function : callable
        Importable by other processes; what it returns and raises goes through a pipe.
    jobs : sequence of tuple
        Arguments.
    count : int
        Processes at most.
    heard : callable
        Told the number of a job and what it says by :func:`say`.

    Yields
    ------
    (int, object)
        A :class:`Died` stands for a job whose worker was killed, that raised, or that could not be
        sent; the others go on, in new processes where that is needed.
    """
    waiting, idle = deque(range(len(jobs))), list[_Worker]()
    busy: list[_Worker] = []
    with one_thread_each():
        try:
            while waiting or busy:
                while waiting and len(busy) < count:
                    worker = idle.pop() if idle else _Worker(function)
                    if worker.process.exitcode is not None:  # it was killed
                        worker.stop()
                        continue
                    busy.append(worker)
                    worker.job = waiting.popleft()
                    try:
                        worker.pipe.send(jobs[worker.job])
                    except OSError:
                        pass  # it has ended: its answer says so
                    except Exception as error:
                        yield worker.job, Died(f"{type(error).__name__}: {error}")
                        worker.job = None
                        idle.append(busy.pop())
                for worker in _heard(busy):
                    found = worker.answer()
                    if isinstance(found, str) and worker.job is not None:
                        heard(worker.job, found)
                    if not isinstance(found, tuple):
                        continue
                    job, worker.job = worker.job, None
                    busy.remove(worker)
                    idle.append(worker)
                    assert job is not None
                    yield job, found[0]
        finally:
            for worker in [*busy, *idle]:
                worker.stop()


def _heard(busy: list[_Worker]) -> list[_Worker]:
    """Workers that have sent something or have ended."""
    ready = wait([w.pipe for w in busy], timeout=LOOK)
    return [w for w in busy if w.pipe in ready or w.process.exitcode is not None]


def _last_words(code: int | None, started: bool) -> str:
    if code is not None and code < 0:
        hint = " (short of memory? fewer workers need less)" if -code == signal.SIGKILL else ""
        return f"its worker was killed by {signal.Signals(-code).name}{hint}"
    hint = (
        ""
        if started
        else " before it began: a script that evaluates needs `if __name__ == '__main__':` around "
        "that, or workers=0"
    )
    return f"its worker ended with exit code {code}{hint}"


def say(text: str) -> None:
    """Let a job say how far it is: to the process that gave it, or to nobody."""
    hearer = _HEARER.get()
    if hearer is not None:
        hearer(text)


@contextmanager
def saying_to(hearer: Callable[[str], None]) -> Iterator[None]:
    """Hear what jobs in this process say."""
    token = _HEARER.set(hearer)
    try:
        yield
    finally:
        _HEARER.reset(token)


def _context() -> BaseContext:
    """How workers start: on Linux as forks of one process that has imported what they need.

    That process computes nothing, so that it has no threads. Elsewhere each imports for itself.
    """
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def _serve(function: Callable[..., Any], pipe: Connection, environ: dict[str, str]) -> None:
    """Do jobs until the pipe is closed. Runs in the worker."""
    os.environ.clear()  # that of the process it is a fork of is older
    os.environ.update(environ)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to end
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # files half written are removed
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        pipe.send(None)
        with saying_to(pipe.send):
            while pipe.poll(None):
                pipe.send((_done(function, pipe),))
    except KeyboardInterrupt:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    except (EOFError, OSError):  # nobody asks any more
        return


def _done(function: Callable[..., Any], pipe: Connection) -> Any:
    data = pipe.recv_bytes()
    try:
        return function(*pickle.loads(data))  # from the parent, which made it
    except Exception as error:
        return Died(f"{type(error).__name__}: {error}")


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let processes that start here use one BLAS thread each: cores are shared out over jobs."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
