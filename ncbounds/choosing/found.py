"""What a choice found: the certificate, the shortlist, and what it is held against."""

from dataclasses import dataclass, field

from ncbounds.choosing.candidates import Candidate, Layer
from ncbounds.evidence.head import LinearHead
from ncbounds.results import BoundResult


@dataclass(frozen=True)
class Finalist:
    """A candidate of the shortlist and its errors on the rows that were chosen on."""

    candidate: Candidate
    errors: int


@dataclass(frozen=True)
class Baseline:
    """What the chosen head is held against.

    Attributes
    ----------
    what : str
        ``"raw inputs"``, ``"an untrained network"`` or ``"its last layer"``.
    candidate : Candidate
        The one of least leave-one-out error there.
    errors : int
        On the rows that were chosen on.
    limit : float
        Upper limit of its error.
    gain : float
        Lower limit of its error less that of the chosen head: above 0, the chosen one is better.
    """

    what: str
    candidate: Candidate
    errors: int
    limit: float
    gain: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """A head on one layer of one network, with everything that was measured.

    Attributes
    ----------
    result : BoundResult
        The certificate: ``value``, ``kind``, ``reasons``, ``delta``, ``n`` rows that were chosen
        on. It bounds the error of ``head``.
    head : LinearHead or None
        Fitted on ``fitted_on`` rows, on the view of its layer (see ``place``).
    layers : tuple of Layer
        What was measured, network by network, from input to head.
    candidates : tuple of Candidate
        All T of them, in the order in which they were declared.
    finalists : tuple of Finalist
        The shortlist, by leave-one-out error.
    chosen : int
        Index among the finalists.
    regret : float
        Upper limit of the error of the chosen one less the least error **of the shortlist**; a
        statement of its own, at delta too.
    worth : float
        Held-out labels on which counting the errors of one head that was fixed before certifies no
        more on average, at the share of errors that was counted.
    baselines : tuple of Baseline
    notes : tuple of str
    network : str
        Python for the network that was chosen, as :func:`ncbounds.load_chosen` takes it; empty for
        raw inputs.
    """

    result: BoundResult
    head: LinearHead | None = field(repr=False)
    layers: tuple[Layer, ...] = field(repr=False)
    candidates: tuple[Candidate, ...] = field(repr=False)
    finalists: tuple[Finalist, ...]
    chosen: int
    fitted_on: int
    regret: float
    worth: float
    baselines: tuple[Baseline, ...]
    notes: tuple[str, ...] = ()
    network: str = ""

    @property
    def candidate(self) -> Candidate:
        """The one that was chosen."""
        return self.finalists[self.chosen].candidate

    @property
    def place(self) -> Layer:
        """Its layer."""
        return self.candidate.place

    @property
    def value(self) -> float:
        """The certificate: the error of ``head`` is at most this."""
        return self.result.value
