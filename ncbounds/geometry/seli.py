"""How far a head and class means are from the arrangements that imbalance leads to."""

from typing import NamedTuple

import numpy as np
import scipy.linalg as sla

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidSample
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.geometry.efficiency import Efficiency
from ncbounds.geometry.frames import SeliGrams, seli_grams, simplex_etf
from ncbounds.geometry.labelled import centred_rows, labelled
from ncbounds.geometry.measured import Metric
from ncbounds.statistics.crossfit import names

_ROUNDING = 1e-14


class FrameDistance(NamedTuple):
    """Distances of the Gram matrices of head rows and of class means to those of a reference."""

    reference: str
    head: Metric
    means: Metric


def seli_grams_free_bias(counts: object) -> SeliGrams:
    r"""Gram matrices of the largest least margin at given norms where a bias is free.

    With ``D = diag(n_c)``, ``pi = n_c/n`` and ``K = D - n pi pi'``: ``W W' = K^{1/2}``,
    ``M M' = (I - pi 1')' K^{+1/2} (I - pi 1')`` for the class means M, and class logits
    ``I - pi 1'`` (columns are classes), with bias ``pi``.

    Parameters
    ----------
    counts : integer array of shape (C,)
        Points per class, all positive. Equal counts give the simplex frame.

    Raises
    ------
    InvalidSample
        If a count is not positive.

    Notes
    -----
    ``(I - pi 1') D^{1/2} = V S U'`` has ``V S^2 V' = K``; the least norms of these logits are
    ``W = V S^{1/2}`` and ``S^{1/2} U'`` for all points. Without a bias :func:`seli_grams` is the
    same with ``I - 11'/C``.
    """
    n = np.asarray(counts, dtype=np.float64)
    if n.ndim != 1 or len(n) < 2 or not (n > 0).all():
        raise InvalidSample(f"counts need to be positive for at least 2 classes, found {counts}")
    products = np.eye(len(n)) - (n / n.sum())[:, None]
    head, means = _grams(products.T, n)
    return SeliGrams(head, means, products)


def frame_distances(
    sample: Sample, head: LinearHead, efficiency: Efficiency | None = None
) -> tuple[FrameDistance, ...]:
    """Distances of head and class means to the simplex, to SELI in both forms, and to the optimum.

    The distance of Gram matrices G and R is ``||G/||G||_F - R/||R||_F||_F``. Head rows are centred
    by their mean, class means by the mean of all points; the references likewise, so that each is
    at distance 0 from itself, wherever it was moved.

    Parameters
    ----------
    sample : Sample
        Labelled, with features of shape (n, d); of any role but test, and meant for fit.
    head : LinearHead
        Weight (C, d). Classes without points are left out.
    efficiency : Efficiency, optional
        Of the same sample and head, one label per point: adds the best arrangement that was found
        at the network's own loss.

    Returns
    -------
    tuple of FrameDistance
        Named "simplex", "seli", "seli with free bias" and "optimum at own loss". nan with a reason
        for fewer than two classes, or where head or means are zero.

    Raises
    ------
    InvalidSample
        If shapes do not fit, or ``efficiency`` is of other groups than the classes.
    RoleError
        If the sample is of role test.

    Notes
    -----
    A description: which of the references trained networks approach under imbalance, and when, is
    not settled. Invariant to rotations and positive scales of head and features, to a shift of the
    features, and to relabelling.

    References
    ----------
    C. Thrampoulidis, G. R. Kini, V. Vakilian and T. Behnia, "Imbalance trouble: revisiting
    neural-collapse geometry", NeurIPS 2022, arXiv:2208.05512 (without bias). W. Hong and
    S. Ling, "Neural collapse for unconstrained feature model under cross-entropy loss with
    imbalanced data", arXiv:2309.09725.
    """
    labelled(sample, head)
    moments = sample.moments
    here = moments.present
    if here[-1] >= head.classes:
        raise InvalidSample(
            f"a label is {here[-1]}, the head has outputs 0..{head.classes - 1}; take the rows "
            "whose label has an output (sample.take)"
        )
    absent = np.isin(np.arange(head.classes), here, invert=True)
    reasons = (f"classes without points left out: {names(absent)}",) if absent.any() else ()
    if len(here) < 2:
        missing = Metric(float("nan"), (*reasons, "needs two classes with points"))
        return (FrameDistance("simplex", missing, missing),)
    counts = moments.count[here].astype(np.float64)
    weight, means = head.weight[here], moments.mean[here]
    mine = (
        _gram(centred_rows(weight), weight),
        _gram(means - moments.centre(weighted=True), means),
    )
    return tuple(
        FrameDistance(name, *(_distance(a, b, reasons) for a, b in zip(mine, other, strict=True)))
        for name, other in _references(counts, here, efficiency).items()
    )


def _references(
    counts: Floats, here: Ints, efficiency: Efficiency | None
) -> dict[str, tuple[Floats, Floats]]:
    frame = simplex_etf(len(counts), len(counts) - 1)
    plain, biased = seli_grams(counts), seli_grams_free_bias(counts)
    found = {
        "simplex": (frame @ frame.T, frame @ frame.T),
        "seli": (plain.head, plain.means),
        "seli with free bias": (biased.head, biased.means),
    }
    if efficiency is not None and efficiency.logits is not None:
        logits = efficiency.logits
        if len(logits) != len(counts) or logits.shape[1] < len(counts):
            raise InvalidSample(
                f"efficiency is of {len(logits)} groups, the sample has {len(counts)} classes; "
                "compute it by collapse_efficiency(sample, head, loss) of the same sample"
            )
        head, means = _grams(logits, counts)
        if len(head) > len(counts):
            head = head[np.ix_(here, here)]
        found["optimum at own loss"] = (head, means)
    return {name: _centred(*grams, counts) for name, grams in found.items()}


def _grams(logits: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Head and means of least norms for class logits, one row per class of points."""
    root = np.sqrt(counts)[:, None]
    left, values, right = sla.svd(root * logits, full_matrices=False)
    left = left / root
    return (right.T * values) @ right, (left * values) @ left.T


def _gram(centred: Floats, given: Floats) -> Floats:
    """Gram matrix of centred rows, zero where they are no more than rounding of what was given."""
    if not np.linalg.norm(centred) > _ROUNDING * np.linalg.norm(given):
        return np.zeros((len(given), len(given)))
    return centred @ centred.T


def _centred(head: Floats, means: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Gram matrices of rows of the head less their mean, and of means less that of all points."""
    alike, share = np.full(len(counts), 1 / len(counts)), counts / counts.sum()
    return _about(head, alike), _about(means, share)


def _about(gram: Floats, weights: Floats) -> Floats:
    """``(I - 1 w') G (I - w 1')``: Gram matrix of points less their mean by weights w."""
    mean = gram @ weights
    return gram - mean - mean[:, None] + weights @ mean


def _distance(gram: Floats, other: Floats, reasons: tuple[str, ...]) -> Metric:
    sizes = float(np.linalg.norm(gram)), float(np.linalg.norm(other))
    if not all(np.isfinite(sizes)) or 0.0 in sizes:
        return Metric(float("nan"), (*reasons, "head or means are zero or not finite"))
    return Metric(float(np.linalg.norm(gram / sizes[0] - other / sizes[1])), reasons)
