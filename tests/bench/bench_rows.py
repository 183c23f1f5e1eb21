"""CPU seconds and peak memory of every row of ``--bounds all`` on synthetic evidence.

Run as a script; prints a line for each, also as a multiple of a floor that is
measured in the same run: casting the holdout features to float64 in blocks and taking their Gram
matrix and logits. Several rows share moments: the first that reads them pays for all of them, so
the rows are timed in the order of the catalogue, as a run evaluates them, with the measured error
of each included. What is over a goal is marked, and nothing fails: a busy machine is no error.

``--many`` is 1000 classes in 2048 dimensions; ``--n``, ``--dim``, ``--classes`` set any other size,
``--bounds`` a selection, and ``--stop`` gives rows up after so many seconds of CPU.
"""

import argparse
import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ncbounds.bounds.bound import Bound
from ncbounds.bounds.selection import select
from ncbounds.evaluation.facts import facts_of
from ncbounds.evaluation.rows import bound_rows
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.procedures.linear import ncm
from ncbounds.statistics.rows import block_rows

SMALL, MANY = (50_000, 512, 10), (50_000, 2048, 1000)
#: Goal in CPU seconds of a row at the small size, at the large size, and of all rows there.
ROW, ROW_MANY, ALL_MANY = 1.0, 60.0, 300.0


def evidence(n: int, dim: int, classes: int, noise: float = 0.5) -> Evidence:
    """Float32 features around class means in general position, one sample for every role."""
    rng = np.random.default_rng(0)
    means = rng.standard_normal((classes, dim))
    means /= np.linalg.norm(means, axis=1)[:, None]

    def sample(role: str, size: int) -> Sample:
        y = rng.permutation(np.arange(size) % classes)
        f = rng.standard_normal((size, dim), dtype=np.float32)
        f *= np.float32(noise / np.sqrt(dim))
        f += means[y].astype(np.float32)
        return Sample.from_arrays(f, y, role=role, sampling="iid")

    few = max(n // 5, 10 * classes)
    return Evidence(
        head=LinearHead(means, 0.05 * rng.standard_normal(classes)),
        fit=sample("fit", n),
        holdout=sample("holdout", n),
        unlabelled=Sample.from_arrays(sample("fit", few).features, role="unlabelled"),
        test=sample("test", few),
        procedure=ncm,
    )


def floor(e: Evidence) -> None:
    """Float64 Gram matrix and logits of the holdout sample, in blocks."""
    assert e.holdout is not None
    f = e.holdout.features
    gram, size = np.zeros((e.head.dim, e.head.dim)), block_rows(e.head.dim)
    logits = np.empty((len(f), e.head.classes))
    for i in range(0, len(f), size):
        part = f[i : i + size].astype(np.float64)
        gram += part.T @ part
        np.matmul(part, e.head.weight.T, out=logits[i : i + size])


class Stopped(Exception):
    """A row took longer than ``--stop``."""


def measured(work: Callable[[], object], stop: float | None = None) -> tuple[float, float]:
    """CPU seconds of ``work``, and by how many MiB resident memory rose meanwhile at most."""

    def give_up(*_: object) -> None:
        raise Stopped

    signal.signal(signal.SIGVTALRM, give_up)
    _forget_peak()
    before, began = _resident("VmRSS"), time.process_time()
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, stop or 0.0)
        work()
    except Stopped:
        pass
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
    return time.process_time() - began, _resident("VmHWM") - before


def _resident(field: str) -> float:
    """MiB of the process, now (VmRSS) or at most since the last reset (VmHWM); nan off Linux."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def timed(b: Bound, e: Evidence, stop: float | None) -> Iterator[tuple[str, float, float, str]]:
    """Name, CPU seconds, MiB and value of every row of a bound."""
    for role, params in b.planned(e.without_test()):
        one, rows = _OneRow(b, role, dict(params)), []
        seconds, rise = measured(lambda: rows.extend(bound_rows(one, e, 0.05)), stop)  # noqa: B023
        settings = ", ".join(f"{k}={v}" for k, v in params.items())
        name = f"{b.id}({settings}) {role}" if settings else f"{b.id} {role}"
        yield name, seconds, rise, _said(rows[0]) if rows else "stopped"


class _OneRow:
    """A bound that plans a single row."""

    def __init__(self, b: Bound, role: str, params: dict) -> None:
        self._bound, self._row = b, (role, params)

    def planned(self, _: Evidence) -> list:
        return [self._row]

    def __call__(self, *args, **params):
        return self._bound(*args, **params)

    def __getattr__(self, name: str) -> object:
        return getattr(self._bound, name)


def _said(row) -> str:
    value = row.measure if row.kind == "measure" else row.value
    return f"{value:.6g}" if np.isfinite(value) else "; ".join(row.reasons)[:60]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--many", action="store_true")
    parser.add_argument("--n", type=int)
    parser.add_argument("--dim", type=int)
    parser.add_argument("--classes", type=int)
    parser.add_argument("--bounds", default="all")
    parser.add_argument("--stop", type=float)
    given = parser.parse_args()
    usual = MANY if given.many else SMALL
    n, dim, classes = (
        a or b for a, b in zip((given.n, given.dim, given.classes), usual, strict=True)
    )
    goal = ROW_MANY if classes > 100 else ROW
    e = evidence(n, dim, classes)
    least = min(measured(lambda: floor(e))[0] for _ in range(2))
    print(f"n = {n}, d = {dim}, C = {classes}: floor {least:.3f} s, goal {goal:g} s a row")

    def show(name: str, seconds: float, rise: float, value: str) -> float:
        mark, ratio = "OVER" if seconds > goal else "", seconds / least
        line = f"{name:46} {seconds:8.3f} s {ratio:8.2f} x {rise:7.0f} MiB  {value} {mark}"
        print(line, flush=True)
        return seconds

    total = sum(show(*row) for b in select(given.bounds) for row in timed(b, e, given.stop))
    show("(collapse metrics)", *measured(lambda: facts_of(e), given.stop), "")
    whole = f", goal {ALL_MANY:g} s" if goal == ROW_MANY else ""
    print(f"all rows {total:.1f} s, {total / least:.1f} x{whole}")


if __name__ == "__main__":
    main()
