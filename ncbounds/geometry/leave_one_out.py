"""Leave-one-out error of ridge regression on one-hot labels, for all penalties without a refit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidArgument
from ncbounds.evidence.sample import Sample
from ncbounds.geometry.labelled import labelled
from ncbounds.geometry.ridge_axes import LEAST_REST, Axes, axes_of, first_pass
from ncbounds.statistics.nearest import MANY, lost_in_float32

#: Penalties that are tried, as multiples of tr(T)/min(n, d).
PENALTIES = tuple(10.0**k for k in range(-5, 3))
#: Predictions of many classes are computed in float32 where no lead can change by more.
COARSE = 2e-2


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
        The same for all penalties; nan for a default one that another was seen to beat.
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
    fold would be another, hardly different estimate. They are compared first, and from 64 classes
    on by 32 seeded sign combinations of the label columns, whose mean squared error is an unbiased
    estimate of the sum over classes (Hutchinson 1990). One that is worse than the best by 1e-4 of
    its value and by six standard errors of the difference is not computed. From 256 features on,
    h is computed in float32 where that can change 1 - h by no more than 1 %, and from 64 classes on
    predictions are where that can change a lead by no more than 0.02; the squared error keeps six
    digits, and errors are counted as float64 counts them.

    References
    ----------
    G. H. Golub, M. Heath and G. Wahba, "Generalized cross-validation as a method for choosing a
    good ridge parameter", Technometrics 21(2), 1979.
    """
    labelled(sample)
    given = None if penalties is None else _penalties(penalties)
    present, y = np.unique(sample.labels, return_inverse=True)
    counts = np.bincount(y)
    axes = axes_of(sample, y)
    scale = float(axes.values.sum()) / min(sample.n, sample.dim)
    lam = given if given is not None else (scale or 1.0) * np.asarray(PENALTIES)
    nan = float("nan")
    if len(present) < 2:
        none = np.full(len(lam), nan)
        return RidgeLeaveOneOut(nan, nan, nan, lam, none, none, ("needs two classes with points",))
    shares = 1.0 / (axes.values + lam[:, None])
    own_weights, near_best = first_pass(axes, shares, y, counts)
    tried = near_best if given is None else np.arange(len(lam))
    errors, squared = np.full((2, len(lam)), nan)
    for k in tried:
        wrong, square = _left_out(axes, shares[k], own_weights[:, k], y, counts)
        errors[k], squared[k] = wrong / sample.n, square / (sample.n * len(present))
    best = int(tried[np.argmin(squared[tried])])
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


def _left_out(
    axes: Axes, share: Floats, own_weights: Floats, y: Ints, counts: Ints
) -> tuple[int, float]:
    """Wrong points, and the sum of squared deviations, at the penalty of ``share`` 1/(s + lambda).

    Left out, the own entry is 1 - (1 - fitted)/(1 - h) and any other one fitted/(1 - h).
    """
    slopes, level = axes.slopes(share), counts / len(y)
    steepest = float(np.sqrt(np.einsum("ij,ij->j", slopes, slopes).max()))
    wrong, squares = 0, 0.0
    for part, x in axes.blocks():
        h, own, lengths = own_weights[part], y[part], axes.lengths(x)
        with np.errstate(invalid="ignore"):  # of lengths beyond float32 there is no limit
            off = 2.0 * lost_in_float32(x.shape[1] + 2) * steepest * lengths + 2.0**-21
        fitted: NDArray[np.floating]
        if axes.narrow and len(counts) >= MANY and off.max() <= COARSE:
            fitted = x.astype(np.float32) @ slopes.astype(np.float32)
        else:
            fitted, off = x @ slopes, np.zeros(len(x))
        lead, square = _lead(fitted, level, own)
        off += axes.lost(lengths, h[:, None], share[None])[:, 0]
        again = np.flatnonzero(np.abs(lead - h) < off)
        h[again] = axes.own_weights(x[again], share) + 1 / len(y)
        lead[again] = _lead(x[again] @ slopes, level, own[again])[0]
        rest = 1 - h
        fine = rest > LEAST_REST
        wrong += int((~((lead > h) & fine & (counts[own] > 1))).sum())
        squares += (square / np.square(rest)).sum() if fine.all() else np.inf
    return wrong, float(squares)


def _lead(fitted: NDArray[np.floating], level: Floats, y: Ints) -> tuple[Floats, Floats]:
    """Leads over the best rival, and sums of squares of y - fitted, (m,) each.

    ``fitted`` comes without the class frequencies ``level`` and is written to.
    """
    rows = np.arange(len(y))
    fitted += level.astype(fitted.dtype)
    own = fitted[rows, y].astype(np.float64)
    fitted[rows, y] -= 1.0
    square = np.einsum("ij,ij->i", fitted, fitted, dtype=np.float64)
    fitted[rows, y] = -np.inf
    return own - fitted.max(axis=1), square


def _penalties(penalties: ArrayLike) -> Floats:
    lam = np.atleast_1d(np.asarray(penalties, dtype=np.float64))
    if lam.ndim != 1 or not len(lam) or not (np.isfinite(lam) & (lam > 0)).all():
        raise InvalidArgument(f"penalties are {penalties!r}; needed: finite numbers above 0")
    return lam
