"""What the votes of several networks, on rows of a target without labels, say of their errors."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.kind import judge
from ncbounds.comparison.laws import (
    SOURCE,
    TARGET,
    answers,
    judge_target,
    measured_on,
    share_of,
    source_limit,
)
from ncbounds.comparison.statement import Statement
from ncbounds.errors import InvalidSample
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import down, up, votes_lower
from ncbounds.results import Kind

#: A row that rounding could turn votes for nothing, which a lower limit must not count as dissent.
VOTES = replace(TARGET, features=True)


def votes(named: Mapping[str, Evidence], delta: float) -> list[Statement]:
    """Lower limit of the mean error of all on the target, and whether it proves a shift."""
    targets = {name: e.target for name, e in named.items() if e.target is not None}
    first = next(iter(targets.values()))
    for name, t in targets.items():
        if not _same_rows(t, first):
            raise InvalidSample(
                f"the target rows of {name} are others than those of {next(iter(targets))}; votes "
                "need the same rows in the same order"
            )
    verdicts = [judge_target(VOTES, t, named[name], delta) for name, t in targets.items()]
    ballots, classes = _ballots(named, targets)
    counts = np.zeros((first.n, classes + 1), dtype=np.int64)
    for row in ballots:
        counts[np.arange(first.n), row] += 1
    shares, total = counts[:, :classes].max(axis=1) / len(named), len(named)
    d = share_of(delta, verdicts)
    kind: Kind = "certificate" if all(v.kind == "certificate" for v in verdicts) else "plug-in"
    reasons = tuple(dict.fromkeys(r for v in verdicts for r in v.reasons))
    measured = [measured_on(named[name], t) for name, t in targets.items()]
    lower = Statement(
        "all",
        "votes_lower",
        f"mean error of the {total} networks on the target",
        ">=",
        votes_lower(shares, total, d),
        kind,
        delta,
        first.n,
        measured=float(np.mean(measured)),
        reasons=("it says nothing of any one network", *reasons),
    )
    return [lower, _proof(named, shares, kind, (delta, d), first.n)]


def _same_rows(one: Sample, other: Sample) -> bool:
    """Whether nothing tells the rows, or their order, apart: ids, and inputs of networks."""
    told: list[tuple[Any, Any]] = [(one.rows, other.rows)]
    if one.answers is None and other.answers is None:  # else hashes may be those of logits
        told.append((one.input_hashes, other.input_hashes))
    return one.n == other.n and all(a is None or b is None or np.array_equal(a, b) for a, b in told)


def _ballots(named: Mapping[str, Evidence], targets: Mapping[str, Sample]) -> tuple[Ints, int]:
    """Predictions of all, (K, n), by one numbering of so many classes; a tie is one number more.

    Files number their classes each on its own, so that names say which are the same.
    """
    called = {name: e.decision.names for name, e in named.items()}
    classes = max(e.head.classes for e in named.values())
    number: dict[str, int] = {}
    if len({*called.values()}) > 1:
        if nameless := [name for name, names in called.items() if not names]:
            raise InvalidSample(
                f"classes have names in some and are numbers in {nameless[0]}; votes need the "
                "same names, or numbers, in all"
            )
        number = {c: i for i, c in enumerate(dict.fromkeys(sum(called.values(), ())))}
        classes = len(number)
    ballots = []
    for name, e in named.items():
        own = [number[c] for c in called[name]] if number else range(classes)
        ballots.append(np.array([*own, classes])[answers(e, targets[name], len(own))])
    return np.stack(ballots), classes


def _proof(
    named: Mapping[str, Evidence],
    shares: Floats,
    kind: Kind,
    deltas: tuple[float, float],
    n: int,
) -> Statement:
    """Whether the networks err more often on the target than on the source, half of delta each.

    ``deltas``: the whole, and what votes have of it after all that was chosen on the target.
    """
    delta, voting = deltas
    total, each = len(named), float(down(delta / (2 * len(named))))
    limits, kinds = [], {kind}
    for name, e in named.items():
        assert e.holdout is not None  # each has a source statement
        verdict = judge(SOURCE, e.holdout, e, each)
        wrong = e.decision.wrong(e.holdout, e.head)
        found = source_limit(name, e.holdout, wrong, verdict, each)
        limits.append(found.value)
        kinds.add(found.kind)
    # the two may be near each other: the mean is rounded before the difference is taken
    source = float(up(math.fsum(limits) / total, 2))
    gap = float(down(votes_lower(shares, total, float(down(voting / 2))) - source))
    return Statement(
        "all",
        "shift shown" if gap > 0 else "shift not shown",
        f"mean error of the {total} networks, target minus source",
        ">=",
        gap,
        "certificate" if kinds == {"certificate"} else "plug-in",
        delta,
        n,
    )
