"""Bounds of the collapse family."""

from ncbounds.bounds._bound import Bound
from ncbounds.bounds.collapse.ncm_blocks import ncm_blocks
from ncbounds.bounds.collapse.ncm_few_shot import ncm_few_shot
from ncbounds.bounds.collapse.ncm_few_shot_gaussian import ncm_few_shot_gaussian
from ncbounds.bounds.collapse.ncm_leave_one_out import ncm_leave_one_out
from ncbounds.bounds.collapse.ncm_luthra_2025 import ncm_luthra_2025
from ncbounds.bounds.collapse.ncm_luthra_2026 import ncm_luthra_2026
from ncbounds.bounds.collapse.unlabelled_head import unlabelled_head

BOUNDS: tuple[Bound, ...] = (
    ncm_few_shot,
    ncm_leave_one_out,
    ncm_few_shot_gaussian,
    ncm_luthra_2026,
    ncm_luthra_2025,
    ncm_blocks,
    unlabelled_head,
)
