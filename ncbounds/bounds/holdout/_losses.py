"""Losses that are asked for, where class counts were fixed by design."""

from ncbounds.bounds.view import View
from ncbounds.claims.claim import Claim

#: Why a mean over part of the rows is not bounded.
NOT_BY_DESIGN = (
    "a mean over part of the rows has no limit where class counts were fixed by design: draw at "
    "random (sampling='iid')"
)


def pooled_loss(view: View, claim: Claim) -> Claim:
    """Claim about the mean over all rows; without labels the strata keep the sample's shares."""
    return claim if (view.sample.labels < 0).any() else view.pooled(claim)
