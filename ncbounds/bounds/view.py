"""What one bound sees, and what its function returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ncbounds.arrays import Floats
from ncbounds.claims.averages import Weighted
from ncbounds.claims.claim import Claim
from ncbounds.evidence.decision import Bools, Decision
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample


@dataclass(frozen=True, eq=False)
class View:
    """What one bound sees: its sample and the parts that it declared; all else is None.

    Attributes
    ----------
    sample : Sample
        The sample that the row's probability is over.
    head : LinearHead or NoHead
        The latter for bounds only that say ``reads_features=False``.
    fit, head_sample, unlabelled : Sample or None
    procedure, network, code_word : object or None
    priors : array of shape (C,) or None
    stratified : bool
        Whether class counts were fixed by design; then the pooled error is the one weighted by the
        sample's own class frequencies.
    decision : Decision
        What an error is, and what the classes are called.
    claim : Claim
        What the bound's ``target`` stands for.
    """

    sample: Sample
    head: LinearHead
    fit: Sample | None
    head_sample: Sample | None
    unlabelled: Sample | None
    procedure: Any
    network: Any
    code_word: Any
    priors: Floats | None
    stratified: bool
    decision: Decision
    claim: Claim

    @property
    def margins(self) -> Floats:
        """Margins of the head on the sample, shape (n,)."""
        return self.sample.margins(self.head)

    @property
    def wrong(self) -> Bools:
        """Error indicators of the head on the sample, shape (n,)."""
        return self.wrong_on(self.sample, self.head)

    def wrong_on(self, sample: Sample, head: LinearHead) -> Bools:
        """Error indicators of any head on a labelled sample, shape (n,)."""
        return self.decision.wrong(sample, head)

    def pooled(self, claim: Claim | None = None, sample: Sample | None = None) -> Claim:
        """Return what a bound on the pooled error of a sample speaks about.

        That is ``claim`` (by default what the bound's ``target`` stands for); if class counts were
        fixed by design, with the class frequencies of ``sample`` (by default the view's own) as
        weights.
        """
        of, s = claim or self.claim, sample or self.sample
        return Weighted(s.counts / s.n, of) if self.stratified else of


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a bound's function returns.

    Attributes
    ----------
    value : float
        Rounded up; nan if undefined (then ``reasons`` says why).
    n : int
        Number of points or blocks that the confidence term divides by.
    terms : dict of float
    reasons : tuple of str
    details : dict
        Choices made and diagnostics; JSON-able.
    claim : Claim or None
        Whose error the value speaks about; by default what the bound's ``target`` stands for.
    """

    value: float
    n: int
    terms: Mapping[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    claim: Claim | None = None
