r"""A head on one layer of one network, chosen from labelled rows, with a certificate on it.

The rows are permuted with a fixed seed (class by class if they were drawn so). **All that is
fitted, tuned or estimated reads the first part F alone**; the q candidates of least leave-one-out
error there are the shortlist, in ties the one declared first. Of these the one with the fewest
errors k on the other part V is chosen, and

.. math:: \mathrm{BinInv}(k, |V|, \delta / q)

bounds its error: given F the q heads are fixed, so this is a union over q exact limits. It is about
the head fitted on F, not about one that is fitted on all rows.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Ints
from ncbounds.bounds.holdout.binomial import binomial_formula
from ncbounds.bounds.kind import Verdict, judge
from ncbounds.bounds.needs import Needs
from ncbounds.choosing.candidates import Candidate, Layer, Origin, Tap
from ncbounds.choosing.choice import Choice
from ncbounds.choosing.estimates import HEADS, Estimate
from ncbounds.choosing.found import Baseline, Finalist
from ncbounds.claims.heads import OtherHead
from ncbounds.depth.measure import wrong_rows
from ncbounds.errors import InvalidArgument, InvalidSample, UnknownName, suggest
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead, NoHead
from ncbounds.evidence.roles import Role
from ncbounds.evidence.sample import Sample
from ncbounds.evidence.split import two_parts
from ncbounds.geometry.logme import logme
from ncbounds.geometry.variability import nc1, vci
from ncbounds.numerics import (
    down,
    held_out_worth,
    paired_lower,
    paired_lower_stratified,
    regret_upper,
)
from ncbounds.results import BoundResult

Bools = NDArray[np.bool_]

#: Length of the shortlist, share of the rows that heads are fitted on, seed of the permutation.
SHORTLIST, SHARE, SEED = 5, 0.5, 5
#: What the certificate asks of the rows: the features do not depend on them.
NEEDS = Needs(kind="certificate", role="head", features=False)
#: Roles of the rows to choose on, the first of them that is there.
CHOSEN_ON: tuple[Role, ...] = ("head", "holdout", "fit")
_WHY = "heads are fitted on part of these rows"


class _Fitted(NamedTuple):
    """One candidate with what fits its head, and where its features are."""

    candidate: Candidate
    estimate: Estimate | None
    tap: Tap


@dataclass
class _Count:
    """Errors of candidates on the rows V, each head fitted once, on the rows F."""

    fit_rows: Ints
    rows: Ints
    labels: Ints
    classes: int
    heads: dict[int, LinearHead | None] = field(default_factory=dict)

    def wrong(self, index: int, fitted: _Fitted) -> Bools:
        if index not in self.heads:
            self.heads[index] = self._fit(fitted)
        head = self.heads[index]
        if head is None:
            return np.ones(len(self.rows), dtype=bool)
        return wrong_rows(head, fitted.tap.features[self.rows], self.labels[self.rows])

    def _fit(self, fitted: _Fitted) -> LinearHead | None:
        """Fit a head; rows that are not finite are left out, as for its estimate."""
        if fitted.estimate is None:
            return None
        features = np.asarray(fitted.tap.features[self.fit_rows], dtype=np.float64)
        return fitted.estimate.procedure(features, self.labels[self.fit_rows], self.classes)


def choose_among(
    taps: Iterable[Tap],
    samples: Mapping[Role, Sample],
    *,
    heads: Sequence[str] = tuple(HEADS),
    delta: float = 0.05,
    share: float = SHARE,
    notes: Sequence[str] = (),
) -> Choice:
    """Choose a head on one of several taps.

    Parameters
    ----------
    taps : iterable of Tap
        In a fixed order, all with the n rows of the sample that is chosen on. Read one after the
        other, so that features may be computed when their turn comes; the iterable must not depend
        on what has been found.
    samples : mapping from role to Sample
        The rows to choose on, of role ``"head"`` or ``"holdout"`` (see :func:`labelled_rows`), and
        others that must be apart from them. Only labels, hashes of inputs and declarations are
        read.
    heads : sequence of str
        Procedures, in a fixed order.
    delta : float in (0, 1/2]
        Of each statement: the certificate, the regret, and each baseline.
    share : float in (0, 1)
        Of the rows that heads are fitted on; fixed beforehand.
    notes : sequence of str
        Said in the report; may grow while taps are read.

    Returns
    -------
    Choice
        Its value is a certificate only if the draw is declared and nothing speaks against it.

    Raises
    ------
    InvalidSample
        If there are no rows for one of the two parts, no taps, or features of other rows.
    UnknownName, InvalidArgument
        If there is no such head, or delta or share is out of range.
    """
    _check(heads, delta, share)
    role, rows, evidence = _judged(samples)
    sample = evidence.samples()[role]
    verdict = judge(NEEDS, sample, evidence, delta)
    fit_rows, rest = two_parts(sample, lambda n: math.floor(share * n + 1e-9), seed=SEED)
    if not len(fit_rows) or not len(rest):
        raise InvalidSample(
            f"{sample.n} rows at a share of {share:g} leave {len(fit_rows)} to fit on and "
            f"{len(rest)} to choose on; needed are some of both"
        )
    fitted = [
        found
        for tap in taps
        for found in _estimated(tap, rows, fit_rows, sample, samples[role].n, heads)
    ]
    if not fitted:
        raise InvalidSample("no taps to choose among; pass checkpoints that give features")
    order = np.argsort([_sorted_as(f.candidate) for f in fitted], kind="stable")
    shortlist = [int(i) for i in order[:SHORTLIST]]
    count = _Count(rows[fit_rows], rows[rest], samples[role].labels, sample.classes)
    wrong = np.stack([count.wrong(i, fitted[i]) for i in shortlist])
    best = int(np.argmin(wrong.sum(axis=1)))
    chosen, stratified = shortlist[best], sample.sampling == "stratified"
    errors, n = int(wrong[best].sum()), len(rest)
    result = _certificate(
        (errors, n, len(shortlist)),
        count.heads[chosen],
        verdict,
        stratified=stratified,
        role=role,
        sampling=sample.sampling,
        layer=fitted[chosen].tap.layer,
        params={"share": share},
        delta=delta,
        details={"errors": errors, "shortlist": len(shortlist), "candidates": len(fitted)},
        checkpoint=fitted[chosen].candidate.place.network,
    )
    paired = _Paired(wrong[best], len(shortlist), verdict.delta, stratified)
    form = "stratified" if stratified else "exact"
    return Choice(
        result=result,
        head=count.heads[chosen],
        layers=tuple(dict.fromkeys(f.candidate.place for f in fitted)),
        candidates=tuple(f.candidate for f in fitted),
        finalists=tuple(
            Finalist(fitted[i].candidate, int(w.sum())) for i, w in zip(shortlist, wrong)
        ),
        chosen=best,
        fitted_on=len(fit_rows),
        regret=regret_upper(wrong, best, verdict.delta, form=form),
        worth=held_out_worth(result.value, errors / n, verdict.delta),
        baselines=tuple(
            paired.baseline(what, fitted[i].candidate, count.wrong(i, fitted[i]), again)
            for what, i, again in _baselines(fitted, chosen)
        ),
        notes=tuple(notes),
    )


def _certificate(
    counted: tuple[int, int, int],
    head: LinearHead | None,
    verdict: Verdict,
    *,
    stratified: bool,
    **known: Any,
) -> BoundResult:
    """Bound the error of a head with k errors on n rows, picked there among q; nan without one."""
    errors, n, q = counted
    share = float(down(verdict.delta / q))
    value = np.nan if head is None else binomial_formula(errors, n, share, stratified=stratified)
    return BoundResult(
        bound="choose",
        family="holdout",
        kind=verdict.kind,
        target="refitted-head",
        n=n,
        value=value,
        reasons=(*(("no head could be fitted",) if head is None else ()), *verdict.reasons),
        terms={"empirical": errors / n, "confidence": value - errors / n},
        claim=None if head is None else OtherHead("refitted-head", head),
        **known,
    )


def labelled_rows(
    labels: object,
    role: "str | Draw",
    *,
    input_hashes: NDArray[np.uint64] | None = None,
    **declared: Any,
) -> Sample:
    """Sample of rows to choose on: labels and declarations, without features.

    Parameters
    ----------
    labels : array-like of n integers >= 0
    role : str or Draw
        ``"head"`` or ``"holdout"``; another role makes a plug-in.
    input_hashes : uint64 array of shape (n,), optional
        By which copies are found.
    **declared
        ``classes``, ``ignore_label`` of :meth:`Sample.from_arrays`; where ``role`` is a word, also
        ``sampling``, ``selected_among``, ... of :class:`~ncbounds.Draw`.
    """
    zeros = np.zeros(len(np.asarray(labels)), dtype=np.int64)
    return Sample.from_answers(zeros, labels, role=role, input_hashes=input_hashes, **declared)


def _check(heads: Sequence[str], delta: float, share: float) -> None:
    for name in heads:
        if name not in HEADS:
            raise UnknownName(f"no head {name!r}; {suggest(name, list(HEADS))}")
    if not heads or len({*heads}) < len(heads):
        raise InvalidArgument(f"heads are {', '.join(heads) or 'none'}; needed: some, each once")
    if not 0 < delta <= 0.5:
        raise InvalidArgument(f"delta is {delta}; needed: a probability above 0, at most 1/2")
    if not 0 < share < 1:
        raise InvalidArgument(f"share is {share}; needed: a share of the rows between 0 and 1")


def _judged(samples: Mapping[Role, Sample]) -> tuple[Role, Ints, Evidence]:
    """Role of the rows to choose on, which of them count, and all rows as evidence."""
    role = next((r for r in CHOSEN_ON if r in samples), None)
    if role is None:
        raise InvalidSample(
            f"rows to choose on are of role head, holdout or fit; found "
            f"{', '.join(samples) or 'none'}"
        )
    given = samples[role]
    classes = max(2, *(s.classes for s in samples.values()))
    evidence = Evidence.of(samples, head=NoHead(classes, _WHY))
    counted = evidence.samples()[role]
    if counted.n == given.n or counted.kept is None:
        return role, np.arange(given.n), evidence
    kept = np.arange(given.n) if given.kept is None else given.kept
    return role, np.searchsorted(kept, counted.kept), evidence


def _estimated(
    tap: Tap, rows: Ints, fit_rows: Ints, sample: Sample, given: int, heads: Sequence[str]
) -> list[_Fitted]:
    """Candidates of one tap, estimated on the rows that heads are fitted on."""
    if len(tap.features) != given:
        raise InvalidSample(
            f"{tap.layer} of {tap.checkpoint or 'raw inputs'} has {len(tap.features)} rows, the "
            f"labels are of {given}"
        )
    features = np.asarray(tap.features[rows[fit_rows]])
    finite = np.isfinite(features).all(axis=1)
    found: dict[str, Estimate | None] = dict.fromkeys(heads)
    measures = (np.nan, np.nan, np.nan)
    reasons: tuple[str, ...] = ("no row with finite features",)
    if finite.any():
        seen = Sample.from_arrays(
            features[finite], sample.labels[fit_rows][finite], role="head", classes=sample.classes
        )
        metrics = [nc1(seen.moments), vci(seen.moments), logme(seen)]
        index = float(np.clip(metrics[1].value, 0, 1))  # a hair outside by rounding
        measures = (metrics[0].value, index, metrics[2].value)
        reasons = tuple(dict.fromkeys(r for m in metrics for r in m.reasons))
        found = {name: HEADS[name](seen) for name in heads}
    errors = {name: _of_all(estimate, finite) for name, estimate in found.items()}
    place = Layer(
        checkpoint=tap.checkpoint,
        layer=tap.layer,
        origin=tap.origin,
        dim=tap.dim,
        view=features.shape[1],
        last=tap.last,
        weights=tap.weights,
        nc1=measures[0],
        vci=measures[1],
        logme=measures[2],
        leave_one_out=errors,
        reasons=reasons,
    )
    return [_Fitted(Candidate(place, name), found[name], tap) for name in heads]


def _of_all(estimate: Estimate | None, finite: Bools) -> float:
    """Share of wrong rows, those that are not finite among them."""
    if estimate is None or np.isnan(estimate.error):
        return np.nan
    return float((estimate.error * finite.sum() + (~finite).sum()) / len(finite))


def _sorted_as(candidate: Candidate) -> float:
    error = candidate.leave_one_out
    return np.inf if np.isnan(error) else error


def _baselines(fitted: Sequence[_Fitted], chosen: int) -> list[tuple[str, int, bool]]:
    """Candidates that the chosen one is held against, each fixed by the rows F.

    The last layer is that of the network that was chosen, so one for each of the shortlist.
    """
    own = fitted[chosen].candidate.place

    def least(which: list[int]) -> int | None:
        return min(which, key=lambda i: _sorted_as(fitted[i].candidate), default=None)

    def of(origin: Origin) -> list[int]:
        return [i for i, f in enumerate(fitted) if f.tap.origin == origin]

    last = [
        i
        for i, f in enumerate(fitted)
        if f.tap.last and f.tap.origin == own.origin and f.tap.checkpoint == own.checkpoint
    ]
    found = [
        ("raw inputs", least(of("raw")), False),
        ("an untrained network", least(of("untrained")), False),
        ("its last layer", least(last), True),
    ]
    return [(what, i, again) for what, i, again in found if i is not None]


class _Paired(NamedTuple):
    """Errors of the chosen candidate, by which others are compared with it."""

    wrong: Bools
    shortlist: int
    delta: float
    stratified: bool

    def baseline(self, what: str, candidate: Candidate, wrong: Bools, again: bool) -> Baseline:
        """Limits of one baseline; ``again`` where each of the shortlist has another one."""
        n, share = len(wrong), float(down(self.delta / self.shortlist))
        lower = paired_lower_stratified if self.stratified else paired_lower
        only_other, only_chosen = int((wrong & ~self.wrong).sum()), int((self.wrong & ~wrong).sum())
        errors, own = int(wrong.sum()), share if again else self.delta
        return Baseline(
            what=what,
            candidate=candidate,
            errors=errors,
            limit=binomial_formula(errors, n, own, stratified=self.stratified),
            gain=float(lower(only_other, only_chosen, n, share)),
        )
