"""Feature laws whose classification error by a linear head is known.

Every law draws features given a *component* (the clean class) and computes the probability that a
head's largest logit, without a tie, is class j for a point of component t.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.random import Generator
from scipy.special import ndtr, owens_t, stdtr

from ncbounds.arrays import Floats, Ints
from ncbounds.evidence.decided import stands
from ncbounds.evidence.head import LinearHead

#: Points of the fixed large sample where no closed form exists, and their seed.
LARGE = 100_000
LARGE_SEED = 977

Sampler = Callable[[int, Generator], Floats]
Cdf = Callable[[float], float]


class Law(Protocol):
    """Law of features given the component."""

    @property
    def components(self) -> int:
        """Number of components, one per clean class."""

    @property
    def dim(self) -> int:
        """Feature dimension d."""

    def draw(self, component: Ints, rng: Generator) -> Floats:
        """Features of shape (n, d) of points of the given components (n,)."""

    def exact_for(self, outputs: int) -> bool:
        """Whether :meth:`predicted` is exact for heads with that many outputs."""

    def predicted(self, head: LinearHead) -> tuple[Floats, float]:
        """Probabilities (components, C) of each sole argmax, and their standard error."""


@dataclass(frozen=True, eq=False)
class Elliptic:
    """Per component a Gaussian, or a multivariate t with ``freedom`` degrees of freedom.

    ``f = means[t] + (sd[t] * z) @ mix`` with standard normal z; for t laws the noise is divided by
    ``sqrt(chi2/freedom)``. Exact for heads with two outputs, and with three for Gaussians;
    otherwise counted on a fixed large sample.
    """

    means: Floats
    sd: Floats
    mix: Floats | None = None
    freedom: float = np.inf

    @property
    def components(self) -> int:
        """Number of components."""
        return len(self.means)

    @property
    def dim(self) -> int:
        """Feature dimension."""
        return int(self.means.shape[1])

    def draw(self, component: Ints, rng: Generator) -> Floats:
        """Draw one point per entry of ``component``."""
        noise = rng.standard_normal((len(component), self.dim)) * self.sd[component]
        if self.mix is not None:
            noise = noise @ self.mix
        if np.isfinite(self.freedom):
            noise /= np.sqrt(rng.chisquare(self.freedom, len(noise)) / self.freedom)[:, None]
        points: Floats = self.means[component] + noise
        return points

    def exact_for(self, outputs: int) -> bool:
        """Two outputs, or three for Gaussians."""
        return outputs <= (2 if np.isfinite(self.freedom) else 3)

    def predicted(self, head: LinearHead) -> tuple[Floats, float]:
        """Probabilities of each sole argmax per component."""
        c = head.classes
        if not self.exact_for(c):
            return self._counted(head)
        out = np.zeros((self.components, c))
        for t in range(self.components):
            for j in range(c):
                rivals = [i for i in range(c) if i != j]
                w = head.weight[j] - head.weight[rivals]
                mean = w @ self.means[t] + head.bias[j] - head.bias[rivals]
                half = (w if self.mix is None else w @ self.mix.T) * self.sd[t]
                out[t, j] = _all_positive(mean, half, self.freedom)
        return out, 0.0

    def _counted(self, head: LinearHead) -> tuple[Floats, float]:
        logits = head.logits(self._large)
        best = logits.argmax(axis=1)
        top = logits[np.arange(len(logits)), best]
        sole = (logits >= top[:, None]).sum(axis=1) == 1
        component, each = self._large_components
        cell = component[sole] * head.classes + best[sole]
        count = np.bincount(cell, minlength=self.components * head.classes)
        return count.reshape(self.components, -1) / each, float(0.5 / np.sqrt(each))

    @property
    def _large_components(self) -> tuple[Ints, int]:
        each = LARGE // self.components
        return np.repeat(np.arange(self.components), each), each

    @cached_property
    def _large(self) -> Floats:
        return self.draw(self._large_components[0], np.random.default_rng(LARGE_SEED))


@dataclass(frozen=True, eq=False)
class Line:
    """One continuous feature: per component a sampler ``(size, rng)`` and its cdf.

    A linear head cuts the line into intervals, so every probability is exact.
    """

    samplers: tuple[Sampler, ...]
    cdfs: tuple[Cdf, ...]

    @property
    def components(self) -> int:
        """Number of components."""
        return len(self.samplers)

    @property
    def dim(self) -> int:
        """One feature."""
        return 1

    def draw(self, component: Ints, rng: Generator) -> Floats:
        """Draw one point per entry of ``component``."""
        out = np.empty((len(component), 1))
        for t, sampler in enumerate(self.samplers):
            rows = component == t
            out[rows, 0] = sampler(int(rows.sum()), rng)
        return out

    def exact_for(self, outputs: int) -> bool:
        """Always."""
        return True

    def predicted(self, head: LinearHead) -> tuple[Floats, float]:
        """Probabilities of each sole argmax per component, exact."""
        out = np.zeros((self.components, head.classes))
        for j in range(head.classes):
            low, high = _winning_interval(head.weight[:, 0], head.bias, j)
            if low < high:
                out[:, j] = [cdf(high) - cdf(low) for cdf in self.cdfs]
        return out, 0.0


@dataclass(frozen=True, eq=False)
class Atoms:
    """Finitely many points with probabilities (components, atoms); exact by enumeration."""

    points: Floats
    probabilities: Floats

    @property
    def components(self) -> int:
        """Number of components."""
        return len(self.probabilities)

    @property
    def dim(self) -> int:
        """Feature dimension."""
        return int(self.points.shape[1])

    def draw(self, component: Ints, rng: Generator) -> Floats:
        """Draw one point per entry of ``component``."""
        edges = self.probabilities.cumsum(axis=1)
        u = rng.random(len(component)) * edges[component, -1]
        atom = (u[:, None] >= edges[component]).sum(axis=1)
        points: Floats = self.points[np.minimum(atom, len(self.points) - 1)]
        return points

    def exact_for(self, outputs: int) -> bool:
        """Always."""
        return True

    def predicted(self, head: LinearHead) -> tuple[Floats, float]:
        """Probabilities of each sole argmax per component, exact."""
        logits = head.logits(self.points)
        sole = stands(head, self.points, logits, logits.argmax(axis=1))
        hit = np.zeros((len(self.points), head.classes))
        hit[np.flatnonzero(sole), logits.argmax(axis=1)[sole]] = 1.0
        return self.probabilities @ hit, 0.0


def normal_line(means: Floats, sd: float) -> Line:
    """Gaussian components on a line."""

    def component(m: float) -> tuple[Sampler, Cdf]:
        return lambda k, rng: m + sd * rng.standard_normal(k), lambda x: float(ndtr((x - m) / sd))

    return _line(component(float(m)) for m in means)


def student_line(means: Floats, scale: float, freedom: float = 3.0) -> Line:
    """Student t components on a line."""

    def component(m: float) -> tuple[Sampler, Cdf]:
        return (
            lambda k, rng: m + scale * rng.standard_t(freedom, k),
            lambda x: float(stdtr(freedom, (x - m) / scale)),
        )

    return _line(component(float(m)) for m in means)


def exponential_line(starts: Floats, signs: Floats) -> Line:
    """Components ``start + sign * Exp(1)``: one-sided and skewed."""

    def component(start: float, sign: float) -> tuple[Sampler, Cdf]:
        def cdf(x: float) -> float:
            inside = -float(np.expm1(-max(0.0, sign * (x - start))))
            return inside if sign > 0 else 1.0 - inside

        return lambda k, rng: start + sign * rng.exponential(size=k), cdf

    return _line(component(float(a), float(s)) for a, s in zip(starts, signs, strict=True))


def _line(components: Iterable[tuple[Sampler, Cdf]]) -> Line:
    samplers, cdfs = zip(*components, strict=True)
    return Line(samplers, cdfs)


def two_bumps_line(gap: float) -> Line:
    """Component 0 has two bumps at -3 and at ``gap``; component 1 is one bump at 0."""

    def bumps(k: int, rng: Generator) -> Floats:
        places = np.where(rng.random(k) < 0.8, -3.0, gap)
        out: Floats = places + 0.4 * rng.standard_normal(k)
        return out

    return Line(
        (bumps, lambda k, rng: 0.5 * rng.standard_normal(k)),
        (
            lambda x: float(0.8 * ndtr((x + 3) / 0.4) + 0.2 * ndtr((x - gap) / 0.4)),
            lambda x: float(ndtr(x / 0.5)),
        ),
    )


def _winning_interval(slope: Floats, offset: Floats, j: int) -> tuple[float, float]:
    """Open interval on which line j is strictly above all others; ``low >= high`` if empty."""
    low, high = -np.inf, np.inf
    for i in range(len(slope)):
        a, b = float(slope[j] - slope[i]), float(offset[j] - offset[i])
        if i == j:
            continue
        if a > 0:
            low = max(low, -b / a)
        elif a < 0:
            high = min(high, -b / a)
        elif b <= 0:
            return np.inf, -np.inf
    return low, high


def _all_positive(mean: Floats, half: Floats, freedom: float) -> float:
    """P(all entries of ``mean + half @ z`` are > 0) for one or two entries."""
    sd = np.sqrt(np.einsum("ij,ij->i", half, half))
    fixed = sd == 0
    if (mean[fixed] <= 0).any():
        return 0.0
    mean, half, sd = mean[~fixed], half[~fixed], sd[~fixed]
    if len(mean) == 0:
        return 1.0
    at = mean / sd
    if len(mean) == 1:
        return float(ndtr(at[0]) if np.isinf(freedom) else stdtr(freedom, at[0]))
    return bivariate_normal(float(at[0]), float(at[1]), float(half[0] @ half[1] / (sd[0] * sd[1])))


def bivariate_normal(h: float, k: float, rho: float) -> float:
    """P(X <= h, Y <= k) of standard normals with correlation ``rho``, by Owen's T."""
    if rho >= 1.0 - 1e-13:
        return float(ndtr(min(h, k)))
    if rho <= -1.0 + 1e-13:
        return float(max(0.0, ndtr(h) + ndtr(k) - 1.0))
    root = np.sqrt((1.0 - rho) * (1.0 + rho))

    def term(a: float, b: float) -> float:
        # limits: T(0, +-inf) = +-1/4, and both arguments 0 along the diagonal
        if a == 0.0:
            return 0.25 * float(np.sign(b)) if b else float(owens_t(0.0, (1.0 - rho) / root))
        return float(owens_t(a, (b - rho * a) / (a * root)))

    below = h * k < 0 or (h * k == 0 and h + k < 0)
    found = 0.5 * (ndtr(h) + ndtr(k)) - term(h, k) - term(k, h) - (0.5 if below else 0.0)
    return float(np.clip(found, 0.0, 1.0))
