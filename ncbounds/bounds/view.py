"""What one bound sees, and what its function returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ncbounds.arrays import Bools, Floats
from ncbounds.claims.averages import Weighted
from ncbounds.claims.claim import Claim
from ncbounds.errors import InvalidSample
from ncbounds.evidence.asked import NOTHING, Asked
from ncbounds.evidence.decision import Decision
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.risks import losses_of
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
    loss : str or None
        What the network was trained with, if it was declared.
    stratified : bool
        Whether class counts were fixed by design; then the pooled error is the one weighted by the
        sample's own class frequencies.
    decision : Decision
        What an error is, and what the classes are called.
    claim : Claim
        What the bound's ``target`` stands for.
    asked : Asked
        What is asked beside the error on average.
    averages : mapping from str to array of shape (C,)
        Class weights of the averages that are asked for, by name.
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
    loss: str | None
    stratified: bool
    decision: Decision
    claim: Claim
    asked: Asked = NOTHING
    averages: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def margins(self) -> Floats:
        """Margins of the head on the sample, shape (n,)."""
        return self.sample.margins(self.head)

    @property
    def wrong(self) -> Bools:
        """Error indicators of the head on the sample, shape (n,)."""
        return self.wrong_on(self.sample, self.head)

    def losses(self, name: str) -> Floats:
        """Losses by a name that is asked for, shape (n,); nan where it does not count the row."""
        return losses_of(self.asked.risk(name), self.sample, self.head, self.decision)

    def class_weights(self, name: str) -> Floats:
        """Weights of an average that is asked for, over all counted classes, shape (C,).

        Raises
        ------
        InvalidSample
            If none of that name is asked for.
        """
        if name not in self.averages:
            raise InvalidSample(
                f"no average {name!r} is asked for: evidence.asking('balanced') first, or "
                "evaluate(..., claims=...)"
            )
        w = self.averages[name]
        return np.pad(w, (0, max(0, len(self.sample.counts) - len(w))))

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
