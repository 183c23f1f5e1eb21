"""The contract battery: everything that a bound has to satisfy beside being true."""

from collections.abc import Iterable

import numpy as np

from ncbounds.bounds.bound import Bound
from ncbounds.claims.unmeasured import UnseenClasses
from ncbounds.evidence.evidence import Evidence
from ncbounds.testing.coverage import coverage
from ncbounds.testing.declarations import check_declarations
from ncbounds.testing.evidence_use import (
    check_kind,
    check_predictions,
    check_requires,
    check_untouched,
)
from ncbounds.testing.invariance import (
    check_errors_counted,
    check_invariance,
    check_monotone,
    check_scales,
)
from ncbounds.testing.several_labels import check_several_labels
from ncbounds.testing.violations import ContractViolation
from ncbounds.testing.worlds.world import World
from ncbounds.testing.worlds.worlds import worlds as all_worlds

#: Worlds of the battery by name, and of its small coverage simulation.
BATTERY = ("simplex3", "unequal_spreads")
SIMULATED = ("simplex3", "two_bumps", "jump_at_3", "rare_disaster", "high_dimension")
#: Draws per world, and for rows that take longer than SLOW seconds (with fewer than five nothing
#: could be rejected); delta.
DRAWS, FEW_DRAWS, SLOW, SIMULATED_DELTA = 40, 5, 0.015, 0.05
SEED = 2024


def check_bound(bound: Bound, *, worlds: Iterable[World] | None = None) -> None:
    """Check a bound against the contract that every row of the catalogue keeps.

    In this order: the docstring (a statement in the first line, a formula, the words Shapes, Role,
    Assumptions, Source, When vacuous, and numbered citations of known references); the metadata;
    that exactly the declared parts of the evidence are read, and no features where none are
    declared (``reads_features=False``); values where points have several labels, if it says that
    it has them (``several_labels=True``); the kind for every flaw that evidence can have; that
    inputs are left alone, calls repeat and results survive JSON and pickle; declared monotonicity
    and invariances to 1e-9, scales over 600 orders of magnitude among them; ties and non-finite
    features as errors; samples of one or two points; and, for what claims a guarantee, a small
    coverage simulation. Passing it does not prove a theorem: a bound that is a little too small
    passes.

    Parameters
    ----------
    bound : Bound
        Any bound, also one of your own made with ``nb.bounds.bound``.
    worlds : iterable of World, optional
        Worlds for the coverage simulation; by default a few of :func:`worlds`.

    Raises
    ------
    ContractViolation
        For the first breach, saying which line is missing or wrong.
    """
    check_declarations(bound)
    if {"network", "code_word"} & {*bound.requires, *bound.optional}:
        return  # worlds have features, not images
    first, *others = _battery(bound)
    fresh, designed = evidence_pair(first, SEED)
    check_untouched(bound, fresh)
    check_untouched(bound, designed)
    check_requires(bound, fresh, designed)
    check_predictions(bound, fresh)
    check_predictions(bound, designed)
    check_kind(bound, fresh, designed)
    check_several_labels(bound, fresh)
    check_errors_counted(bound, fresh)
    slow = bound(fresh).seconds > SLOW
    if not slow:
        check_scales(bound, fresh)
    for world in (first, *([] if slow else others)):
        fresh, _ = evidence_pair(world, SEED)
        check_monotone(bound, fresh)
        check_invariance(bound, fresh)
    if bound.spends_delta:
        simulated = _simulated(bound) if worlds is None else worlds
        check_coverage(bound, simulated, draws=FEW_DRAWS if slow else DRAWS)


def evidence_pair(world: World, seed: int) -> tuple[Evidence, Evidence]:
    """Evidence with every part, drawn at random and class by class."""
    rng = np.random.default_rng(seed)
    fresh = world.draw(rng, n=None).evidence
    designed = world.draw(rng, n=None, sampling="stratified").evidence
    return fresh, designed


def check_coverage(
    bound: Bound, worlds: Iterable[World], *, draws: int = DRAWS, delta: float = SIMULATED_DELTA
) -> None:
    """Check in a small simulation that a guarantee is not broken significantly more than delta.

    Raises
    ------
    ContractViolation
        If the violations in a world have a binomial tail below 1e-6 at delta.
    """
    for world in worlds:
        for sampling in world.samplings:
            for tally in coverage(
                [bound], world, draws=draws, delta=delta, sampling=sampling, on_fit=False
            ):
                if tally.rejected:
                    raise ContractViolation(
                        f"{bound.id}{dict(tally.params) or ''}: lies below the true error in "
                        f"{tally.violations} of {tally.draws} {sampling} draws of the world "
                        f"{world.name!r} at delta = {delta} (mean value {tally.value:.4g}, mean "
                        f"error {tally.error:.4g}); it is not a {tally.kind}"
                    )


def _battery(bound: Bound) -> list[World]:
    named = {w.name: w for w in all_worlds()}
    if isinstance(bound.claim, UnseenClasses):
        return [named["class_population"]]
    return [named[name] for name in BATTERY]


def _simulated(bound: Bound) -> list[World]:
    if isinstance(bound.claim, UnseenClasses):
        return _battery(bound)
    return [w for w in all_worlds() if w.name in SIMULATED]
