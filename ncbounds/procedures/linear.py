"""Fitting procedures: pure functions from labelled features to a linear head.

A procedure is called as ``procedure(features, labels, classes)`` and returns a
:class:`~ncbounds.evidence.head.LinearHead`. Bounds that split a sample call it on one part; they
are certificates only if the procedure, with its settings, was fixed before the sample was drawn or
tunes itself inside the part that it is given. Settings are bound with ``functools.partial``.

All of them leave out rows with a non-finite feature, and a class without a point is never
predicted (see :func:`never_predicted`).
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidSample, ManifestError, UnknownName, suggest
from ncbounds.evidence.head import LinearHead
from ncbounds.statistics.class_moments import ClassMoments
from ncbounds.statistics.rows import RowsWhenRead, as_rows, blocks_of, finite_rows, mean_of

#: Default L2 penalty of :func:`ridge` and :func:`logistic`, on scaled features.
PENALTY = 0.1
#: Stop of the logistic fit: largest entry of the gradient, and number of iterations.
LOGISTIC_GRADIENT = 1e-7
LOGISTIC_ITERATIONS = 500


class Procedure(Protocol):
    """A way to fit a head, fixed before the data."""

    def __call__(self, features: NDArray[Any], labels: Ints, classes: int, /) -> LinearHead:
        """Fit a head with ``classes`` outputs to features (n, d) and labels (n,)."""
        ...


def fit_on(
    procedure: Procedure, features: NDArray[Any] | RowsWhenRead, labels: Ints, classes: int
) -> LinearHead:
    """Call a procedure on rows that may be made when they are read.

    Ours but ``logistic`` read a block at a time; any other gets an array, of the type that is
    stored.
    """
    called = procedure.func if isinstance(procedure, partial) else procedure
    whole: Any = features if called in (ncm, ridge) else np.asarray(features)
    return procedure(whole, labels, classes)


def procedure_name(procedure: Callable[..., LinearHead]) -> str:
    """Return a name for tables: ``"ncm"``, ``"ridge(penalty=0.5)"``."""
    if isinstance(procedure, partial):
        settings = [repr(a) for a in procedure.args]
        settings += [f"{k}={v!r}" for k, v in procedure.keywords.items()]
        return f"{procedure_name(procedure.func)}({', '.join(settings)})"
    return str(getattr(procedure, "__name__", type(procedure).__name__))


def ncm(features: NDArray[Any], labels: Ints, classes: int) -> LinearHead:
    """Nearest class mean: the largest logit belongs to the class whose mean is nearest.

    With q the average of the class means, the logits are
    ``(mu_c - q)'(f - q) - ||mu_c - q||^2 / 2``, that is ``-||f - mu_c||^2 / 2`` up to a shift that
    all classes share.

    Parameters
    ----------
    features : array of shape (n, d)
    labels : integer array of shape (n,)
    classes : int

    Raises
    ------
    InvalidSample
        If there is no row with finite features.
    """
    rows, (index, y) = as_rows(features), _fitted_on(features, labels, classes)
    present = np.unique(y)
    means = np.stack([mean_of(rows, index[y == c]) for c in present])
    return ncm_of_means(means, present, classes)


def ncm_of_means(means: Floats, present: Ints, classes: int) -> LinearHead:
    """Nearest-class-mean head of given means of shape (len(present), d)."""
    q = means.mean(axis=0)
    w = means - q
    b = -(w @ q) - 0.5 * np.einsum("ij,ij->i", w, w)
    return never_predicted(w, b, present, classes)


def ridge(
    features: NDArray[Any], labels: Ints, classes: int, *, penalty: float = PENALTY
) -> LinearHead:
    """Least squares on one-hot labels with an L2 penalty and a free intercept.

    Features are centred and divided by one number, so that the mean variance of a coordinate is 1;
    then ``mean ||onehot(y) - W f - b||^2 + penalty ||W||_F^2`` is minimised exactly.
    """
    rows, (index, y) = as_rows(features), _fitted_on(features, labels, classes)
    present, counts = np.unique(y, return_counts=True)
    n, d = len(index), rows.shape[1]
    q, share = mean_of(rows, index), counts / n
    squares = sum(float(np.square(rows.take(index[part]) - q).sum()) for part in blocks_of(n, d))
    scale = math.sqrt(squares / (n * d)) if squares > 0 else 1.0
    gram, cross = np.zeros((d, d)), np.zeros((d, len(present)))
    for part in blocks_of(n, d):
        x = (rows.take(index[part]) - q) / scale
        gram += x.T @ x
        cross += x.T @ ((y[part][:, None] == present) - share)
    gram /= n
    gram[np.diag_indices_from(gram)] += penalty
    w = np.asarray(np.linalg.solve(gram, cross / n).T / scale, dtype=np.float64)
    return never_predicted(w, share - w @ q, present, classes)


def ridge_of_moments(moments: ClassMoments, penalty: float) -> LinearHead:
    """Least squares as :func:`ridge`, from moments alone and with another unit of the penalty.

    ``sum ||onehot(y) - W f - b||^2 + penalty ||W||_F^2`` is minimised for features as they are.
    """
    present, counts = moments.present, moments.count[moments.present]
    q = moments.centre(weighted=True)
    means = moments.mean[present] - q
    cross = (means * counts[:, None]).T
    gram = moments.within + cross @ means
    gram[np.diag_indices_from(gram)] += penalty
    w = np.asarray(np.linalg.solve(gram, cross).T, dtype=np.float64)
    return never_predicted(w, counts / moments.n - w @ q, present, moments.classes)


def logistic(
    features: NDArray[Any], labels: Ints, classes: int, *, penalty: float = PENALTY
) -> LinearHead:
    """Multinomial logistic regression with an L2 penalty and a free intercept.

    Features are centred and divided by one number, so that the mean variance of a coordinate is 1;
    then ``mean cross-entropy + penalty/2 ||W||_F^2`` is minimised by L-BFGS from zero.
    """
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    f, y, present = checked(features, labels, classes)
    x, q, scale = _scaled(f)
    n, d = x.shape
    k = len(present)
    target = (y[:, None] == present).astype(np.float64)

    def loss(theta: Floats) -> tuple[float, Floats]:
        w, b = theta[: k * d].reshape(k, d), theta[k * d :]
        s = x @ w.T + b
        log_norm = logsumexp(s, axis=1)
        residual = (np.exp(s - log_norm[:, None]) - target) / n
        gradient = np.concatenate([(residual.T @ x + penalty * w).ravel(), residual.sum(axis=0)])
        value = log_norm.mean() - np.vdot(target, s) / n + 0.5 * penalty * np.vdot(w, w)
        return float(value), gradient

    found = minimize(
        loss,
        np.zeros(k * (d + 1)),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": LOGISTIC_ITERATIONS, "gtol": LOGISTIC_GRADIENT, "ftol": 0.0},
    )
    w = found.x[: k * d].reshape(k, d) / scale
    return never_predicted(w, found.x[k * d :] - w @ q, present, classes)


#: Procedures by name.
PROCEDURES: dict[str, Procedure] = {"ncm": ncm, "ridge": ridge, "logistic": logistic}


def named_procedure(settings: Mapping[str, Any]) -> Procedure:
    """Procedure of a manifest's ``{name = "ridge", penalty = 0.01}``.

    Raises
    ------
    UnknownName
        If there is no procedure of that name.
    ManifestError
        If it does not take these settings.
    """
    rest = dict(settings)
    name = rest.pop("name", None)
    if name not in PROCEDURES:
        raise UnknownName(f"no procedure {name!r}; {suggest(str(name), list(PROCEDURES))}")
    found = PROCEDURES[name]
    known = [p for p in signature(found).parameters if p not in ("features", "labels", "classes")]
    for key, value in rest.items():
        if key not in known:
            raise ManifestError(f"procedure {name} takes {known or 'no settings'}, found {key!r}")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise ManifestError(f"procedure {name}: {key} needs a number >= 0, found {value!r}")
    return partial(found, **rest) if rest else found


def never_predicted(weight: Floats, bias: Floats, present: Ints, classes: int) -> LinearHead:
    """Head with ``classes`` outputs from rows for the classes ``present``.

    Any other class gets the mean of the rows and a bias below the mean of the biases: its logit is
    below the average of the others', so below their largest, at every point.
    """
    w = np.repeat(weight.mean(axis=0)[None], classes, axis=0)
    b = np.full(classes, bias.mean() - 1.0 - np.abs(bias).max())
    w[present], b[present] = weight, bias
    return LinearHead(w, b)


def checked(features: NDArray[Any], labels: Ints, classes: int) -> tuple[Floats, Ints, Ints]:
    """Rows with finite features and a label below ``classes``; also the classes that have one."""
    index, y = _fitted_on(features, labels, classes)
    return as_rows(features).take(index), y, np.unique(y)


def _fitted_on(features: NDArray[Any], labels: Ints, classes: int) -> tuple[Ints, Ints]:
    """Numbers of the rows with finite features and a label below ``classes``, and their labels."""
    y = np.asarray(labels)
    keep = finite_rows(as_rows(features)) & (y >= 0) & (y < classes)
    if not keep.any():
        raise InvalidSample(
            f"a head cannot be fitted: none of {len(y)} rows has finite features and a label "
            f"below {classes}; pass more rows"
        )
    return np.flatnonzero(keep), y[keep].astype(np.int64)


def _scaled(f: Floats) -> tuple[Floats, Floats, float]:
    q = f.mean(axis=0)
    x = f - q
    rms = float(np.sqrt(np.mean(x * x)))
    scale = rms if rms > 0 else 1.0
    return x / scale, q, scale
