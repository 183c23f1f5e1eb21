"""What a claim is: whose error a row speaks about, as an object that measures itself."""

from dataclasses import dataclass, replace
from typing import Protocol

from ncbounds.arrays import Floats
from ncbounds.evidence.contradictions import about_test
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.results import Measured, Target


@dataclass(frozen=True)
class Truth:
    """A true error and the standard error of its computation (0 if exact)."""

    error: float
    se: float = 0.0


class KnownErrors(Protocol):
    """A law of labelled features whose errors are known; None where it does not say.

    Errors are averaged over the law's own classes, or with class weights of shape (C,).
    """

    @property
    def classes(self) -> int:
        """Number of labels that the law can produce."""

    def error(self, head: LinearHead, weights: Floats | None = None) -> Truth | None:
        """Error of a linear head."""

    def few_shot(self, shots: int, weights: Floats | None = None) -> Truth | None:
        """Error of nearest class mean from so many points per class, averaged over draws."""

    def unseen_classes(self, ways: int, shots: int) -> Truth | None:
        """The same between so many classes that are drawn anew."""


class Claim(Protocol):
    """Whose error a row speaks about.

    A claim is a frozen value with data only: a bound makes it from what it has seen. ``weights`` of
    shape (C,) ask for the error averaged over classes with these weights instead of the claim's
    own.
    """

    @property
    def target(self) -> Target:
        """Word in the ``target`` column."""

    @property
    def qualifier(self) -> str:
        """What else is to be known of which error it is (``"worst class"``); empty for the mean."""

    @property
    def complete(self) -> bool:
        """Whether it holds all that measuring takes; a default that a bound fills in does not."""

    def classifier(self, evidence: Evidence) -> LinearHead | None:
        """Return the linear head whose error it is, if it is that of one."""

    def measured(
        self, test: Sample, evidence: Evidence, weights: Floats | None = None
    ) -> Measured | None:
        """Error on ``test``, the test sample of ``evidence``; None where it cannot be measured."""

    def truth(
        self, world: KnownErrors, evidence: Evidence, weights: Floats | None = None
    ) -> Truth | None:
        """Return the true error in a world that the evidence was drawn from, if it is known."""


def measured_error(
    claim: Claim, evidence: Evidence, *, label_noise: float = 0.0
) -> Measured | None:
    """Measure on ``evidence.test`` the error that a row speaks about; None without a test sample.

    Parameters
    ----------
    claim : Claim
    evidence : Evidence
    label_noise : float
        Noise rate of the sample that the bound read; another rate on test makes the row
        incomparable, which is said in the reasons.
    """
    test = evidence.test
    if test is None or test.n == 0:
        return None
    found = claim.measured(test, evidence)
    if found is None:
        return None
    reasons = about_test(test, evidence)
    if abs(test.label_noise - label_noise) > 1e-12:
        reasons.append(
            f"not comparable: label noise {label_noise:g} in the bound's sample, "
            f"{test.label_noise:g} in test"
        )
    return replace(found, reasons=(*found.reasons, *reasons))
