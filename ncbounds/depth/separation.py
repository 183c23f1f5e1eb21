r"""How classes separate from layer to layer: measures without a claim.

The separation of a layer is :math:`\operatorname{tr}(\Sigma_W \Sigma_B^+)`, both averages over
points. Along many networks its logarithm falls about linearly with the layer, on fit rows; on
held-out rows the slope is another one, so both are shown.

References
----------
H. He and W. J. Su, "A law of data separation in deep learning", PNAS 120(36), 2023,
arXiv:2210.17020. Effective depth: T. Galanti, L. Galanti and I. Ben-Shaul, arXiv:2202.09028.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ncbounds.geometry.measured import Metric
from ncbounds.geometry.variability import nc1
from ncbounds.numerics.arguments import not_negative
from ncbounds.statistics.class_moments import ClassMoments


@dataclass(frozen=True)
class SeparationLaw:
    """Line through the logarithms of the separations of layers 0, 1, ...

    Attributes
    ----------
    slope : float
        Change of the logarithm from a layer to the next; ``exp(slope)`` is the factor.
    correlation : float
        Of the layer's number and the logarithm: -1 is an exact law.
    reasons : tuple of str
        Why a value is nan, and how many layers were left out.
    """

    slope: float
    correlation: float
    reasons: tuple[str, ...] = ()


def separation(moments: ClassMoments) -> Metric:
    """``tr(Sigma_W Sigma_B^+)`` with averages over points; 0 means collapsed."""
    found = nc1(moments, weighted=True)
    return Metric(found.value * len(moments.present), found.reasons)


def scatter_ratio(moments: ClassMoments) -> Metric:
    """``tr Sigma_W / tr Sigma_B`` with averages over points; hashing keeps both traces in mean."""
    if not moments.n:
        return Metric(float("nan"), ("no rows",))
    here = moments.present
    means = moments.mean[here] - moments.centre(weighted=True)
    between = float(moments.count[here] @ np.einsum("ij,ij->i", means, means))
    if not between > 0:
        return Metric(float("nan"), ("all class means coincide",))
    return Metric(float(moments.trace[here].sum()) / between)


def separation_law(separations: Sequence[float]) -> SeparationLaw:
    """Fit a line to the logarithms of separations, one a layer, from input to logits.

    Layers whose separation is not positive and finite are left out.
    """
    d = np.asarray(separations, dtype=np.float64)
    used = np.isfinite(d) & (d > 0)
    out = int((~used).sum())
    said = (f"{out} of {len(d)} layers left out: no separation there",) if out else ()
    if used.sum() < 3:
        return SeparationLaw(float("nan"), float("nan"), (*said, "needs three layers"))
    layer, ln = np.flatnonzero(used).astype(np.float64), np.log(d[used])
    layer, ln = layer - layer.mean(), ln - ln.mean()
    slope = float(layer @ ln / (layer @ layer))
    spread = float(np.sqrt((layer @ layer) * (ln @ ln)))
    if not spread > 0:
        return SeparationLaw(slope, float("nan"), (*said, "all separations are equal"))
    return SeparationLaw(slope, float(layer @ ln) / spread, said)


def effective_depth(fit_errors: Sequence[float], eps: float) -> int | None:
    """First layer whose probe errs on at most a share ``eps`` of the fit rows; None if none does.

    Parameters
    ----------
    fit_errors : sequence of float
        Rates on fit rows, one a layer, from input to logits; nan counts as none.
    eps : float
        At least 0.
    """
    tolerated = not_negative("eps", eps)
    return next((layer for layer, rate in enumerate(fit_errors) if rate <= tolerated), None)
