"""The error of the network that a code word decodes to."""

from dataclasses import dataclass
from typing import ClassVar

from ncbounds.arrays import Floats
from ncbounds.claims.claim import KnownErrors, Truth
from ncbounds.claims.counted import counted_error
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.results import Measured, Target


@dataclass(frozen=True)
class Decoded:
    """The network of the evidence's code word."""

    target: ClassVar[Target] = "compressed"
    qualifier: ClassVar[str] = ""
    complete: ClassVar[bool] = True

    def classifier(self, evidence: Evidence) -> LinearHead | None:
        """Return None: its features are its own."""
        return None

    def measured(
        self, test: Sample, evidence: Evidence, weights: Floats | None = None
    ) -> Measured | None:
        """Errors of its predictions on ``test``, if it was run there."""
        predicted = None if evidence.code_word is None else evidence.code_word.on("test")
        if predicted is None:
            return None
        return counted_error(test, evidence.decision.missed(predicted, test.labels), weights)

    def truth(
        self, world: KnownErrors, evidence: Evidence, weights: Floats | None = None
    ) -> Truth | None:
        """Return None: worlds have features, not images."""
        return None
