"""The mean of another loss than the error, between 0 and 1."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.claims.claim import KnownErrors, Truth
from ncbounds.claims.counted import LEVEL, counted_error
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.risks import Risk, losses_of
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import binomial_interval, kl_interval, mean_interval
from ncbounds.results import Measured, Target


@dataclass(frozen=True, eq=False)
class MeanLoss:
    """The mean of a loss of the saved classifier, over the points that the loss counts."""

    risk: Risk
    target: ClassVar[Target] = "saved"
    complete: ClassVar[bool] = True

    @property
    def qualifier(self) -> str:
        """Name of the loss."""
        return self.risk.name

    def classifier(self, evidence: Evidence) -> LinearHead | None:
        """Return None: the loss is not the error of a head."""
        return None

    def measured(
        self, test: Sample, evidence: Evidence, weights: Floats | None = None
    ) -> Measured | None:
        """Mean loss on ``test``: exact interval of a count, or of betting or kl for a mean."""
        losses = losses_of(self.risk, test, evidence.head, evidence.decision)
        counts = ~np.isnan(losses)
        x = losses[counts]
        if not len(x):
            return Measured(np.nan, 0.0, 1.0, ("the loss counts no test point",))
        if weights is not None and not counts.all():
            return Measured(np.nan, 0.0, 1.0, ("the loss counts only part of the test points",))
        if self.risk.binary:
            if weights is not None:
                return counted_error(test, x > 0, weights)
            low, high = binomial_interval(int(x.sum()), len(x), LEVEL)
            return Measured(float(x.mean()), float(low), float(high))
        if weights is not None:
            return _weighted_mean(test, losses, weights)
        if test.sampling == "iid":
            low, high = mean_interval(x, LEVEL)
            return Measured(float(x.mean()), low, high, ("interval by betting",))
        low, high = kl_interval(float(x.mean()), len(x), LEVEL)
        return Measured(float(x.mean()), float(low), float(high), ("interval by kl",))

    def truth(
        self, world: KnownErrors, evidence: Evidence, weights: Floats | None = None
    ) -> Truth | None:
        """Return None: worlds know errors only."""
        return None


def _weighted_mean(test: Sample, losses: Floats, weights: Floats) -> Measured:
    """Weighted mean of class means, with the weighted sum of their kl intervals, each at 5 % / C.

    A class without test points may have any mean.
    """
    error = low = high = 0.0
    used = np.flatnonzero(weights > 0)
    for c in used:
        x = losses[test.labels == c]
        if not len(x):
            return Measured(np.nan, 0.0, 1.0, ("a class with weight has no test point",))
        ends = kl_interval(float(x.mean()), len(x), 1 - (1 - LEVEL) / len(used))
        error += weights[c] * float(x.mean())
        low, high = low + weights[c] * float(ends[0]), high + weights[c] * float(ends[1])
    return Measured(error, low, high, ("re-weighted to the sample, by kl",))
