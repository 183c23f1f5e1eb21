"""Hard functions of the bounds in float64, rounded outward."""

from .binomial import binomial_interval, binomial_lower, binomial_upper, stratified_upper
from .binomial_log import binomial_upper_log, stratified_upper_log
from .gaussian import gaussian_loss, gaussian_loss_fast
from .kl import kl_interval, kl_lower, kl_upper, ln_xi
from .pac_bayes import catoni, gaussian_kl, optimal_sigma, scale_free_kl
from .rounding import down, probability_up, up

__all__ = [
    "binomial_interval",
    "binomial_lower",
    "binomial_upper",
    "binomial_upper_log",
    "catoni",
    "down",
    "gaussian_kl",
    "gaussian_loss",
    "gaussian_loss_fast",
    "kl_interval",
    "kl_lower",
    "kl_upper",
    "ln_xi",
    "optimal_sigma",
    "probability_up",
    "scale_free_kl",
    "stratified_upper",
    "stratified_upper_log",
    "up",
]
