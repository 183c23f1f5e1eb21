"""Whether a network gives a row the same again, alone and in other company."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ncbounds.checkpoints.head.reading import TOKEN, Reading
from ncbounds.checkpoints.head.trace import rows_at, rows_of
from ncbounds.errors import HeadNotFound, NcboundsError, TapRefused, shown

SHARE = 64  # one row in so many is run again beside other rows
SINGLES = 3  # rows that are run alone where the head is looked for
SAVED_UP = 128  # rows that a GPU may owe: a pass of few rows takes it as long as one of many

BESIDE = (
    "what a row gives depends on the rows beside it (batch norm without running statistics, a "
    "scale or a contrast over the batch). Make the model a fixed function of each row"
)
RANDOM = (
    "the model draws random numbers in eval mode, or keeps something from pass to pass. Make the "
    "model a fixed function of each row"
)


def largest_change(first: Tensor, second: Tensor, size: float) -> float:
    """Return the largest difference of two passes as a multiple of what rounding explains.

    Parameters
    ----------
    first, second : Tensor of shape (n, k)
        The same rows from two passes.
    size : float
        Largest value of a pass: rounding errors follow it, not the values of one row.

    Returns
    -------
    float
        Infinite where a value is finite in one pass only.
    """
    if torch.equal(first, second):
        return 0.0
    if not torch.equal(torch.isfinite(first), torch.isfinite(second)):
        return float("inf")
    finite = torch.isfinite(first)
    difference = (first[finite].double() - second[finite].double()).abs()
    if not len(difference):
        return 0.0
    allowed = float(torch.finfo(first.dtype).eps ** 0.5) * size
    return float(difference.max()) / max(allowed, float(torch.finfo(torch.float64).tiny))


def largest(values: Tensor) -> float:
    """Return the largest finite absolute value; 0 if there is none."""
    return float(torch.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0).abs().max())


def check_same(first: Reading, second: Reading, whole: Reading, how: str, cause: str) -> None:
    """Raise if two readings of the same rows differ by more than rounding at the size of a pass.

    Raises
    ------
    HeadNotFound, TapRefused
        Saying by how much, and ``cause``.
    """
    _check("logits", first.logits, second.logits, whole.logits, cause, HeadNotFound)
    if how != TOKEN:  # which position is read depends on rounding where two give the same logits
        _check("features", first.features, second.features, whole.features, cause, HeadNotFound)
    for name, tap in first.taps.items():
        what = f"features of the tap {shown(name)!r}"
        _check(what, tap, second.taps[name], whole.taps[name], cause, TapRefused)


def _check(
    what: str, a: Tensor, b: Tensor, whole: Tensor, cause: str, error: type[NcboundsError]
) -> None:
    if a.shape != b.shape or _differ(a, b, whole):
        by = "in shape" if a.shape != b.shape else f"by {float((a - b).abs().max()):.3g}"
        raise error(f"the {what} of the same rows differ {by} between two passes: {cause}")


def _differ(first: Tensor, second: Tensor, whole: Tensor) -> bool:
    return not torch.equal(first, second) and largest_change(first, second, largest(whole)) > 1.0


def first_groups(rows: int) -> list[list[int]]:
    """Return the groups that the first rows are run in again: halves, and some rows alone."""
    if rows < 2:
        return []
    halves = [list(range(rows // 2)), list(range(rows // 2, rows))]
    alone = sorted({i * (rows - 1) // (SINGLES - 1) for i in range(SINGLES)})
    return [group for group in halves if len(group) > 1] + [[i] for i in alone]


class Regrouping:
    """Runs some rows of every batch again in other company, one row in 64 at most.

    A row alone and a few rows together in turn, where batches are large enough. Batches of one row
    are run again with the row before them. All on the device of the network, since how it sums may
    depend there on the rows of a batch.

    Parameters
    ----------
    saved_up : int
        Rows that are owed before some are run again; the first time is in the first batch.
    """

    def __init__(self, saved_up: int = 1) -> None:
        self._saved_up = saved_up
        self._credit = saved_up - 1.0
        self._batches = 0
        self._turns = 0
        self._alone: tuple[Any, Reading] | None = None

    def check(self, read: Callable[[Any], Reading], batch: Any, whole: Reading, how: str) -> None:
        """Compare rows of a batch with what they give in other groups.

        Parameters
        ----------
        read : callable
            From a batch to its reading.
        batch : Tensor, sequence or mapping of tensors
        whole : Reading
            Of the whole batch.
        how : str
            How features are read.

        Raises
        ------
        HeadNotFound, TapRefused
            If a row gives something else.
        """
        n = rows_of(batch)
        self._credit += n / SHARE
        self._batches += 1
        if n == 1:
            self._check_joined(read, batch, whole, how)
        for group in self._groups(n):
            check_same(cut(whole, group), read(rows_at(batch, group)), whole, how, BESIDE)

    def _groups(self, n: int) -> list[list[int]]:
        if n < 2 or self._credit < self._saved_up:
            return []
        start = self._batches * 7919 % n
        size = min(n // 2, int(self._credit)) if self._turns % 2 else 1
        self._turns += 1
        group = sorted((start + i * (n // size)) % n for i in range(size))  # evenly spread
        self._credit -= size
        return [group]

    def _check_joined(
        self, read: Callable[[Any], Reading], batch: Any, whole: Reading, how: str
    ) -> None:
        before, self._alone = self._alone, (batch, whole)
        both = None if before is None else joined(before[0], batch)
        if before is None or both is None or (self._batches > 2 and self._credit < 2):
            return
        self._credit = 0.0
        separate = _stacked(before[1], whole)
        check_same(separate, read(both), separate, how, BESIDE)


def cut(reading: Reading, rows: slice | list[int]) -> Reading:
    """Return some rows of a reading."""
    taps = {name: tap[rows] for name, tap in reading.taps.items()}
    return Reading(reading.features[rows], reading.logits[rows], taps=taps)


def _stacked(first: Reading, second: Reading) -> Reading:
    taps = {name: torch.cat([tap, second.taps[name]]) for name, tap in first.taps.items()}
    features = torch.cat([first.features, second.features])
    return Reading(features, torch.cat([first.logits, second.logits]), taps=taps)


def joined(first: Any, second: Any) -> Any:
    """Return two batches of one row as one of two; None if their rows have different shapes."""
    if isinstance(first, Mapping):
        parts = {k: joined(v, second.get(k)) for k, v in first.items()}
        return None if any(v is None for v in parts.values()) else parts
    if isinstance(first, tuple | list):
        values = [joined(a, b) for a, b in zip(first, second, strict=True)]
        return None if any(v is None for v in values) else type(first)(values)
    same = isinstance(first, Tensor) and first.shape == second.shape and first.ndim > 0
    return torch.cat([first, second]) if same else None
