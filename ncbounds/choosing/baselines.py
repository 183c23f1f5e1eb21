"""What the chosen head is held against: raw inputs, an untrained network, its own last layer."""

from collections.abc import Sequence
from typing import NamedTuple

from ncbounds.arrays import Bools
from ncbounds.bounds.holdout.binomial import binomial_formula
from ncbounds.choosing.candidates import Candidate, Origin
from ncbounds.choosing.fitting import Fitted, sorted_as
from ncbounds.choosing.found import Baseline
from ncbounds.numerics import down, paired_lower, paired_lower_stratified


def baselines_of(fitted: Sequence[Fitted], chosen: int) -> list[tuple[str, int, bool]]:
    """Candidates that the chosen one is held against, each fixed by the rows F.

    The last layer is that of the network that was chosen, so one for each of the shortlist.
    """
    own = fitted[chosen].candidate.place

    def least(which: list[int]) -> int | None:
        return min(which, key=lambda i: sorted_as(fitted[i].candidate), default=None)

    def of(origin: Origin) -> list[int]:
        return [i for i, f in enumerate(fitted) if f.tap.origin == origin]

    last = [
        i
        for i, f in enumerate(fitted)
        if f.tap.last and f.tap.origin == own.origin and f.tap.checkpoint == own.checkpoint
    ]
    found = [
        ("raw inputs", least(of("raw")), False),
        ("an untrained network", least(of("untrained")), False),
        ("its last layer", least(last), True),
    ]
    return [(what, i, again) for what, i, again in found if i is not None]


class Paired(NamedTuple):
    """Errors of the chosen candidate, by which others are compared with it."""

    wrong: Bools
    shortlist: int
    delta: float
    stratified: bool

    def baseline(self, what: str, candidate: Candidate, wrong: Bools, again: bool) -> Baseline:
        """Limits of one baseline; ``again`` where each of the shortlist has another one."""
        n, share = len(wrong), float(down(self.delta / self.shortlist))
        lower = paired_lower_stratified if self.stratified else paired_lower
        only_other, only_chosen = int((wrong & ~self.wrong).sum()), int((self.wrong & ~wrong).sum())
        errors, own = int(wrong.sum()), share if again else self.delta
        return Baseline(
            what=what,
            candidate=candidate,
            errors=errors,
            limit=binomial_formula(errors, n, own, stratified=self.stratified),
            gain=float(lower(only_other, only_chosen, n, share)),
        )
