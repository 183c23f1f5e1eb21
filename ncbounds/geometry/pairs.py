"""Class-distance normalised variance (CDNV), its directional form, and their corrections.

Three normalisations are in use that differ by factors of two; each has its name here:

* ``"half-symmetric"``: ``(v_i + v_j) / (2 d_ij^2)``, Galanti, Gyoergy and Hutter (2022);
* ``"ordered"``: ``v_i / d_ij^2``, Galanti et al. (arXiv:2212.12532), Luthra et al. (2025);
* ``"unhalved"``: ``(v_i + v_j) / d_ij^2``, Luthra et al. (2026).

``v_c`` is the trace of a class covariance, ``d_ij`` the distance of two class means. All values are
invariant to rotation, translation, scale and (up to order) relabelling.
"""

from typing import Literal

import numpy as np

from ncbounds.errors import UnknownName, suggest
from ncbounds.geometry.measured import PairTable, left_out, ratio
from ncbounds.statistics.class_moments import ClassMoments
from ncbounds.statistics.crossfit import CrossFit, names
from ncbounds.statistics.pair_moments import PairwiseMoments, squared_distances
from ncbounds.statistics.unbiased import PairEstimates, estimate

Normalisation = Literal["half-symmetric", "ordered", "unhalved"]
NORMALISATIONS: dict[Normalisation, str] = {
    "half-symmetric": "(v_i+v_j)/(2 d_ij^2)",
    "ordered": "v_i/d_ij^2",
    "unhalved": "(v_i+v_j)/d_ij^2",
}


def cdnv(
    moments: ClassMoments,
    normalisation: Normalisation,
    *,
    corrected: bool = False,
    crossfit: CrossFit | None = None,
) -> PairTable:
    """CDNV of all ordered pairs of classes.

    Parameters
    ----------
    moments : ClassMoments
    normalisation : {"half-symmetric", "ordered", "unhalved"}
    corrected : bool
        False: plug-in, with divisor n_c in ``v_c``; too small, since the distance of two noisy
        means is too large. True: divisor n_c - 1 and ``||Dh||^2 - v_i/n_i - v_j/n_j``, both
        unbiased; classes need two points.
    crossfit : CrossFit, optional
        Take the squared distance as the product of differences of means from two halves, which is
        unbiased too; ``v_c`` as with ``corrected``.

    Returns
    -------
    PairTable
        nan with the reason "not separated" where the squared distance is <= 0.
    """
    if normalisation not in NORMALISATIONS:
        hint = suggest(str(normalisation), [str(name) for name in NORMALISATIONS])
        raise UnknownName(f"no CDNV normalisation {normalisation!r}: {hint}")
    if crossfit is not None:
        used, reasons = crossfit.used, crossfit.reasons
        v, dist2 = moments.variance(), crossfit.dist2
    else:
        used, reasons = left_out(moments, 2 if corrected else 1)
        v, dist2 = moments.variance(1 if corrected else 0), squared_distances(moments.mean)
        if corrected:
            noise = v / np.maximum(moments.count, 1)
            dist2 = dist2 - noise[:, None] - noise[None, :]
        elif moments.one_point_classes:
            alone = ", ".join(map(str, moments.one_point_classes[:10]))
            reasons = (*reasons, f"classes of one point count with variance 0: {alone}")
    if normalisation == "ordered":
        top = np.repeat(v[:, None], len(v), axis=1)
    else:
        top = (v[:, None] + v[None, :]) / (2 if normalisation == "half-symmetric" else 1)
    values, lost = ratio(top, dist2, used)
    return PairTable(values, used, (*reasons, *lost))


def directional_cdnv(
    pairwise: PairwiseMoments | PairEstimates | CrossFit, *, corrected: bool = False
) -> PairTable:
    """Directional CDNV ``u_ij' Sigma_i u_ij / d_ij^2``, u_ij the unit vector between the means.

    Parameters
    ----------
    pairwise : PairwiseMoments, PairEstimates or CrossFit
        Plug-in moments (covariances with divisor n_c), their unbiased estimates with fallbacks, or
        halves: ``Dh_A' S_i^B Dh_A / <Dh_A, Dh_B>^2`` and the same with A and B exchanged, averaged.
        The cross-fitted value is about the variance along the *estimated* axis.
    corrected : bool
        Correct ``PairwiseMoments`` first.

    Returns
    -------
    PairTable
        Ordered: entry (i, j) has the covariance of class i alone.
    """
    if isinstance(pairwise, PairwiseMoments) and corrected:
        pairwise = estimate(pairwise)
    reasons: tuple[str, ...] = ()
    if isinstance(pairwise, PairwiseMoments):
        n = pairwise.count
        used = n >= 2
        if not used.all():
            reasons = (f"classes with fewer than 2 points left out: {names(~used)}",)
        top = pairwise.spread * ((n - 1) / np.maximum(n, 1))[:, None]
        dist2 = pairwise.dist2
    elif isinstance(pairwise, CrossFit):
        used, reasons = pairwise.used, pairwise.reasons
        top, dist2 = (pairwise.spread_a + pairwise.spread_b) / 2, pairwise.dist2
    else:
        used, reasons = pairwise.usable, pairwise.reasons
        top, dist2 = pairwise.own, pairwise.dist2
    once, lost = ratio(top, dist2, used)
    return PairTable(once / dist2, used, (*reasons, *lost))
