"""Within-class against between-class scatter: NC1 and the variability collapse index."""

from typing import Literal

import numpy as np
import scipy.linalg as sla

from ncbounds.arrays import Floats
from ncbounds.geometry.measured import Metric, left_out
from ncbounds.statistics.class_moments import ClassMoments

_EPS = float(np.finfo(np.float64).eps)


def nc1(moments: ClassMoments, *, weighted: bool = False) -> Metric:
    """Within-class against between-class scatter, ``tr(Sigma_W Sigma_B^+) / C``.

    Parameters
    ----------
    moments : ClassMoments
    weighted : bool
        False: ``Sigma_B = Ave_c (mu_c - mu_G)(mu_c - mu_G)'`` with ``mu_G`` the mean of the class
        means. True: both averages over classes are by class counts, so that ``Sigma_W + Sigma_B``
        is the covariance of all points.

    Returns
    -------
    Metric
        C counts the classes with points. 0 means collapsed. nan if the class means span fewer
        dimensions than they can, where the pseudo-inverse would jump.

    Notes
    -----
    ``Sigma_W`` averages over points. The rank of ``Sigma_B`` is fixed at min(C - 1, d) and never
    guessed from small singular values: those are where class means of unequal scale differ. A QR
    factorisation of C - 1 contrasts of the means replaces any d x d pseudo-inverse, and does not
    square their condition as their Gram matrix would. Invariant to rotation, translation, scale and
    relabelling; to every invertible linear map where d <= C - 1.

    References
    ----------
    V. Papyan, X. Y. Han and D. L. Donoho, "Prevalence of neural collapse during the terminal phase
    of deep learning training", PNAS 117(40), 2020, arXiv:2008.08186.
    """
    used, reasons = left_out(moments)
    if used.sum() < 2:
        return Metric(float("nan"), (*reasons, "needs two classes with points"))
    contrasts = between_factor(moments, weighted=weighted)
    within = moments.within / moments.n
    if len(contrasts) <= moments.dim:
        q, r, _ = sla.qr(contrasts.T, mode="economic", pivoting=True)
        middle = q.T @ within @ q
        trans: Literal[0, 1] = 0
    else:
        r, order = sla.qr(contrasts, mode="r", pivoting=True)
        r, middle = r[: moments.dim], within[np.ix_(order, order)]
        trans = 1
    # Rounding of the means themselves decides whether a direction exists.
    floor = _EPS * max(contrasts.shape) * float(np.sqrt(np.nanmax((moments.mean**2).sum(axis=1))))
    rank = int((np.abs(np.diag(r)) > floor).sum())
    if rank < len(r):
        why = f"the class means span {rank} of {len(r)} dimensions: some coincide or line up"
        return Metric(float("nan"), (*reasons, why))
    half = sla.solve_triangular(r, middle, trans=trans)
    whole = sla.solve_triangular(r, half.T, trans=trans)
    return Metric(float(np.trace(whole)) / int(used.sum()), reasons)


def vci(moments: ClassMoments, *, weighted: bool = False) -> Metric:
    """Variability collapse index, ``1 - tr(Sigma_T^+ Sigma_B) / rank(Sigma_B)``.

    ``Sigma_T = Sigma_W + Sigma_B``, both as in :func:`nc1`, and rank(Sigma_B) = min(C - 1, d).
    In [0, 1], 0 means collapsed; invariant to invertible linear maps and translations. With fewer
    points than dimensions it is near 0 for pure noise: look at held-out points.

    References
    ----------
    J. Xu and H. Liu, "Quantifying the variability collapse of neural networks", ICML 2023,
    arXiv:2306.03440.
    """
    used, reasons = left_out(moments)
    if used.sum() < 2:
        return Metric(float("nan"), (*reasons, "needs two classes with points"))
    contrasts = between_factor(moments, weighted=weighted)
    total = moments.within / moments.n + contrasts.T @ contrasts
    # Unit diagonal: the index does not see scales, so neither should the cut-off below.
    scale = np.sqrt(np.maximum(np.diag(total), 0.0))
    alive = scale > 0
    if not alive.any():
        return Metric(float("nan"), (*reasons, "all points coincide"))
    total = total[np.ix_(alive, alive)] / np.outer(scale[alive], scale[alive])
    share = _trace_of_ratio(total, contrasts[:, alive] / scale[alive])
    return Metric(1.0 - share / min(len(contrasts), moments.dim), reasons)


def _trace_of_ratio(total: Floats, factor: Floats) -> float:
    """``tr(total^+ factor' factor)`` where the range of ``total`` holds that of ``factor'``."""
    cut = _EPS * len(total) * 8
    try:
        lower = sla.cholesky(total, lower=True)
        condition, _ = sla.lapack.dpocon(lower, sla.norm(total, 1), uplo="L")
        if condition > cut:
            return float(np.square(sla.solve_triangular(lower, factor.T, lower=True)).sum())
    except sla.LinAlgError:
        pass
    values, vectors = sla.eigh(total)
    kept = values > cut * values[-1]
    along = factor @ vectors[:, kept]
    return float((np.square(along).sum(axis=0) / values[kept]).sum())


def between_factor(moments: ClassMoments, *, weighted: bool = False) -> Floats:
    """Matrix B of shape (C' - 1, d) with ``B'B = Sigma_B``, for the C' classes with points.

    The C' weighted, centred means are one too many: a reflection turns the combination of them that
    is zero by construction into a row of its own, which is dropped.
    """
    here = moments.present
    w = moments.count[here] / moments.n if weighted else np.full(len(here), 1 / len(here))
    root = np.sqrt(w)
    means = (moments.mean[here] - moments.centre(weighted=weighted)) * root[:, None]
    root[0] += 1.0
    reflected = means - np.outer(root, (2.0 / (root @ root)) * (root @ means))
    return np.asarray(reflected[1:], dtype=np.float64)
