"""The error of a linear head: the saved one, or another that the row names."""

from dataclasses import dataclass
from typing import ClassVar

from ncbounds.arrays import Floats
from ncbounds.claims.claim import KnownErrors, Truth
from ncbounds.claims.counted import counted_error
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import Head, LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.results import Measured, Target


@dataclass(frozen=True)
class Saved:
    """The classifier as it is stored.

    Attributes
    ----------
    qualifier : str
        What an error is, where it is not that of a class.
    """

    qualifier: str = ""
    target: ClassVar[Target] = "saved"
    complete: ClassVar[bool] = True

    def classifier(self, evidence: Evidence) -> LinearHead | None:
        """Return the head of the evidence; None where only its predictions are known."""
        return evidence.head if isinstance(evidence.head, LinearHead) else None

    def measured(
        self, test: Sample, evidence: Evidence, weights: Floats | None = None
    ) -> Measured | None:
        """Errors of the head, counted on ``test``."""
        return _counted(evidence.head, test, evidence, weights)

    def truth(
        self, world: KnownErrors, evidence: Evidence, weights: Floats | None = None
    ) -> Truth | None:
        """Return the head's error in the world."""
        head = self.classifier(evidence)
        return None if head is None else world.error(head, weights)


@dataclass(frozen=True, eq=False)
class OtherHead:
    """Another linear head than the saved one; ``head`` is None where a bound has not made it."""

    target: Target
    head: LinearHead | None = None
    qualifier: ClassVar[str] = ""

    @property
    def complete(self) -> bool:
        """Whether the head is there."""
        return self.head is not None

    def classifier(self, evidence: Evidence) -> LinearHead | None:
        """Return the head that the row names."""
        return self.head

    def measured(
        self, test: Sample, evidence: Evidence, weights: Floats | None = None
    ) -> Measured | None:
        """Errors of the head, counted on ``test``."""
        return None if self.head is None else _counted(self.head, test, evidence, weights)

    def truth(
        self, world: KnownErrors, evidence: Evidence, weights: Floats | None = None
    ) -> Truth | None:
        """Return the head's error in the world."""
        return None if self.head is None else world.error(self.head, weights)


def _counted(head: Head, test: Sample, evidence: Evidence, weights: Floats | None) -> Measured:
    return counted_error(test, evidence.decision.wrong(test, head), weights)
