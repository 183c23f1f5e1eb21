"""Sample moments up to order four that the few-shot error of class means depends on."""

from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidSample
from ncbounds.statistics.axis_products import axis_products, crowded
from ncbounds.statistics.class_moments import ClassMoments
from ncbounds.statistics.rows import Rows, as_rows, block_rows, checked_labels
from ncbounds.statistics.scatter_products import (
    PROBES,
    all_at_once,
    cheapest_route,
    scatter_products,
)

PROBED = f"tr Sigma_i Sigma_j of different classes estimated from {PROBES} random directions"


@dataclass(frozen=True, eq=False)
class PairwiseMoments:
    """Second-pass moments of C classes; x in class c, residual ``e = x - xbar_c``.

    ``S_c`` is the covariance with divisor n_c - 1 and ``Dh_ij = xbar_j - xbar_i``. Entries that
    need more rows than a class has are nan. All are *plug-in* moments; the bias-corrected ones are
    made from them by :func:`ncbounds.statistics.unbiased.estimate`.

    Attributes
    ----------
    count : integer array of shape (C,)
    variance : array of shape (C,)
        ``v_c = tr S_c``; two rows or more.
    fourth : array of shape (C,)
        ``Q_c = sum ||e||^4 / (n_c - 1)``; two rows or more.
    trace_products : array of shape (C, C)
        ``tr S_i S_j``; two rows or more in both.
    dist2 : array of shape (C, C)
        ``||Dh_ij||^2``.
    spread : array of shape (C, C)
        ``Dh_ij' S_i Dh_ij``; the rival's ``Dh_ij' S_j Dh_ij`` is the transpose. Of 64 classes or
        more to five digits at least, see :func:`ncbounds.statistics.axis_products.axis_products`.
    skew : array of shape (C, C)
        ``Dh_ij' kap_i`` with ``kap_c = n_c / ((n_c-1)(n_c-2)) sum e ||e||^2``; three rows or more.
        The rival's ``Dh_ij' kap_j`` is minus the transpose.
    centred_by : str
        Fingerprint of the class means that the residuals were taken from.
    reasons : tuple of str
        What is estimated about these sums themselves.
    """

    count: Ints
    variance: Floats
    fourth: Floats
    trace_products: Floats
    dist2: Floats
    spread: Floats
    skew: Floats
    centred_by: str
    reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return len(self.count)


def pairwise_moments(
    features: object, labels: object, moments: ClassMoments, *, block: int = 2048
) -> PairwiseMoments:
    """Compute the moments of all ordered pairs of classes in a second pass over the features.

    Memory beyond the store is O(C d + C^2 + max(d, block)^2): never all C class covariances.

    Parameters
    ----------
    features : array-like of shape (n, d)
    labels : integer array of shape (n,)
    moments : ClassMoments
        Of the same rows.
    block : int
        See :func:`ncbounds.statistics.scatter_products.scatter_products`.

    Returns
    -------
    PairwiseMoments

    Raises
    ------
    InvalidSample
        If ``moments`` are those of other rows.
    """
    rows = as_rows(features)
    y = checked_labels(labels, rows.shape[0], moments.classes)
    if rows.shape[1] != moments.dim or not np.array_equal(
        np.bincount(y, minlength=moments.classes), moments.count
    ):
        raise InvalidSample(
            "the class moments are those of other rows: their counts or dimension differ; compute "
            "class_moments on the same features and labels first"
        )
    # Projections on centred means: a common offset would cost digits in every product below.
    mean = moments.mean
    centred = np.where(np.isnan(mean), 0.0, mean - (moments.centre() if moments.n else 0.0))
    route = cheapest_route(*rows.shape, moments.classes, block)
    scatters = None
    if route == "entries" and all_at_once(rows.shape[1], moments.classes, block):
        scatters = np.zeros((moments.classes, rows.shape[1], rows.shape[1]))
    fourth, cubic, spread, trace = _fourth_order_sums(rows, y, mean, centred, scatters)
    off = np.abs(trace - moments.trace) > 1e-8 * moments.trace + 1e-20 * np.square(mean).sum(axis=1)
    if off[moments.count > 0].any():
        raise InvalidSample(
            "the class moments are those of other rows: their traces differ; compute class_moments "
            "on the same features and labels first"
        )
    n = moments.count.astype(np.float64)
    n1, n2 = np.where(n >= 2, n - 1, np.nan), np.where(n >= 3, n - 2, np.nan)
    if scatters is None:
        products = scatter_products(rows, y, np.nan_to_num(mean), block=block, route=route)
    else:
        products = (flat := scatters.reshape(moments.classes, -1)) @ flat.T
    third = cubic * (n / (n1 * n2))[:, None]
    projected = third @ centred.T
    dist2 = squared_distances(centred)
    dist2[moments.count == 0] = np.nan
    dist2[:, moments.count == 0] = np.nan
    spread[:, moments.count == 0] = np.nan
    projected[:, moments.count == 0] = np.nan
    return PairwiseMoments(
        count=moments.count,
        variance=moments.trace / n1,
        fourth=fourth / n1,
        trace_products=products / np.outer(n1, n1),
        dist2=dist2,
        spread=spread / n1[:, None],
        skew=projected - np.diag(projected)[:, None],
        centred_by=moments.fingerprint,
        reasons=(PROBED,) if route == "probes" else (),
    )


def _fourth_order_sums(
    rows: Rows, labels: Ints, mean: Floats, centred: Floats, scatters: Floats | None
) -> tuple[Floats, Floats, Floats, Floats]:
    """Per class: sum ||e||^4 (C,), sum e ||e||^2 (C, d), sum (e'Dh_cj)^2 (C, C), sum ||e||^2.

    Rows are read in the order of their classes, so that a block holds few of them. Sums of e e' are
    added to ``scatters`` (C, d, d) where there are any.
    """
    classes, dim = mean.shape
    fourth, trace = np.zeros(classes), np.zeros(classes)
    cubic, spread = np.zeros((classes, dim)), np.zeros((classes, classes))
    order, close = np.argsort(labels, kind="stable"), crowded(centred)
    size = max(1, min(block_rows(dim), NUMBERS // max(1, dim, classes)))
    for i in range(0, len(order), size):
        index = order[i : i + size]
        y = labels[index]
        starts = np.flatnonzero(np.diff(y, prepend=-1))
        pieces = [slice(*ends) for ends in pairwise([*starts, len(y)])]
        e = rows.take(index)
        for part in pieces:
            e[part] -= mean[y[part.start]]
        along, square = axis_products(e, centred, close[y]), np.einsum("ij,ij->i", e, e)
        for part in pieces:
            c, own, s = y[part.start], along[part], square[part]
            own -= own[:, c].copy()[:, None]
            spread[c] += np.einsum("ij,ij->j", own, own)
            trace[c] += s.sum()
            fourth[c] += s @ s
            cubic[c] += s @ e[part]
            if scatters is not None:
                scatters[c] += e[part].T @ e[part]
    return fourth, cubic, spread, trace


#: Numbers of residuals that are held at a time.
NUMBERS = 2**20
#: Share of two squared lengths below which their distance is taken from the difference itself.
CLOSE = 1e-2
#: Numbers of differences that are held at a time.
DIFFERENCES = 2**20


def squared_distances(points: Floats) -> Floats:
    """``||p_j - p_i||^2`` to at least eleven digits: exact 0 for equal points.

    One Gram matrix about the mean; pairs that are close for their lengths, where that would lose
    digits, by their differences. Rows with a nan have nan.
    """
    here = ~np.isnan(points).any(axis=1)
    centre = points[here].mean(axis=0) if here.any() else 0.0
    x = points - centre
    x[~here] = np.nan
    square = np.einsum("ij,ij->i", x, x)
    size = square[:, None] + square
    result = size - 2.0 * (x @ x.T)
    left, right = np.nonzero((result <= CLOSE * size) & np.outer(here, here))
    step = max(1, DIFFERENCES // max(1, points.shape[1]))
    for k in range(0, len(left), step):
        i, j = left[k : k + step], right[k : k + step]
        difference = points[i] - points[j]
        result[i, j] = np.einsum("ij,ij->i", difference, difference)
    return np.asarray(result)
