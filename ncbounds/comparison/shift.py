"""What source rows, and rows of a target without labels, say of errors on a shifted target.

Lower limits, conditional limits and refutations are no upper limits of one error: they have this
table of their own, and stand in no other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ncbounds.arrays import Bools, Floats, Ints
from ncbounds.bounds.kind import Verdict, judge
from ncbounds.comparison.laws import (
    SOURCE,
    TARGET,
    answers,
    judge_target,
    lowered,
    measured_on,
    share_of,
    source_limit,
)
from ncbounds.comparison.shift_words import shift_words
from ncbounds.comparison.statement import Statement
from ncbounds.comparison.votes import votes
from ncbounds.errors import InvalidSample, MissingEvidence
from ncbounds.evidence.decision import one_class
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
    weighted_error_upper,
)
from ncbounds.numerics.arguments import probability

if TYPE_CHECKING:
    import pandas as pd

#: Radius of the ball around new priors that always stands beside them.
RADIUS = 0.1
#: Classes up to which the range of each class prior is sought, a programme an end.
MOST_RANGES = 30
MANY = {"class": "classes", "group": "groups"}
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
        If points may have several labels, priors or groups do not fit, or label shift is declared
        without target rows.
    """
    delta = probability("delta", delta)
    if delta > 0.5:
        raise InvalidSample(f"delta is {delta}; statements about a target need at most 1/2")
    if priors is None and np.size(radius):
        raise InvalidSample(
            "a radius is that of a ball around priors: give these too (--new-priors)"
        )
    named = _named(subjects)
    lines: list[Statement] = []
    for name, evidence in named.items():
        one_class(evidence.decision, "what holds on another law")
        lines += _of_one(name, evidence, priors, groups, radius, label_shift_declared, delta)
    if len(named) > 1 and all(e.target is not None for e in named.values()):
        lines += votes(named, delta)
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
    lines = [source_limit(name, sample, wrong, verdict, delta)]
    all_known = lowered(verdict, *_unseen_classes(evidence))
    if priors is not None:
        counted = all_known if isinstance(priors, str) and groups is None else verdict
        if groups is not None and sample.sampling == "stratified":
            counted = lowered(
                counted,
                "class counts were fixed by design, so that rows of a group "
                "are no draws of one law",
            )
        lines += _new_priors(name, sample, wrong, counted, priors, groups, radius, delta)
    if declared:
        lines.append(_label_shift(name, evidence, sample, all_known, delta))
    return lines


def _unseen_classes(evidence: Evidence) -> list[str]:
    head = evidence.head
    if not (isinstance(head, NoHead) and head.counted):
        return []
    return [
        f"it is over all classes of the law, of which {head.classes} were seen: classes=C "
        "(--classes) says how many there are"
    ]


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
    at = judge_target(TARGET, target, evidence, delta)
    classes = max(sample.classes, evidence.head.classes)
    table, seen = (answers(evidence, s, classes) for s in (sample, target))
    confusion = np.zeros((classes, classes + 1), dtype=np.int64)
    np.add.at(confusion, (sample.labels, table), 1)
    predicted = np.bincount(seen, minlength=classes + 1)
    least = share_of(delta, (verdict, at))
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
        measured=measured_on(evidence, target),
        reasons=tuple(dict.fromkeys(reasons)),
        details=details,
    )
