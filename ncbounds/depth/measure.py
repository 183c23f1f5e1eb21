"""Probes and geometry of one place: fitted on its fit rows, judged on all samples."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Bools
from ncbounds.depth.layers import Geometry
from ncbounds.depth.probes import BLOCK, PROBES, finite_moments
from ncbounds.depth.separation import scatter_ratio, separation
from ncbounds.evidence.decided import strict_margins
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.roles import Role
from ncbounds.evidence.sample import Sample
from ncbounds.geometry.pairs import cdnv
from ncbounds.geometry.variability import nc1
from ncbounds.statistics.class_moments import ClassMoments


def measure_place(
    at: Mapping[Role, NDArray[Any]], samples: Mapping[Role, Sample], classes: int
) -> tuple[dict[Role, dict[str, Bools]], dict[Role, Geometry]]:
    """Errors of the probes of one place, and its geometry, on each sample."""
    moments = {
        role: finite_moments(features, samples[role].labels, classes)
        for role, features in at.items()
    }
    probes = {name: fit(moments["fit"]) for name, fit in PROBES.items()}
    wrong = {
        role: {name: wrong_rows(p, features, samples[role].labels) for name, p in probes.items()}
        for role, features in at.items()
    }
    return wrong, {role: geometry_of(m) for role, m in moments.items()}


def geometry_of(moments: ClassMoments) -> Geometry:
    """Collapse of one place on one sample."""
    if not moments.n or not np.isfinite(moments.within).all():
        nan = float("nan")
        why = "squares of features overflow" if moments.n else "no row with finite features"
        return Geometry(nan, nan, nan, nan, (why,))
    metrics = {
        "nc1": nc1(moments),
        "cdnv": cdnv(moments, "half-symmetric").mean,
        "ratio": scatter_ratio(moments),
        "separation": separation(moments),
    }
    reasons = dict.fromkeys(reason for metric in metrics.values() for reason in metric.reasons)
    values = {name: metric.value for name, metric in metrics.items()}
    return Geometry(**values, reasons=tuple(reasons))


def wrong_rows(head: LinearHead, features: NDArray[Any], labels: NDArray[np.int64]) -> Bools:
    """Error indicators, a block at a time: a tie or what is not finite is an error."""
    parts = [
        ~(strict_margins(head, features[i : i + BLOCK], labels[i : i + BLOCK]) > 0)
        for i in range(0, len(features), BLOCK)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)
