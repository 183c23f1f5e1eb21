"""Bounds of the margin family."""

from ncbounds.bounds.bound import Bound
from ncbounds.bounds.margin.gaussian_head import gaussian_head
from ncbounds.bounds.margin.kv_margin import kv_margin
from ncbounds.bounds.margin.margin_quantiles import margin_quantiles
from ncbounds.bounds.margin.margin_rademacher import margin_rademacher
from ncbounds.bounds.margin.normalized_margin import normalized_margin
from ncbounds.bounds.margin.transport_margin import transport_margin

BOUNDS: tuple[Bound, ...] = (
    gaussian_head,
    margin_rademacher,
    transport_margin,
    margin_quantiles,
    normalized_margin,
    kv_margin,
)
