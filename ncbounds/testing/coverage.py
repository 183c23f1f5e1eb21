"""How often a bound lies below the true error in a world."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ncbounds.bounds.bound import Bound
from ncbounds.errors import NcboundsError
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.roles import Role
from ncbounds.results import BoundResult
from ncbounds.testing.worlds.world import Drawn, World

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
    fresh: bool = True,
    on_fit: bool = True,
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
    fresh : bool
        Evaluate rows on samples that the head's features do not depend on.
    on_fit : bool
        Also evaluate rows on the ``fit`` sample, with a head that was fitted on it.

    Returns
    -------
    list of Tally
        One per bound, sample role and parameters. A conditional bound is kept as such only in
        worlds where its assumption is known to be true; elsewhere its rows count as plug-ins.
    """
    chosen = tuple(bounds)
    many = {b.id: draws(b) if callable(draws) else draws for b in chosen}
    tallies: dict[tuple[str, Key], Tally] = {}
    for r in range(max(many.values(), default=0)):
        drawn = world.draw(np.random.default_rng([seed, r]), n, sampling=sampling)
        for b in chosen:
            if r >= many[b.id]:
                continue
            for evidence, role, params in _rows(b, drawn, fresh, on_fit):
                key = (b.id, (role, tuple(sorted(params.items()))))
                if key not in tallies:
                    tallies[key] = Tally(b.id, params, role, "", world.name, sampling, delta)
                _count(tallies[key], b, evidence, world)
    return [t for t in tallies.values() if t.kind != "measure"]


def _rows(
    b: Bound, drawn: Drawn, fresh: bool, on_fit: bool
) -> list[tuple[Evidence, Role, Mapping[str, Any]]]:
    rows: list[tuple[Evidence, Role, Mapping[str, Any]]] = []
    if fresh:
        rows += [(drawn.evidence, *row) for row in b.planned(drawn.evidence) if row[0] != "fit"]
    if on_fit:
        rows += [(drawn.training, *row) for row in b.planned(drawn.training)]
    return rows


def _count(tally: Tally, b: Bound, evidence: Evidence, world: World) -> None:
    try:
        row = b(evidence, tally.delta, role=tally.role, **tally.params)  # type: ignore[arg-type]
    except NcboundsError:
        tally.undefined += 1
        return
    if not isinstance(row, BoundResult):
        tally.kind = row.kind
        return
    tally.kind = _kind_here(row.kind, tally.kind, b, world)
    truth = None if np.isnan(row.value) else row.claim.truth(world, evidence)
    if truth is None:
        tally.undefined += 1
        return
    tally.draws += 1
    tally.violations += row.value < truth.error - SURELY * truth.se
    tally.value += (min(row.value, 1.0) - tally.value) / tally.draws
    tally.error += (truth.error - tally.error) / tally.draws


def _kind_here(kind: str, so_far: str, b: Bound, world: World) -> str:
    """Kind of all draws together: one plug-in among them, or a false assumption, makes it one."""
    if so_far == "plug-in" or (kind == "conditional" and b.id not in world.holds):
        return "plug-in"
    return kind
