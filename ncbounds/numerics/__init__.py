"""Hard functions of the bounds in float64, rounded outward."""

from .binomial import binomial_interval, binomial_lower, binomial_upper, stratified_upper
from .binomial_log import binomial_upper_log, occam_upper, stratified_upper_log
from .ellipsoid_factored import CovarianceFactor
from .gaussian import gaussian_loss, gaussian_loss_fast
from .kl import kl_interval, kl_lower, kl_upper, ln_xi
from .noncentral_t import noncentral_t_d_lower, noncentral_t_upper
from .oracle import mean_binomial_upper
from .pac_bayes import catoni, gaussian_kl, optimal_sigma, scale_free_kl
from .rademacher import head_rademacher_slack, transport_slack, transport_slack_of_halves
from .rounding import down, probability_up, up
from .tails import cantelli, saw_one_sided, star_factor, unimodal
from .two_moment import centred_ellipsoid_bound, two_moment_bound
from .two_moment_frame import etf_two_moment
from .two_moment_law import TwoMomentBound

__all__ = [
    "CovarianceFactor",
    "TwoMomentBound",
    "binomial_interval",
    "binomial_lower",
    "binomial_upper",
    "binomial_upper_log",
    "cantelli",
    "catoni",
    "centred_ellipsoid_bound",
    "down",
    "etf_two_moment",
    "gaussian_kl",
    "gaussian_loss",
    "gaussian_loss_fast",
    "head_rademacher_slack",
    "kl_interval",
    "kl_lower",
    "kl_upper",
    "ln_xi",
    "mean_binomial_upper",
    "noncentral_t_d_lower",
    "noncentral_t_upper",
    "occam_upper",
    "optimal_sigma",
    "probability_up",
    "saw_one_sided",
    "scale_free_kl",
    "star_factor",
    "stratified_upper",
    "stratified_upper_log",
    "transport_slack",
    "transport_slack_of_halves",
    "two_moment_bound",
    "unimodal",
    "up",
]
