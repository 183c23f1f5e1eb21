"""What source rows, and rows of a target without labels, say of errors on a shifted target.

Lower limits, conditional limits and refutations are no upper limits of one error: they have this
table of their own, and stand in no other.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.kind import Verdict, judge
from ncbounds.bounds.needs import Needs
from ncbounds.comparison.shift_words import shift_words
from ncbounds.comparison.statement import Statement
from ncbounds.errors import InvalidSample, MissingEvidence
from ncbounds.evidence.decision import Bools
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import NoHead
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import (
    binomial_upper,
    down,
    label_shift,
    prior_ball,
    refuting_level,
    shifted_priors,
    stratified_upper,
    up,
    votes_lower,
    weighted_error_upper,
)
from ncbounds.numerics.arguments import probability
from ncbounds.results import Kind

if TYPE_CHECKING:
    import pandas as pd

#: Radius of the ball around new priors that always stands beside them.
RADIUS = 0.1
#: Classes up to which the range of each class prior is sought, a programme an end.
MOST_RANGES = 30
MANY = {"class": "classes", "group": "groups"}
#: What counting errors on source rows, or predictions on unlabelled rows of the target, asks.
SOURCE = Needs(kind="certificate", role="holdout", features=False)
TARGET = Needs(kind="certificate", role="target", features=False)
#: A row that rounding could turn votes for nothing, which a lower limit must not count as dissent.
VOTES = replace(TARGET, features=True)
ASSUMED = (
    "if P(prediction | class) is the same on the target, as declared; nothing can check all of it"
)
UNSEEN = (
    "a class that the network gets worse at may look like a shift of priors, and is then neither "
    "seen nor paid for"
)


@dataclass(frozen=True)
class Shifted:
    """Statements about a shifted target; ``print`` shows the table and what it does not say."""

    statements: tuple[Statement, ...]

    def __getitem__(self, statement: str) -> Statement:
        """First statement of a name.

        Raises
        ------
        KeyError
            If there is none.
        """
        return {s.statement: s for s in reversed(self.statements)}[statement]

    def to_frame(self) -> "pd.DataFrame":
        """One statement a row, the fields of :class:`Statement` as columns."""
        import pandas as pd

        columns = list(Statement.__dataclass_fields__)
        rows = [{**vars(s), "reasons": "; ".join(s.reasons)} for s in self.statements]
        return pd.DataFrame.from_records(rows, columns=columns)

    def __str__(self) -> str:
        """Return the table, and what has to be known beside it."""
        return shift_words(self.statements)


def shifted(
    subjects: "Evidence | Mapping[str, Evidence] | Iterable[Evidence]",
    *,
    priors: ArrayLike | str | None = None,
    groups: ArrayLike | None = None,
    radius: float | Sequence[float] = (),
    label_shift_declared: bool = False,
    delta: float = 0.05,
) -> Shifted:
    """Say what can be guaranteed of errors on a target that differs from the held-out rows.

    Parameters
    ----------
    subjects : Evidence, or mapping from name to it, or iterable of Evidence
        Each with a holdout sample, and for statements on unlabelled rows one of role ``"target"``.
    priors : array of shape (C,) or "balanced", optional
        Class proportions of the target, fixed before the rows were looked at. The limit is about
        the same classes in these proportions, and conditional on unchanged laws inside classes for
        a deployment.
    groups : integer array of shape (n,), optional
        Group 0 .. G - 1 of each held-out row, in place of its class; ``priors`` are of the groups.
    radius : float or sequence of float
        Also limits for all priors so near in total variation; one of radius .1 is always there.
    label_shift_declared : bool
        The declaration that inside each class the law of predictions is the same on the target. It
        is yours: the limit that rests on it is conditional, and refuted where the rows speak
        against it.
    delta : float in (0, 1/2]
        Of each statement.

    Returns
    -------
    Shifted

    Raises
    ------
    MissingEvidence
        If there are no held-out rows, or nothing was asked that the samples allow.
    InvalidSample
        If priors or groups do not fit, or label shift is declared without target rows.
    """
    if probability("delta", delta) > 0.5:
        raise InvalidSample(f"delta is {delta}; statements about a target need at most 1/2")
    if priors is None and np.size(radius):
        raise InvalidSample(
            "a radius is that of a ball around priors: give these too (--new-priors)"
        )
    named = _named(subjects)
    lines: list[Statement] = []
    for name, evidence in named.items():
        lines += _of_one(name, evidence, priors, groups, radius, label_shift_declared, delta)
    if len(named) > 1 and all(e.target is not None for e in named.values()):
        lines += _votes(named, delta)
    if all(s.statement == "source" for s in lines):
        raise MissingEvidence(
            "nothing was asked about a target: give priors (--new-priors), or rows of role target "
            "with label_shift_declared=True (--label-shift), or with two networks or more"
        )
    return Shifted(tuple(lines))


def _named(subjects: Any) -> dict[str, Evidence]:
    if isinstance(subjects, Evidence):
        subjects = [subjects]
    if isinstance(subjects, Mapping):
        return {str(name): e for name, e in subjects.items()}
    found = list(subjects)
    names = [e.checkpoint or f"classifier {i}" for i, e in enumerate(found, 1)]
    if len({*names}) < len(names):
        raise InvalidSample("two checkpoints have one name; pass a mapping from name to Evidence")
    return dict(zip(names, found, strict=True))


def _of_one(
    name: str,
    evidence: Evidence,
    priors: ArrayLike | str | None,
    groups: ArrayLike | None,
    radius: float | Sequence[float],
    declared: bool,
    delta: float,
) -> list[Statement]:
    sample = evidence.holdout
    if sample is None or not sample.n:
        raise MissingEvidence(f"{name} has no holdout rows, by which the source is judged")
    wrong = evidence.decision.wrong(sample, evidence.head)
    verdict = judge(SOURCE, sample, evidence, delta)
    lines = [_source(name, sample, wrong, verdict, delta)]
    all_known = _lowered(verdict, *_unseen_classes(evidence))
    if priors is not None:
        counted = all_known if isinstance(priors, str) and groups is None else verdict
        if groups is not None and sample.sampling == "stratified":
            counted = _lowered(
                counted,
                "class counts were fixed by design, so that rows of a group "
                "are no draws of one law",
            )
        lines += _new_priors(name, sample, wrong, counted, priors, groups, radius, delta)
    if declared:
        lines.append(_label_shift(name, evidence, sample, all_known, delta))
    return lines


def _lowered(verdict: Verdict, *reasons: str) -> Verdict:
    """A verdict that is a plug-in for more reasons, if there are any."""
    if not reasons:
        return verdict
    return verdict._replace(kind="plug-in", reasons=(*reasons, *verdict.reasons))


def _unseen_classes(evidence: Evidence) -> list[str]:
    head = evidence.head
    if not (isinstance(head, NoHead) and head.counted):
        return []
    return [
        f"it is over all classes of the law, of which {head.classes} were seen: classes=C "
        "(--classes) says how many there are"
    ]


def _judge_target(needs: Needs, target: Sample, evidence: Evidence, delta: float) -> Verdict:
    """What unlabelled rows of the target are worth: they have to be draws of it."""
    verdict = judge(needs, target, evidence, delta)
    if target.sampling != "stratified":
        return verdict
    return _lowered(verdict, "the target rows have to be drawn at random, not by class")


def _share(delta: float, verdicts: Iterable[Verdict]) -> float:
    """Delta over all that could have been chosen: the candidates of each sample, multiplied."""
    out = delta
    for v in verdicts:
        out = out if v.delta == delta else float(down(out * (v.delta / delta), 3))
    return out


def _source(name: str, sample: Sample, wrong: Bools, verdict: Verdict, delta: float) -> Statement:
    k, d = int(wrong.sum()), verdict.delta
    by_class = sample.sampling == "stratified"
    exact = stratified_upper if by_class and d <= 0.25 else binomial_upper
    weighted = ", weighted by their class frequencies" if by_class else ""
    return Statement(
        name,
        "source",
        f"error on the law of the held-out rows{weighted}",
        "<=",
        float(exact(k, sample.n, d)),
        verdict.kind,
        delta,
        sample.n,
        reasons=verdict.reasons,
    )


def _new_priors(
    name: str,
    sample: Sample,
    wrong: Bools,
    verdict: Verdict,
    priors: ArrayLike | str,
    groups: ArrayLike | None,
    radius: float | Sequence[float],
    delta: float,
) -> list[Statement]:
    cells, what = _cells(sample, groups)
    n = np.bincount(cells)
    if isinstance(priors, str):
        if priors != "balanced":
            raise InvalidSample(f"priors are 'balanced' or one number for each {what}: {priors!r}")
        w: Floats = np.full(max(len(n), 1 if groups is not None else sample.classes), 1.0)
        w /= len(w)
    else:
        w = np.asarray(priors, dtype=np.float64)
    if w.ndim != 1 or not (w >= 0).all() or not abs(w.sum() - 1) <= 1e-9 or len(w) < len(n):
        raise InvalidSample(
            f"priors {np.asarray(w).tolist()} are no proportions of {len(n)} {MANY[what]}: "
            "needed are as many numbers from 0 on, of sum 1"
        )
    n = np.pad(n, (0, len(w) - len(n)))
    k = np.bincount(cells[wrong], minlength=len(w))
    d = verdict.delta
    shown = w > 0
    size = float(np.min(n[shown] / w[shown]))
    unchanged = f"for a deployment: if laws inside each {what} are those of the held-out rows"
    common: dict[str, Any] = {"kind": verdict.kind, "delta": delta, "n": int(n[shown].min())}
    details = {"priors": w.tolist(), "counts": n.tolist(), "errors": k.tolist(), "N": size}
    limits = np.where(n > 0, binomial_upper(k, n, float(down(d / len(w)))), 1.0)
    radii = sorted({RADIUS, *np.atleast_1d(np.asarray(radius, dtype=np.float64)).tolist()})
    return [
        Statement(
            name,
            "new_priors",
            f"error with the given {what} proportions",
            "<=",
            weighted_error_upper(k, n, w, d),
            reasons=(unchanged, *verdict.reasons),
            details=details,
            **common,
        ),
        *(
            Statement(
                name,
                f"prior_ball {rho:g}",
                f"error with any {what} proportions within {rho:g} of these in total variation",
                "<=",
                prior_ball(limits, w, rho),
                reasons=(unchanged, *verdict.reasons),
                details={**details, "radius": rho},
                **common,
            )
            for rho in radii
        ),
    ]


def _cells(sample: Sample, groups: ArrayLike | None) -> tuple[Ints, str]:
    if groups is None:
        return sample.labels, "class"
    found = np.asarray(groups)
    if found.shape != (sample.n,) or found.dtype.kind not in "iu" or found.min(initial=0) < 0:
        raise InvalidSample(
            f"groups are numbers 0, 1, ..., one for each of {sample.n} held-out rows; found "
            f"{found.dtype} of shape {found.shape}"
        )
    return found.astype(np.int64), "group"


def _label_shift(
    name: str, evidence: Evidence, sample: Sample, verdict: Verdict, delta: float
) -> Statement:
    target = evidence.target
    if target is None or not target.n:
        raise InvalidSample(
            f"{name}: label shift is declared, and there are no rows of role target: give "
            "them (--role target=0:1000, a part called target, or Evidence(target=...))"
        )
    at = _judge_target(TARGET, target, evidence, delta)
    classes = max(sample.classes, evidence.head.classes)
    table, seen = (_answers(evidence, s, classes) for s in (sample, target))
    confusion = np.zeros((classes, classes + 1), dtype=np.int64)
    np.add.at(confusion, (sample.labels, table), 1)
    predicted = np.bincount(seen, minlength=classes + 1)
    least = _share(delta, (verdict, at))
    found = label_shift(confusion, predicted, least)
    details: dict[str, Any] = {"least refuting level": refuting_level(confusion, predicted)}
    if classes <= MOST_RANGES and not found.refuted:
        details["class priors"] = shifted_priors(confusion, predicted, least).tolist()
    both = {verdict.kind, at.kind}
    reasons = [ASSUMED, UNSEEN, *verdict.reasons, *at.reasons]
    if found.refuted:
        reasons.insert(0, f"refuted at level {least:g}: no label shift gives these predictions")
    return Statement(
        name,
        "label_shift",
        "error on the target",
        "refuted" if found.refuted else "<=",
        found.value,
        "conditional" if both == {"certificate"} else "plug-in",
        delta,
        target.n,
        measured=_measured(evidence, target),
        reasons=tuple(dict.fromkeys(reasons)),
        details=details,
    )


def _answers(evidence: Evidence, sample: Sample, ties: int) -> Ints:
    """Predictions, a tie as one of its own, (n,)."""
    found = evidence.decision.predicted(sample, evidence.head)
    return np.where(found < 0, ties, found).astype(np.int64)


def _measured(evidence: Evidence, target: Sample) -> float:
    if (target.labels < 0).any():
        return np.nan
    return float(evidence.decision.wrong(target, evidence.head).mean())


def _votes(named: Mapping[str, Evidence], delta: float) -> list[Statement]:
    """Lower limit of the mean error of all on the target, and whether it proves a shift."""
    targets = {name: e.target for name, e in named.items() if e.target is not None}
    first = next(iter(targets.values()))
    for name, t in targets.items():
        if not _same_rows(t, first):
            raise InvalidSample(
                f"the target rows of {name} are others than those of {next(iter(targets))}; votes "
                "need the same rows in the same order"
            )
    verdicts = [_judge_target(VOTES, t, named[name], delta) for name, t in targets.items()]
    answers, classes = _ballots(named, targets)
    counts = np.zeros((first.n, classes + 1), dtype=np.int64)
    for row in answers:
        counts[np.arange(first.n), row] += 1
    shares, total = counts[:, :classes].max(axis=1) / len(named), len(named)
    d = _share(delta, verdicts)
    kind: Kind = "certificate" if all(v.kind == "certificate" for v in verdicts) else "plug-in"
    reasons = tuple(dict.fromkeys(r for v in verdicts for r in v.reasons))
    measured = [_measured(named[name], t) for name, t in targets.items()]
    everyone = f"mean error of the {total} networks"
    lower = votes_lower(shares, total, d)
    votes = Statement(
        "all",
        "votes_lower",
        f"{everyone} on the target",
        ">=",
        lower,
        kind,
        delta,
        first.n,
        measured=float(np.mean(measured)),
        reasons=("it says nothing of any one network", *reasons),
    )
    return [votes, _proof(named, shares, kind, (delta, d), first.n)]


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
        ballots.append(np.array([*own, classes])[_answers(e, targets[name], len(own))])
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
        found = _source(name, e.holdout, wrong, verdict, each)
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
