"""Hard functions of the bounds in float64, rounded outward."""

from ncbounds.numerics.binomial import (
    binomial_interval,
    binomial_lower,
    binomial_upper,
    binomial_upper_log,
    occam_upper,
    stratified_upper,
    stratified_upper_log,
)
from ncbounds.numerics.ellipsoid_factored import CovarianceFactor
from ncbounds.numerics.gaussian import gaussian_loss, gaussian_loss_fast
from ncbounds.numerics.kl import kl_interval, kl_lower, kl_upper, ln_xi
from ncbounds.numerics.noncentral_t import noncentral_t_d_lower, noncentral_t_upper
from ncbounds.numerics.oracle import mean_binomial_upper
from ncbounds.numerics.pac_bayes import catoni, gaussian_kl, optimal_sigma, scale_free_kl
from ncbounds.numerics.partitions import partition_upper
from ncbounds.numerics.rademacher import (
    head_rademacher_slack,
    transport_slack,
    transport_slack_of_halves,
)
from ncbounds.numerics.rounding import down, probability_up, up
from ncbounds.numerics.tails import cantelli, saw_one_sided, star_factor, unimodal
from ncbounds.numerics.two_moment import centred_ellipsoid_bound, two_moment_bound
from ncbounds.numerics.two_moment_frame import etf_two_moment
from ncbounds.numerics.two_moment_law import TwoMomentBound
from ncbounds.numerics.worst_class import worst_class_upper

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
    "partition_upper",
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
    "worst_class_upper",
]
