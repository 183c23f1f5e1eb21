"""Who errs less often than whom, which may be the best, which meet a requirement."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.comparison.candidates import Candidate, candidates_of, on_the_same_rows
from ncbounds.comparison.pairs import ComparisonData
from ncbounds.comparison.words import table, words
from ncbounds.errors import InvalidSample, suggest
from ncbounds.evidence.evidence import Evidence
from ncbounds.numerics import (
    best_set,
    certified_list,
    down,
    paired_lower,
    paired_lower_stratified,
    paired_lower_two_step,
    regret_upper,
    sign_test_p,
)
from ncbounds.numerics.arguments import probability, whole
from ncbounds.numerics.best import only_one_errs
from ncbounds.tables import Table

#: Candidates up to which pairs have the tighter limit, which takes a tenth of a second each. What
#: is compared decides, never the errors, so that no limit is picked by looking.
MOST_EXACT = 12
#: Candidates up to which the regret has the tighter form, which is sought where it matters only.
MOST_EXACT_REGRET = 200
#: A tighter limit is looked for where the sign test is at most so many times its share of delta;
#: the others, which would hardly be above 0, are left undefined.
SCREENED = 2.0


class Comparison(ComparisonData):
    """What held-out rows say of several classifiers; ``print`` shows it in words."""

    def __str__(self) -> str:
        """Return the table of pairs and what is claimed, in words."""
        return words(self)

    def table(self) -> Table:
        """Return the table of pairs, to be written in any format (:mod:`ncbounds.tables`)."""
        return table(self)


def compare(
    subjects: "Mapping[str, Evidence] | Iterable[Evidence]",
    *,
    role: str = "holdout",
    delta: float = 0.05,
    requirement: float | None = None,
    in_order: bool = False,
    chosen: str | None = None,
    among: int | None = None,
) -> Comparison:
    """Compare classifiers on the same held-out rows; predictions of any framework are enough.

    Parameters
    ----------
    subjects : mapping from name to Evidence, or iterable of Evidence
        Such as ``nb.Evidence.from_predictions(predicted=..., labels=..., ids=..., role="holdout",
        sampling="iid")``. All that could be compared were fixed before the rows were looked at.
    role : str
        Sample that they are compared on; another one than holdout makes plug-ins.
    delta : float in (0, 1/2]
        Of each statement: all pairs at once, the set of best, the regret, the list.
    requirement : float in (0, 1), optional
        List all that are shown to err at most so often; fixed before the rows were looked at.
    in_order : bool
        The list follows the order of ``subjects``, fixed before too, and ends at the first that
        fails; each is then tested at the whole of delta.
    chosen : str, optional
        Whose regret is bounded; by default that of the fewest errors.
    among : int, optional
        How many could have been compared, where only some of them are given.

    Returns
    -------
    Comparison

    Raises
    ------
    InvalidSample
        If they were not judged on the same rows, with what differs, or delta is too large.
    MissingEvidence
        If one has no such sample.
    """
    return compared(
        candidates_of(subjects, role, probability("delta", delta)),
        delta=delta,
        requirement=requirement,
        in_order=in_order,
        chosen=chosen,
        among=among,
    )


def compared(
    candidates: Sequence[Candidate],
    *,
    delta: float = 0.05,
    requirement: float | None = None,
    in_order: bool = False,
    chosen: str | None = None,
    among: int | None = None,
    beside: int = 0,
) -> Comparison:
    r"""Compare candidates whose errors are known; see :func:`compare`.

    Parameters
    ----------
    beside : int
        Others of the same run. They could have been compared, unless ``among`` says that the
        candidates were named before the rows were looked at.
    candidates, delta, requirement, in_order, chosen, among
        As there.

    Notes
    -----
    With M classifiers that could have been compared, each ordered pair has the limit at
    :math:`\delta / (M(M-1))`. The set of best and the regret divide delta by T - 1; where only T of
    M are given, which may have been picked by looking, they use the share of a pair, as then all
    M(M - 1) statements about pairs have to hold.
    """
    found = on_the_same_rows(candidates)
    total = whole("among", len(found) + beside if among is None else among, 1)
    if total < len(found):
        raise InvalidSample(f"among counts all that could be compared: {len(found)} are given")
    delta = probability("delta", delta)
    if delta > 0.5:
        raise InvalidSample(f"delta is {delta}; comparing needs at most 1/2")
    names = [c.name for c in found]
    if chosen is not None and chosen not in names:
        raise InvalidSample(f"chosen: no candidate is called {chosen!r}; {suggest(chosen, names)}")
    wrong = np.stack([c.wrong for c in found])
    stratified = found[0].sampling == "stratified"
    only = only_one_errs(wrong).astype(np.int64)
    picked = int(np.argmin(wrong.sum(axis=1))) if chosen is None else names.index(chosen)
    together = delta if total == len(found) else delta * (len(found) - 1) / (total * (total - 1))
    together = float(down(together, 3)) if len(found) > 1 else delta
    form = form_of(total, stratified)
    listed = None
    if requirement is not None:
        if in_order and total > len(found):
            raise InvalidSample(
                f"a list in order needs all {total} that could have been compared, found "
                f"{len(found)}; --among {len(found)} (among={len(found)}) says that these were "
                "named before the rows were looked at"
            )
        # those that are not given stand last: no list is longer for what it is not told
        padded = np.append(wrong.sum(axis=1), np.full(total - len(found), wrong.shape[1]))
        order = np.arange(total) if in_order else None
        listed = certified_list(
            padded, wrong.shape[1], requirement, delta, order=order, stratified=stratified
        )[: len(found)]
    return Comparison(
        candidates=tuple(found),
        n=wrong.shape[1],
        delta=delta,
        among=total,
        beside=beside,
        only=only,
        limits=pair_limits(only, wrong.shape[1], delta, form, total),
        best=best_set(wrong, together, stratified=stratified),
        chosen=picked,
        regret=regret_upper(
            wrong, picked, together, form=form_of(total, stratified, MOST_EXACT_REGRET)
        ),
        requirement=requirement,
        listed=listed,
        in_order=in_order,
        form=form,
    )


def form_of(total: int, stratified: bool, most: int = MOST_EXACT) -> str:
    """Form of the paired limits for so many classifiers, exact for ``most`` of them."""
    if stratified:
        return "stratified"
    return "exact" if total <= most else "two-step"


def pair_limits(only: Ints, n: int, delta: float, form: str, total: int) -> Floats:
    """Lower limits of error(second) - error(first) that hold for all pairs at once, (T, T).

    Parameters
    ----------
    only : integer array of shape (T, T)
        Rows on which the first errs and the second does not.
    n : int
    delta : float
    form : {"exact", "two-step", "stratified"}
    total : int
        Number of classifiers over whose ordered pairs delta is divided.
    """
    out = np.full(only.shape, np.nan)
    wanted = ~np.eye(len(only), dtype=bool)
    if not wanted.any():
        return out
    share = float(down(delta / (total * (total - 1))))
    if form == "exact":
        wanted &= sign_test_p(only.T, only) <= SCREENED * share
    out[wanted] = _LIMITS[form](only.T[wanted], only[wanted], n, share)
    return out


_LIMITS = {
    "exact": paired_lower,
    "two-step": paired_lower_two_step,
    "stratified": paired_lower_stratified,
}
