"""The anchored certificate: every piece again by a slow form, both forms, coverage."""

import mpmath
import numpy as np
import pytest
from fixtures.evidence import drawn, evidence_of
from scipy.stats import binom, norm

from ncbounds.bounds.collapse._anchor import Anchor, _gaps, stacked
from ncbounds.bounds.collapse.anchored_head import SEED, _gibbs, anchored_head
from ncbounds.bounds.homogeneous.rays import Rays
from ncbounds.errors import MissingEvidence
from ncbounds.evidence.decision import MultiClass
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.evidence.split import two_parts
from ncbounds.numerics import binomial_upper, stratified_upper
from ncbounds.procedures.linear import logistic, ncm


def evidence(f, y, head=None, procedure=ncm, role="head", sampling="iid", classes=None):
    sample = drawn(f, y, role, sampling=sampling)
    if head is None:
        head = procedure(sample.features, y, sample.classes if classes is None else classes)
    return evidence_of(head, sample, procedure=procedure)


def blobs(n=400, d=5, classes=3, gap=4.0, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    return noise * rng.normal(size=(n, d)) + gap * np.eye(classes, d)[y] + 2.0, y


def slow_gibbs(gaps):
    """One minus the chance that the true logit stays largest, by the trapezoidal rule."""
    z = np.linspace(-9, 9, 2001)
    correct = norm.pdf(z) * np.prod(norm.cdf(z[:, None] + gaps), axis=1)
    return 1.0 - correct.sum() * (z[1] - z[0])


def slow_value(e, row, delta):
    """The statement, written out from the constants that the row reports."""
    sample, head = e.head_sample, e.head
    first, rest = two_parts(sample, lambda n: 4 * n // 10, seed=SEED)
    f, y = np.asarray(sample.features), sample.labels
    q = f[first].mean(axis=0)
    kappa = np.sqrt(((f[first] - q) ** 2).sum(axis=1).mean())
    other = e.procedure(f[first], y[first], head.classes)
    v, v0 = (np.column_stack([h.weight, (h.bias + h.weight @ q) / kappa]) for h in (head, other))
    v, v0 = v - v.mean(axis=0), v0 - v0.mean(axis=0)
    a = (v * v0).sum() / (v * v).sum()
    s, theta, c = (row.details[k] for k in ("noise", "theta", "c"))
    kl = ((a * v - v0) ** 2).sum() / (2 * s * s)
    psi = np.column_stack([f[rest] - q, np.full(len(rest), kappa)])
    psi /= np.linalg.norm(psi, axis=1)[:, None]
    g = []
    for x, c_i in zip(psi, y[rest], strict=True):
        t = a * (v[c_i] - np.delete(v, c_i, axis=0)) @ x / s - theta
        g.append(slow_gibbs(t))
    g = np.array(g)
    wrong = other.logits(f[rest]).argmax(axis=1) != y[rest]
    n = len(rest)
    whole = row.details["form"] == "whole"
    share = delta if whole else delta / 2
    mean = g.mean() if whole else (g * ~wrong).mean()
    cat = (1 - np.exp(-c * mean - (kl + np.log(1 / share)) / n)) / (1 - np.exp(-c))
    drift = cat / norm.cdf(theta / np.sqrt(2))
    assert row.details["kl"] == pytest.approx(kl, rel=1e-9)
    assert row.details["gibbs"] == pytest.approx(mean, rel=1e-7)
    if whole:
        return drift
    return min(1.0, binomial_upper(int(wrong.sum()), n, share) + drift)


@pytest.mark.parametrize("procedure", [ncm, logistic])
@pytest.mark.parametrize(
    ("world", "form"),
    [({"gap": 5.0}, "whole"), ({"gap": 2.5}, "split"), ({"classes": 2, "gap": 2.5}, "split")],
)
def test_value_equals_the_statement_written_out(procedure, world, form):
    e = evidence(*blobs(**world), procedure=procedure)
    row = anchored_head(e, delta=0.05)
    assert row.details["form"] == form
    want = slow_value(e, row, 0.05)
    assert row.value == pytest.approx(want, rel=1e-7)
    assert row.value >= want * (1 - 1e-9)
    assert sum(row.terms.values()) == pytest.approx(row.value)
    assert row.n == 240


def test_two_classes_have_a_closed_form():
    assert slow_gibbs(np.array([0.7])) == pytest.approx(norm.cdf(-0.7 / np.sqrt(2)), abs=1e-11)


def test_kind_target_and_missing_procedure():
    f, y = blobs()
    row = anchored_head(evidence(f, y))
    assert (row.kind, row.target) == ("certificate", "saved")
    assert anchored_head(evidence(f, y, role="holdout")).kind == "certificate"
    assert anchored_head(evidence(f, y, role="fit"), role="fit").kind == "plug-in"
    assert anchored_head(evidence(f, y, sampling="unknown")).kind == "plug-in"
    with pytest.raises(MissingEvidence, match="procedure"):
        anchored_head(evidence(f, y, head=ncm(f, y, 3), procedure=None))


def test_useful_where_features_are_collapsed():
    f, y = blobs(n=2000, gap=10.0)
    assert anchored_head(evidence(f, y)).value < 0.03


def test_scale_of_the_head_and_a_common_row_do_not_matter():
    f, y = blobs(gap=2.5)
    head = ncm(f, y, 3)
    one = anchored_head(evidence(f, y, head=head)).value
    moved = LinearHead(7.0 * head.weight + 3.0, 7.0 * head.bias - 2.0)
    assert anchored_head(evidence(f, y, head=moved)).value == pytest.approx(one, rel=1e-9)


@pytest.mark.parametrize(
    "head",
    [
        LinearHead(np.ones((3, 5))),
        LinearHead(np.full((3, 5), np.nan)),
        LinearHead(-ncm(*blobs(), 3).weight, -ncm(*blobs(), 3).bias),
    ],
)
def test_constant_undefined_and_opposed_heads_get_one(head):
    f, y = blobs()
    row = anchored_head(evidence(f, y, head=head))
    assert row.value == 1.0
    assert any("the head is constant" in r for r in row.reasons)


def test_points_without_finite_features_count_fully():
    f, y = blobs(gap=8.0)
    sample = evidence(f, y).head_sample
    _, rest = two_parts(sample, lambda n: 4 * n // 10, seed=SEED)
    head = ncm(f, y, 3)
    clean = anchored_head(evidence(f, y, head=head))
    assert clean.details["form"] == "whole"
    f[rest[:24]] = np.nan
    row = anchored_head(evidence(f, y, head=head))
    assert row.details["gibbs"] == pytest.approx(clean.details["gibbs"] + 0.1, abs=0.02)
    assert row.value > clean.value + 0.05
    f[:] = np.nan
    f[:8], y[:8] = np.arange(40).reshape(8, 5), np.arange(8) % 3
    assert anchored_head(evidence(f, y, head=head)).value > 0.9


def test_a_class_absent_from_the_first_part_gets_the_mean_row():
    f, y = blobs(gap=6.0)
    sample = evidence(f, y).head_sample
    first, rest = two_parts(sample, lambda n: 4 * n // 10, seed=SEED)
    y[first[y[first] == 2]] = 0
    row = anchored_head(evidence(f, y, head=ncm(*blobs(gap=6.0), 3)))
    assert np.isfinite(row.value)
    assert row.details["errors"] >= (y[rest] == 2).sum()
    # labels that the head has no output for are errors
    y[rest[:5]] = 7
    assert anchored_head(evidence(f, y, head=ncm(*blobs(gap=6.0), 3))).value > row.value


def test_homogeneous_rows_of_absent_classes():
    head = LinearHead(np.array([[1.0, 0], [3, 2], [50, 60]]), np.array([4.0, 0, -99]))
    v = stacked(head, np.array([1.0, 1]), 2.0, np.array([0, 1]))
    # rows (1, 0, 5/2) and (3, 2, 5/2); the third is their mean, so centring leaves it 0
    assert v == pytest.approx(np.array([[-1.0, -1, 0], [1, 1, 0], [0, 0, 0]]))
    assert stacked(head, np.zeros(2), 1.0).sum(axis=0) == pytest.approx(0.0, abs=1e-12)


def test_the_first_part_alone_fixes_the_constants():
    f, y = blobs(gap=3.0)
    head = ncm(f, y, 3)
    sample = evidence(f, y).head_sample
    _, rest = two_parts(sample, lambda n: 4 * n // 10, seed=SEED)
    one = anchored_head(evidence(f, y, head=head)).details
    f[rest] += 5.0
    y[rest] = (y[rest] + 1) % 3
    other = anchored_head(evidence(f, y, head=head)).details
    for key in ("noise", "theta", "c", "form"):
        assert one[key] == other[key]


def test_stratified_samples():
    y = np.arange(3).repeat([200, 100, 50])
    f = np.random.default_rng(0).normal(size=(350, 5)) + 2.5 * np.eye(3, 5)[y]
    row = anchored_head(evidence(f, y, sampling="stratified"))
    assert row.claim.weights == pytest.approx(np.array([120, 60, 30]) / 210)
    assert row.details["form"] == "split"
    assert row.terms["counted"] == stratified_upper(row.details["errors"], 210, 0.025)


def test_small_and_degenerate_samples_do_not_fail():
    for n in (5, 8, 12):
        f, y = blobs(n=n)
        y[:3] = [0, 1, 2]
        assert anchored_head(evidence(f, y)).value > 0.3
    same = np.ones((40, 2))
    assert anchored_head(evidence(same, np.arange(40) % 2)).value >= 0.5


def two_gaussians(n, rng, gap):
    y = rng.integers(2, size=n)
    return rng.normal(size=(n, 3)) + gap * (y - 0.5)[:, None] * np.eye(1, 3), y


def true_error(head, gap):
    """Of a linear head on two spherical Gaussian classes at +-gap/2 on the first axis."""
    w, b = head.weight[1] - head.weight[0], head.bias[1] - head.bias[0]
    shift = w[0] * gap / 2
    size = np.linalg.norm(w)
    return 0.5 * (norm.cdf(-(shift + b) / size) + norm.cdf((b - shift) / size))


@pytest.mark.parametrize(("gap", "n"), [(1.0, 30), (3.0, 40), (6.0, 60)])
def test_coverage(gap, n):
    """Heads fitted on all labels; delta is large, since the form is far from tight."""
    rng = np.random.default_rng(n)
    delta, runs = 0.5, 30
    missed = 0
    for _ in range(runs):
        f, y = two_gaussians(n, rng, gap)
        head = ncm(f, y, 2)
        missed += anchored_head(evidence(f, y, head=head), delta=delta).value < true_error(
            head, gap
        )
    assert binom.sf(missed - 1, runs, delta) > 1e-6


def test_a_wrong_head_is_never_flattered():
    """Heads that err on a known share of points: the value is at least that share."""
    rng = np.random.default_rng(3)
    f, y = two_gaussians(2000, rng, 6.0)
    for turn in np.linspace(0, np.pi, 7):
        w = np.array([np.cos(turn), np.sin(turn), 0.0])
        head = LinearHead(np.stack([-w, w]))
        assert anchored_head(evidence(f, y, head=head)).value >= true_error(head, 6.0)


def test_random_labels_stay_uncertified():
    rng = np.random.default_rng(4)
    f, y = rng.normal(size=(300, 40)), rng.integers(3, size=300)
    assert anchored_head(evidence(f, y)).value > 0.6


def test_gaps_are_rounded_down_before_the_loss(monkeypatch):
    """Exact gaps in 40 digits: none below what the loss is taken of, and none far above it."""
    rng = np.random.default_rng(3)
    n, d, classes, along = 40, 30, 8, 0.7
    f, y = rng.normal(size=(n, d)), rng.integers(classes, size=n)
    head = LinearHead(rng.normal(size=(classes, d)), rng.normal(size=classes))
    fixed = Anchor(np.zeros(d), 1.3, head, 1e-3, 0.5, 1.0, False)
    seen = []
    kept = _gibbs.__globals__
    monkeypatch.setitem(kept, "gaussian_loss", lambda t: seen.append(t.copy()) or t[:, 0])
    sample = Sample.from_arrays(f, y, role="head", sampling="iid", classes=classes)
    rays = Rays.of(f, y, sample.logits(head), head.weight, head.bias, centre=fixed.centre)
    _gibbs(rays, fixed, along, 0.0)
    with mpmath.workdps(40):
        for x, c, found in zip(f, y, seen[0], strict=True):
            logits = [mpmath.fdot(w, x) + b for w, b in zip(head.weight, head.bias, strict=True)]
            size = mpmath.sqrt(mpmath.fdot(x, x) + mpmath.mpf(fixed.kappa) ** 2)
            gaps = sorted(logits[c] - s for j, s in enumerate(logits) if j != c)
            for t, gap in zip(np.sort(found), gaps, strict=True):
                exact = mpmath.mpf(along) * gap / (mpmath.mpf(fixed.noise) * size) - fixed.theta
                assert t < exact
                assert t == pytest.approx(float(exact), rel=1e-9, abs=1e-9)


def test_gaps_that_constants_are_chosen_by():
    """Distances in logits to every rival over the length of the ray; labels without output go."""
    f, y = blobs(n=12, classes=3)
    f[4], y[5] = np.nan, 7
    head, q, kappa = LinearHead(np.eye(3, 5), [0.0, 1.0, -1.0]), np.full(5, 2.0), 1.5
    found, right = _gaps(Sample.from_arrays(f, y, role="head"), head, q, kappa, MultiClass())
    rows = [i for i in range(12) if i not in (4, 5)]
    assert found.shape == (10, 2)
    for i, gaps, ok in zip(rows, found, right, strict=True):
        s = head.logits(f[i : i + 1])[0]
        length = np.sqrt(((f[i] - q) ** 2).sum() + kappa**2)
        expected = [(s[y[i]] - s[j]) / length for j in range(3) if j != y[i]]
        np.testing.assert_allclose(np.sort(gaps), np.sort(expected), rtol=1e-12)
        assert ok == (min(expected) > 0)
