"""How often bounds lie below the true error, in worlds where it is known.

The reduced form runs with the tests; the full one (``-m slow``) writes its table to the file named
by NCBOUNDS_COVERAGE_OUT, by default runs/coverage.csv.
"""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from ncbounds.bounds import catalogue
from ncbounds.numerics import binomial_interval
from ncbounds.testing import coverage, worlds

#: Rows of one bound on a sample of the worlds' size, in seconds, where more than about .01.
COST = {
    "anchored_head": 0.1,
    "collapsed_head": 0.08,
    "gaussian_head": 0.12,
    "margin_rademacher": 0.02,
    "minimax_head": 0.4,
    "transport_margin": 0.02,
    "two_moment_tight": 0.03,
    "unseen_classes": 0.2,
}
GUARANTEES = tuple(b for b in catalogue() if b.spends_delta)
OTHERS = tuple(b for b in catalogue() if b.kind == "plug-in")
CHEAP = tuple(b for b in GUARANTEES if b.id not in COST)
DEAR = tuple(b for b in GUARANTEES if b.id in COST)
SEED = 31
WORLDS = worlds()


def cases(world):
    return [(world, sampling) for sampling in world.samplings]


CASES = [pytest.param(*c, id=f"{c[0].name}-{c[1]}") for w in WORLDS for c in cases(w)]


def assert_not_rejected(tallies):
    for t in tallies:
        assert not t.rejected, (
            f"{t.bound}{dict(t.params) or ''} ({t.kind}) lies below the true error in "
            f"{t.violations} of {t.draws} {t.sampling} draws of {t.world} at delta = {t.delta}"
        )


@pytest.mark.parametrize(("world", "sampling"), CASES)
def test_reduced(world, sampling):
    draws = 6 if world.law.dim > 100 or not world.law.exact_for(world.classes) else 25
    if not CHEAP:
        pytest.skip("empty catalogue")
    cheap = coverage(CHEAP, world, draws=draws, sampling=sampling, seed=SEED, on_fit=False)
    assert_not_rejected(cheap)


@pytest.mark.parametrize("bound", DEAR, ids=lambda b: b.id)
def test_reduced_dear(bound):
    names = (
        ("class_population",) if bound.target == "unseen-classes" else ("two_bumps", "jump_at_3")
    )
    for world in WORLDS:
        if world.name in names:
            for sampling in world.samplings:
                assert_not_rejected(
                    coverage([bound], world, draws=6, sampling=sampling, seed=SEED, on_fit=False)
                )


def test_plug_ins_fail_where_their_assumption_does():
    """Moments of a fitted head on its own training points say nothing about random labels."""
    named = {w.name: w for w in WORLDS}
    cantelli = [b for b in catalogue() if b.id in ("cantelli_union", "min_margin_cantelli")]
    tallies = coverage(cantelli, named["random_labels"], draws=10, seed=SEED)
    on_fit = [t for t in tallies if t.role == "fit"]
    assert len(on_fit) == len(cantelli) > 0
    for t in on_fit:
        assert t.kind == "plug-in"
        assert t.violations == t.draws == 10


def test_holdout_counts_are_tight_in_the_extremal_worlds():
    """The binomial bound fails with probability just below delta where the error is at a jump."""
    for world in WORLDS:
        if not world.name.startswith("jump_at_"):
            continue
        (binomial,) = [b for b in catalogue() if b.id == "binomial"]
        tallies = coverage([binomial], world, draws=400, seed=SEED, on_fit=False)
        pooled = next(t for t in tallies if not t.params)
        assert 0.015 < pooled.violations / pooled.draws < 0.1, world.name


@pytest.mark.slow
def test_full():
    """At least 1,000 draws where a row is cheap; the table is written, then judged."""

    def draws(b):
        return 1000 if b.id not in COST else max(20, int(10 / COST[b.id]))

    tallies = []
    for world in WORLDS:
        hard = world.law.dim > 100 or not world.law.exact_for(world.classes)
        for sampling in world.samplings:
            tallies += coverage(
                (*GUARANTEES, *OTHERS),
                world,
                draws=lambda b, hard=hard: draws(b) // (5 if hard else 1),
                sampling=sampling,
                seed=SEED + 1,
            )
    write(tallies, Path(os.environ.get("NCBOUNDS_COVERAGE_OUT", "runs/coverage.csv")))
    assert_not_rejected(tallies)


def write(tallies, path):
    """One line per bound, sample and world: violation rate with its exact 95 % interval."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = (
        "bound params role kind world sampling delta draws violations rate low high tail "
        "mean_value mean_error undefined note"
    )
    with path.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(columns.split())
        for t in tallies:
            low, high, rate = np.nan, np.nan, np.nan
            note = ""
            if t.draws:
                low, high = binomial_interval(t.violations, t.draws, 0.95)
                rate = t.violations / t.draws
            else:
                note = "no value, or no true error is computed for this target and world"
            numbers = [f"{x:.4g}" for x in (rate, low, high, t.tail, t.value, t.error)]
            which = (t.bound, dict(t.params), t.role, t.kind, t.world, t.sampling, t.delta)
            out.writerow([*which, t.draws, t.violations, *numbers, t.undefined, note])
