"""Bounds of the collapse family."""

from ncbounds.bounds.bound import Bound
from ncbounds.bounds.collapse.anchored_head import anchored_head
from ncbounds.bounds.collapse.collapse_efficiency import collapse_efficiency
from ncbounds.bounds.collapse.collapsed_head import collapsed_head
from ncbounds.bounds.collapse.logme import logme
from ncbounds.bounds.collapse.margin_efficiency import margin_efficiency
from ncbounds.bounds.collapse.ncm_blocks import ncm_blocks
from ncbounds.bounds.collapse.ncm_few_shot import ncm_few_shot
from ncbounds.bounds.collapse.ncm_few_shot_gaussian import ncm_few_shot_gaussian
from ncbounds.bounds.collapse.ncm_leave_one_out import ncm_leave_one_out
from ncbounds.bounds.collapse.ncm_luthra_2025 import ncm_luthra_2025
from ncbounds.bounds.collapse.ncm_luthra_2026 import ncm_luthra_2026
from ncbounds.bounds.collapse.ridge_leave_one_out import ridge_leave_one_out
from ncbounds.bounds.collapse.unlabelled_head import unlabelled_head
from ncbounds.bounds.collapse.unseen_classes import unseen_classes

BOUNDS: tuple[Bound, ...] = (
    collapsed_head,
    ncm_few_shot,
    ncm_leave_one_out,
    ncm_few_shot_gaussian,
    ncm_luthra_2026,
    ncm_luthra_2025,
    ncm_blocks,
    unseen_classes,
    anchored_head,
    unlabelled_head,
    collapse_efficiency,
    margin_efficiency,
    ridge_leave_one_out,
    logme,
)
