"""What the sample says about the shape that a bound assumes; it never changes value or kind."""

from typing import Any

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.distribution._dip import dip
from ncbounds.bounds.distribution._margin_moments import MarginMoments

#: Fewest points of a class for third and fourth moments to be looked at.
FEWEST = 4
#: At most so many points of a class, the first ones, enter its dip.
DIP_POINTS = 1000


def normality(moments: MarginMoments) -> dict[str, Any]:
    """Test the pairwise margins of every class for Gaussian shape.

    Returns
    -------
    dict
        ``"skewness"`` and ``"excess kurtosis"`` of the smallest margin, (classes,) each;
        ``"Jarque-Bera p"``, the smallest p-value over all pairs of classes times their number
        (by the chi-square law, which is too strict so far out: of 400 exactly Gaussian samples of
        ten classes with 400 points each 34 % fell below .05 and 4 % below 1e-4);
        ``"largest standardised margin"``, the largest distance of a pairwise margin from its class
        mean in standard deviations. A Gaussian sample of n points shows about
        ``sqrt(2 ln(n C))``.
    """
    worst, extreme, pairs = 0.0, 0.0, 0
    for c in _examined(moments):
        z = _standard(moments.margins(c))
        squares = z * z
        skew = np.einsum("ij,ij->j", squares, z) / len(z)
        excess = np.einsum("ij,ij->j", squares, squares) / len(z) - 3.0
        statistic = len(z) / 6.0 * (skew**2 + excess**2 / 4.0)
        worst = max(worst, float(statistic.max()))
        extreme = max(extreme, float(squares.max()))
        pairs += z.shape[1]
    return {
        **_shape(moments),
        # the tail of a chi-square law with two degrees of freedom
        "Jarque-Bera p": min(1.0, pairs * float(np.exp(-0.5 * worst))) if pairs else np.nan,
        "largest standardised margin": float(np.sqrt(extreme)) if pairs else np.nan,
    }


def unimodality(moments: MarginMoments) -> dict[str, Any]:
    """Look for several modes of the smallest margin of every class.

    Returns
    -------
    dict
        ``"skewness"`` and ``"excess kurtosis"`` of the smallest margin, (classes,) each;
        ``"dip"``, the largest dip over the classes, and ``"dip sqrt n"``, the largest product of a
        class's dip with the root of its number of points. 95 % of 1,000 uniform samples, the
        hardest unimodal case, of 100 to 1,000 points stayed below .56; an even mixture of two
        Gaussians four standard deviations apart has a median of .6, 1.0 and 1.5 at 100, 400 and
        1,000 points.
    """
    dips, scaled = [], []
    for c in _examined(moments):
        smallest = moments.margins(c)[:DIP_POINTS].min(axis=1)
        dips.append(dip(smallest))
        scaled.append(dips[-1] * np.sqrt(len(smallest)))
    return {
        **_shape(moments),
        "dip": max(dips, default=np.nan),
        "dip sqrt n": float(max(scaled, default=np.nan)),
    }


def _examined(moments: MarginMoments) -> list[int]:
    return np.flatnonzero(moments.usable & (moments.counts >= FEWEST)).tolist()


def _shape(moments: MarginMoments) -> dict[str, Floats]:
    skew, excess = np.full((2, moments.classes), np.nan)
    for c in _examined(moments):
        z = _standard(moments.margins(c).min(axis=1))
        skew[c], excess[c] = np.mean(z**3), np.mean(z**4) - 3.0
    return {"skewness": skew, "excess kurtosis": excess}


def _standard(x: Floats) -> Floats:
    """Columns centred and divided by their standard deviation; zero where they have none."""
    centred = x - x.mean(axis=0)
    spread = np.sqrt(np.mean(centred**2, axis=0))
    out: Floats = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    return out
