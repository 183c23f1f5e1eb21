"""What one bound sees, and what its function returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.results import Target


@dataclass(frozen=True, eq=False)
class View:
    """What one bound sees: its sample and the parts that it declared; all else is None.

    Attributes
    ----------
    sample : Sample
        The sample that the row's probability is over.
    head : LinearHead
    fit, head_sample, unlabelled : Sample or None
    procedure, network, code_word : object or None
    priors : array of shape (C,) or None
    stratified : bool
        Whether class counts were fixed by design; then the pooled error is the one weighted by the
        sample's own class frequencies.
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

    @property
    def margins(self) -> Floats:
        """Margins of the head on the sample, shape (n,)."""
        return self.sample.margins(self.head)

    @property
    def wrong(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Error indicators, shape (n,): ties and non-finite logits are errors."""
        return ~(self.margins > 0)


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
    head : LinearHead or None
        The classifier that the value speaks about, if it is not the saved one.
    target : str or None
        The row's target where it depends on parameters.
    weights : array of shape (C,) or None
        Class weights of the error that the value speaks about (None: the law's own).
    """

    value: float
    n: int
    terms: Mapping[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    head: LinearHead | None = None
    target: Target | None = None
    weights: Floats | None = None
