"""Every public limit against mpmath, over the whole range of its arguments."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import mpmath as mp
import mpmath_truth as truth
import numpy as np
import pytest

from ncbounds import numerics as nm
from ncbounds.numerics.partitions import _stakes

Rng = np.random.Generator
LARGEST = 2**53
FEW, MANY = 3, 500
#: Public names that promise no side: roundings, choices, yardsticks and values of other tests.
NO_LIMITS = {
    "CovarianceFactor",
    "TwoMomentBound",
    "down",
    "gaussian_loss_fast",
    "held_out_worth",
    "mean_binomial_upper",
    "optimal_sigma",
    "probability_up",
    "up",
}


#: Limits of pairs, sets, weighted sums, means and votes: the tests of their own files compare them
#: with exact enumeration, Fractions or mpmath.
ELSEWHERE = {
    "LabelShift",
    "anytime_beats",
    "anytime_upper",
    "best_set",
    "certified_list",
    "label_shift",
    "log_beats",
    "mean_interval",
    "mean_upper",
    "paired_at_least",
    "paired_lower",
    "paired_lower_stratified",
    "paired_lower_two_step",
    "prior_ball",
    "refuting_level",
    "regret_upper",
    "shifted_priors",
    "sign_test_p",
    "told_apart_p",
    "votes_lower",
    "weighted_chernoff_upper",
    "weighted_error_upper",
    "weighted_kl_upper",
}


def size(rng: Rng, least: int = 1, largest: int = LARGEST) -> int:
    """A whole number, evenly spread on the logarithmic scale."""
    return min(largest, max(least, int(math.exp(rng.uniform(0.0, math.log(largest + 1.0))))))


def power(rng: Rng, low: float, high: float) -> float:
    return float(10.0 ** rng.uniform(low, high))


def share(rng: Rng, low: float = -15) -> float:
    """A number in (0, 1), often close to an end."""
    x = power(rng, low, 0)
    return float(min(1 - 2**-53, max(x, 1e-320) if rng.random() < 0.7 else 1.0 - 0.999 * x))


def errors_of(rng: Rng, n: int) -> int:
    kind = rng.integers(4)
    if kind == 0:
        return int(rng.choice([0, 1, n - 1, n]))
    if kind == 1:
        return min(n, size(rng))
    return min(n, int(n * rng.random())) if kind == 2 else n - min(n, size(rng))


def little(n: int) -> mp.mpf:
    """How much wider than exact a limit may be: of 1e13 points the beta function knows no more."""
    return mp.mpf(1e-6 if n < 10**13 else 1e-5)


def upper_holds(p: float, k: int, n: int, ln_delta: mp.mpf) -> None:
    """The tail at p is at most delta, and above it a little inside.

    Of more than 1e10 points at delta below 1e-200 the logarithm of the tail is not exact enough.
    """
    if k == n:
        assert p == 1.0
        return
    if p < 1:
        assert mp.log(truth.at_most(k, n, p)) <= ln_delta
    if n > 10**10 and ln_delta < -460:
        return
    inside = mp.mpf(p) - little(n) * min(mp.mpf(p), 1 - mp.mpf(p) + mp.mpf(1e-9))
    assert mp.log(truth.at_most(k, n, inside)) > ln_delta


def binomial_upper(rng: Rng) -> None:
    n, delta = size(rng), share(rng, float(rng.choice([-15, -320])))
    k = errors_of(rng, n)
    upper_holds(nm.binomial_upper(k, n, delta), k, n, mp.log(mp.mpf(delta)))


def lower_holds(p: float, k: int, n: int, delta: mp.mpf) -> None:
    if k == 0:
        assert p == 0.0
        return
    assert p == 0 or truth.at_least(k, n, p) <= delta
    if n > 10**10 and delta < 1e-200:
        return
    inside = mp.mpf(p) + little(n) * min(mp.mpf(p) + mp.mpf(1e-300), 1 - mp.mpf(p) + mp.mpf(1e-8))
    assert truth.at_least(k, n, inside) > delta


def binomial_lower(rng: Rng) -> None:
    n, delta = size(rng), share(rng, float(rng.choice([-15, -290])))
    k = errors_of(rng, n)
    lower_holds(nm.binomial_lower(k, n, delta), k, n, mp.mpf(delta))


def binomial_interval(rng: Rng) -> None:
    n, level = size(rng), share(rng)
    k, side = errors_of(rng, n), (1 - mp.mpf(level)) / 2
    low, high = nm.binomial_interval(k, n, level)
    lower_holds(low, k, n, side)
    upper_holds(high, k, n, mp.log(side))


def binomial_upper_log(rng: Rng) -> None:
    n, ln_delta = size(rng, largest=10**12), -power(rng, -3, 6)
    k = errors_of(rng, n)
    p = nm.binomial_upper_log(k, n, ln_delta)
    if k == n or p == 1:
        assert k == n or mp.log(truth.at_most(k, n, 1 - mp.mpf(2) ** -50)) > ln_delta
    else:
        assert mp.log(truth.at_most(k, n, p)) <= ln_delta


def occam_upper(rng: Rng) -> None:
    n, bits, delta = size(rng, largest=10**9), size(rng, 0, 10**6), share(rng)
    k = errors_of(rng, n)
    p = nm.occam_upper(k, n, bits, delta)
    if p < 1:
        assert mp.log(truth.at_most(k, n, p)) <= mp.log(mp.mpf(delta)) - bits * mp.log(2)


def stratified_upper(rng: Rng) -> None:
    n, delta = size(rng), share(rng) / 4
    k = errors_of(rng, n)
    value = nm.stratified_upper(k, n, delta)
    if k == n - 1:
        assert mp.mpf(value) >= min(mp.mpf(1), 1 - mp.mpf(delta) / n)
    else:
        upper_holds(value, k, n, mp.log(mp.mpf(delta)))


def stratified_upper_log(rng: Rng) -> None:
    n, ln_delta = size(rng, largest=10**9), -1.4 - power(rng, -3, 6)
    k = errors_of(rng, n)
    value = nm.stratified_upper_log(k, n, ln_delta)
    if k == n - 1:
        assert mp.mpf(value) >= 1 - mp.exp(mp.mpf(ln_delta)) / n
    elif value < 1:
        assert mp.log(truth.at_most(k, n, value)) <= ln_delta


def rate(rng: Rng) -> float:
    return float(rng.choice([0.0, 1.0])) if rng.random() < 0.1 else share(rng, -320)


def kl_upper(rng: Rng) -> None:
    q, c = rate(rng), power(rng, float(rng.choice([-300, -12, 0])), 4)
    p = nm.kl_upper(q, c)
    with mp.workdps(700):
        assert p >= q
        assert p == 1 or truth.kl(q, p) >= mp.mpf(c)
        inside = q + (mp.mpf(p) - q) * (1 - mp.mpf(1e-9)) - mp.mpf(2e-15) * p
        if c > 1e-270 and q < inside < 1 - 1e-14:
            assert truth.kl(q, inside) < mp.mpf(c)


def kl_lower(rng: Rng) -> None:
    q, c = rate(rng), power(rng, float(rng.choice([-300, -12, 0])), 4)
    p = nm.kl_lower(q, c)
    with mp.workdps(700):
        assert p <= q
        assert p == 0 or truth.kl(q, p) >= mp.mpf(c)
        inside = p + (q - mp.mpf(p)) * mp.mpf(1e-9) + mp.mpf(2e-15) * q
        if c > 1e-270 and 1e-300 < inside < q:
            assert truth.kl(q, inside) < mp.mpf(c)


def kl_interval(rng: Rng) -> None:
    q, n, level = rate(rng), size(rng), share(rng)
    low, high = nm.kl_interval(q, n, level)
    with mp.workdps(700):
        budget = mp.log(2 / (1 - mp.mpf(level))) / n
        assert low <= q <= high
        assert low == 0 or truth.kl(q, low) >= budget
        assert high == 1 or truth.kl(q, high) >= budget


def ln_xi(rng: Rng) -> None:
    n = size(rng)
    exact = truth.ln_xi(n)
    assert exact <= mp.mpf(nm.ln_xi(n))
    assert nm.ln_xi(n) <= float(exact) * (1 + 1e-9) + (0.47 if n > 10**10 else 0)


def noncentral_case(rng: Rng) -> tuple[float, float, int, float]:
    scale = power(rng, -100, 100)
    ratio = float(rng.choice([-1, 1])) * power(rng, -3, 3) if rng.random() < 0.95 else 0.0
    return ratio * scale, scale, size(rng, 2, 10**14), share(rng, -17)


def noncentral_t_d_lower(rng: Rng) -> None:
    mean, sd, n, delta = noncentral_case(rng)
    d, ratio = nm.noncentral_t_d_lower(mean, sd, n, delta), mp.mpf(mean) / mp.mpf(sd)
    assert d < ratio or delta > 0.5
    if d > -math.inf:
        assert truth.noncentral_t_above(n, ratio, d) <= mp.mpf(delta)
    elif delta < 0.99:
        pytest.fail(f"no limit at {mean}, {sd}, {n}, {delta}")


def noncentral_t_upper(rng: Rng) -> None:
    case = noncentral_case(rng)
    d, p = nm.noncentral_t_d_lower(*case), nm.noncentral_t_upper(*case)
    assert mp.mpf(p) >= mp.ncdf(-mp.mpf(d))
    assert p <= float(mp.ncdf(-mp.mpf(d))) * (1 + 1e-10) + 1e-300


def between(value: float, exact: mp.mpf, slack: float = 1e-11) -> None:
    """At least the exact number and not much more."""
    assert mp.mpf(value) >= exact
    assert mp.mpf(value) <= exact * (1 + mp.mpf(slack)) + mp.mpf(1e-270)


def cantelli(rng: Rng) -> None:
    d = power(rng, -200, 200)
    between(nm.cantelli(d), 1 / (1 + mp.mpf(d) ** 2))


def unimodal(rng: Rng) -> None:
    d = power(rng, -200, 200) if rng.random() < 0.5 else power(rng, -1, 1)
    between(nm.unimodal(d), min(mp.mpf(1), truth.unimodal(d)))


def star_factor(rng: Rng) -> None:
    alpha = power(rng, -300, 15)
    a = mp.mpf(alpha)
    between(nm.star_factor(alpha), mp.exp(-2 / a * mp.log1p(a / 2)), 1e-8)


def saw_one_sided(rng: Rng) -> None:
    n, t = size(rng, 2), power(rng, -5, 200)
    with mp.workdps(500):
        m = mp.mpf(n)
        count = mp.floor(m * (m - 1) / (m - 1 + m * mp.mpf(t) ** 2))
        between(nm.saw_one_sided(n, t), (1 + count) / (m + 1), 1e-6 if count > 10**6 else 1.0)


def catoni(rng: Rng) -> None:
    q, c, b = power(rng, -320, 0), power(rng, -320, 2.5), power(rng, -320, 2)
    with mp.workdps(700):
        exact = mp.expm1(-(mp.mpf(c) * q + mp.mpf(b))) / mp.expm1(-mp.mpf(c))
        assert mp.mpf(nm.catoni(q, c, b)) >= exact
        if c > 1e-20:
            between(nm.catoni(q, c, b), exact)


def gaussian_kl(rng: Rng) -> None:
    dim, sigma = size(rng, 0), power(rng, -100, 2) if rng.random() < 0.5 else power(rng, -0.3, 0.3)
    mean, prior = power(rng, -50, 50), power(rng, -50, 50)
    cross = rng.uniform(-1, 1) * math.sqrt(mean) * math.sqrt(prior)
    with mp.workdps(150):
        s = mp.mpf(sigma)
        exact = mp.mpf(dim) / 2 * (s * s - 1 - 2 * mp.log(s))
        exact += (s * s * mp.mpf(mean) - 2 * s * mp.mpf(cross) + mp.mpf(prior)) / 2
        assert mp.mpf(nm.gaussian_kl(dim, sigma, mean, cross, prior)) >= exact


def scale_free_kl(rng: Rng) -> None:
    dim, mu = size(rng), power(rng, -200, 150)
    between(nm.scale_free_kl(dim, mu), mp.mpf(dim) / 2 * mp.log1p(mp.mpf(mu) ** 2 / dim))


def head_rademacher_slack(rng: Rng) -> None:
    n, level, delta = size(rng), size(rng, 0, 10**6), share(rng, -300)
    squares, radius, gamma = power(rng, -200, 200), power(rng, -100, 100), power(rng, -100, 100)
    factor = size(rng, largest=10**6)
    value = nm.head_rademacher_slack(
        n, squares, radius, gamma, delta, class_factor=factor, level=level
    )
    exact = 4 * mp.mpf(radius) * mp.sqrt(mp.mpf(factor) * squares) / (mp.mpf(gamma) * n)
    pay = mp.log(mp.mpf((level + 1) * (level + 2)) / mp.mpf(delta))
    between(value, exact + 3 * mp.sqrt(pay / (2 * n)))


def transport(value: float, w1: float, n: int, k: int, delta: float, diameter: float) -> None:
    differences = 2 * k * (mp.mpf(1) / n + mp.mpf(1) / k) ** 2 + mp.mpf(n - 2 * k) / n**2
    pay = mp.sqrt(-mp.log(mp.mpf(delta)) / 2 * differences)
    between(value, mp.mpf(w1) + mp.mpf(diameter) * pay, 1e-9)


def transport_slack(rng: Rng) -> None:
    n, delta = size(rng, 2), share(rng, -300)
    w1, diameter = power(rng, -200, 200), power(rng, -200, 200)
    transport(nm.transport_slack(w1, n, delta, diameter), w1, n, n // 2, delta, diameter)


def transport_slack_of_halves(rng: Rng) -> None:
    n, delta = size(rng, 2), share(rng, -300)
    k, w1, diameter = size(rng, 1, n // 2), power(rng, -200, 200), power(rng, -200, 200)
    value = nm.transport_slack_of_halves(w1, n, k, delta, diameter)
    transport(value, w1, n, k, delta, diameter)


def equal_margins(rng: Rng, most: int) -> tuple[int, float, float]:
    k = size(rng, largest=most)
    least = -1.0 / max(1, k - 1)
    rho = float(rng.choice([least, 0.5, 1.0])) if rng.random() < 0.3 else rng.uniform(least, 1)
    return k, power(rng, -2, 3), max(rho, math.nextafter(least, 1.0))


def etf_two_moment(rng: Rng) -> None:
    k, d, rho = equal_margins(rng, 10**6)
    between(nm.etf_two_moment(k, d, rho), truth.etf(k, d, rho), 1e-7)


def two_moment_bound(rng: Rng) -> None:
    k, d, rho = equal_margins(rng, 12)
    sd = power(rng, -40, 40)
    cov = sd * sd * ((1 - rho) * np.eye(k) + rho)
    found = nm.two_moment_bound(np.full(k, d * sd), cov)
    exact = truth.etf(k, d, rho)
    assert mp.mpf(found.value) >= exact * (1 - mp.mpf(4e-15) * k * (1 + 1 / (1 - abs(rho) + 1e-3)))
    # a singular covariance: the search for the worst law ends earlier
    assert found.value <= float(exact) * (1.01 if rho == 1 else 1.001) + 1e-5
    assert found.lower <= found.value


def centred_ellipsoid_bound(rng: Rng) -> None:
    k, d, rho = equal_margins(rng, 12)
    cov = (1 - rho) * np.eye(k) + rho
    roots = (k - 1) * mp.sqrt(1 - mp.mpf(rho))
    roots += mp.sqrt(max(mp.mpf(0), 1 + (k - 1) * mp.mpf(rho)))
    exact = roots**2 / (k * mp.mpf(d) ** 2)
    value = nm.centred_ellipsoid_bound(np.full(k, d), cov).value
    assert mp.mpf(value) >= exact * (1 - mp.mpf(1e-14))
    assert value <= float(exact) * 1.001


def gaussian_loss(rng: Rng) -> None:
    rivals = int(rng.integers(1, 4))
    t = rng.uniform(-5, 40 if rivals == 1 else 12, rivals)
    value = float(nm.gaussian_loss(t[None])[0])
    exact = mp.ncdf(-mp.mpf(t[0]) / mp.sqrt(2)) if rivals == 1 else truth.gaussian_loss(t)
    assert mp.mpf(value) >= min(exact, mp.mpf(1) - mp.mpf(1e-25))
    assert value <= float(exact) * (1 + 3e-12) + 1e-14


def gaussian_kl_is_tight(rng: Rng) -> None:
    dim, sigma = size(rng), power(rng, -0.3, 0.3)
    with mp.workdps(80):
        s = mp.mpf(sigma)
        between(nm.gaussian_kl(dim, sigma, 0.0), mp.mpf(dim) / 2 * (s * s - 1 - 2 * mp.log(s)))


def partition_upper(rng: Rng) -> None:
    blocks, delta = size(rng, largest=40), share(rng, float(rng.choice([-15, -300])))
    queries = size(rng, largest=20)
    losses = (rng.random((3, blocks, queries)) < rng.random() ** 2).mean(axis=2)
    if rng.random() < 0.3:
        losses = losses * rng.random(losses.shape)
    p = mp.mpf(nm.partition_upper(losses, delta))
    stakes, ln_weights = _stakes(blocks)
    if p < 1:
        total = mp.mpf(0)
        for c, w in zip(stakes.tolist(), ln_weights.tolist(), strict=True):
            for row in losses.tolist():
                total += mp.exp(w) * mp.fprod(1 + c * (p - mp.mpf(u)) / (1 - p) for u in row)
        assert total / len(losses) >= 1 / mp.mpf(delta)
        assert p >= mp.fsum(losses.ravel().tolist()) / losses.size


def worst_class_upper(rng: Rng) -> None:
    sizes = [size(rng, 0, 10**6) for _ in range(size(rng, largest=6))]
    errors = [min(n, errors_of(rng, n)) if n else 0 for n in sizes]
    delta = share(rng)
    limits = nm.worst_class_upper(errors, sizes, delta)
    # the shares that the limits spend are exactly their tails
    spent = mp.mpf(0)
    for p, k, n in zip(limits.tolist(), errors, sizes, strict=True):
        spent += truth.at_most(k, n, p) if k < n and p < 1 else mp.mpf(0)
        assert p == 1 or k < n
    assert spent <= mp.mpf(delta)


def bernstein_upper(rng: Rng) -> None:
    x = rng.random(int(rng.integers(2, 60))) ** power(rng, -1, 1)
    delta = share(rng)
    losses, n = [mp.mpf(v) for v in x.tolist()], len(x)
    mean, log = mp.fsum(losses) / n, mp.log(2 / mp.mpf(delta))
    variance = mp.fsum((v - mean) ** 2 for v in losses) / (n - 1)
    exact = mean + mp.sqrt(2 * variance * log / n) + 7 * log / (3 * (n - 1))
    found = nm.bernstein_upper(x, delta)
    assert exact <= found <= exact * (1 + mp.mpf("1e-13"))


CHECKS: dict[str, Callable[[Rng], None]] = {
    f.__name__: f
    for f in (
        bernstein_upper, binomial_interval, binomial_lower, binomial_upper, binomial_upper_log,
        cantelli, catoni,
        centred_ellipsoid_bound, etf_two_moment, gaussian_kl, gaussian_kl_is_tight, gaussian_loss,
        head_rademacher_slack, kl_interval, kl_lower, kl_upper, ln_xi, noncentral_t_d_lower,
        noncentral_t_upper, occam_upper, partition_upper, saw_one_sided, scale_free_kl, star_factor,
        stratified_upper, stratified_upper_log, transport_slack, transport_slack_of_halves,
        two_moment_bound, unimodal, worst_class_upper,
    )
}  # fmt: skip


def run(name: str, cases: int) -> None:
    start = zlib.crc32(name.encode())
    with mp.workdps(truth.DIGITS):
        for case in range(cases):
            try:
                CHECKS[name](np.random.default_rng([start, case]))
            except AssertionError as wrong:
                raise AssertionError(f"{name}, case {case}: {wrong}") from wrong


def test_every_public_limit_is_compared() -> None:
    assert set(nm.__all__) - NO_LIMITS - ELSEWHERE <= set(CHECKS)
    assert set(nm.__all__) >= NO_LIMITS | ELSEWHERE


@pytest.mark.parametrize("name", CHECKS)
def test_a_few_random_arguments(name: str) -> None:
    run(name, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKS)
def test_many_random_arguments(name: str) -> None:
    run(name, MANY)
