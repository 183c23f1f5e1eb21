"""Neural-collapse metrics NC2, NC3 and NC4 of class means and head, after Papyan et al. (2020)."""

from typing import NamedTuple

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.errors import InvalidSample
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.logit_rows import LogitRows
from ncbounds.geometry.measured import Metric, left_out
from ncbounds.statistics.class_moments import ClassMoments
from ncbounds.statistics.nearest import nearest
from ncbounds.statistics.rows import as_rows, block_rows


class Nc2(NamedTuple):
    """The three parts of NC2; all 0 for a simplex equiangular tight frame."""

    equinorm: Metric
    equiangular: Metric
    maximal_angle: Metric


def nc2(points: Floats, centre: Floats | None = None) -> Nc2:
    """How far ``points - centre`` are from equal norms and equal, maximal angles.

    Parameters
    ----------
    points : array of shape (C, d)
        Class means, or rows of a head; rows with nan (empty classes) are left out.
    centre : array of shape (d,) or None
        What the angles are seen from: ``moments.centre()`` for means, None (zero) for a head.

    Returns
    -------
    Nc2
        ``Std ||.|| / Avg ||.||``; ``Std cos`` over pairs; ``Avg |cos + 1/(C-1)|`` over pairs.
        Invariant to rotation, scale and relabelling; to translation only with its centre.
    """
    kept = points[~np.isnan(points).any(axis=1)]
    reasons: tuple[str, ...] = ()
    if len(kept) < len(points):
        reasons = (f"{len(points) - len(kept)} empty classes left out",)
    if len(kept) < 2:
        missing = Metric(float("nan"), (*reasons, "needs two classes with points"))
        return Nc2(missing, missing, missing)
    arrows = kept if centre is None else kept - centre
    length = np.sqrt(np.einsum("ij,ij->i", arrows, arrows))
    if not length.all():
        zero = Metric(float("nan"), (*reasons, "a vector is zero and has no angle"))
        even = zero if not length.any() else Metric(float(length.std() / length.mean()), reasons)
        return Nc2(even, zero, zero)
    unit = arrows / length[:, None]
    cosine = (unit @ unit.T)[np.triu_indices(len(unit), 1)]
    return Nc2(
        Metric(float(length.std() / length.mean()), reasons),
        Metric(float(cosine.std()), reasons),
        Metric(float(np.abs(cosine + 1 / (len(unit) - 1)).mean()), reasons),
    )


def nc3(moments: ClassMoments, head: LinearHead, *, weighted: bool = False) -> Metric:
    """Self-duality ``|| W/||W||_F - M/||M||_F ||_F^2`` with M the centred class means.

    Rows of W are taken as stored, rows of M in the same order, both for the classes that have
    points and an output. In [0, 4]; invariant to a rotation of features and head together, to
    translation of the features and to positive scales of either.
    """
    _same_dim(head, moments.dim)
    used, reasons = left_out(moments)
    if moments.classes > head.classes:
        used = used.copy()
        if used[head.classes :].any():
            reasons = (*reasons, f"classes from {head.classes} on have no output and are left out")
        used[head.classes :] = False
    if used.sum() < 2:
        return Metric(float("nan"), (*reasons, "needs two classes with points"))
    w = head.weight[np.flatnonzero(used)]
    m = moments.mean[used] - moments.centre(weighted=weighted)
    norms = float(np.linalg.norm(w)), float(np.linalg.norm(m))
    if 0.0 in norms:
        return Metric(float("nan"), (*reasons, "the head or the centred means are zero"))
    return Metric(float(np.square(w / norms[0] - m / norms[1]).sum()), reasons)


def nc4(
    features: object, head: LinearHead, means: Floats, *, logits: Floats | LogitRows | None = None
) -> Metric:
    """Share of points where the head and the nearest class mean decide differently.

    Parameters
    ----------
    features : array-like of shape (n, d)
    head : LinearHead
        Its bias counts.
    means : array of shape (C, d)
        Class means of the *training* sample, as in the definition; rows with nan (empty classes)
        are no candidates.
    logits : array or LogitRows of shape (n, C), optional
        Of ``head`` on these features, if they are known.

    Returns
    -------
    Metric
        Points with a non-finite logit count as different.
    """
    rows = as_rows(features)
    n, dim = rows.shape
    _same_dim(head, dim)
    candidates = np.flatnonzero(~np.isnan(means).any(axis=1))
    if n == 0 or len(candidates) == 0:
        return Metric(float("nan"), ("needs points and class means",))
    reasons: tuple[str, ...] = ()
    if len(candidates) < len(means):
        reasons = (f"{len(means) - len(candidates)} empty classes are never nearest",)
    centre = means[candidates].mean(axis=0)
    offsets = means[candidates] - centre  # distances about the centre keep their digits
    different = 0
    size = block_rows(dim)
    buffer = np.empty((min(size, n), dim))
    for i in range(0, n, size):
        f = rows.read(i, i + size, buffer)
        with np.errstate(invalid="ignore", over="ignore"):
            s = f @ head.weight.T + head.bias if logits is None else logits[i : i + size]
            f -= centre
        bad = ~np.isfinite(s).all(axis=1)
        different += int((bad | (np.argmax(s, axis=1) != candidates[nearest(f, offsets)])).sum())
    return Metric(different / n, reasons)


def _same_dim(head: LinearHead, dim: int) -> None:
    if head.dim != dim:
        raise InvalidSample(f"the head takes {head.dim} features, the sample has {dim}")
