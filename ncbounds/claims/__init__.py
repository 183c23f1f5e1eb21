"""Whose error a row speaks about: claims that name, measure and register themselves."""

from ncbounds.claims.averages import Weighted, WorstClass
from ncbounds.claims.claim import Claim, KnownErrors, Truth, measured_error
from ncbounds.claims.decoded import Decoded
from ncbounds.claims.few_shot import FewShot
from ncbounds.claims.heads import OtherHead, Saved
from ncbounds.claims.mean_loss import MeanLoss
from ncbounds.claims.registry import CLAIMS, named, register
from ncbounds.claims.unmeasured import Gibbs, Unmeasured, UnseenClasses
from ncbounds.evidence.risks import Answered, Cost, Given, Risk, TopK

__all__ = [
    "CLAIMS",
    "Answered",
    "Claim",
    "Cost",
    "Decoded",
    "FewShot",
    "Gibbs",
    "Given",
    "KnownErrors",
    "MeanLoss",
    "OtherHead",
    "Risk",
    "Saved",
    "TopK",
    "Truth",
    "Unmeasured",
    "UnseenClasses",
    "Weighted",
    "WorstClass",
    "measured_error",
    "named",
    "register",
]
