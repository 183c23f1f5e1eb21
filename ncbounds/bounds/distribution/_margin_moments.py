"""Moments of the margins of every class, computed once per sample and head.

The margins of a point of class c are the vector ``s_c - s_j`` over the rivals j != c; the point is
an error iff the smallest of them is <= 0.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ncbounds.arrays import Bools, Floats, Ints
from ncbounds.bounds.kept import Kept
from ncbounds.bounds.view import Outcome, View
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.logit_rows import LogitRows
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import CovarianceFactor
from ncbounds.statistics.rows import members_of

#: Fewest points of a class that have a variance.
FEWEST = 2


@dataclass(frozen=True, eq=False)
class MarginMoments:
    """Per class: means, variances and covariances of its k = C-1 pairwise margins.

    Attributes
    ----------
    logits : array or LogitRows of shape (n, C)
    rows : tuple of integer arrays
        Row numbers of each class; labels that the head has no output for have rows too.
    counts : integer array of shape (classes,)
    """

    logits: Floats | LogitRows
    rows: tuple[Ints, ...]
    counts: Ints

    @property
    def classes(self) -> int:
        """Number of classes that labels are counted over; at least the head's C."""
        return len(self.counts)

    @property
    def rivals(self) -> int:
        """Number k of rivals of a class: the head's other outputs."""
        return int(self.logits.shape[1]) - 1

    def margins(self, c: int) -> Floats:
        """Pairwise margins of class ``c``, shape (n_c, k), rivals in the order of their numbers."""
        own = self.logits[self.rows[c]]
        return own[:, c, None] - np.delete(own, c, axis=1)

    @cached_property
    def usable(self) -> Bools:
        """Whether a class has moments at all, shape (classes,).

        It has none with fewer than two points, with a non-finite logit (the point is an error of
        unbounded size), without an output of the head, or if its squares overflow.
        """
        finite: Bools = np.isfinite(self.variances) & np.isfinite(self.means)
        return np.asarray(finite.all(axis=1))

    @cached_property
    def _first_two(self) -> tuple[Floats, Floats, Floats, Floats]:
        shape = (self.classes, self.rivals)
        means, variances = np.full(shape, np.nan), np.full(shape, np.nan)
        least_mean, least_variance = np.full((2, self.classes), np.nan)
        for c in range(min(self.classes, self.rivals + 1)):
            if self.counts[c] < FEWEST:
                continue
            with np.errstate(invalid="ignore", over="ignore"):
                m = self.margins(c)
                smallest = m.min(axis=1)
                # centring first: margins of collapsed features vary by far less than their size
                means[c], least_mean[c] = m.mean(axis=0), smallest.mean()
                variances[c] = np.square(m - means[c]).sum(axis=0) / (len(m) - 1)
                least_variance[c] = np.square(smallest - least_mean[c]).sum() / (len(m) - 1)
        return means, variances, least_mean, least_variance

    @property
    def means(self) -> Floats:
        """Mean margins, shape (classes, k); nan where a class has no moments."""
        return self._first_two[0]

    @property
    def variances(self) -> Floats:
        """Variances of the margins with divisor n_c - 1, shape (classes, k)."""
        return self._first_two[1]

    def covariance(self, c: int) -> CovarianceFactor:
        """Covariance of the margins of class ``c`` with divisor n_c - 1, factor (r, k), r <= k."""
        centred = (self.margins(c) - self.means[c]) / np.sqrt(len(self.rows[c]) - 1)
        many = len(centred) > centred.shape[1]
        return CovarianceFactor(np.linalg.qr(centred, mode="r") if many else centred)

    @cached_property
    def distances(self) -> Floats:
        """Mean over standard deviation of every pairwise margin, shape (classes, k).

        A margin without spread is at distance ``inf`` if it is positive and ``-inf`` otherwise; a
        class without moments is at ``-inf``.
        """
        return distances(self.means, self.variances)

    @property
    def smallest(self) -> tuple[Floats, Floats]:
        """Mean and variance of the smallest margin, (classes,) each; nan without moments."""
        mean, variance = self._first_two[2:]
        return np.where(self.usable, mean, np.nan), np.where(self.usable, variance, np.nan)


def distances(mean: Floats, variance: Floats) -> Floats:
    """Mean over standard deviation of the pairwise margins of classes, (..., k) each.

    As :func:`standardised`; a class with any moment that is not finite is at ``-inf`` throughout.
    """
    known = (np.isfinite(mean) & np.isfinite(variance)).all(axis=-1, keepdims=True)
    return standardised(np.where(known, mean, np.nan), variance)


def standardised(mean: Floats, variance: Floats) -> Floats:
    """Mean over standard deviation; ``-inf`` if unknown, ``inf`` or ``-inf`` without spread."""
    usable = np.isfinite(mean) & np.isfinite(variance)
    spread = usable & (variance > 0)
    still = np.where(usable & (mean > 0), np.inf, -np.inf)
    out: Floats = np.divide(mean, np.sqrt(np.where(spread, variance, 1.0)), out=still, where=spread)
    return out


_KEPT: Kept[MarginMoments] = Kept()


def margin_moments(sample: Sample, head: LinearHead) -> MarginMoments:
    """Return the margin moments of ``head`` on ``sample``; those of the last head are kept."""

    def made() -> MarginMoments:
        rows = tuple(members_of(sample.labels, sample.classes))
        return MarginMoments(sample.logit_rows(head), rows, sample.counts)

    return _KEPT.get(sample, head, make=made)


def averaged(view: View, per_class: Floats, **details: object) -> Outcome:
    """Weight class bounds of shape (classes,) by the class frequencies of the sample."""
    counts, n = view.sample.counts, view.sample.n
    return Outcome(
        value=float(counts @ per_class / n),
        n=n,
        details={"per class": per_class, **details},
        claim=view.pooled(),
    )
