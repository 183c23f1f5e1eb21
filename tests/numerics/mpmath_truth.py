"""The functions of ncbounds.numerics by mpmath, at many digits and by other formulas."""

from __future__ import annotations

import mpmath as mp

DIGITS = 60


def beta_above(a: int, b: int, x) -> mp.mpf:
    """P(Beta(a, b) > x) for whole a, b >= 1, by quadrature away from the mean."""
    a, b, x = mp.mpf(a), mp.mpf(b), mp.mpf(x)
    if x >= 1:
        return mp.mpf(0)
    if x <= 0:
        return mp.mpf(1)
    if x < a / (a + b):
        return 1 - beta_above(b, a, 1 - x)
    scale = mp.loggamma(a + b) - mp.loggamma(a) - mp.loggamma(b)
    slope = abs((a - 1) / x - (b - 1) / (1 - x))
    bend = mp.sqrt((a - 1) / x**2 + (b - 1) / (1 - x) ** 2)
    step = 2 / max(slope, bend, mp.mpf(1))
    ends = [x + step * i for i in range(60)]
    ends = [*(e for e in ends if e < 1), min(mp.mpf(1), ends[-1])]

    def density(s):
        return mp.exp(scale + (a - 1) * mp.log(s) + (b - 1) * mp.log(1 - s)) if s < 1 else 0

    return mp.quad(density, ends, method="gauss-legendre", maxdegree=4)


def at_most(k: int, n: int, p) -> mp.mpf:
    """P(Bin(n, p) <= k) for k < n."""
    return beta_above(k + 1, n - k, p)


def at_least(k: int, n: int, p) -> mp.mpf:
    """P(Bin(n, p) >= k) for k > 0, at digits that tell 1 - p from 1."""
    with mp.workdps(DIGITS - int(min(0, mp.log10(p)))):
        return beta_above(n - k + 1, k, 1 - mp.mpf(p))


def kl(q, p) -> mp.mpf:
    """Binary relative entropy; the digits have to reach below its value."""
    q, p = mp.mpf(q), mp.mpf(p)
    left = q * mp.log(q / p) if q > 0 else mp.mpf(0)
    return left + ((1 - q) * mp.log((1 - q) / (1 - p)) if q < 1 else mp.mpf(0))


def gamma_above(a, x) -> mp.mpf:
    """P(Gamma(a) > x) for x above the mode."""
    a, x = mp.mpf(a), mp.mpf(x)
    step = 2 / max(abs((a - 1) / x - 1), 1 / mp.sqrt(a))
    scale = mp.loggamma(a)
    ends = [x + step * i for i in range(60)]
    return mp.quad(
        lambda s: mp.exp((a - 1) * mp.log(s) - s - scale),
        ends,
        method="gauss-legendre",
        maxdegree=4,
    )


def gamma_below(a, x) -> mp.mpf:
    """P(Gamma(a) <= x) for x below the mode."""
    a, x = mp.mpf(a), mp.mpf(x)
    step = 2 / max(abs((a - 1) / x - 1), 1 / mp.sqrt(a))
    scale = mp.loggamma(a)
    ends = sorted({max(mp.mpf(0), x - step * i) for i in range(60)})
    return mp.quad(
        lambda s: mp.exp((a - 1) * mp.log(s) - s - scale) if s > 0 else 0,
        ends,
        method="gauss-legendre",
        maxdegree=4,
    )


def ln_xi(n: int) -> mp.mpf:
    """``xi(n) = e^n n^-n Gamma(n + 1, n)``."""
    m = mp.mpf(n)
    return m - m * mp.log(m) + mp.loggamma(m + 1) + mp.log(gamma_above(m + 1, m))


def noncentral_t_above(n: int, ratio, d) -> mp.mpf:
    """P(t'_{n-1}(sqrt(n) d) >= sqrt(n) ratio), integrated over the chi variable."""
    nu, root, ratio, d = mp.mpf(n - 1), mp.sqrt(n), mp.mpf(ratio), mp.mpf(d)
    scale = mp.log(2) + nu / 2 * mp.log(nu / 2) - mp.loggamma(nu / 2)

    def integrand(s):
        density = mp.exp(scale + (nu - 1) * mp.log(s) - nu * s * s / 2)
        return density * mp.erfc(root * (ratio * s - d) / mp.sqrt(2)) / 2

    width = 1 / mp.sqrt(2 * nu)
    low, high = max(mp.mpf(0), 1 - 14 * width), 1 + 14 * width
    points = {low + (high - low) * i / 28 for i in range(29)}
    if ratio != 0:
        edge = ((d + i / root) / ratio for i in range(-12, 13, 2))
        points |= {x for x in edge if low < x < high}
    return mp.quad(integrand, sorted(points), method="gauss-legendre", maxdegree=4)


def unimodal(d) -> mp.mpf:
    s = mp.mpf(d) ** 2
    return 4 / (9 * (1 + s)) if 3 * s >= 5 else (3 - s) / (3 * (1 + s))


def gaussian_loss(t) -> mp.mpf:
    """One row: the integral over the noise of the true class."""

    def integrand(z):
        return mp.npdf(z) * (1 - mp.fprod(mp.ncdf(z + x) for x in t))

    cuts = sorted({mp.mpf(c) for c in range(-14, 15, 2)} | {-mp.mpf(x) for x in t if abs(x) < 14})
    return mp.quad(integrand, cuts, method="gauss-legendre", maxdegree=4)


def etf(k: int, d, rho) -> mp.mpf:
    """Tight bound for equal correlations: the least over centres -g of a symmetric ellipsoid."""
    k, d, rho = mp.mpf(k), mp.mpf(d), mp.mpf(rho)
    a, b = (k - 1) * mp.sqrt(1 - rho), max(mp.mpf(0), 1 + (k - 1) * rho)

    def value(g):
        return (a + mp.sqrt(b + k * g * g)) ** 2 / (k * (d + g) ** 2)

    low, high = mp.mpf(0), 100 * (1 + d + 1 / d) * k
    for _ in range(300):  # golden section; the function falls, then rises
        left, right = low + (high - low) * mp.mpf("0.382"), low + (high - low) * mp.mpf("0.618")
        low, high = (low, right) if value(left) < value(right) else (left, high)
    return min(mp.mpf(1), value(low))
