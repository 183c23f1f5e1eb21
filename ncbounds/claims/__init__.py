"""Whose error a row speaks about: claims that name, measure and register themselves."""

from ncbounds.claims.averages import Weighted, WorstClass
from ncbounds.claims.claim import Claim, KnownErrors, Truth, measured_error
from ncbounds.claims.decoded import Decoded
from ncbounds.claims.few_shot import FewShot
from ncbounds.claims.heads import OtherHead, Saved
from ncbounds.claims.registry import CLAIMS, named, register
from ncbounds.claims.unmeasured import Gibbs, Unmeasured, UnseenClasses

__all__ = [
    "CLAIMS",
    "Claim",
    "Decoded",
    "FewShot",
    "Gibbs",
    "KnownErrors",
    "OtherHead",
    "Saved",
    "Truth",
    "Unmeasured",
    "UnseenClasses",
    "Weighted",
    "WorstClass",
    "measured_error",
    "named",
    "register",
]
