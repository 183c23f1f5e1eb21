"""LogME: evidence of a linear model of the labels in the features, from class moments alone."""

import numpy as np
import scipy.linalg as sla
from numpy.typing import NDArray
from scipy import optimize

from ncbounds.arrays import Floats
from ncbounds.evidence.sample import Sample
from ncbounds.geometry.labelled import labelled
from ncbounds.geometry.measured import Metric
from ncbounds.statistics.class_moments import ClassMoments
from ncbounds.statistics.crossfit import names

_EPS = float(np.finfo(np.float64).eps)
#: Ends of the ratio t of noise to prior precision that is searched, over the largest eigenvalue.
ENDS = (1e-12, 1e12)
_GRID = 161


def logme(sample: Sample) -> Metric:
    r"""Logarithm of the maximum evidence per point, averaged over the one-hot label columns.

    With ``sum f f' = Q diag(s) Q'``, per class c ``u_j = (n_c q_j' mu_c)^2/s_j``,
    ``r = n_c - sum_j u_j`` (what no linear function explains) and ``t`` the ratio of the precision
    of the weights to that of the noise,

    .. math:: \max_t \tfrac12 \Big( \ln\beta - \tfrac1n \sum_j \ln(1 + s_j/t) - \ln 2\pi - 1 \Big),
        \qquad \beta = n \Big/ \Big( \sum_j \frac{u_j}{1 + s_j/t} + r \Big) .

    Parameters
    ----------
    sample : Sample
        n labelled points with features (n, d); of any role but test. Only its moments are read,
        and it does not matter whether d < n.

    Returns
    -------
    Metric
        In nats; larger is better. Not comparable between samples of different size; changes if the
        features are translated, not if they are rotated or scaled. Classes without points, or with
        all of them, are left out and named. So are, in the reasons, classes whose evidence grows
        to an end of the search: t -> 0 where the features can fit anything, t -> infinity where
        they explain nothing.

    Raises
    ------
    InvalidSample, RoleError
        Without labels, or for the role test.

    References
    ----------
    K. You, Y. Liu, J. Wang and M. Long, "LogME: practical assessment of pre-trained models for
    transfer learning", ICML 2021, arXiv:2102.11005. Their fixed point is replaced by a search in
    ln t, and the rank of the features is cut as rounding demands, so that d > n needs no other
    form.
    """
    labelled(sample)
    moments = sample.moments
    used = (moments.count > 0) & (moments.count < moments.n)
    if not used.any():
        return Metric(float("nan"), ("needs two classes with points",))
    reasons: tuple[str, ...] = ()
    if not used.all():
        reasons = (f"classes without points left out: {names(~used)}",)
    values, explained, rest = _spectrum(moments, used)
    found = _evidences(values, explained, rest, moments.n)
    for end, side in ((-1, "t -> 0"), (1, "t -> infinity")):
        at_end = np.zeros(len(used), dtype=bool)
        at_end[np.flatnonzero(used)] = [where == end for _, where in found]
        if at_end.any():
            reasons = (*reasons, f"evidence largest at {side} for classes {names(at_end)}")
    return Metric(float(np.mean([value for value, _ in found])), reasons)


def _spectrum(moments: ClassMoments, used: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Eigenvalues of the second moments, energy of each class along them, and the rest of it."""
    here = moments.present
    means = moments.mean[here]
    gram = moments.within + (means * moments.count[here][:, None]).T @ means
    values, vectors = sla.eigh(gram)
    kept = values > _EPS * max(moments.n, moments.dim) * max(float(values[-1]), 0.0)
    values, vectors = values[kept], vectors[:, kept]
    counts = moments.count[used].astype(np.float64)
    energy = np.square(counts[:, None] * (moments.mean[used] @ vectors)) / values
    return values, energy, np.maximum(0.0, counts - energy.sum(axis=1))


def _evidences(values: Floats, energy: Floats, rest: Floats, n: int) -> list[tuple[float, int]]:
    """Largest evidence of each class; -1 or 1 if it lies at the lower or upper end of t."""
    top = float(values.max(initial=0.0))
    if top == 0:  # features of zero
        return [(-(np.log(r / n) + np.log(2 * np.pi) + 1) / 2, 1) for r in rest]
    tiny = np.finfo(np.float64).tiny
    grid = np.log(top) + np.linspace(np.log(ENDS[0]), np.log(ENDS[1]), _GRID)
    v = 1 + values / np.exp(grid)[:, None]
    residuals = np.maximum(energy @ (1 / v).T + rest[:, None], tiny)
    # the grid is that of all classes, and so are its determinants
    losses = np.log(residuals / n) + np.log(v).sum(axis=1) / n

    def refined(c: int, around: tuple[float, float, float]) -> float:
        def loss(log_t: float) -> float:
            v = 1 + values / np.exp(log_t)
            residual = max(float((energy[c] / v).sum()) + rest[c], tiny)
            return float(np.log(residual / n) + np.log(v).sum() / n)

        return float(optimize.golden(loss, brack=around, tol=1e-10, full_output=True)[1])

    found = []
    for c, best in enumerate(losses.argmin(axis=1)):
        least, where = float(losses[c, best]), -1 if best == 0 else 1 if best == _GRID - 1 else 0
        if where == 0:
            around = (grid[best - 1], grid[best], grid[best + 1])
            least = min(least, refined(c, around))
        found.append((-(least + np.log(2 * np.pi) + 1) / 2, where))
    return found
