"""What a row about other averages over classes than that of the law has to say."""

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.bounds.kind import Verdict
from ncbounds.claims.averages import Weighted, WorstClass
from ncbounds.claims.claim import Claim
from ncbounds.evidence.asked import BY_TRAINING
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import NoHead

#: Averages over classes that no list of classes says.
OF_ALL = ("balanced", *BY_TRAINING)


def over_all_classes(verdict: Verdict, claim: Claim, evidence: Evidence) -> Verdict:
    """Lower a row over all classes of the law where only those that were seen are known.

    The error of a class that is neither among the labels nor predicted is 1.
    """
    head, priors = evidence.head, evidence.priors
    counted = isinstance(head, NoHead) and head.counted
    named = claim.name if isinstance(claim, Weighted) else ""
    prescribed = isinstance(claim, Weighted) and priors is not None and not named
    every = prescribed or named in OF_ALL or isinstance(claim, WorstClass)
    said = priors is not None and not isinstance(priors, str)  # one number for each class
    if not counted or said or not every:
        return verdict
    reason = (
        f"it is over all classes of the law, of which {head.classes} were seen: classes=C "
        "(--classes) says how many there are"
    )
    return verdict._replace(kind="plug-in", reasons=(reason, *verdict.reasons))


def not_of_the_priors(claim: Weighted, evidence: Evidence) -> list[str]:
    """Say it where class weights are not the prescribed class probabilities."""
    priors = evidence.class_priors()
    if (
        priors is None
        or claim.name
        or np.allclose(claim.weights, _padded(priors, len(claim.weights)))
    ):
        return []
    return ["about the error with the sample's class frequencies as weights, not with the priors"]


def _padded(priors: Floats, classes: int) -> Floats:
    return np.pad(priors, (0, max(0, classes - len(priors))))
