"""Errors that the test sample cannot show."""

from dataclasses import dataclass
from typing import ClassVar

from ncbounds.arrays import Floats
from ncbounds.claims.claim import KnownErrors, Truth
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.results import Measured, Target


@dataclass(frozen=True)
class Unmeasured:
    """What such claims have in common: no head, nothing measured, nothing known of worlds."""

    qualifier: ClassVar[str] = ""
    complete: ClassVar[bool] = True

    def classifier(self, evidence: Evidence) -> LinearHead | None:
        """Return None: it is the error of no single head."""
        return None

    def measured(
        self, test: Sample, evidence: Evidence, weights: Floats | None = None
    ) -> Measured | None:
        """Return None."""
        return None

    def truth(
        self, world: KnownErrors, evidence: Evidence, weights: Floats | None = None
    ) -> Truth | None:
        """Return None."""
        return None


@dataclass(frozen=True)
class Gibbs(Unmeasured):
    """A head drawn anew for every point."""

    target: ClassVar[Target] = "gibbs"


@dataclass(frozen=True)
class UnseenClasses(Unmeasured):
    """Nearest class mean between classes that nothing was fitted on, averaged over tasks.

    Attributes
    ----------
    ways, shots : int or None
        Classes of a task and points per class; None where a bound has not said.
    """

    ways: int | None = None
    shots: int | None = None
    target: ClassVar[Target] = "unseen-classes"

    def truth(
        self, world: KnownErrors, evidence: Evidence, weights: Floats | None = None
    ) -> Truth | None:
        """Return the error on new classes, in a world that draws classes."""
        if self.ways is None or self.shots is None:
            return None
        return world.unseen_classes(self.ways, self.shots)
