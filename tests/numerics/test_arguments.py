"""Arguments outside their range are refused with what was found and what was needed."""

from __future__ import annotations

import math
import warnings

import mpmath as mp
import numpy as np
import pytest

from ncbounds import numerics as nm
from ncbounds.errors import InvalidArgument, NcboundsError
from ncbounds.numerics.noncentral_t import noncentral_t_tail

NAN, INF = math.nan, math.inf
EYE = np.eye(2)

#: One valid call of each function; every argument is then replaced by impossible ones.
VALID = {
    "binomial_upper": (nm.binomial_upper, {"errors": 1, "n": 9, "delta": 0.1}),
    "binomial_lower": (nm.binomial_lower, {"errors": 1, "n": 9, "delta": 0.1}),
    "binomial_interval": (nm.binomial_interval, {"errors": 1, "n": 9, "level": 0.9}),
    "stratified_upper": (nm.stratified_upper, {"errors": 1, "n": 9, "delta": 0.1}),
    "binomial_upper_log": (nm.binomial_upper_log, {"errors": 1, "n": 9, "ln_delta": -3.0}),
    "stratified_upper_log": (nm.stratified_upper_log, {"errors": 1, "n": 9, "ln_delta": -3.0}),
    "occam_upper": (nm.occam_upper, {"errors": 1, "n": 9, "bits": 3, "delta": 0.1}),
    "mean_binomial_upper": (nm.mean_binomial_upper, {"error": 0.1, "n": 9, "delta": 0.1}),
    "kl_upper": (nm.kl_upper, {"q": 0.1, "c": 0.2}),
    "kl_lower": (nm.kl_lower, {"q": 0.1, "c": 0.2}),
    "kl_interval": (nm.kl_interval, {"q": 0.1, "n": 9, "level": 0.9}),
    "ln_xi": (nm.ln_xi, {"n": 9}),
    "noncentral_t_upper": (
        nm.noncentral_t_upper, {"mean": 1.0, "sd": 1.0, "n": 9, "delta": 0.1},
    ),
    "noncentral_t_d_lower": (
        nm.noncentral_t_d_lower, {"mean": 1.0, "sd": 1.0, "n": 9, "delta": 0.1},
    ),
    "catoni": (nm.catoni, {"q": 0.1, "c": 1.0, "b": 0.1}),
    "gaussian_kl": (
        nm.gaussian_kl,
        {"dim": 9, "sigma": 0.5, "mean_sq": 1.0, "cross": 0.1, "prior_sq": 1.0},
    ),
    "optimal_sigma": (nm.optimal_sigma, {"dim": 9, "mean_sq": 1.0, "cross": 0.1}),
    "scale_free_kl": (nm.scale_free_kl, {"dim": 9, "mu": 1.0}),
    "cantelli": (nm.cantelli, {"d": 1.0}),
    "unimodal": (nm.unimodal, {"d": 1.0}),
    "star_factor": (nm.star_factor, {"alpha": 3.0}),
    "saw_one_sided": (nm.saw_one_sided, {"n": 9, "t": 1.0}),
    "head_rademacher_slack": (
        nm.head_rademacher_slack,
        {"n": 9, "sum_sq": 1.0, "radius": 1.0, "gamma": 1.0, "delta": 0.1, "class_factor": 2,
         "level": 1},
    ),
    "transport_slack": (
        nm.transport_slack, {"w1": 0.1, "n": 9, "delta": 0.1, "diameter": 1.0},
    ),
    "transport_slack_of_halves": (
        nm.transport_slack_of_halves, {"w1": 0.1, "n": 9, "k": 3, "delta": 0.1, "diameter": 1.0},
    ),
    "etf_two_moment": (nm.etf_two_moment, {"k": 3, "d": 1.0, "rho": 0.5}),
    "gaussian_loss": (nm.gaussian_loss, {"t": [[1.0, 2.0]]}),
    "gaussian_loss_fast": (nm.gaussian_loss_fast, {"t": [[1.0, 2.0]]}),
    "two_moment_bound": (
        nm.two_moment_bound,
        {"mean": [2.0, 2.0], "cov": EYE, "tol": 1e-6, "max_iter": 9, "rank": 2},
    ),
    "centred_ellipsoid_bound": (
        nm.centred_ellipsoid_bound, {"mean": [2.0, 2.0], "cov": EYE, "tol": 1e-6, "max_iter": 9},
    ),
    "anytime_upper": (nm.anytime_upper, {"errors": 1, "n": 9, "delta": 0.1}),
    "anytime_beats": (nm.anytime_beats, {"b": 3, "c": 1, "delta": 0.1}),
    "log_beats": (nm.log_beats, {"b": 3, "c": 1}),
    "sign_test_p": (nm.sign_test_p, {"b": 3, "c": 1}),
    "paired_lower": (nm.paired_lower, {"b": 3, "c": 1, "n": 9, "delta": 0.1}),
    "paired_at_least": (nm.paired_at_least, {"b": 3, "c": 1, "n": 9, "gap": 0.1, "delta": 0.1}),
    "paired_lower_two_step": (
        nm.paired_lower_two_step, {"b": 3, "c": 1, "n": 9, "delta": 0.1, "share": 0.1},
    ),
    "paired_lower_stratified": (
        nm.paired_lower_stratified, {"b": 3, "c": 1, "n": 9, "delta": 0.1},
    ),
}  # fmt: skip

COUNTS = {"errors", "n", "bits", "k", "dim", "level of the grid", "max_iter", "rank"}
#: Where b and c count rows on which one of two classifiers errs.
OF_PAIRS = {f for f, (_, arguments) in VALID.items() if {"b", "c"} == set(list(arguments)[:2])}
SHARES = {"delta", "error", "share"}
NOT_NEGATIVE = {"q", "b", "mean_sq", "prior_sq", "mu", "sum_sq", "radius", "w1", "diameter", "tol"}
POSITIVE = {"c", "sigma", "alpha", "gamma", "class_factor"}
#: Infinite is the limit of the formula there, or says nothing.
MAY_BE_INFINITE = {"mean", "sd", "d", "t", "q"}


def impossible(name: str, function: str) -> list[object]:
    if (name == "level" and function == "head_rademacher_slack") or (
        name in COUNTS | ({"b", "c"} if function in OF_PAIRS else set())
    ):
        return [-1, 2.5, NAN, INF, 2**53 + 2, 1j, "many"]
    if name in SHARES or name == "level":
        return [-0.1, 1.5, NAN, INF, 1j, "small"]
    if name == "ln_delta":
        return [0.0, 1.0, NAN, -INF]
    bad: list[object] = [NAN, 1j, "much"]
    if name in NOT_NEGATIVE | POSITIVE and not (name == "c" and function.startswith("kl")):
        bad.append(-1.0)
    if name in POSITIVE and not function.startswith("kl"):
        bad.append(0.0)
    if name not in MAY_BE_INFINITE or function in ("catoni", "etf_two_moment"):
        bad += [INF]
    return bad


def refuses(call, arguments):
    try:
        call(**arguments)
    except InvalidArgument as error:
        return "needed" in str(error)
    return False


@pytest.mark.parametrize("function", VALID)
def test_an_impossible_argument_is_refused(function):
    assert issubclass(InvalidArgument, NcboundsError)
    call, arguments = VALID[function]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(**arguments)
        asked = [(name, value) for name in arguments for value in impossible(name, function)]
        let_in = [
            (name, value) for name, value in asked if not refuses(call, {**arguments, name: value})
        ]
    assert asked
    assert not let_in


def test_every_public_function_is_asked():
    roundings = {"down", "probability_up", "up"}
    own_tests = {
        "CovarianceFactor", "LabelShift", "TwoMomentBound", "bernstein_upper", "best_set",
        "certified_list", "held_out_worth", "label_shift", "mean_interval", "mean_upper",
        "partition_upper", "prior_ball", "refuting_level", "regret_upper", "shifted_priors",
        "told_apart_p", "votes_lower", "weighted_chernoff_upper", "weighted_error_upper",
        "weighted_kl_upper", "worst_class_upper",
    }  # fmt: skip
    assert set(nm.__all__) - roundings - own_tests == set(VALID)


@pytest.mark.parametrize("limit", [nm.bernstein_upper, nm.mean_interval, nm.mean_upper])
@pytest.mark.parametrize(
    ("losses", "level"),
    [([0.5, NAN], 0.1), ([0.5, 1.5], 0.1), ([[0.5, 0.5]], 0.1), ([0.5] * 3, 0), ([0.5] * 3, 1)],
)
def test_losses_are_a_vector_in_the_unit_interval(limit, losses, level):
    with pytest.raises(InvalidArgument, match="needed"):
        limit(losses, level)


def test_a_level_is_told_from_a_delta():
    assert "not a failure probability" in " ".join(nm.binomial_interval.__doc__.split())
    for interval in (nm.binomial_interval, nm.kl_interval):
        with pytest.raises(InvalidArgument, match="a level, not a delta"):
            interval(0, 10, 1.0)


def test_rank_of_the_covariance():
    for cov in (EYE, nm.CovarianceFactor(EYE)):
        with pytest.raises(InvalidArgument, match="rank is 1, cov has rank 2"):
            nm.two_moment_bound([2.0, 2.0], cov, rank=1)
    line = np.ones((2, 2))
    assert nm.two_moment_bound([2.0, 2.0], line, rank=1).value == pytest.approx(0.2, rel=1e-4)
    for rank in (-1, 0, 1.5, INF):
        with pytest.raises(InvalidArgument, match="rank"):
            nm.two_moment_bound([2.0, 2.0], EYE, rank=rank)


def test_all_errors_at_a_tiny_delta():
    """Of one point the limit is delta itself, whose logarithm has few digits left."""
    for delta in (7.858985494869097e-258, 1e-300, 5e-324, 0.3):
        assert nm.binomial_lower(1, 1, delta) <= delta
        assert nm.binomial_lower(1, 1, delta) == pytest.approx(delta, rel=1e-11, abs=1e-323)
    with mp.workdps(40):
        for n in (2, 3, 40, 2**53):
            assert mp.mpf(nm.binomial_lower(n, n, 1e-280)) ** n <= mp.mpf(1e-280)


def test_sharp_ends_of_huge_samples():
    """A billion points: the tail at the limit is delta, not 2.4 times as much."""
    for ratio, n, delta in ((3.0, 10**9, 1e-9), (3.0, 10**9, 1e-6), (3.0, 10**8, 1e-9),
                            (1.5, 10**7, 1e-6), (40.0, 10**10, 1e-12), (-2.0, 10**9, 1e-9),
                            (0.5, 10**12, 1e-9)):  # fmt: skip
        d = nm.noncentral_t_d_lower(ratio, 1.0, n, delta)
        spread = math.sqrt(1 / n + ratio * ratio / (2 * (n - 1)))
        normal = float(mp.ncdf((mp.mpf(d) - ratio) / spread))
        assert normal == pytest.approx(delta, rel=0.03)
        root = math.sqrt(n)
        tail, _ = noncentral_t_tail(np.array([root * ratio]), np.array([root * d]), np.array([n]))
        assert tail[0] <= delta


def test_moments_that_leave_the_range_of_squares():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert nm.noncentral_t_upper(1e200, 1e-200, 9, 0.1) < 1e-300
        assert nm.noncentral_t_upper(-1e200, 1e-200, 9, 0.1) == 1.0
        assert nm.noncentral_t_upper(1.0, 1.0, 9, 1e-30) == 1.0
        assert 0 < nm.cantelli(1e200) <= 1e-299
        assert 0 < nm.unimodal(1e200) <= 1e-299
        assert nm.etf_two_moment(3, 1e200, 0.5) < 1e-190
        assert nm.two_moment_bound([2.0, 2.0], 1e-300 * EYE).value == pytest.approx(2e-300)
        assert nm.two_moment_bound([1e200, 2.0], EYE).value == pytest.approx(0.2)
        assert nm.two_moment_bound([1e-200, 2.0], EYE).value == 1.0
        assert nm.gaussian_loss([[1e3]])[0] > 0.0
        assert nm.gaussian_loss([[INF]])[0] == 0.0


def test_deviations_at_a_delta_next_to_one():
    """1/delta rounds to 1 there, and its logarithm to 0."""
    delta = 1.0 - 2.0**-53
    assert nm.transport_slack(0.0, 10, delta, 1.0) >= math.sqrt(2.0**-54 * 4 / 10 * 0.99)


def test_rounding_moves_by_a_whole_unit_at_least():
    for ulps in (0, -5, 0.5, NAN):
        for move in (nm.up, nm.down, nm.probability_up):
            with pytest.raises(ValueError, match="ulps"):
                move(1.0, ulps)
