"""How often a bound lies below the true error in a world."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ncbounds.bounds._bound import Bound
from ncbounds.errors import NcboundsError
from ncbounds.evidence import Evidence
from ncbounds.results import BoundResult
from ncbounds.testing.world import Truth, World

#: A violation counts only below the truth by this many standard errors of the truth.
SURELY = 6.0
#: Violations of a guarantee are rejected if their binomial tail at delta is below this.
LEVEL = 1e-6

Key = tuple[str, tuple[tuple[str, Any], ...]]


@dataclass
class Tally:
    """Violations of one kind of row in one world.

    ``undefined`` counts draws in which the row had no value, or its truth is not computed; they are
    not part of ``draws``.
    """

    bound: str
    params: Mapping[str, Any]
    role: str
    kind: str
    world: str
    sampling: str
    delta: float
    draws: int = 0
    violations: int = 0
    undefined: int = 0
    value: float = 0.0
    error: float = 0.0

    @property
    def tail(self) -> float:
        """Probability of at least as many violations if each had probability delta."""
        from scipy.special import bdtrc

        if self.violations == 0 or self.draws == 0:
            return 1.0
        return float(bdtrc(self.violations - 1, self.draws, self.delta))

    @property
    def guaranteed(self) -> bool:
        """Whether the row says that violations have probability at most delta here."""
        return self.kind in ("certificate", "conditional")

    @property
    def rejected(self) -> bool:
        """Whether a guarantee is violated significantly too often."""
        return self.guaranteed and self.tail < LEVEL


def coverage(
    bounds: Iterable[Bound],
    world: World,
    *,
    draws: Callable[[Bound], int] | int,
    delta: float = 0.05,
    sampling: str = "iid",
    n: int | None = None,
    seed: int = 0,
) -> list[Tally]:
    """Evaluate bounds on fresh draws of a world and count values below the true error.

    Parameters
    ----------
    bounds : iterable of Bound
    world : World
    draws : int or callable from a bound to an int
        Number of draws; draw r is the same for every bound.
    delta : float
    sampling : {"iid", "stratified"}
    n : int, optional
        Points per sample, by default the world's.
    seed : int

    Returns
    -------
    list of Tally
        One per bound, sample role and parameters. A conditional bound is kept as such only in
        worlds where its assumption is known to be true; elsewhere its rows count as plug-ins.
    """
    chosen = tuple(bounds)
    many = {b.id: draws(b) if callable(draws) else draws for b in chosen}
    tallies: dict[tuple[str, Key], Tally] = {}
    truth = _Truths(world)
    for r in range(max(many.values(), default=0)):
        drawn = world.draw(np.random.default_rng([seed, r]), n, sampling=sampling)
        truth.forget()
        for b in chosen:
            if r >= many[b.id]:
                continue
            for evidence, on_fit in ((drawn.evidence, False), (drawn.training, True)):
                for role, params in b.planned(evidence):
                    if (role == "fit") is not on_fit:
                        continue
                    key = (b.id, (role, tuple(sorted(params.items()))))
                    _count(tallies, key, b, evidence, role, params, delta, world, truth, sampling)
    return list(tallies.values())


def _count(
    tallies: dict[tuple[str, Key], Tally],
    key: tuple[str, Key],
    b: Bound,
    evidence: Evidence,
    role: Any,
    params: Mapping[str, Any],
    delta: float,
    world: World,
    truths: "_Truths",
    sampling: str,
) -> None:
    try:
        row = b(evidence, delta, role=role, **params)
    except NcboundsError:
        row = None
    if row is not None and not isinstance(row, BoundResult):
        return
    kind = "undefined" if row is None else row.kind
    if kind == "conditional" and b.id not in world.holds:
        kind = "plug-in"
    tally = tallies.setdefault(
        key, Tally(b.id, params, role, kind, world.name, sampling, delta)
    )
    if row is not None and tally.kind != "plug-in":
        tally.kind = kind
    truth = None if row is None or np.isnan(row.value) else truths(row, evidence)
    if row is None or truth is None:
        tally.undefined += 1
        return
    tally.draws += 1
    tally.violations += row.value < truth.error - SURELY * truth.se
    tally.value += (min(row.value, 1.0) - tally.value) / tally.draws
    tally.error += (truth.error - tally.error) / tally.draws


class _Truths:
    """Truths of one draw, the saved head's computed once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._errors: dict[tuple[int, bytes], Truth | None] = {}

    def forget(self) -> None:
        self._errors.clear()

    def __call__(self, row: BoundResult, evidence: Evidence) -> Truth | None:
        outcome = row._outcome  # type: ignore[attr-defined]
        if outcome.head is not None or row.target != "saved" or "per" in row.params:
            return self.world.truth(row, outcome, evidence)
        weights = b"" if outcome.weights is None else np.asarray(outcome.weights).tobytes()
        key = (id(evidence.head), weights)
        if key not in self._errors:
            self._errors[key] = self.world.truth(row, outcome, evidence)
        return self._errors[key]
