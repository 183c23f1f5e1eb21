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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Ints
from ncbounds.bounds.holdout.binomial import binomial_formula
from ncbounds.bounds.kind import Verdict, judge
from ncbounds.bounds.needs import Needs
from ncbounds.choosing.baselines import Paired, baselines_of
from ncbounds.choosing.candidates import Tap
from ncbounds.choosing.choice import Choice
from ncbounds.choosing.estimates import HEADS
from ncbounds.choosing.fitting import Count, fitted_at, sorted_as
from ncbounds.choosing.found import Finalist
from ncbounds.claims.heads import OtherHead
from ncbounds.errors import InvalidArgument, InvalidSample, UnknownName, suggest
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead, NoHead
from ncbounds.evidence.roles import Role
from ncbounds.evidence.sample import Sample
from ncbounds.evidence.split import two_parts
from ncbounds.numerics import down, held_out_worth, regret_upper
from ncbounds.results import BoundResult

#: Length of the shortlist, share of the rows that heads are fitted on, seed of the permutation.
SHORTLIST, SHARE, SEED = 5, 0.5, 5
#: What the certificate asks of the rows: the features do not depend on them.
NEEDS = Needs(kind="certificate", role="head", features=False)
#: Roles of the rows to choose on, the first of them that is there.
CHOSEN_ON: tuple[Role, ...] = ("head", "holdout", "fit")
_WHY = "heads are fitted on part of these rows"


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
        for found in fitted_at(tap, rows, fit_rows, sample, samples[role].n, heads)
    ]
    if not fitted:
        raise InvalidSample("no taps to choose among; pass checkpoints that give features")
    order = np.argsort([sorted_as(f.candidate) for f in fitted], kind="stable")
    shortlist = [int(i) for i in order[:SHORTLIST]]
    count = Count(rows[fit_rows], rows[rest], samples[role].labels, sample.classes)
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
    paired = Paired(wrong[best], len(shortlist), verdict.delta, stratified)
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
            for what, i, again in baselines_of(fitted, chosen)
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
