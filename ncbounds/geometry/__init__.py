"""Geometry of class means: collapse metrics, pairwise class distances, ideal frames."""

from ncbounds.geometry.alignment import Nc2, nc2, nc3, nc4
from ncbounds.geometry.collapse import collapse
from ncbounds.geometry.efficiency import Efficiency, collapse_efficiency
from ncbounds.geometry.frames import SeliGrams, seli_grams, simplex_etf
from ncbounds.geometry.label_sets import single_label_points
from ncbounds.geometry.leave_one_out import RidgeLeaveOneOut, ridge_leave_one_out
from ncbounds.geometry.logme import logme
from ncbounds.geometry.margin_efficiency import MarginEfficiency, margin_efficiency, margin_scale
from ncbounds.geometry.measured import Metric, PairTable
from ncbounds.geometry.pairs import NORMALISATIONS, cdnv, directional_cdnv
from ncbounds.geometry.seli import FrameDistance, frame_distances, seli_grams_free_bias
from ncbounds.geometry.set_means import PairCosines, set_mean_cosines
from ncbounds.geometry.variability import between_factor, nc1, vci
from ncbounds.statistics.crossfit import CrossFit, crossfit
from ncbounds.statistics.unbiased import PairEstimates, corrected, estimate

__all__ = [
    "NORMALISATIONS",
    "CrossFit",
    "Efficiency",
    "FrameDistance",
    "MarginEfficiency",
    "Metric",
    "Nc2",
    "PairCosines",
    "PairEstimates",
    "PairTable",
    "RidgeLeaveOneOut",
    "SeliGrams",
    "between_factor",
    "cdnv",
    "collapse",
    "collapse_efficiency",
    "corrected",
    "crossfit",
    "directional_cdnv",
    "estimate",
    "frame_distances",
    "logme",
    "margin_efficiency",
    "margin_scale",
    "nc1",
    "nc2",
    "nc3",
    "nc4",
    "ridge_leave_one_out",
    "seli_grams",
    "seli_grams_free_bias",
    "set_mean_cosines",
    "simplex_etf",
    "single_label_points",
    "vci",
]
