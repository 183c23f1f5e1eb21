"""The restricted head's certificate: its subspace, its classifier, its price, coverage."""

import numpy as np
import pytest
from fixtures.evidence import drawn, evidence_of
from scipy.stats import binom

from ncbounds.bounds.collapse import _projected
from ncbounds.bounds.collapse._projected import ProjectedRows
from ncbounds.bounds.collapse.collapsed_head import (
    class_mean_subspace,
    collapsed_head,
    restrict,
)
from ncbounds.bounds.homogeneous.gaussian import gaussian_head_value
from ncbounds.bounds.homogeneous.rays import Rays
from ncbounds.bounds.margin.gaussian_head import gaussian_head
from ncbounds.claims import OtherHead
from ncbounds.errors import MissingEvidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.procedures.linear import logistic, ncm


def world(n=600, d=30, classes=4, gap=6.0, noise=1.0, seed=0, offset=1.0):
    rng = np.random.default_rng(seed)
    mu = gap * np.linalg.qr(rng.normal(size=(d, d)))[0][:classes] + offset

    def draw(k):
        y = rng.integers(classes, size=k)
        return mu[y] + noise * rng.normal(size=(k, d)), y

    return draw, draw(n), draw(n)


def evidence(fit, held, head=None, role="head", sampling="iid"):
    f, y = held
    return evidence_of(
        ncm(f, y, int(y.max()) + 1) if head is None else head,
        None if fit is None else drawn(*fit, "fit"),
        drawn(f, y, role, sampling=sampling),
    )


def test_subspace_by_hand():
    f = np.array([[0.0, 0, 0], [2, 0, 0], [5, 1, 0], [5, -1, 0]])
    q, u = class_mean_subspace(Sample.from_arrays(f, [0, 0, 1, 1], role="fit"))
    # class means (1, 0, 0) and (5, 0, 0); their average does not weight by counts
    assert q.tolist() == [3, 0, 0]
    assert np.abs(u).ravel().tolist() == [1, 0, 0]
    more = np.concatenate([f, [[np.nan, 0, 0], [1e9, np.inf, 0]]])
    q2, u2 = class_mean_subspace(Sample.from_arrays(more, [0, 0, 1, 1, 1, 2], role="fit"))
    assert q2.tolist() == q.tolist()
    assert u2.tolist() == u.tolist()


@pytest.mark.parametrize(("classes", "d", "rank"), [(4, 30, 3), (10, 4, 4), (2, 3, 1)])
def test_rank_is_at_most_c_minus_one_and_d(classes, d, rank):
    rng = np.random.default_rng(0)
    y = np.arange(classes).repeat(5)
    f = rng.normal(size=(classes, d))[y] + 0.1 * rng.normal(size=(len(y), d)) + 1e3
    q, u = class_mean_subspace(Sample.from_arrays(f, y, role="fit"))
    assert u.shape == (d, rank)
    assert u.T @ u == pytest.approx(np.eye(rank), abs=1e-12)
    means = np.stack([f[y == c].mean(axis=0) for c in range(classes)])
    assert q == pytest.approx(means.mean(axis=0))
    assert (means - q) @ u @ u.T == pytest.approx(means - q, abs=1e-9)


def test_rounding_at_a_large_offset_adds_no_direction():
    rng = np.random.default_rng(0)
    y = np.arange(4).repeat(5)
    f = rng.normal(size=(4, 30))[y] + 0.1 * rng.normal(size=(20, 30)) + 1e10
    assert class_mean_subspace(Sample.from_arrays(f, y, role="fit"))[1].shape == (30, 3)


def test_restricted_head_is_the_head_at_the_projected_point():
    rng = np.random.default_rng(1)
    head = LinearHead(rng.normal(size=(4, 6)), rng.normal(size=4))
    q, u = rng.normal(size=6), np.linalg.qr(rng.normal(size=(6, 3)))[0]
    f = rng.normal(size=(50, 6))
    want = head.logits(q + (f - q) @ u @ u.T)
    assert restrict(head, q, u).logits(f) == pytest.approx(want, abs=1e-12)
    points = ProjectedRows(f, q, u, np.inf)
    assert points[:] == pytest.approx((f - q) @ u, abs=1e-12)


def test_coordinates_that_are_kept_are_those_that_are_made_when_read(monkeypatch):
    _, fit, held = world()
    kept = collapsed_head(evidence(fit, held))
    monkeypatch.setattr(_projected, "KEPT_BYTES", 0)
    made = collapsed_head(evidence(fit, held))
    assert kept.value == pytest.approx(made.value, rel=1e-12)
    assert kept.details["mu"] == pytest.approx(made.details["mu"], rel=1e-9)


def test_row_reports_the_restricted_head_and_its_dimension():
    _, fit, held = world()
    row = collapsed_head(evidence(fit, held))
    assert (row.kind, row.target, row.n) == ("certificate", "restricted-head", 600)
    assert row.details["dimension"] == 3
    q, u = class_mean_subspace(Sample.from_arrays(*fit, role="fit"))
    head = ncm(*held, 4)
    assert row.claim.head.logits(held[0]) == pytest.approx(
        head.logits(q + (held[0] - q) @ u @ u.T), abs=1e-9
    )
    # with the projector that reaches everywhere the rank is r + 1, so D = (C - 1)(r + 1)
    assert row.details["rank"] <= 4
    if row.details["projector"] == "all":
        assert row.details["rank"] == 4
    assert any("fit sample" in r for r in row.reasons)
    assert sum(row.terms.values()) == pytest.approx(row.value)


def test_value_is_that_of_the_engine_on_projected_points_and_above_the_slow_form():
    _, fit, held = world(n=60, classes=3, d=8, gap=3.0)
    e = evidence(fit, held)
    row = collapsed_head(e, delta=0.05)
    q, u = class_mean_subspace(e.fit)
    z = (held[0] - q) @ u
    w, b = e.head.weight @ u, e.head.bias + e.head.weight @ q
    again = gaussian_head_value(Rays.of(z, held[1], z @ w.T + b, w, b), 0.05)
    assert row.value == pytest.approx(again.value, rel=1e-9)
    # the reported point of the family, written out
    from scipy.integrate import quad
    from scipy.stats import norm

    from ncbounds.numerics import kl_upper, ln_xi

    k = row.details
    assert k["projector"] == "all"
    psi = np.column_stack([z, np.full(len(z), k["kappa"])])
    v = np.column_stack([w, b / k["kappa"]])
    v -= v.mean(axis=0)
    m = k["mu"] * v / np.linalg.norm(v)
    length = np.linalg.norm(psi, axis=1)
    losses = []
    for x, r, y in zip(psi, length, held[1], strict=True):
        t = (m[y] - np.delete(m, y, axis=0)) @ x / r - k["theta"] / k["sigma"]
        ok = quad(lambda s, t=t: norm.pdf(s) * np.prod(norm.cdf(s + t)), -9, 9, epsabs=1e-12)[0]
        losses.append(1 - ok)
    s = k["sigma"]
    kl = 2 * 3 * (s * s - 1 - 2 * np.log(s)) / 2 + s * s * k["mu"] ** 2 / 2
    budget = (kl + np.log(13 * 13 / 0.05) + ln_xi(60)) / 60
    want = kl_upper(np.mean(losses), budget) / norm.cdf(k["theta"] / s / np.sqrt(2))
    assert row.value == pytest.approx(want, rel=1e-7)
    assert row.value >= want * (1 - 1e-9)


def test_tighter_than_the_saved_head_where_features_are_collapsed():
    _, fit, held = world(n=4000, d=128, classes=10, gap=5.0, noise=0.5)
    e = evidence(fit, held)
    assert 1.4 * collapsed_head(e).value < gaussian_head(e).value


def test_the_subspace_depends_on_fit_alone():
    _, fit, held = world()
    head = ncm(*held, 4)
    one = collapsed_head(evidence(fit, held, head=head)).claim.head
    f, y = held
    other = collapsed_head(evidence(fit, (f[::-1] * 3.0, y), head=head)).claim.head
    assert np.array_equal(one.weight, other.weight)
    assert np.array_equal(one.bias, other.bias)


def test_without_a_fit_sample_it_is_missing():
    _, _, held = world()
    with pytest.raises(MissingEvidence, match="fit"):
        collapsed_head(evidence(None, held))
    assert not collapsed_head.planned(evidence(None, held))


def test_on_the_fit_sample_it_is_undefined():
    _, fit, held = world()
    row = collapsed_head(evidence(fit, held), role="fit")
    assert row.kind == "plug-in"
    assert np.isnan(row.value)
    assert [r for r, _ in collapsed_head.planned(evidence(fit, held))] == ["head"]


@pytest.mark.parametrize(
    "head",
    [
        LinearHead(np.ones((4, 30)), np.ones(4)),
        LinearHead(np.full((4, 30), np.nan)),
        LinearHead(np.eye(4, 30), np.array([0, 0, 0, np.inf])),
    ],
)
def test_a_head_that_separates_nothing_gets_one(head):
    _, fit, held = world()
    assert collapsed_head(evidence(fit, held, head=head)).value == 1.0


def test_class_means_that_coincide_get_one():
    _, _, held = world()
    fit = (np.ones((8, 30)), np.arange(8) % 4)
    row = collapsed_head(evidence(fit, held))
    assert row.value == 1.0
    assert any("coincide" in r for r in row.reasons)


def test_points_without_finite_features_have_loss_one():
    _, fit, (f, y) = world(gap=20.0)
    head = ncm(f, y, 4)
    clean = collapsed_head(evidence(fit, (f, y), head=head)).value
    f[:60, 3] = np.nan
    row = collapsed_head(evidence(fit, (f, y), head=head))
    assert row.details["gibbs loss"] >= 0.1
    assert row.value > clean + 0.09


def test_stratified_samples_bound_the_error_by_their_own_frequencies():
    _, fit, (f, y) = world()
    keep = np.flatnonzero((y > 0) | (np.arange(600) < 200))
    row = collapsed_head(evidence(fit, (f[keep], y[keep]), sampling="stratified"))
    assert row.kind == "certificate"
    assert row.claim.weights == pytest.approx(np.bincount(y[keep]) / len(keep))
    assert isinstance(collapsed_head(evidence(fit, (f, y))).claim, OtherHead)


def test_a_common_translation_does_not_matter():
    _, fit, held = world()
    head = logistic(*held, 4)
    one = collapsed_head(evidence(fit, held, head=head)).value
    moved = LinearHead(head.weight, head.bias - head.weight @ np.full(30, 50.0))
    other = collapsed_head(
        evidence((fit[0] + 50.0, fit[1]), (held[0] + 50.0, held[1]), head=moved)
    ).value
    assert other == pytest.approx(one, rel=1e-6)


def test_the_value_bounds_the_restricted_head_and_not_the_saved_one():
    """The head reads a direction outside the span of the class means: only it is accurate."""
    rng = np.random.default_rng(0)

    def draw(n, informative):
        y = rng.integers(2, size=n)
        f = rng.normal(size=(n, 3)) * [1, 1, 0.1]
        f[:, 0] += 0.5 * y
        f[:, 2] += informative * (y - 0.5)
        return f, y

    fit = draw(20_000, 0.0)
    head = LinearHead(np.array([[0, 0, -1.0], [0, 0, 1.0]]))
    held, test = draw(2000, 4.0), draw(50_000, 4.0)
    row = collapsed_head(evidence(fit, held, head=head))
    restricted = row.claim.head
    error = np.mean(restricted.logits(test[0]).argmax(axis=1) != test[1])
    assert np.mean(head.logits(test[0]).argmax(axis=1) != test[1]) < 0.01
    assert 0.3 < error <= row.value


def coverage(runs, n, gap, delta, seed):
    """Share of draws of the sample in which the value lies below the restricted head's error."""
    draw, fit, _ = world(n=200, d=6, classes=3, gap=gap, seed=seed)
    test_f, test_y = draw(40_000)
    missed = 0
    for _ in range(runs):
        held = draw(n)
        row = collapsed_head(evidence(fit, held, head=ncm(*held, 3)), delta=delta)
        wrong = row.claim.head.logits(test_f).argmax(axis=1) != test_y
        missed += row.value < wrong.mean() - 5 * wrong.std() / 200
    return missed


@pytest.mark.parametrize(("gap", "n"), [(1.0, 40), (4.0, 60)])
def test_coverage(gap, n):
    runs, delta = 25, 0.5
    missed = coverage(runs, n, gap, delta, seed=1)
    assert binom.sf(missed - 1, runs, delta) > 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(("gap", "n"), [(0.5, 20), (1.0, 100), (3.0, 40), (6.0, 400)])
def test_coverage_in_full(gap, n):
    runs, delta = 500, 0.2
    missed = coverage(runs, n, gap, delta, seed=2)
    assert binom.sf(missed - 1, runs, delta) > 1e-6


def test_random_labels_stay_uncertified():
    rng = np.random.default_rng(4)
    fit = (rng.normal(size=(400, 20)), rng.integers(4, size=400))
    f, y = rng.normal(size=(400, 20)), rng.integers(4, size=400)
    assert collapsed_head(evidence(fit, (f, y))).value >= 0.75
