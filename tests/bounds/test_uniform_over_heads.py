"""Bounds for all heads at once hold for the worst of many heads, also those that float64 rounds.

A head that is chosen after the sample, at random over directions, scales, rotations of the
features and rows that all classes share, so that the value is as far below the error as can be.
The reduced form runs with the tests; the full one with ``-m slow``.
"""

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import binomial_lower
from ncbounds.procedures.linear import ncm, ridge

UNIFORM = ("gaussian_head", "margin_rademacher", "transport_margin", "anchored_head")
RESTRICTED = "collapsed_head"
HEADS, DELTA, FRESH = 20, 0.05, 4000


def bag(rng, n, rare):
    """Two classes apart on one coordinate, noise, and many binary features that are rarely 1."""
    y = rng.integers(0, 2, n)
    f = np.zeros((n, 2 + rare))
    f[:, 0] = (2 * y - 1) * 2.0 + rng.normal(size=n)
    f[:, 1] = rng.normal(size=n)
    f[np.arange(n), 2 + rng.integers(0, rare, n)] = 0.1
    return f, y


def sample(f, y, role):
    return Sample.from_arrays(f, y, role=role, sampling="iid", classes=2)


def adversary(rng, f, y):
    """One head of a random kind, that may look at everything in ``f`` and ``y``."""
    head = (ncm, ridge)[rng.integers(2)](f, y, 2)
    w, b = head.weight.copy(), head.bias.copy()
    w += rng.normal(size=w.shape) * np.abs(w).max() * rng.choice([0.0, 0.1, 1.0])
    unseen = np.flatnonzero(~f.any(axis=0))
    where = unseen if len(unseen) and rng.integers(2) else np.arange(f.shape[1])
    w[:, where] += rng.choice([0.0, 1.0, 1e8, 1e13, 1e16, 1e20])
    b += rng.choice([0.0, 0.0, 1e6, 1e12, 1e15, 1e17])
    scale = 10.0 ** float(rng.choice([0, 0, -162, 162, -300, 250]))
    return LinearHead(w * scale, b * scale)


def trial(rng, bounds, rare=200, n=400):
    """Largest excess of the error over the value, over heads, of each bound; and its error."""
    f, y = bag(rng, n, rare)
    g, z = bag(rng, n, rare)
    t, u = bag(rng, FRESH, rare)
    if rng.integers(2):
        q = np.linalg.qr(rng.normal(size=(f.shape[1],) * 2))[0]
        f, g, t = f @ q, g @ q, t @ q
    samples = {
        "head_sample": sample(f, y, "head"),
        "fit": sample(g, z, "fit"),
        "test": sample(t, u, "test"),
    }
    worst = dict.fromkeys(bounds, (-np.inf, 0))
    for _ in range(HEADS):
        e = nb.Evidence(head=adversary(rng, f, y), procedure=ncm, **samples)
        for r in nb.evaluate(e, bounds=",".join(bounds), delta=DELTA):
            if r.role == "head" and r.kind == "certificate" and not np.isnan(r.value):
                errors = round(r.test.error * FRESH)
                worst[r.bound] = max(worst[r.bound], (r.test.error - r.value, errors))
    return worst


def misses(rng, bounds, trials, **world):
    """Trials in which some head's value lies below its error beyond what 4,000 points can do."""
    count = dict.fromkeys(bounds, 0)
    for _ in range(trials):
        for bound, (excess, errors) in trial(rng, bounds, **world).items():
            low = float(binomial_lower(errors, FRESH, 1e-4)) if errors else 0.0
            count[bound] += excess > errors / FRESH - low
    return count


def test_no_value_lies_below_the_error_of_the_worst_head():
    rng = np.random.default_rng(11)
    found = misses(rng, (*UNIFORM, RESTRICTED), 1, rare=40)
    assert not any(found.values()), found


@pytest.mark.slow
def test_no_value_lies_below_the_error_of_the_worst_head_in_many_trials():
    trials = 100
    found = misses(np.random.default_rng(12), (*UNIFORM, RESTRICTED), trials)
    assert all(count <= DELTA * trials for count in found.values()), found


def unseen_row(seed=0, n=1200, rare=4000, coordinates=3):
    """Common row of 1e20 on coordinates that no point of the head sample has."""
    rng = np.random.default_rng(seed)

    def draw(n):
        y = rng.integers(0, 2, n)
        f = np.zeros((n, 2 + rare), dtype=np.float32)
        f[:, 0] = (2 * y - 1) * 3.0 + rng.normal(size=n) * 0.3
        for i in range(n):
            f[i, 2 + rng.integers(0, rare, coordinates)] = 0.1
        return f, y

    (f, y), (t, u) = draw(n), draw(1000)
    w = np.zeros((2, 2 + rare))
    w[:, 0] = -1, 1
    return f, y, t, u, w, np.flatnonzero(~f.any(axis=0))


@pytest.mark.parametrize("size", [1e13, 1e20, 1e300])
def test_a_common_row_on_unseen_coordinates_is_refused_or_paid(size):
    f, y, t, u, w, unseen = unseen_row()
    row = np.zeros(w.shape[1])
    row[unseen] = size
    values = {}
    for name, head in (("plain", LinearHead(w)), ("common", LinearHead(w + row))):
        e = nb.Evidence(
            head=head, head_sample=sample(f, y, "head"), test=sample(t, u, "test"), procedure=ncm
        )
        for r in nb.evaluate(e, bounds="gaussian_head,margin_rademacher,anchored_head"):
            assert r.value >= r.test.error
            values[name, r.bound] = r
    assert values["plain", "gaussian_head"].value < 0.02
    assert values["plain", "gaussian_head"].test.error == 0.0
    if size > 1e16:
        assert values["common", "gaussian_head"].test.error > 0.4
        for bound in ("gaussian_head", "margin_rademacher", "anchored_head"):
            (reason,) = [x for x in values["common", bound].reasons if "centre the head" in x]
            assert "W - W.mean(axis=0)" in reason


def test_what_the_refusal_says_to_type_gives_the_certificate_back():
    f, y, _, _, w, unseen = unseen_row()
    row = np.zeros(w.shape[1])
    row[unseen] = 1e20
    W = w + row
    e = nb.Evidence(head=LinearHead(W - W.mean(axis=0)), head_sample=sample(f, y, "head"))
    plain = nb.Evidence(head=LinearHead(w), head_sample=sample(f, y, "head"))
    one, two = (nb.bounds.get("gaussian_head")(x).value for x in (e, plain))
    assert one == two


def test_a_common_bias_is_refused_too():
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 1200)
    f = ((2.0 * y - 1.0) + 0.2 * rng.normal(size=1200))[:, None]
    e = nb.Evidence(
        head=LinearHead([[-1.0], [1.0]], [1e17, 1e17]),
        head_sample=sample(f[:600], y[:600], "head"),
        test=sample(f[600:], y[600:], "test"),
    )
    for r in nb.evaluate(e, bounds="gaussian_head,margin_rademacher,transport_margin"):
        assert r.test.error == 1.0
        assert r.value >= 1.0


@pytest.mark.parametrize("bound", ["gaussian_head", "margin_rademacher", "transport_margin"])
@pytest.mark.parametrize("what", ["head", "features", "one large feature"])
def test_a_head_that_knows_random_labels_gets_no_certificate_at_any_scale(bound, what):
    """Minimum-norm interpolator of random labels: squares of most numbers underflow."""
    rng = np.random.default_rng(5)
    n, d = 150, 3000
    f, y = rng.choice([-1.0, 1.0], size=(n, d)), rng.integers(0, 2, n)
    w = f.T @ np.linalg.solve(f @ f.T, 2.0 * y - 1.0)
    w = np.vstack([-w, w])
    if what == "head":
        w *= 1.7e-162 / np.abs(w).max()
    else:
        f = f * 1.2e-162
        f[:, -1] = 1.8e-162 if what == "features" else 1e-150
    e = nb.Evidence(head=LinearHead(w, has_bias=False), head_sample=sample(f, y, "head"))
    assert nb.bounds.get(bound)(e).value >= 0.5


def test_a_point_off_the_subspace_by_more_than_the_fit_sample_counts_as_an_error():
    """A huge coordinate off the subspace is nothing to the projected point, but rounds."""
    rng = np.random.default_rng(6)

    def draw(n, far):
        y = rng.integers(0, 2, n)
        f = np.column_stack([(2.0 * y - 1.0) * 2 + 0.1 * rng.normal(size=n), rng.normal(size=n)])
        f[rng.random(n) < far, 1] = 1e25
        return f, y

    fit, head, test = draw(300, 0.0), draw(500, 0.2), draw(2000, 0.2)
    e = nb.Evidence(
        head=LinearHead([[-1.0, 0.3], [1.0, 0.1]]),
        fit=sample(*fit, "fit"),
        head_sample=sample(*head, "head"),
        test=sample(*test, "test"),
    )
    (r,) = [r for r in nb.evaluate(e, bounds=RESTRICTED) if r.role == "head"]
    assert r.value >= max(r.test.error, 0.15)
