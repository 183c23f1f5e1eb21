r"""Heads that can be fitted at a tap, each with an estimate of its error from the same rows.

Estimates pick a shortlist and certify nothing: the least of several is biased down.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import scipy.linalg as sla

from ncbounds.arrays import Floats, Ints
from ncbounds.bounds.collapse.ncm_leave_one_out import ncm_leave_one_out_formula
from ncbounds.evidence.head import LinearHead, margins
from ncbounds.evidence.sample import Sample
from ncbounds.geometry.leave_one_out import penalty_per_variance, ridge_leave_one_out
from ncbounds.procedures.linear import PENALTY, Procedure, logistic, ncm, ridge


class Estimate(NamedTuple):
    """Share of the rows that are wrong when left out, and what fits a head to all of them."""

    error: float
    procedure: Procedure


def ncm_estimate(sample: Sample) -> Estimate:
    """Nearest class mean; its leave-one-out error is exact."""
    f, y = sample.features, sample.labels
    error = ncm_leave_one_out_formula(f, y) if len(np.unique(y)) > 1 else np.nan
    return Estimate(error, ncm)


def ridge_estimate(sample: Sample) -> Estimate:
    """Ridge at the penalty of least leave-one-out squared error; exact for each penalty."""
    found = ridge_leave_one_out(sample)
    defined = np.isfinite(found.penalty)
    penalty = penalty_per_variance(found, sample) if defined else PENALTY
    return Estimate(found.error, partial(ridge, penalty=penalty))


def logistic_estimate(sample: Sample) -> Estimate:
    """Logistic regression; its leave-one-out error is that of :func:`one_step_errors`."""
    f, y = np.asarray(sample.features, dtype=np.float64), sample.labels
    head = logistic(f, y, sample.classes)
    return Estimate(float(one_step_errors(f, y, head).mean()), lambda f, y, classes: head)


#: Estimates by the name of the procedure.
HEADS: Mapping[str, Callable[[Sample], Estimate]] = {
    "ncm": ncm_estimate,
    "ridge": ridge_estimate,
    "logistic": logistic_estimate,
}


def one_step_errors(
    features: Floats, labels: Ints, head: LinearHead, penalty: float = PENALTY
) -> Ints:
    r"""Leave-one-out errors of a logistic head, each point left out by one Newton step.

    With p the probabilities of point i, :math:`w_i = (1 - \sum_c p_c^2)/(C-1)` its mean curvature
    over the directions between classes, and :math:`a_i = x_i'(\sum_j w_j x_j x_j'/n + \lambda
    I)^{-1} x_i/n` (the intercept unpenalised), the logits at i without i are about

    .. math:: s_i + \frac{a_i}{1 - a_i w_i} (p_i - y_i) .

    Parameters
    ----------
    features : array of shape (n, d)
        Finite.
    labels : integer array of shape (n,)
    head : LinearHead
        :func:`ncbounds.procedures.linear.logistic` of these points.
    penalty : float
        That of the head.

    Returns
    -------
    bool array of shape (n,)
        All true for a single class; a point alone in its class is an error.

    Notes
    -----
    For two classes it is the Newton step of the rest of the points from the fit to all; for more
    the curvature is averaged, which leaves one matrix to factor in place of one C times as large.

    References
    ----------
    K. Rahnama Rad and A. Maleki, "A scalable estimate of the out-of-sample prediction error via
    approximate leave-one-out cross-validation", JRSS B 82(4), 2020, arXiv:1801.10243.
    """
    present, y, counts = np.unique(labels, return_inverse=True, return_counts=True)
    n, d = features.shape
    if len(present) < 2:
        return np.ones(n, dtype=bool)
    centre = features.mean(axis=0)
    x = features - centre
    scale = float(np.sqrt(np.mean(x * x))) or 1.0
    rows = np.column_stack([x / scale, np.ones(n)])
    logits = head.logits(features)[:, present]
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    curvature = (1 - np.square(p).sum(axis=1)) / (len(present) - 1)
    hessian = (rows * curvature[:, None]).T @ rows / n
    hessian[np.diag_indices(d)] += penalty
    hessian[d, d] += np.finfo(np.float64).eps  # all points certain: the intercept has no curvature
    half = sla.solve_triangular(sla.cholesky(hessian, lower=True), rows.T, lower=True)
    lever = np.square(half).sum(axis=0) / n
    step = lever / np.maximum(1 - lever * curvature, np.finfo(np.float64).eps)
    left_out = logits + step[:, None] * (p - np.eye(len(present))[y])
    wrong: Ints = ~(margins(left_out, y) > 0) | (counts[y] == 1)
    return wrong
