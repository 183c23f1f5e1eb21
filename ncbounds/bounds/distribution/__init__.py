"""Bounds of the distribution family: worst cases over laws with the moments of the margins."""

from ncbounds.bounds.bound import Bound
from ncbounds.bounds.distribution.cantelli_union import cantelli_union
from ncbounds.bounds.distribution.gaussian_tolerance import gaussian_tolerance
from ncbounds.bounds.distribution.gaussian_union import gaussian_union
from ncbounds.bounds.distribution.mahalanobis_ball import mahalanobis_ball
from ncbounds.bounds.distribution.min_margin_cantelli import min_margin_cantelli
from ncbounds.bounds.distribution.min_margin_unimodal import min_margin_unimodal
from ncbounds.bounds.distribution.minimax_head import minimax_head
from ncbounds.bounds.distribution.saw_marginal import saw_marginal
from ncbounds.bounds.distribution.star_unimodal import star_unimodal
from ncbounds.bounds.distribution.two_moment_tight import two_moment_tight
from ncbounds.bounds.distribution.unimodal_union import unimodal_union

BOUNDS: tuple[Bound, ...] = (
    cantelli_union,
    mahalanobis_ball,
    min_margin_cantelli,
    min_margin_unimodal,
    unimodal_union,
    star_unimodal,
    gaussian_union,
    gaussian_tolerance,
    two_moment_tight,
    saw_marginal,
    minimax_head,
)
