"""Means of points with two labels against those of points with one of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ncbounds.arrays import Bools, Floats, Ints
from ncbounds.geometry import label_sets
from ncbounds.geometry.label_sets import distinct_sets, means_of_groups
from ncbounds.geometry.measured import Metric
from ncbounds.statistics.rows import as_rows

_ROUNDING = 1e-14


class PairCosines(NamedTuple):
    """One cosine per pair of labels that some points have, and no other label.

    Attributes
    ----------
    pairs : integer array of shape (P, 2)
    values : array of shape (P,)
        nan where one of the labels is alone on no point, or a vector is zero.
    reasons : tuple of str
        What was left out.
    """

    pairs: Ints
    values: Floats
    reasons: tuple[str, ...]

    @property
    def mean(self) -> Metric:
        """Average over the pairs that have a cosine."""
        return self._over(np.mean)

    @property
    def least(self) -> Metric:
        """Smallest of them."""
        return self._over(np.min)

    def _over(self, how: Callable[[Floats], Any]) -> Metric:
        known = self.values[np.isfinite(self.values)]
        return Metric(float(how(known)) if len(known) else float("nan"), self.reasons)


def set_mean_cosines(features: object, indicators: Bools, *, centred: bool = True) -> PairCosines:
    r"""Cosine between the mean of each pair of labels and the sum of its two single-label means.

    .. math:: \cos(\mu_{jk} - \mu,\; (\mu_j - \mu) + (\mu_k - \mu)) ,

    with :math:`\mu_{jk}` the mean of the points whose labels are j and k and no other,
    :math:`\mu_j` that of the points with label j alone, and :math:`\mu` the mean of all points.

    Parameters
    ----------
    features : array-like of shape (n, d)
    indicators : bool array of shape (n, L)
        The labels of each point.
    centred : bool
        False takes :math:`\mu = 0`, for a head without bias.

    Returns
    -------
    PairCosines

    Raises
    ------
    InvalidSample
        If a feature is not finite.

    Notes
    -----
    It is 1 at the optimum of free features for the pick-all-label loss where sets of equal size
    have equally many points, and close to 1 otherwise. For the binary loss the optimum has other
    values: it also spends norm on the number of labels, a direction that a softmax does not see.
    Invariant to rotations and scale, and to a translation if centred.

    References
    ----------
    P. Li, X. Li, Y. Wang and Q. Qu, "Neural collapse in multi-label learning with pick-all-label
    loss", ICML 2024, arXiv:2310.15903.
    """
    size = indicators.sum(axis=1)
    shown = np.where((size <= 2)[:, None], indicators, False)
    distinct, group = distinct_sets(shown)  # larger sets, and none, are the empty one
    size, rows = distinct.sum(axis=1), as_rows(features)
    of_two = np.flatnonzero(size == 2)
    pairs = np.argwhere(distinct[of_two])[:, 1].reshape(-1, 2)
    if len(distinct) * rows.shape[1] > label_sets.LARGEST:
        why = f"{len(pairs)} pairs with {rows.shape[1]} features take more than memory is meant for"
        return PairCosines(pairs, np.full(len(pairs), np.nan), (why,))
    counts, means, _ = means_of_groups(rows.source, group, len(distinct))
    given = np.linalg.norm(means, axis=1)
    if centred and len(means):
        means = means - (means[0] + counts / counts.sum() @ (means - means[0]))
    alone = np.full(indicators.shape[1], -1)  # which group is that of a label alone
    alone[distinct[size == 1].argmax(axis=1)] = np.flatnonzero(size == 1)
    known = np.asarray((alone[pairs] >= 0).all(axis=1))
    sums = means[alone[pairs]].sum(axis=1)
    both = means[of_two]
    lengths = np.linalg.norm(sums, axis=1) * np.linalg.norm(both, axis=1)
    apart = known & _are_vectors(sums, both, given.max(initial=0.0))
    values = np.full(len(pairs), np.nan)
    values[apart] = np.einsum("ij,ij->i", sums, both)[apart] / lengths[apart]
    return PairCosines(pairs, np.clip(values, -1.0, 1.0), _left_out(known, apart))


def _are_vectors(first: Floats, second: Floats, size: float) -> Bools:
    """Rows where both are more than rounding of what they were computed from."""
    least = np.minimum(np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1))
    return np.asarray(least > _ROUNDING * size)


def _left_out(known: Bools, apart: Bools) -> tuple[str, ...]:
    if not len(known):
        return ("no point has exactly two labels",)
    reasons: tuple[str, ...] = ()
    if not known.all():
        reasons = (
            f"{int((~known).sum())} of {len(known)} pairs left out: a label of theirs is alone on "
            "no point",
        )
    if zero := int((known & ~apart).sum()):
        reasons = (*reasons, f"{zero} of {len(known)} pairs left out: a vector is zero")
    return reasons
