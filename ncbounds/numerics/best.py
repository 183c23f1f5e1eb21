r"""Which of several candidates may be the best, how far the chosen one is from it, which pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ncbounds.errors import InvalidArgument
from ncbounds.numerics.arguments import counts, probability, whole
from ncbounds.numerics.binomial import binomial_upper, stratified_upper
from ncbounds.numerics.pairs import (
    on_distinct,
    paired_lower_stratified,
    paired_lower_two_step,
    sign_test_p,
)
from ncbounds.numerics.pairs_exact import paired_upper_beyond
from ncbounds.numerics.rounding import FloatArray, down

BoolArray = NDArray[np.bool_]

# Entries of one factor of a product, and its rows at most: float32 counts up to there exactly.
_ENTRIES, _ROWS = 1 << 26, 1 << 24


def best_set(errors: ArrayLike, delta: float, *, stratified: bool = False) -> BoolArray:
    r"""Candidates that may have the least error rate of all.

    Candidate s stays if for every other t, with b and c the numbers of rows on which only s and
    only t errs,

    .. math:: P(\mathrm{Bin}(b + c, 1/2) \ge b) > \delta / (T - 1) .

    Parameters
    ----------
    errors
        (T, n) bool, whether candidate t errs at row i: the same rows in the same order. T counts
        all that could have been compared; all are fixed before the rows are seen.
    delta
        In (0, 1), and ``delta / (T - 1)`` at most 1/2.
    stratified
        Whether the rows are independent but need not be alike (class counts fixed by design): s
        then goes if some lower limit of error(s) - error(t) by
        :func:`~ncbounds.numerics.paired_lower_stratified` is above 0.

    Returns
    -------
    ndarray of bool
        (T,), never all false. A candidate of least error rate stays with probability at least
        ``1 - delta``, each such candidate by itself; that all of them stay needs
        ``delta / (T (T - 1))``.

    Raises
    ------
    InvalidArgument
        ``errors`` no such matrix, or delta too large.

    Notes
    -----
    For a best s all T - 1 hypotheses "s errs no more often than t" are true, and each is rejected
    with probability at most :math:`\delta/(T-1)`. A candidate of fewest errors has b <= c against
    all, where the tail is at least 1/2: it always stays. One matrix product gives all counts.
    """
    wrong = _error_matrix(errors)
    others = len(wrong) - 1
    if probability("delta", delta) > 0.5 * others > 0:
        raise InvalidArgument(
            f"delta is {delta} for {others + 1} candidates; needed: at most {0.5 * others}"
        )
    if others == 0:
        return np.ones(1, dtype=bool)
    share = float(down(delta / others))
    b = only_one_errs(wrong)
    more = b > b.T
    b, c = b[more], b.T[more]
    if stratified:
        beaten = np.asarray(paired_lower_stratified(b, c, wrong.shape[1], share)) > 0
    else:
        beaten = on_distinct(sign_test_p, b, c) <= share
    out = np.zeros(more.shape, dtype=bool)
    out[more] = beaten
    return np.asarray(~out.any(axis=1))


def regret_upper(errors: ArrayLike, chosen: int, delta: float, *, form: str = "exact") -> float:
    r"""Upper limit of error(chosen) - least error rate of the T candidates, rounded up.

    The largest of 0 and of the upper limits of error(chosen) - error(t) at
    :math:`\delta / (T - 1)`. The chosen one may depend on the rows.

    Parameters
    ----------
    errors
        (T, n) bool, as in :func:`~ncbounds.numerics.best_set`.
    chosen
        Its row.
    delta
        In (0, 1); ``delta / (T - 1)`` at most 1/2 for "exact" and "stratified".
    form
        The limit of each pair: "exact" (:func:`~ncbounds.numerics.paired_lower`), "two-step" or
        "stratified" (the functions of these names).

    Returns
    -------
    float
        Not below the regret with probability at least ``1 - delta``; 0 for T = 1.

    Raises
    ------
    InvalidArgument
        No such matrix, candidate or form, or delta too large.

    Notes
    -----
    Let t* be one best candidate, fixed. The value is too small only if the limit of the pair
    (s, t*) fails for the s chosen; there are T - 1 pairs (s, t*), s other than t*.
    """
    wrong = _error_matrix(errors)
    chosen = whole("chosen", chosen)
    if chosen >= len(wrong):
        raise InvalidArgument(f"chosen is {chosen}; needed: a row of {len(wrong)} candidates")
    if form not in _REGRETS:
        raise InvalidArgument(f"form is {form!r}; needed: one of {', '.join(_REGRETS)}")
    others = len(wrong) - 1
    delta = probability("delta", delta)
    if others == 0:
        return 0.0
    share = float(down(delta / others))
    if form != "two-step" and share > 0.5:
        raise InvalidArgument(f"delta is {delta}; {form} limits need at most {0.5 * others}")
    rivals = np.delete(wrong, chosen, axis=0)
    both = np.sum(rivals & wrong[chosen], axis=1)
    only_rival, only_chosen = rivals.sum(axis=1) - both, wrong[chosen].sum() - both
    return _REGRETS[form](only_rival, only_chosen, wrong.shape[1], share)


def certified_list(
    errors: ArrayLike,
    n: int,
    alpha: float,
    delta: float,
    *,
    order: ArrayLike | None = None,
    stratified: bool = False,
) -> BoolArray:
    r"""Candidates that all have an error rate of at most ``alpha``.

    Holm: from the fewest errors on, the i-th of T passes while its exact binomial limit at
    :math:`\delta / (T - i + 1)` is at most alpha. With ``order``, a sequence fixed before the rows
    are seen, it passes while that at :math:`\delta` is; the first failure ends the list.

    Parameters
    ----------
    errors
        (T,) errors of each candidate on the same ``n`` rows.
    n
        Rows.
    alpha
        In (0, 1), fixed beforehand: the list says nothing of another alpha.
    delta
        In (0, 1); at most 1/4 for stratified rows.
    order
        (T,) the candidates 0 .. T - 1, each once.
    stratified
        Whether the rows are independent but need not be alike.

    Returns
    -------
    ndarray of bool
        (T,). With probability at least ``1 - delta`` every one listed is at most ``alpha``.

    Raises
    ------
    InvalidArgument
        Impossible counts, alpha or delta, or an order that is none.

    Notes
    -----
    The limit at x is at most alpha with probability at most x where the rate is above alpha. Holm:
    let h candidates be above alpha. The first of them to be reached has T - i + 1 >= h candidates
    left, so it passes only if one of h limits at :math:`\delta/h` fails. Fixed sequence: only the
    first in the order that is above alpha decides.

    References
    ----------
    Holm, Scand. J. Statist. 6 (1979) 65-70; Angelopoulos et al., arXiv:2110.01052.
    """
    k, n, alpha = counts("errors", errors), whole("n", n), probability("alpha", alpha)
    delta = probability("delta", delta)
    if k.ndim != 1 or not np.all(k <= n):
        raise InvalidArgument(f"errors is {errors!r}; needed: one count per candidate, 0 to {n}")
    if stratified and delta > 0.25:
        raise InvalidArgument(f"delta is {delta}; needed for stratified rows: at most 1/4")
    invert = stratified_upper if stratified else binomial_upper
    total = len(k)
    turns = np.argsort(k, kind="stable") if order is None else counts("order", order)
    if turns.shape != k.shape or not np.array_equal(np.sort(turns), np.arange(total)):
        raise InvalidArgument(f"order is {order!r}; needed: 0 to {total - 1}, each once")
    listed = np.zeros(total, dtype=bool)
    for i, t in enumerate(turns.astype(int)):
        share = delta if order is not None else float(down(delta / (total - i)))
        if not invert(int(k[t]), n, share) <= alpha:
            break
        listed[t] = True
    return listed


def only_one_errs(wrong: BoolArray) -> FloatArray:
    """(T, T) counts of the rows on which the first errs and the second does not."""
    both = np.zeros((len(wrong), len(wrong)))
    step = min(_ROWS, max(1, _ENTRIES // len(wrong)))
    for i in range(0, wrong.shape[1], step):
        part = wrong[:, i : i + step].astype(np.float32)
        both += part @ part.T
    return np.diag(both)[:, None] - both


def _error_matrix(errors: ArrayLike) -> BoolArray:
    given = np.asarray(errors)
    if given.dtype != bool or given.ndim != 2 or not len(given):
        raise InvalidArgument(
            f"errors has type {given.dtype} and shape {given.shape}; needed: bool, (candidates, "
            "rows), one candidate or more"
        )
    return given


def _exact(b: NDArray[Any], c: NDArray[Any], n: int, share: float) -> float:
    """Most promising pairs first; each next one is searched only if it is above the largest."""
    value = 0.0
    pairs = np.unique(np.stack([b - c, b, c], axis=1), axis=0)
    for _, only_b, only_c in pairs.tolist():
        value = paired_upper_beyond(value, float(only_b), float(only_c), float(n), share)
    return value


def _two_step(b: NDArray[Any], c: NDArray[Any], n: int, share: float) -> float:
    return max(0.0, float(np.max(-paired_lower_two_step(b, c, n, share))))


def _stratified(b: NDArray[Any], c: NDArray[Any], n: int, share: float) -> float:
    return max(0.0, float(np.max(-paired_lower_stratified(b, c, n, share))))


_REGRETS = {"exact": _exact, "two-step": _two_step, "stratified": _stratified}
