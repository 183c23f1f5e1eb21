"""Hard functions of the bounds in float64, rounded outward."""

from ncbounds.numerics.anytime import anytime_beats, anytime_upper, log_beats
from ncbounds.numerics.best import best_set, certified_list, regret_upper
from ncbounds.numerics.betting import bernstein_upper, mean_interval, mean_upper
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
from ncbounds.numerics.label_shift import LabelShift, label_shift, refuting_level, shifted_priors
from ncbounds.numerics.noncentral_t import noncentral_t_d_lower, noncentral_t_upper
from ncbounds.numerics.oracle import held_out_worth, mean_binomial_upper
from ncbounds.numerics.pac_bayes import catoni, gaussian_kl, optimal_sigma, scale_free_kl
from ncbounds.numerics.pairs import paired_lower_stratified, paired_lower_two_step, sign_test_p
from ncbounds.numerics.pairs_exact import paired_at_least, paired_lower
from ncbounds.numerics.partitions import partition_upper
from ncbounds.numerics.rademacher import (
    head_rademacher_slack,
    transport_slack,
    transport_slack_of_halves,
)
from ncbounds.numerics.rounding import down, probability_up, up
from ncbounds.numerics.tails import cantelli, saw_one_sided, star_factor, unimodal
from ncbounds.numerics.told_apart import told_apart_p
from ncbounds.numerics.two_moment import centred_ellipsoid_bound, two_moment_bound
from ncbounds.numerics.two_moment_frame import etf_two_moment
from ncbounds.numerics.two_moment_law import TwoMomentBound
from ncbounds.numerics.votes import votes_lower
from ncbounds.numerics.weighted import (
    prior_ball,
    weighted_chernoff_upper,
    weighted_error_upper,
    weighted_kl_upper,
)
from ncbounds.numerics.worst_class import worst_class_upper

__all__ = [
    "CovarianceFactor",
    "LabelShift",
    "TwoMomentBound",
    "anytime_beats",
    "anytime_upper",
    "bernstein_upper",
    "best_set",
    "binomial_interval",
    "binomial_lower",
    "binomial_upper",
    "binomial_upper_log",
    "cantelli",
    "catoni",
    "centred_ellipsoid_bound",
    "certified_list",
    "down",
    "etf_two_moment",
    "gaussian_kl",
    "gaussian_loss",
    "gaussian_loss_fast",
    "head_rademacher_slack",
    "held_out_worth",
    "kl_interval",
    "kl_lower",
    "kl_upper",
    "label_shift",
    "ln_xi",
    "log_beats",
    "mean_binomial_upper",
    "mean_interval",
    "mean_upper",
    "noncentral_t_d_lower",
    "noncentral_t_upper",
    "occam_upper",
    "optimal_sigma",
    "paired_at_least",
    "paired_lower",
    "paired_lower_stratified",
    "paired_lower_two_step",
    "partition_upper",
    "prior_ball",
    "probability_up",
    "refuting_level",
    "regret_upper",
    "saw_one_sided",
    "scale_free_kl",
    "shifted_priors",
    "sign_test_p",
    "star_factor",
    "stratified_upper",
    "stratified_upper_log",
    "told_apart_p",
    "transport_slack",
    "transport_slack_of_halves",
    "two_moment_bound",
    "unimodal",
    "up",
    "votes_lower",
    "weighted_chernoff_upper",
    "weighted_error_upper",
    "weighted_kl_upper",
    "worst_class_upper",
]
