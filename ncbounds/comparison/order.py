r"""How well a quantity orders classifiers whose order is known.

A pair is *resolved* where held-out rows show, for all pairs at once, which of the two errs less
often. The *sign error* is the share of resolved pairs that the quantity orders wrongly, a tie
counting one half: :math:`(1 - D)/2` with Somers' D.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ncbounds.arrays import Bools, Floats, Ints
from ncbounds.errors import InvalidSample
from ncbounds.numerics import binomial_lower, binomial_upper, down, sign_test_p
from ncbounds.numerics.best import only_one_errs

#: Resolved pairs below which nothing is said, and below which a factor is no worst one.
FEWEST, FEWEST_OF_FACTOR = 10, 5
#: Redraws of whole families, their seed, and the ends of the interval in percent.
REDRAWS, SEED, ENDS = 2000, 14, (2.5, 97.5)

Order = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Judged:
    """What is known of one classifier's error: a count, and row by row if that was kept.

    ``rows`` tells which rows it was judged on; only classifiers of equal ``rows`` are compared row
    by row. ``error`` says what an error is, where not that of a class: counts of different ones are
    not compared.
    """

    errors: int
    n: int
    rows: str = ""
    wrong: Bools | None = None
    error: str = ""

    @property
    def rate(self) -> float:
        """Share of errors."""
        return self.errors / self.n


def known_order(judged: "list[Judged]", delta: float) -> Order:
    r"""Which pairs are resolved, and how: 1 where the first errs more often, -1 less, 0 unknown.

    On equal rows the exact paired test decides at :math:`\delta / T(T-1)` a side; on different ones
    disjoint exact limits at :math:`\delta / 2T` a side. Where both are needed, each has half of
    delta.

    Returns
    -------
    int8 array of shape (T, T)
        With probability at least ``1 - delta`` no entry other than 0 is wrong, if rows are draws of
        one law.
    """
    total = len(judged)
    out = np.zeros((total, total), dtype=np.int8)
    if total < 2:
        return out
    groups: dict[str, list[int]] = {}
    for t, one in enumerate(judged):
        groups.setdefault(one.rows if one.wrong is not None else "", []).append(t)
    alone = groups.pop("", [])
    paired = bool(groups)
    apart = bool(alone) or len(groups) > 1
    share = delta / 2.0 if paired and apart else delta
    if apart:
        k, n = np.array([(one.errors, one.n) for one in judged], dtype=np.float64).T
        each = float(down(share / (2 * total)))
        low, high = binomial_lower(k, n, each), binomial_upper(k, n, each)
        out += (low[:, None] > high[None, :]).astype(np.int8)
        out -= (high[:, None] < low[None, :]).astype(np.int8)
    each = float(down(share / (total * (total - 1))))
    for members in groups.values():
        only = only_one_errs(np.stack([_bits(judged[t]) for t in members]))
        more = (sign_test_p(only, only.T) <= each).astype(np.int8)
        block = np.ix_(members, members)
        out[block] = np.sign(out[block] + more - more.T)
    kinds = np.array([one.error for one in judged])
    out[kinds[:, None] != kinds[None, :]] = 0
    return out


def _bits(one: Judged) -> Bools:
    assert one.wrong is not None  # the groups hold no other
    return one.wrong


class Counted(NamedTuple):
    """Resolved pairs, and those ordered rightly, wrongly and not at all."""

    resolved: int
    concordant: int
    discordant: int
    tied: int

    @property
    def sign_error(self) -> float:
        """Share ordered wrongly, ties by half; nan without a pair."""
        wrong = self.discordant + self.tied / 2.0
        return wrong / self.resolved if self.resolved else np.nan


def counted(x: ArrayLike, order: Order, pairs: Bools | None = None) -> Counted:
    """Count resolved pairs by how values ``x``, shape (T,), order them: smaller for fewer errors.

    Parameters
    ----------
    x : array of shape (T,)
    order : int8 array of shape (T, T)
        As :func:`known_order` gives it.
    pairs : bool array of shape (T, T), optional
        Symmetric; only these.

    Raises
    ------
    InvalidSample
        If a value is nan, or shapes do not fit.
    """
    agreement, known = _agreement(x, order, pairs)
    upper = np.triu(known, 1)
    found = agreement[upper]
    return Counted(
        int(upper.sum()), int((found > 0).sum()), int((found < 0).sum()), int((found == 0).sum())
    )


def _agreement(x: ArrayLike, order: Order, pairs: Bools | None) -> tuple[Floats, Bools]:
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1 or order.shape != (len(values),) * 2 or np.isnan(values).any():
        raise InvalidSample(
            f"values {values.shape} and an order {order.shape}; needed: one number, not nan, for "
            "each classifier"
        )
    with np.errstate(invalid="ignore"):
        more = values[:, None] - values[None, :]
    sign = np.sign(np.where(np.isnan(more), 0.0, more))  # equal infinities tie
    known = order != 0
    return sign * order, known if pairs is None else known & pairs


def interval(
    x: ArrayLike, order: Order, families: Ints, pairs: Bools | None = None
) -> tuple[float, float]:
    """95 % interval of the sign error from redrawing whole families with replacement.

    A pair has the product of the multiplicities of its two families as weight. It describes how the
    sign error varies over zoos like this one, and is no guarantee.

    Parameters
    ----------
    x, order, pairs
        See :func:`counted`.
    families : integer array of shape (T,)
        0, 1, ...: which classifiers are redrawn together.

    Returns
    -------
    tuple of float
        (nan, nan) with fewer than two families.
    """
    agreement, known = _agreement(x, order, pairs)
    many = int(families.max(initial=-1)) + 1
    if many < 2:
        return np.nan, np.nan
    upper = np.triu(known, 1)
    member = np.eye(many)[families]  # (T, families)
    wrong = member.T @ np.where(upper, (1.0 - agreement) / 2.0, 0.0) @ member
    there = member.T @ upper.astype(np.float64) @ member
    w = _redraws(many)
    with np.errstate(invalid="ignore", divide="ignore"):  # halves and counts: all sums are exact
        shares = ((w @ wrong) * w).sum(axis=1) / ((w @ there) * w).sum(axis=1)
    low, high = np.nanpercentile(shares, ENDS)
    return float(low), float(high)


@lru_cache(maxsize=2)  # all quantities that the same families have
def _redraws(families: int) -> Floats:
    """How often each family is drawn, (redraws, families)."""
    draws = np.random.default_rng(SEED).multinomial(
        families, np.full(families, 1.0 / families), REDRAWS
    )
    return draws.astype(np.float64)


def tau_b(x: ArrayLike, errors: ArrayLike) -> float:
    """Kendall's tau-b of values and measured errors; it counts pairs that nobody can order."""
    from scipy.stats import kendalltau

    return float(kendalltau(np.asarray(x), np.asarray(errors)).statistic)
