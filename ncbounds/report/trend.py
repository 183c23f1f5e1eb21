"""What can be said of a series in words: is it still collapsing, since when does nothing change.

A word is said only where the brackets of the efficiency, the loss, or held-out errors show it; of a
series that shows nothing nothing is said.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ncbounds.depth.exits import EPS, apart, within
from ncbounds.errors import InvalidSample
from ncbounds.evidence.error_bits import ErrorBits, same_rows
from ncbounds.numerics import down, paired_lower_stratified, sign_test_p
from ncbounds.report.data import ReportData
from ncbounds.report.steps import Step, known_steps, steps_of
from ncbounds.results import MARK, Kind

#: What the efficiency may move, over all of a window, and still be flat.
FLAT = 0.01
#: Share of itself by which a loss falls at least where it is said to.
FALLS = 0.05
#: Steps that the last third has at least; of fewer nothing is said.
WINDOW = 3
#: Delta of a statement where the report does not say what was asked for.
DELTA = 0.05
#: Largest delta that a paired limit is proved for.
MOST_DELTA = 0.5
#: Names under which a log has the training loss.
LOSSES = ("train_loss", "training_loss", "loss")


@dataclass(frozen=True)
class StillCollapsing:
    """The efficiency rises and NC1 falls over the last third of the steps, on the fit rows.

    The last step alone raises the efficiency by more than ``FLAT`` above all before.
    ``efficiency`` holds the upper end at the first of these steps and the lower end at the last.
    """

    series: str
    first: str
    last: str
    efficiency: tuple[float, float]
    nc1: tuple[float, float]

    def __str__(self) -> str:
        (low, high), (before, after) = self.efficiency, self.nc1
        return (
            f"# still collapsing: from step {self.first} to {self.last} the efficiency rises from "
            f"at most {low:.3f} to at least {high:.3f}, and NC1 falls from {before:.3g} to "
            f"{after:.3g}"
        )


@dataclass(frozen=True)
class Stalled:
    """The efficiency moves by at most ``FLAT`` over the last third, while the loss falls."""

    series: str
    first: str
    last: str
    efficiency: tuple[float, float]
    loss: tuple[float, float]

    def __str__(self) -> str:
        (low, high), (before, after) = self.efficiency, self.loss
        return (
            f"# stalled: from step {self.first} to {self.last} the efficiency stays in [{low:.3f}, "
            f"{high:.3f}], while the training loss falls from {before:.3g} to {after:.3g}"
        )


@dataclass(frozen=True)
class Indistinguishable:
    """From a step on the error is that of the last one, within ``eps``, and none differs visibly.

    With probability at least ``1 - delta`` the first part holds at all ``steps`` steps from
    ``since`` to the one before ``last`` if ``kind`` is a certificate; ``charged`` is the number of
    limits that delta is divided over, those of steps before ``since`` among them.
    """

    series: str
    since: str
    last: str
    steps: int
    eps: float
    n: int
    role: str
    delta: float
    charged: int
    kind: Kind
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        why = f" ({self.reasons[0]})" if self.reasons and self.kind == "plug-in" else ""
        many = f"at {self.steps} steps" if self.steps > 1 else "there"
        return (
            f"{MARK[self.kind]} from step {self.since} on indistinguishable from the last, "
            f"{self.last}: {many} the error is within {self.eps:g} of that of the last and not "
            f"seen to differ, on the same {self.n} rows of {self.role}; delta {self.delta:g} over "
            f"{self.charged} steps{why}"
        )


Word = StillCollapsing | Stalled | Indistinguishable


def words_of(report: ReportData) -> list[Word]:
    """What can be said of each series of a report; empty where that is nothing."""
    found: list[Word] = []
    for steps in steps_of(report).values():
        found += moving(steps)
        facts = [report.facts.get(s.checkpoint, {}).get("steps", {}) for s in steps]
        errors = {s.checkpoint: _errors(report, s.checkpoint) for s in steps}
        charged = max(len(steps), *(int(f.get("planned", 0)) for f in facts)) - 1
        asked = [float(f["delta"]) for f in facts if "delta" in f] or [DELTA]
        delta = min(MOST_DELTA, *asked)
        found += settled(steps, errors, delta, charged)
    return found


def moving(steps: Sequence[Step]) -> list[Word]:
    """Say whether the efficiency still moves over the last third of the steps.

    Parameters
    ----------
    steps : sequence of Step
        Of one series in order. Steps whose place is unknown are passed by; any other whose
        efficiency is not known in the last third is a reason to say nothing.
    """
    placed = [s for s in steps if s.placed]
    window = placed[-math.ceil(len(placed) / 3) :]
    if len(window) < WINDOW or not all(math.isfinite(s.efficiency_upper) for s in window):
        return []
    first, last = window[0], window[-1]
    names = (first.series, first.shown, last.shown)
    lowest = min(s.efficiency for s in window)
    highest = max(s.efficiency_upper for s in window)
    if highest - lowest <= FLAT:
        before, after = _loss(first, last)
        if after < (1 - FALLS) * before:
            return [Stalled(*names, (lowest, highest), (before, after))]
        return []
    # by more than what is flat, over all of the window and at its last step too
    if (
        last.efficiency - max(s.efficiency_upper for s in window[:-1]) > FLAT
        and last.nc1 < first.nc1
    ):
        ends = (first.efficiency_upper, last.efficiency)
        return [StillCollapsing(*names, ends, (first.nc1, last.nc1))]
    return []


def _loss(first: Step, last: Step) -> tuple[float, float]:
    """Training loss at two steps: the log's where it has one, else that of the fit rows."""
    for name in LOSSES:
        pair = first.log.get(name, math.nan), last.log.get(name, math.nan)
        if all(map(math.isfinite, pair)):
            return pair
    return first.loss, last.loss


def settled(
    steps: Sequence[Step],
    errors: Mapping[str, ErrorBits | None],
    delta: float,
    charged: int,
    eps: float = EPS,
) -> list[Word]:
    """Say from which step on errors are those of the last step, on the same rows.

    Parameters
    ----------
    steps : sequence of Step
        Of one series in order; which one is the last does not depend on the rows.
    errors : mapping from checkpoint to ErrorBits or None
    delta : float in (0, 1/2]
        Probability with which any step that is named may be further than ``eps`` from the last.
    charged : int
        Steps that could be compared with the last, over which delta is divided.
    eps : float
        Fixed beforehand.

    Returns
    -------
    list of Indistinguishable
        None or one: nothing is said unless every step from one on to the last is shown to err at
        most eps more often and at most eps less often than the last, and none is shown to differ.

    Notes
    -----
    Of a step whose error is further than eps away only one of the two limits would be wrong, so
    that a union over the steps is enough: delta over ``charged``, both limits at the whole of it.
    That no test finds a difference is no statement, and costs nothing.
    """
    placed = known_steps(steps)
    if len(placed) < 2 or errors[placed[-1].checkpoint] is None:
        return []
    last = placed[-1]
    own = errors[last.checkpoint]
    assert own is not None
    since, kinds = None, [own]
    for step in reversed(placed[:-1]):
        other = errors[step.checkpoint]
        if other is None or not _alike(other, own, delta, charged, eps):
            break
        since = step
        kinds.append(other)
    if since is None:
        return []
    worst = next((bits for bits in kinds if bits.kind != "certificate"), own)
    return [
        Indistinguishable(
            *(since.series, since.shown, last.shown, len(kinds) - 1, eps, own.n, own.role),
            *(delta, max(charged, 1), worst.kind, worst.reasons),
        )
    ]


def _alike(one: ErrorBits, other: ErrorBits, delta: float, charged: int, eps: float) -> bool:
    """Whether two errors are shown to be within eps of each other, and not to differ."""
    try:
        p, q = same_rows({"one": one, "other": other})
    except InvalidSample:
        return False
    candidates = (one.candidates or 1) * (other.candidates or 1)
    share = float(down(delta / (max(charged, 1) * candidates)))
    stratified = "stratified" in (one.sampling, other.sampling)
    (a, b), n = apart(p, q), one.n
    if stratified:
        differ = max(paired_lower_stratified(*pair, n, share) for pair in ((a, b), (b, a))) > 0
    else:
        differ = min(sign_test_p(a, b), sign_test_p(b, a)) <= share
    return not differ and all(
        _within(*pair, n, eps, share, stratified) for pair in ((a, b), (b, a))
    )


@lru_cache(maxsize=1024)  # a report is shown, and written, in several forms
def _within(a: int, b: int, n: int, eps: float, share: float, stratified: bool) -> bool:
    return within(a, b, n, eps, share, stratified=stratified)


def _errors(report: ReportData, checkpoint: str) -> ErrorBits | None:
    """Errors on the holdout rows, else on the test rows, if they are stored."""
    stored = report.facts.get(checkpoint, {}).get("errors", {})
    found = stored.get("holdout", stored.get("test"))
    return None if found is None else ErrorBits.from_dict(found)
