"""Bounds of the holdout family."""

from ncbounds.bounds.bound import Bound
from ncbounds.bounds.holdout.binomial import binomial
from ncbounds.bounds.holdout.hoeffding import hoeffding
from ncbounds.bounds.holdout.kl_holdout import kl_holdout
from ncbounds.bounds.holdout.mean_loss import mean_loss
from ncbounds.bounds.holdout.split_head import split_head

BOUNDS: tuple[Bound, ...] = (binomial, kl_holdout, hoeffding, mean_loss, split_head)
