"""Candidates at taps: estimated on the rows F, fitted there, and counted on the rows V."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ncbounds.arrays import Bools, Ints
from ncbounds.choosing.candidates import Candidate, Layer, Tap
from ncbounds.choosing.estimates import HEADS, Estimate
from ncbounds.depth.measure import wrong_rows
from ncbounds.errors import InvalidSample
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.geometry.logme import logme
from ncbounds.geometry.variability import nc1, vci


class Fitted(NamedTuple):
    """One candidate with what fits its head, and where its features are."""

    candidate: Candidate
    estimate: Estimate | None
    tap: Tap


@dataclass
class Count:
    """Errors of candidates on the rows V, each head fitted once, on the rows F."""

    fit_rows: Ints
    rows: Ints
    labels: Ints
    classes: int
    heads: dict[int, LinearHead | None] = field(default_factory=dict)

    def wrong(self, index: int, fitted: Fitted) -> Bools:
        """Rows V on which candidate ``index`` errs; all of them without a head."""
        if index not in self.heads:
            self.heads[index] = self._fit(fitted)
        head = self.heads[index]
        if head is None:
            return np.ones(len(self.rows), dtype=bool)
        return wrong_rows(head, fitted.tap.features[self.rows], self.labels[self.rows])

    def _fit(self, fitted: Fitted) -> LinearHead | None:
        """Fit a head; rows that are not finite are left out, as for its estimate."""
        if fitted.estimate is None:
            return None
        features = np.asarray(fitted.tap.features[self.fit_rows], dtype=np.float64)
        return fitted.estimate.procedure(features, self.labels[self.fit_rows], self.classes)


def fitted_at(
    tap: Tap, rows: Ints, fit_rows: Ints, sample: Sample, given: int, heads: Sequence[str]
) -> list[Fitted]:
    """Candidates of one tap, estimated on the rows that heads are fitted on."""
    if len(tap.features) != given:
        raise InvalidSample(
            f"{tap.layer} of {tap.checkpoint or 'raw inputs'} has {len(tap.features)} rows, the "
            f"labels are of {given}"
        )
    features = np.asarray(tap.features[rows[fit_rows]])
    finite = np.isfinite(features).all(axis=1)
    found: dict[str, Estimate | None] = dict.fromkeys(heads)
    measures = (np.nan, np.nan, np.nan)
    reasons: tuple[str, ...] = ("no row with finite features",)
    if finite.any():
        seen = Sample.from_arrays(
            features[finite], sample.labels[fit_rows][finite], role="head", classes=sample.classes
        )
        metrics = [nc1(seen.moments), vci(seen.moments), logme(seen)]
        index = float(np.clip(metrics[1].value, 0, 1))  # a hair outside by rounding
        measures = (metrics[0].value, index, metrics[2].value)
        reasons = tuple(dict.fromkeys(r for m in metrics for r in m.reasons))
        found = {name: HEADS[name](seen) for name in heads}
    errors = {name: _of_all(estimate, finite) for name, estimate in found.items()}
    place = Layer(
        checkpoint=tap.checkpoint,
        layer=tap.layer,
        origin=tap.origin,
        dim=tap.dim,
        view=features.shape[1],
        last=tap.last,
        weights=tap.weights,
        nc1=measures[0],
        vci=measures[1],
        logme=measures[2],
        leave_one_out=errors,
        reasons=reasons,
    )
    return [Fitted(Candidate(place, name), found[name], tap) for name in heads]


def _of_all(estimate: Estimate | None, finite: Bools) -> float:
    """Share of wrong rows, those that are not finite among them."""
    if estimate is None or np.isnan(estimate.error):
        return np.nan
    return float((estimate.error * finite.sum() + (~finite).sum()) / len(finite))


def sorted_as(candidate: Candidate) -> float:
    """Leave-one-out error by which candidates are ranked; undefined ones come last."""
    error = candidate.leave_one_out
    return np.inf if np.isnan(error) else error
