"""Leave-one-out error of ridge regression on one-hot labels, for all penalties in one pass."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.linalg as sla
from numpy.typing import ArrayLike, NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidArgument
from ncbounds.evidence.sample import Sample
from ncbounds.geometry.labelled import labelled
from ncbounds.statistics.nearest import MANY, lost_in_float32
from ncbounds.statistics.rows import as_rows, block_rows

#: Penalties that are tried, as multiples of tr(T)/min(n, d).
PENALTIES = tuple(10.0**k for k in range(-5, 3))
#: A point whose own weight in its prediction is within this of 1 cannot be predicted.
LEAST_REST = 1e-10
#: Rows that are turned at once.
ROWS = 2048


@dataclass(frozen=True, eq=False)
class RidgeLeaveOneOut:
    """Leave-one-out errors by penalty, and those at the penalty of least squared error.

    Attributes
    ----------
    error : float
        Share of the points that are wrong when left out, at ``penalty``. An estimate, and biased
        down as the least of several candidates: choose by it, never quote it.
    squared_error : float
        Mean over the points and classes of the squared deviation, at ``penalty``.
    penalty : float
        The penalty lambda of least squared error.
    penalties, errors, squared_errors : arrays of shape (L,)
        The same for all penalties that were tried.
    reasons : tuple of str
        Why values are nan, and what was left out.
    """

    error: float
    squared_error: float
    penalty: float
    penalties: Floats
    errors: Floats
    squared_errors: Floats
    reasons: tuple[str, ...] = ()


def ridge_leave_one_out(sample: Sample, penalties: ArrayLike | None = None) -> RidgeLeaveOneOut:
    r"""Leave-one-out error of ridge regression with a free intercept on one-hot labels.

    Exact for each fixed penalty, without refitting. With X the features centred by their mean,
    ``X'X = V diag(s) V'`` and ``z_i = V'(x_i - mu)``,

    .. math:: h_i = \tfrac1n + \sum_j \frac{z_{ij}^2}{s_j + \lambda}, \qquad
        y_i - \frac{y_i - \hat y_i}{1 - h_i}

    is the prediction at i of the fit to the other points. A point is wrong unless its own entry is
    strictly the largest; so are points with ``1 - h_i < 1e-10`` and those alone in their class.

    Parameters
    ----------
    sample : Sample
        n labelled points with features (n, d); of any role but test. d > n is fine.
    penalties : array-like of shape (L,), optional
        Positive; by default ``10^-5, ..., 10^2`` times ``tr(X'X)/min(n, d)``.

    Returns
    -------
    RidgeLeaveOneOut
        The penalty is the one of least squared error (the smaller of equals). Empty classes are
        left out; nan with a reason for one class.

    Raises
    ------
    InvalidArgument
        If a penalty is not positive and finite.
    InvalidSample, RoleError
        Without labels, or for the role test.

    Notes
    -----
    By the Sherman-Morrison formula for rows ``(1, x_i)`` with the penalty ``diag(0, lambda I)``.
    The default penalties depend on all points, the left-out one included; a penalty rescaled per
    fold would be another, hardly different estimate.

    References
    ----------
    G. H. Golub, M. Heath and G. Wahba, "Generalized cross-validation as a method for choosing a
    good ridge parameter", Technometrics 21(2), 1979.
    """
    labelled(sample)
    given = None if penalties is None else _penalties(penalties)
    present, y = np.unique(sample.labels, return_inverse=True)
    counts = np.bincount(y)
    axes = _axes_of_features(sample) if sample.dim <= sample.n else _axes_of_points(sample, y)
    scale = float(axes.values.sum()) / min(sample.n, sample.dim)
    lam = given if given is not None else (scale or 1.0) * np.asarray(PENALTIES)
    nan = float("nan")
    if len(present) < 2:
        none = np.full(len(lam), nan)
        return RidgeLeaveOneOut(nan, nan, nan, lam, none, none, ("needs two classes with points",))
    wrong, squares = np.zeros(len(lam)), np.zeros(len(lam))
    done = 0
    shares = 1.0 / (axes.values + lam[:, None])
    for z in axes.rows():
        own = y[done : done + len(z)]
        done += len(z)
        own_weights = 1 / sample.n + np.square(z) @ shares.T
        for k, (lead, square) in enumerate(_left_out(z, axes, shares, own_weights.T, own, counts)):
            rest = 1 - own_weights[:, k]
            fine = rest > LEAST_REST
            wrong[k] += int((~((lead > 0) & fine & (counts[own] > 1))).sum())
            squares[k] += (square / np.square(rest)).sum() if fine.all() else np.inf
    errors, squared = wrong / sample.n, squares / (sample.n * len(present))
    best = int(np.argmin(squared))
    reasons: tuple[str, ...] = ()
    if len(present) < sample.classes:
        reasons = (f"{sample.classes - len(present)} empty classes left out",)
    if not np.isfinite(squared[best]):
        reasons = (*reasons, "some point decides its own prediction at every penalty")
    chosen = (float(errors[best]), float(squared[best]), float(lam[best]))
    return RidgeLeaveOneOut(*chosen, lam, errors, squared, reasons)


def penalty_per_variance(found: RidgeLeaveOneOut, sample: Sample) -> float:
    """Penalty of :func:`ncbounds.procedures.linear.ridge` at which the chosen one is.

    That procedure averages over the points and scales features to a mean variance of 1.
    """
    moments = sample.moments
    between = moments.mean[moments.present] - moments.centre(weighted=True)
    square = moments.trace.sum() + moments.count[moments.present] @ np.square(between).sum(axis=1)
    variance = float(square) / (sample.n * sample.dim) or 1.0
    return found.penalty / (sample.n * variance)


class _Axes(NamedTuple):
    """Centred features in the axes of their scatter: its eigenvalues s, V'X'Y, and rows of XV."""

    values: Floats
    targets: Floats
    rows: Callable[[], Iterator[Floats]]


def _axes_of_features(sample: Sample) -> _Axes:
    moments = sample.moments
    counts = moments.count[moments.present]
    centre = moments.centre(weighted=True)
    means = moments.mean[moments.present] - centre
    values, vectors = sla.eigh(moments.within + (means * counts[:, None]).T @ means)
    features, size = as_rows(sample.features), min(ROWS, block_rows(sample.dim))

    def rows() -> Iterator[Floats]:
        buffer, z = np.empty((2, min(size, sample.n), sample.dim))
        for i in range(0, sample.n, size):
            x = features.read(i, i + size, buffer)
            x -= centre
            yield np.matmul(x, vectors, out=z[: len(x)])

    return _Axes(np.maximum(values, 0.0), vectors.T @ (means * counts[:, None]).T, rows)


def _axes_of_points(sample: Sample, y: Ints) -> _Axes:
    """Find the same from the Gram matrix of the points, where they are fewer than the features."""
    x = as_rows(sample.features).take(np.arange(sample.n))
    x -= x.mean(axis=0)
    values, vectors = sla.eigh(x @ x.T)
    values = np.maximum(values, 0.0)
    z = vectors * np.sqrt(values)
    return _Axes(values, z.T @ np.eye(int(y.max()) + 1)[y], lambda: iter((z,)))


def _left_out(
    z: Floats, axes: _Axes, shares: Floats, own_weights: Floats, y: Ints, counts: Ints
) -> Iterator[tuple[Floats, Floats]]:
    """What :func:`_lead` says of the rows ``z`` for each penalty; ``own_weights`` are (L, m).

    Predictions of few classes are those of all penalties in one product. Of many they are products
    of ``z (s + lambda)^-1/2`` and ``(s + lambda)^-1/2 V'X'Y``, of which the first are shorter than
    1, so that float32 serves: points whose lead it leaves open are computed again, and the squares
    keep six digits.
    """
    classes = len(counts)
    if classes < MANY:
        fitted = z @ np.hstack([axes.targets * share[:, None] for share in shares])
        for k, h in enumerate(own_weights):
            yield _lead(fitted[:, k * classes : (k + 1) * classes], h, y, counts)
        return
    narrow = z.astype(np.float32)
    for share, h in zip(shares, own_weights, strict=True):
        root = np.sqrt(share)
        right = axes.targets * root[:, None]
        products = (narrow * root.astype(np.float32)) @ right.astype(np.float32)
        lead, square = _lead(products, h, y, counts)
        longest = np.sqrt(np.einsum("ij,ij->j", right, right).max())
        off = 2.0 * lost_in_float32(len(share)) * longest * np.sqrt(h) + 2.0**-22
        again = np.flatnonzero(~(np.abs(lead) > off))
        lead[again] = _lead((z[again] * root) @ right, h[again], y[again], counts)[0]
        yield lead, square


def _lead(
    fitted: NDArray[np.floating], own_weight: Floats, y: Ints, counts: Ints
) -> tuple[Floats, Floats]:
    """Leads over the best rival, times 1 - h, and sums of squares of y - fitted, (m,) each.

    Left out, the own entry is 1 - (1 - fitted)/(1 - h) and any other one fitted/(1 - h). ``fitted``
    comes without the class frequencies and is written to.
    """
    rows = np.arange(len(y))
    fitted += (counts / counts.sum()).astype(fitted.dtype)
    own = fitted[rows, y].astype(np.float64)
    fitted[rows, y] -= 1.0
    square = np.einsum("ij,ij->i", fitted, fitted, dtype=np.float64)
    fitted[rows, y] = -np.inf
    return own - own_weight - fitted.max(axis=1), square


def _penalties(penalties: ArrayLike) -> Floats:
    lam = np.atleast_1d(np.asarray(penalties, dtype=np.float64))
    if lam.ndim != 1 or not len(lam) or not (np.isfinite(lam) & (lam > 0)).all():
        raise InvalidArgument(f"penalties are {penalties!r}; needed: finite numbers above 0")
    return lam
