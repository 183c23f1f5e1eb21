"""The Rademacher certificate against a slow form, its complexity term and known errors."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from ncbounds.bounds import get
from ncbounds.bounds.margin.margin_rademacher import GAMMAS, ramp
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample

margin_rademacher = get("margin_rademacher")


def head_sample(f, y, **kw):
    return Sample.from_arrays(f, y, role="head", **{"sampling": "iid", **kw})


def slow(f, y, w, b, delta, q):
    """Every kappa and k with psi and V written out."""
    n, classes = len(f), len(w)
    best = math.inf
    for kappa in [4.0**j for j in range(-6, 7)]:
        psi = np.column_stack([f - q, np.full(n, kappa)])
        psi /= np.linalg.norm(psi, axis=1)[:, None]
        v = np.column_stack([w, (b + w @ q) / kappa])
        v = v - v.mean(axis=0)
        v /= np.linalg.norm(v)
        s = psi @ v.T
        m = np.array([s[i, y[i]] - np.delete(s[i], y[i]).max() for i in range(n)])
        for k in range(31):
            gamma = math.sqrt(2) / 2**k
            loss = sum(min(1.0, max(0.0, 1 - x / gamma)) for x in m) / n
            value = (
                loss
                + 4 * math.sqrt((classes - 1) / n) / gamma
                + math.sqrt(math.log(13 * (k + 1) * (k + 2) / delta) / (2 * n))
            )
            best = min(best, value)
    return best


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.booleans(), st.floats(1e-6, 0.9))
def test_equals_the_slow_form_rounded_up(seed, classes, centred, delta):
    rng = np.random.default_rng(seed)
    w, b = rng.normal(size=(classes, 4)), rng.normal(size=classes)
    y = rng.integers(classes, size=60)
    f = w[y] + rng.normal(size=(60, 4)) + 2.0
    g = rng.normal(size=(9, 4)) + 2.0
    parts = {"fit": Sample.from_arrays(g, np.zeros(9, int), role="fit")} if centred else {}
    evidence = Evidence(head=LinearHead(w, b), head_sample=head_sample(f, y), **parts)
    row = margin_rademacher(evidence, delta=delta)
    expected = slow(f, y, w, b, delta, g.mean(axis=0) if centred else np.zeros(4))
    assert row.value == pytest.approx(expected, rel=1e-9)
    assert row.value >= expected * (1 - 1e-15)
    assert sum(row.terms.values()) == pytest.approx(row.value, rel=1e-12)


def test_by_hand():
    """Two classes on a line without bias: margins sqrt(2) |x| / |x|, k = 0, ramp 0."""
    y = np.arange(40_000) % 2
    f = (2.0 * y - 1.0)[:, None] * np.linspace(1, 3, len(y))[:, None]
    head = LinearHead([[-1.0], [1.0]], has_bias=False)
    row = margin_rademacher(Evidence(head=head, head_sample=head_sample(f, y)), delta=0.05)
    hand = 4 / math.sqrt(2) / 200 + math.sqrt(math.log(2 / 0.05) / 80_000)
    assert row.value == pytest.approx(hand, rel=1e-9)
    assert row.details == {"kappa": 0.0, "gamma": math.sqrt(2)}
    assert row.kind == "certificate"
    assert row.n == 40_000


def test_grid_of_margins():
    assert len(GAMMAS) == 31
    assert GAMMAS[0] == math.sqrt(2)
    np.testing.assert_allclose(np.divide(GAMMAS[:-1], GAMMAS[1:]), 2)
    assert sum(1 / ((k + 1) * (k + 2)) for k in range(31)) < 1


def test_ramp():
    x = np.array([-np.inf, -1.0, 0.0, 0.25, 0.5, 2.0])
    np.testing.assert_allclose(ramp(x, 0.5), [1, 1, 1, 0.5, 0, 0])


def test_complexity_bounds_the_rademacher_average():
    """All signs of 6 points, and the supremum over many unit heads from below."""
    rng = np.random.default_rng(1)
    n, p, classes, gamma = 6, 3, 3, 0.4
    psi = rng.normal(size=(n, p))
    psi /= np.linalg.norm(psi, axis=1)[:, None]
    y = rng.integers(classes, size=n)
    heads = rng.normal(size=(4000, classes, p))
    heads -= heads.mean(axis=1, keepdims=True)
    heads *= (rng.random(4000) ** 0.1 / np.linalg.norm(heads, axis=(1, 2)))[:, None, None]
    s = np.einsum("hcp,np->hnc", heads, psi)
    own = np.take_along_axis(s, y[None, :, None], 2)[..., 0]
    np.put_along_axis(s, np.tile(y[None, :, None], (4000, 1, 1)), -np.inf, 2)
    loss = ramp(own - s.max(axis=2), gamma)
    signs = np.array(list(itertools.product([-1, 1], repeat=n)))
    average = (signs @ loss.T).max(axis=1).mean() / n
    bound = 2 / gamma * math.sqrt((classes - 1) / n)
    assert average <= bound
    assert average > 0.1 * bound


def test_errors_and_unusable_rows_have_loss_one():
    y = np.arange(1000) % 2
    f = (2.0 * y - 1.0)[:, None] * np.ones((1000, 1))
    head = LinearHead([[-1.0], [1.0]], has_bias=False)

    def value(x, z):
        evidence = Evidence(head=head, head_sample=head_sample(x, z))
        return margin_rademacher(evidence, delta=0.05).terms["empirical"]

    broken = f.copy()
    broken[:10] = -broken[:10]
    broken[10:20] = np.nan
    broken[20:30] = 0.0
    odd = np.where(np.arange(1000) >= 990, 4, y)
    assert value(f, y) == pytest.approx(0, abs=1e-12)
    assert value(broken, odd) == pytest.approx(0.04, abs=1e-12)


def test_a_head_of_zeros_has_value_one():
    f, y = np.ones((10, 2)), np.arange(10) % 2
    evidence = Evidence(head=LinearHead(np.zeros((2, 2))), head_sample=head_sample(f, y))
    assert margin_rademacher(evidence, delta=0.05).value == 1.0


def test_invariances_and_monotonicity():
    rng = np.random.default_rng(3)
    w, b = rng.normal(size=(3, 5)), rng.normal(size=3)
    y = rng.integers(3, size=300)
    f = w[y] + rng.normal(size=(300, 5))
    order = rng.permutation(3)
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]

    def value(x, z, v, c, delta=0.05):
        evidence = Evidence(head=LinearHead(v, c), head_sample=head_sample(x, z))
        return margin_rademacher(evidence, delta=delta).value

    base = value(f, y, w, b)
    assert value(f, np.argsort(order)[y], w[order], b[order]) == pytest.approx(base, rel=1e-10)
    assert value(f @ rotation, y, w @ rotation, b) == pytest.approx(base, rel=1e-10)
    assert value(f, y, 100 * w, 100 * b) == pytest.approx(base, rel=1e-10)
    assert value(f, y, w + 1.0, b + 2.0) == pytest.approx(base, rel=1e-10)
    assert value(np.tile(f, (4, 1)), np.tile(y, 4), w, b) < base
    assert value(f, y, w, b, 0.5) < base < value(f, y, w, b, 1e-6)


def test_stratified_weights():
    rng = np.random.default_rng(4)
    y = np.repeat([0, 1], [30, 70])
    evidence = Evidence(
        head=LinearHead([[-1.0], [1.0]], [0.0, 0.1]),
        head_sample=head_sample(rng.normal(size=(100, 1)), y, sampling="stratified"),
    )
    assert margin_rademacher(evidence, delta=0.05).claim.weights == pytest.approx([0.3, 0.7])


def test_coverage_with_known_error():
    """Heads chosen on the sample, the best of many: the value is never below the error."""
    rng = np.random.default_rng(5)
    missed = 0
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    for _ in range(60):
        y = rng.integers(2, size=60)
        f = np.column_stack([2.0 * y - 1.0, np.zeros(60)]) + rng.normal(size=(60, 2))
        scores = [(np.sign(f @ [np.cos(a), np.sin(a)]) == 2 * y - 1).mean() for a in angles]
        a = angles[int(np.argmax(scores))]
        w = np.array([np.cos(a), np.sin(a)])
        head = LinearHead(np.stack([-w, w]), has_bias=False)
        row = margin_rademacher(Evidence(head=head, head_sample=head_sample(f, y)), delta=0.9)
        missed += row.value < ndtr(-w[0])
    assert missed == 0
