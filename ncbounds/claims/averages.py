"""Other averages over classes than that of the law."""

from dataclasses import dataclass, field

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.claims.claim import Claim, KnownErrors, Truth
from ncbounds.claims.heads import Saved
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.results import Measured, Target


class Average:
    """What averages over the classes of another claim ``of`` have in common."""

    of: Claim

    @property
    def target(self) -> Target:
        """Word of the claim that is averaged."""
        return self.of.target

    @property
    def qualifier(self) -> str:
        """Qualifier of the claim that is averaged."""
        return self.of.qualifier

    @property
    def complete(self) -> bool:
        """Whether the claim that is averaged is."""
        return self.of.complete

    def classifier(self, evidence: Evidence) -> LinearHead | None:
        """Return the head of the claim that is averaged."""
        return self.of.classifier(evidence)


@dataclass(frozen=True, eq=False)
class Weighted(Average):
    """A claim with class weights of its own, shape (C,), and what their average is called."""

    weights: Floats
    of: Claim = field(default_factory=Saved)
    name: str = ""

    @property
    def qualifier(self) -> str:
        """What the average is called, if it was asked for; the claim's own qualifier."""
        return ", ".join(filter(None, (self.name, self.of.qualifier)))

    def measured(
        self, test: Sample, evidence: Evidence, weights: Floats | None = None
    ) -> Measured | None:
        """Error of the claim on ``test``, with the weights."""
        return self.of.measured(test, evidence, self.weights if weights is None else weights)

    def truth(
        self, world: KnownErrors, evidence: Evidence, weights: Floats | None = None
    ) -> Truth | None:
        """Return the true error of the claim, with the weights."""
        return self.of.truth(world, evidence, self.weights if weights is None else weights)


@dataclass(frozen=True, eq=False)
class WorstClass(Average):
    """The largest class error of a claim.

    Attributes
    ----------
    worst : int or None
        Class at which the bound is attained; its error is the one that is measured.
    classes : int
        Number of classes that the bound is over.
    of : Claim
    """

    worst: int | None = None
    classes: int = 0
    of: Claim = field(default_factory=Saved)

    @property
    def qualifier(self) -> str:
        """Say that it is no average."""
        return "worst class"

    @property
    def complete(self) -> bool:
        """Whether the class is known, and the claim complete."""
        return self.worst is not None and self.of.complete

    def measured(
        self, test: Sample, evidence: Evidence, weights: Floats | None = None
    ) -> Measured | None:
        """Error of the class at which the bound is attained."""
        if self.worst is None:
            return None
        return self.of.measured(test, evidence, np.eye(self.classes)[self.worst])

    def truth(
        self, world: KnownErrors, evidence: Evidence, weights: Floats | None = None
    ) -> Truth | None:
        """Return the largest true class error."""
        found = [self.of.truth(world, evidence, one) for one in np.eye(world.classes)]
        known = [t for t in found if t is not None]
        return max(known, key=lambda t: t.error) if len(known) == len(found) else None
