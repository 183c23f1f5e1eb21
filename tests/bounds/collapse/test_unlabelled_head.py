"""The certificate through disagreement on unlabelled points."""

import numpy as np
import pytest
from fixtures.evidence import drawn, evidence_of
from scipy.stats import binom

from ncbounds.bounds.collapse.unlabelled_head import SEED, unlabelled_head
from ncbounds.bounds.disagreement import apart
from ncbounds.errors import MissingEvidence
from ncbounds.evidence.decision import MultiClass
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.evidence.split import two_parts
from ncbounds.numerics import binomial_upper, stratified_upper
from ncbounds.procedures.linear import ncm

HEAD = LinearHead(np.array([[1.0, 0.0], [0.0, 1.0]]))


def evidence(
    f, y, u, head=HEAD, procedure=ncm, sampling="iid", u_labels=None, u_sampling=None, role="head"
):
    pool = drawn(u, u_labels, "unlabelled", sampling=u_sampling or sampling)
    return evidence_of(head, drawn(f, y, role, sampling=sampling), pool, procedure=procedure)


def blobs(n, seed=0, gap=1.5):
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    return rng.normal(size=(n, 2)) + gap * np.eye(2)[y], y


def test_value_by_hand():
    f, y = blobs(100)
    u, _ = blobs(300, seed=1)
    row = unlabelled_head(evidence(f, y, u), delta=0.05)
    sample = evidence(f, y, u).head_sample
    first, rest = two_parts(sample, lambda n: 4 * n // 10, seed=SEED)
    assert (len(first), len(rest), row.n) == (40, 60, 60)
    other = ncm(f[first], y[first], 2)
    k0 = int((other.logits(f[rest]).argmax(axis=1) != y[rest]).sum())
    k1 = int((other.logits(u).argmax(axis=1) != HEAD.logits(u).argmax(axis=1)).sum())
    assert k0 > 0
    assert k1 > 0
    want = binomial_upper(k0, 60, 0.8 * 0.05) + binomial_upper(k1, 300, 0.2 * 0.05)
    assert row.value == pytest.approx(want, rel=1e-13)
    assert row.value >= want
    assert (row.details["errors"], row.details["differences"]) == (k0, k1)
    assert sum(row.terms.values()) == pytest.approx(row.value)


def test_kind_and_missing_parts():
    f, y = blobs(50)
    u, _ = blobs(50, seed=1)
    assert unlabelled_head(evidence(f, y, u)).kind == "certificate"
    assert unlabelled_head(evidence(f, y, u)).target == "saved"
    assert unlabelled_head(evidence(f, y, u, u_sampling="unknown")).kind == "plug-in"
    assert unlabelled_head(evidence(f, y, u, role="fit"), role="fit").kind == "plug-in"
    with pytest.raises(MissingEvidence, match="procedure"):
        unlabelled_head(evidence(f, y, u, procedure=None))


def test_differences():
    one = LinearHead(np.array([[1.0], [-1.0]]))
    other = LinearHead(np.array([[1.0], [-1.0]]), np.array([0.0, 2.0]))
    points = np.array([[2.0], [0.5], [-1.0], [0.0], [1.0], [np.nan], [np.inf]])
    pool = Sample.from_arrays(points, role="unlabelled")
    predicted = MultiClass().predicted
    # agree, differ, agree, tie of one, tie of the other, and two points without logits
    assert apart(predicted(pool, one), predicted(pool, other)).tolist() == [
        False,
        True,
        False,
        True,
        True,
        True,
        True,
    ]
    assert apart(predicted(pool, one), predicted(pool, one)).tolist() == [
        False,
        False,
        False,
        True,
        False,
        True,
        True,
    ]


def test_points_without_finite_features_are_errors_of_the_partly_fitted_head():
    f, y = blobs(100, gap=20.0)
    u, _ = blobs(100, seed=1, gap=20.0)
    clean = unlabelled_head(evidence(f, y, u))
    assert clean.details["errors"] == 0
    f[:30] = np.nan
    u[:10] = np.inf
    row = unlabelled_head(evidence(f, y, u))
    assert 0 < row.details["errors"] <= 30
    assert row.n == clean.n
    assert row.details["differences"] == 10


def test_stratified_samples_need_the_same_class_proportions():
    y = np.repeat([0, 1], [50, 100])
    f = np.random.default_rng(0).normal(size=(150, 2)) + 3 * np.eye(2)[y]
    uy = np.repeat([0, 1], [30, 60])
    u = np.random.default_rng(1).normal(size=(90, 2)) + 3 * np.eye(2)[uy]
    row = unlabelled_head(evidence(f, y, u, sampling="stratified", u_labels=uy))
    assert row.claim.weights == pytest.approx([1 / 3, 2 / 3])
    k0, k1 = row.details["errors"], row.details["differences"]
    want = stratified_upper(k0, 90, 0.04) + stratified_upper(k1, 90, 0.01)
    assert row.value == pytest.approx(want, rel=1e-12)
    for wrong in (
        evidence(f, y, u[1:], sampling="stratified", u_labels=uy[1:]),
        evidence(f, y, u, sampling="stratified"),
        evidence(f, y, u, sampling="stratified", u_sampling="iid"),
        evidence(f, y, u, sampling="iid", u_sampling="stratified", u_labels=uy),
    ):
        other = unlabelled_head(wrong)
        assert np.isnan(other.value)
        assert any("class" in r for r in other.reasons)


def test_each_draw_takes_its_own_limit():
    """At n - 1 errors the limit for points drawn class by class is the larger one."""
    f, y = np.repeat(3 * np.eye(2), 20, axis=0), np.zeros(40, dtype=int)
    procedure = lambda *a: LinearHead(np.array([[-1.0, 0.0], [1.0, 0.0]]))  # noqa: E731
    name = "error of the partly fitted head"
    rest = two_parts(evidence(f, y, f).head_sample, lambda n: 4 * n // 10, seed=SEED)[1]
    f[rest], f[rest[0]] = [3.0, 0.0], [-3.0, 0.0]
    for sampling, limit in (("iid", binomial_upper), ("stratified", stratified_upper)):
        e = evidence(f, y, f, procedure=procedure, sampling=sampling, u_labels=y)
        row = unlabelled_head(e, delta=0.05)
        assert (row.details["errors"], row.n) == (23, 24)
        assert row.terms[name] == pytest.approx(limit(23, 24, 0.04), rel=1e-14)
    assert unlabelled_head(e, delta=0.5).terms[name] == pytest.approx(binomial_upper(23, 24, 0.4))
    assert stratified_upper(23, 24, 0.04) > binomial_upper(23, 24, 0.04) + 1e-6


def test_labels_of_the_pool_are_not_read():
    f, y = blobs(60)
    u, uy = blobs(60, seed=1)
    one = unlabelled_head(evidence(f, y, u))
    assert unlabelled_head(evidence(f, y, u, u_labels=1 - uy)).value == one.value


@pytest.mark.parametrize(
    ("p0", "p1", "n", "m", "delta", "least"),
    [
        # tight in the first term, in the second, and in between
        (0.2758, 0.0, 8, 2000, 0.3, 0.5),
        (0.0, 0.2515, 4000, 8, 0.5, 0.1),
        (0.3, 0.25, 9, 12, 0.5, 0.0),
        (0.35, 0.0, 8, 20, 0.3, 0.0),
    ],
)
def test_coverage(p0, p1, n, m, delta, least):
    """The partly fitted head errs with p0, the saved one also where they differ, with p1.

    Features name the event: coordinate 0 of the point of an error of both, 1 where only the saved
    head errs. Labels are always 0.
    """
    saved = LinearHead(np.array([[-1.0, -1.0], [1.0, 1.0]]), np.array([0.5, -0.5]))
    partly = LinearHead(np.array([[-1.0, 0.0], [1.0, 0.0]]), np.array([0.5, -0.5]))
    rng = np.random.default_rng([n, m])
    runs = 150

    def points(k):
        event = rng.choice(3, size=k, p=[1 - p0 - p1, p0, p1])
        return np.eye(3)[event][:, 1:]

    missed = 0
    for _ in range(runs):
        e = evidence(
            points(n), np.zeros(n, dtype=int), points(m), head=saved, procedure=lambda *a: partly
        )
        missed += unlabelled_head(e, delta=delta).value < p0 + p1
    assert missed >= least * delta * runs
    assert binom.sf(missed - 1, runs, delta) > 1e-6


def test_random_labels_stay_uncertified():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=400)
    f = rng.normal(size=(400, 60))
    head = ncm(f, y, 2)  # fits its own labels well
    assert np.mean(head.logits(f).argmax(axis=1) != y) < 0.4
    row = unlabelled_head(evidence(f, y, rng.normal(size=(400, 60)), head=head))
    assert row.value > 0.5
