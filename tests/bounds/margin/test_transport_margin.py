"""The transport certificate: exact assignments, the free margin, and a slow form of the whole."""

import itertools
import json
import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.special import ndtr
from scipy.stats import wasserstein_distance

from ncbounds.bounds import get
from ncbounds.bounds.homogeneous.rays import Rays
from ncbounds.bounds.margin import _transport
from ncbounds.bounds.margin._farthest import farthest
from ncbounds.bounds.margin._halves import half_distance, halves, paired_distance
from ncbounds.bounds.margin._transport import free_margin, lipschitz, unit_rays
from ncbounds.claims import Saved, Weighted
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.numerics.rademacher import transport_slack_of_halves

transport_margin = get("transport_margin")


def head_sample(f, y, **kw):
    return Sample.from_arrays(
        f, y, role="head", **{"sampling": "iid", "repeats": "by chance", **kw}
    )


def blobs(seed, n=90, d=4, classes=3, noise=0.1):
    rng = np.random.default_rng(seed)
    means = np.linalg.qr(rng.normal(size=(d, d)))[0][:classes]
    y = rng.integers(classes, size=n)
    return means[y] + noise * rng.normal(size=(n, d)), y, means


# --- halves and assignments


def test_halves_are_disjoint_and_depend_on_the_count_only():
    a, b = halves(np.arange(10, 31))
    assert len(a) == len(b) == 10
    assert len({*a, *b}) == 20
    assert {*a, *b} <= set(range(10, 31))
    c, d = halves(np.arange(110, 131))
    np.testing.assert_array_equal(c - a, 100)
    np.testing.assert_array_equal(d - b, 100)
    # a permutation, not the stored order, which often is sorted
    assert list(a) != sorted(a)
    assert len(halves(np.arange(9001))[0]) == 4000


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 4))
def test_cost_is_the_smallest_over_all_permutations(seed, k, p):
    rng = np.random.default_rng(seed)
    one, two = rng.normal(size=(k, p)) + 50.0, rng.normal(size=(k, p)) + 50.0
    distance = cdist(one, two)
    best = min(distance[range(k), list(order)].mean() for order in itertools.permutations(range(k)))
    found = half_distance(one, two)
    assert found >= best * (1 - 1e-15)
    assert found == pytest.approx(best, rel=1e-12)
    assert paired_distance(one, two) >= found * (1 - 1e-14)


def test_cost_on_a_line_is_that_of_sorted_points():
    rng = np.random.default_rng(1)
    one, two = rng.normal(size=300), rng.exponential(size=300)
    found = half_distance(one[:, None], two[:, None])
    assert found == pytest.approx(np.abs(np.sort(one) - np.sort(two)).mean(), rel=1e-12)
    assert found == pytest.approx(wasserstein_distance(one, two), rel=1e-12)


@pytest.mark.parametrize("spread", [np.ones(20), np.arange(1, 21) ** -1.0])
def test_blocks_of_large_halves_cost_little_more_than_the_optimum(spread, monkeypatch):
    rng = np.random.default_rng(2)
    one, two = (rng.normal(size=(700, 20)) * spread + 50.0 for _ in range(2))
    found = half_distance(one, two)
    monkeypatch.setattr(sys.modules[half_distance.__module__], "WHOLE", 700)
    best = half_distance(one, two)
    assert best * (1 - 1e-12) <= found < 1.12 * best
    rotation = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    monkeypatch.undo()
    turned = half_distance(3e100 * one @ rotation, 3e100 * two @ rotation)
    assert turned == pytest.approx(3e100 * found, rel=1e-4)


def test_blocks_on_a_line_are_sorted_points():
    rng = np.random.default_rng(3)
    one, two = rng.normal(size=(2, 900))
    exact = np.abs(np.sort(one) - np.sort(two)).mean()
    assert half_distance(one[:, None], two[:, None]) == pytest.approx(exact, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 1e-200, 1e200]), st.sampled_from([0.0, 1e6]))
def test_farthest_rows_are_those_of_the_differences(seed, scale, common):
    v = scale * (np.random.default_rng(seed).normal(size=(7, 5)) + common)
    exact = np.array([max(math.dist(a, b) for b in v) for a in v])
    found = farthest(v)
    assert (found >= exact * (1 - 1e-15)).all()
    # what the rows share is taken off by the caller where digits of it matter
    np.testing.assert_allclose(found, exact, rtol=1e-12 if not common else 1e-6)


def test_farthest_of_equal_rows_is_nothing():
    assert (farthest(np.zeros((3, 4))) == 0).all()
    assert (farthest(np.ones((3, 4))) < 1e-6).all()


def test_a_point_mass_has_no_distance():
    assert half_distance(np.ones((5, 3)), np.ones((5, 3))) == 0.0


# --- the margin that is free


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.floats(-2, 2), min_size=1, max_size=12), st.floats(1e-6, 2), st.integers(0, 10_000)
)
def test_free_margin_is_the_minimum_over_all_gamma(values, cost, seed):
    m = np.array(values)
    value, gamma = free_margin(m, cost)
    rng = np.random.default_rng(seed)
    grid = np.r_[np.geomspace(1e-5, 1e5, 400), rng.uniform(1e-3, 3, 200), m[m > 1e-6]]
    loss = np.clip(1 - m[:, None] / grid, 0, 1).mean(axis=0) + cost / grid
    assert value <= min(1.0, loss.min()) * (1 + 1e-9) + 1e-14
    if gamma < math.inf:
        attained = np.clip(1 - m / gamma, 0, 1).mean() + cost / gamma
        assert value >= min(1.0, attained)
        assert value == pytest.approx(min(1.0, attained), rel=1e-12, abs=1e-12)
    else:
        assert value == 1.0


def test_free_margin_by_hand():
    # ramp 0 at gamma = 1, cost 0.2
    assert free_margin(np.array([1.0, 1.0, 1.0]), 0.2) == (pytest.approx(0.2), 1.0)
    # one error in four
    assert free_margin(np.array([-3.0, 1.0, 1.0, 1.0]), 0.2)[0] == pytest.approx(0.45)
    # too dear: the limit at infinity
    assert free_margin(np.array([0.5, 0.5]), 0.6) == (1.0, math.inf)
    assert free_margin(np.array([-np.inf, -1.0]), 0.1) == (1.0, math.inf)


def test_lipschitz_constants_hold_on_unit_rays():
    f, y, w = blobs(2, noise=1.0)
    b = np.array([0.1, -0.2, 0.3])
    r = Rays.of(f, y, f @ w.T + b, w, b)
    steep = lipschitz(r, 0.5, 5)
    assert (steep[3:] == 0).all()
    v = np.column_stack([r.weight, r.bias / 0.5])
    x = unit_rays(r, np.arange(90), 0.5)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1)
    s = x @ v.T
    for c in range(3):
        m = s[:, c] - np.delete(s, c, axis=1).max(axis=1)
        gap = np.abs(m[:, None] - m)
        assert (gap <= steep[c] * cdist(x, x) + 1e-12).all()


# --- the row


def slow(f, y, w, b, delta, fit, sampling="iid"):
    """The statement written out; a fit sample gives centre and scale."""
    n, classes = len(f), len(w)
    q = fit.mean(axis=0)
    kappa = math.sqrt(np.square(fit - q).sum(axis=1).mean())
    psi = np.column_stack([f - q, np.full(n, kappa)])
    psi /= np.linalg.norm(psi, axis=1)[:, None]
    v = np.column_stack([w, (b + w @ q) / kappa])
    v = v - v.mean(axis=0)
    s = psi @ v.T
    m = np.array([s[i, y[i]] - np.delete(s[i], y[i]).max() for i in range(n)])
    delta_c = (0.9 if sampling == "iid" else 1.0) * delta / classes
    total, bounds = 0.0, []
    for c in range(classes):
        rows = np.flatnonzero(y == c)
        p = 1.0
        if len(rows) >= 2:
            one, two = halves(rows)
            k = len(one)
            distance = cdist(psi[one], psi[two])
            w1 = distance[linear_sum_assignment(distance)].mean()
            nc = len(rows)
            spread = 2 * k * (1 / nc + 1 / k) ** 2 + (nc - 2 * k) / nc**2
            slack = w1 + 2 * math.sqrt(math.log(1 / delta_c) / 2 * spread)
            steep = max(np.linalg.norm(v[c] - v[j]) for j in range(classes))
            for gamma in [*m[rows][m[rows] > 0], 1e9]:
                loss = np.clip(1 - m[rows] / gamma, 0, 1).mean()
                p = min(p, loss + steep * slack / gamma)
        total += len(rows) / n * min(1.0, p)
        bounds.append(min(1.0, p))
    tau = 0.5 * (math.sqrt((classes - 1) / n) + math.sqrt(2 * math.log(10 / delta) / n))
    return total + (min(1.0, tau) * np.ptp(bounds) if sampling == "iid" else 0.0)


@pytest.mark.parametrize("sampling", ["iid", "stratified"])
@pytest.mark.parametrize(("seed", "n", "noise"), [(3, 61, 0.1), (4, 2000, 0.02), (5, 1501, 0.0)])
def test_equals_the_slow_form_rounded_up(seed, n, noise, sampling):
    f, y, w = blobs(seed, n=n, noise=noise)
    g, z, _ = blobs(seed, n=40, noise=noise)
    b = np.array([0.05, 0.0, -0.02])
    evidence = Evidence(
        head=LinearHead(w, b),
        head_sample=head_sample(f, y, sampling=sampling),
        fit=Sample.from_arrays(g, z, role="fit"),
    )
    row = transport_margin(evidence, delta=0.05)
    expected = slow(f, y, w, b, 0.05, g, sampling)
    assert row.value == pytest.approx(expected, rel=1e-9)
    assert row.value >= expected * (1 - 1e-14)
    assert row.kind == "certificate"
    assert sum(row.terms.values()) == pytest.approx(row.value, rel=1e-12)
    assert isinstance(row.claim, Saved if sampling == "iid" else Weighted)
    json.dumps(row.to_dict())


def test_it_certifies_collapsed_classes():
    f, y, w = blobs(6, n=20_000, classes=2, noise=0.0)
    fit = Sample.from_arrays(f[:50] + 0.0, y[:50], role="fit")
    evidence = Evidence(head=LinearHead(w), head_sample=head_sample(f, y), fit=fit)
    row = transport_margin(evidence, delta=0.05)
    assert row.value < 0.2
    assert "fit sample" in row.reasons[0]


def test_without_a_fit_sample_thirteen_scales_are_paid():
    f, y, w = blobs(7, n=3000, noise=0.01)
    row = transport_margin(Evidence(head=LinearHead(w), head_sample=head_sample(f, y)), delta=0.05)
    kappa = row.details["kappa"]
    assert kappa in [4.0**j for j in range(-6, 7)]
    assert row.reasons == ("overlap with training points is not checked: there is no fit sample",)
    # the same scale and centre by a fit sample cost delta, not delta/13
    spread = np.array([[kappa, 0, 0, 0], [-kappa, 0, 0, 0.0]])
    fixed = Evidence(
        head=LinearHead(w),
        head_sample=head_sample(f, y),
        fit=Sample.from_arrays(spread, [0, 1], role="fit"),
    )
    dear = transport_margin(fixed, delta=0.05 / 13)
    cheap = transport_margin(fixed, delta=0.05)
    assert row.value == pytest.approx(dear.value, rel=1e-12)
    assert cheap.value < row.value
    bare = LinearHead(w, has_bias=False)
    one = transport_margin(Evidence(head=bare, head_sample=head_sample(f, y)), delta=0.05)
    assert one.details["kappa"] == 0.0


def test_classes_with_too_few_points_count_as_lost():
    f, y, w = blobs(8, n=6000, noise=0.0)
    y[0], y[1:] = 2, np.where(y[1:] == 2, 1, y[1:])
    f[0] = w[2]
    evidence = Evidence(head=LinearHead(w), head_sample=head_sample(f, y, classes=4))
    row = transport_margin(evidence, delta=0.05)
    bounds = row.details["per class"]
    assert bounds[2:] == [1.0, 1.0]
    assert min(bounds) < 0.9
    # without a fit sample, delta is shared by 13 scales
    tau = 0.5 * (math.sqrt(3 / 6000) + math.sqrt(2 * math.log(130 / 0.05) / 6000))
    assert row.terms["class frequencies"] == pytest.approx(tau * (1.0 - min(bounds)), rel=1e-9)


def test_unusable_rows_have_ramp_one_and_lie_at_zero():
    f, y, w = blobs(9, n=200, noise=0.01)
    f[:4] = np.nan
    f[4] = 1e200
    with np.errstate(all="ignore"):
        r = Rays.of(f, y, f @ w.T, w, np.zeros(3))
    assert (unit_rays(r, np.arange(5), 1.0) == 0).all()
    evidence = Evidence(head=LinearHead(w), head_sample=head_sample(f, y))
    assert np.isfinite(transport_margin(evidence, delta=0.05).value)


def test_zero_rays_without_a_constant_are_errors():
    f, y, w = blobs(14, n=4000, noise=0.0)
    bare = LinearHead(w, has_bias=False)
    values = []
    for broken in (0, 40):
        x = f.copy()
        x[:broken] = 0.0
        evidence = Evidence(head=bare, head_sample=head_sample(x, y))
        values.append(transport_margin(evidence, delta=0.05).value)
    assert values[0] + 0.01 <= values[1] < 1


def test_a_head_of_zeros_has_value_one():
    f, y, _ = blobs(10)
    evidence = Evidence(head=LinearHead(np.zeros((3, 4))), head_sample=head_sample(f, y))
    assert transport_margin(evidence, delta=0.05).value == 1.0


def test_invariances():
    f, y, w = blobs(11, n=2000, noise=0.01)
    b = np.array([0.1, 0.0, 0.2])
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    order = rng.permutation(3)

    def value(x, z, v, c, delta=0.05):
        evidence = Evidence(head=LinearHead(v, c), head_sample=head_sample(x, z))
        return transport_margin(evidence, delta=delta).value

    base = value(f, y, w, b)
    assert value(f @ rotation, y, w @ rotation, b) == pytest.approx(base, rel=1e-9)
    assert value(f, np.argsort(order)[y], w[order], b[order]) == pytest.approx(base, rel=1e-9)
    assert value(f, y, 9 * w, 9 * b) == pytest.approx(base, rel=1e-9)
    assert value(f, y, w + 1.0, b + 3.0) == pytest.approx(base, rel=1e-9)
    assert value(f, y, w, b, 0.4) < base < value(f, y, w, b, 1e-6)


def test_coverage_with_known_error():
    """Two Gaussian classes and heads fitted on the sample, at a large delta."""
    rng = np.random.default_rng(12)
    missed = 0
    for _ in range(40):
        y = rng.integers(2, size=80)
        f = np.column_stack([2.0 * y - 1, np.zeros(80)]) + 0.7 * rng.normal(size=(80, 2))
        means = np.stack([f[y == c].mean(axis=0) for c in (0, 1)])
        head = LinearHead(means, -0.5 * np.square(means).sum(axis=1))
        row = transport_margin(Evidence(head=head, head_sample=head_sample(f, y)), delta=0.9)
        w, b = means[1] - means[0], head.bias[1] - head.bias[0]
        size = 0.7 * np.linalg.norm(w)
        error = 0.5 * (ndtr(-(w[0] + b) / size) + ndtr(-(w[0] - b) / size))
        missed += row.value < error
    assert missed == 0


def test_slack_is_not_too_small_on_the_line():
    """W1 from a law to its sample, exactly known on the line, exceeds the slack rarely."""
    rng = np.random.default_rng(13)
    n, delta, missed = 60, 0.9, 0
    grid = (np.arange(20_000) + 0.5) / 20_000
    for _ in range(200):
        x = rng.random(n)
        one, two = halves(np.arange(n))
        w1 = half_distance(x[one, None], x[two, None])
        missed += wasserstein_distance(x, grid) > transport_slack_of_halves(w1, n, n // 2, delta, 1)
    assert missed <= 190


def test_glances_at_all_scales_are_those_at_each():
    rng = np.random.default_rng(5)
    f, y = rng.normal(size=(40, 6)) + 3.0, np.arange(40) % 3
    f[7] = np.nan
    w, b = rng.normal(size=(3, 6)), rng.normal(size=3)
    found = Rays.of(f, y, f @ w.T + b, w, b, centre=np.full(6, 2.5))
    one, two, scales = np.arange(12), np.arange(12, 24), (0.25, 1.0, 64.0)
    each = [
        paired_distance(_transport.unit_rays(found, one, k), _transport.unit_rays(found, two, k))
        for k in scales
    ]
    assert _transport._glances(found, scales, one, two) == pytest.approx(each, rel=1e-9)
    for k in scales:
        expected = _transport.lipschitz(found, k, 4)
        assert _transport._steepness(found, k, 4) == pytest.approx(expected, rel=1e-9)
