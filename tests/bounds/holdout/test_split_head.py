"""The split certificate: which rows are fitted on, the count by hand, coverage."""

from functools import partial

import numpy as np
import pytest
from fixtures.evidence import drawn, evidence_of
from scipy.stats import binom, norm

from ncbounds.bounds.holdout.split_head import split_head
from ncbounds.errors import InvalidSample
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.split import two_parts
from ncbounds.numerics import (
    binomial_upper,
    stratified_upper,
    weighted_error_upper,
    worst_class_upper,
)
from ncbounds.procedures.linear import ncm, ridge


def evidence(f, y, role="head", sampling="iid", procedure=None, **more):
    sample = drawn(f, y, role, sampling=sampling, **more)
    head = LinearHead(np.zeros((max(sample.classes, 2), sample.dim)))
    return evidence_of(head, sample, procedure=procedure)


def blobs(n=101, seed=0, gap=2.0, classes=3):
    rng = np.random.default_rng(seed)
    y = np.sort(rng.integers(classes, size=n))  # stored class by class
    return rng.normal(size=(n, 4)) + gap * np.eye(classes, 4)[y], y


class Recorder:
    """A procedure that keeps what it is given."""

    __name__ = "recorder"

    def __call__(self, features, labels, classes):
        self.features, self.labels = np.array(features), np.array(labels)
        return ncm(features, labels, classes)


@pytest.mark.parametrize("n", [9, 10, 11, 100, 101])
def test_seventy_percent_are_held_back(n):
    f, y = blobs(n)
    fit = Recorder()
    row = split_head(evidence(f, y, procedure=fit))
    held = -(-7 * n // 10)
    assert row.n == held
    assert len(fit.labels) == n - held == row.details["fitted on"]


def test_nothing_to_fit_on_is_an_error():
    f, y = blobs(2)
    with pytest.raises(InvalidSample, match="none of 0 rows"):
        split_head(evidence(f, y))


def test_value_is_the_exact_tail_of_the_errors_on_the_other_rows():
    f, y = blobs()
    fit = Recorder()
    row = split_head(evidence(f, y, procedure=fit), delta=0.05)
    used = {tuple(x) for x in fit.features}
    rest = np.array([tuple(x) not in used for x in f])
    assert rest.sum() == row.n == 71
    head = row.claim.head
    wrong = int((head.logits(f[rest]).argmax(axis=1) != y[rest]).sum())
    assert 0 < wrong == row.details["errors"]
    assert row.value == binomial_upper(wrong, 71, 0.05)
    assert row.value == pytest.approx(wrong / 71 + row.terms["confidence"])
    # the permutation mixes rows that are stored class by class
    assert set(fit.labels) == {0, 1, 2}
    assert fit.labels.tolist() != np.sort(y)[: len(fit.labels)].tolist()


@pytest.mark.parametrize("sampling", ["iid", "stratified"])
def test_averages_over_classes_are_of_the_held_rows(sampling):
    f, y = blobs()
    e = evidence(f, y, sampling=sampling).asking("balanced,worst")
    balanced, worst = (split_head(e, 0.05, per=per) for per in ("balanced", "worst class"))
    _, held = two_parts(e.head_sample, lambda n: n - -(-7 * n // 10), seed=70)
    head = split_head(e, 0.05).claim.classifier(e)
    wrong = head.logits(f[held]).argmax(axis=1) != y[held]
    k, n = np.bincount(y[held][wrong], minlength=3), np.bincount(y[held])
    assert k.sum() > 0
    assert balanced.value == weighted_error_upper(k, n, np.full(3, 1 / 3), 0.05)
    assert worst.details["per class"] == worst_class_upper(k, n, 0.05).tolist()
    assert worst.value == max(worst.details["per class"])


def test_kind_target_and_default_procedure():
    f, y = blobs()
    row = split_head(evidence(f, y))
    assert (row.kind, row.target, row.details["procedure"]) == (
        "certificate",
        "refitted-head",
        "ncm",
    )
    assert split_head(evidence(f, y, role="holdout")).kind == "certificate"
    assert split_head(evidence(f, y, role="fit"), role="fit").kind == "plug-in"
    assert split_head(evidence(f, y, sampling="unknown")).kind == "plug-in"
    named = split_head(evidence(f, y, procedure=partial(ridge, penalty=0.2)))
    assert named.details["procedure"] == "ridge(penalty=0.2)"


def test_candidates_divide_delta():
    f, y = blobs()
    one = split_head(evidence(f, y), delta=0.01)
    five = split_head(evidence(f, y, selected_among=5), delta=0.05)
    assert one.value == five.value


def test_stratified_samples_are_cut_inside_classes():
    f, y = blobs(91)
    y = np.arange(3).repeat([60, 20, 11])
    fit = Recorder()
    row = split_head(evidence(f, y, sampling="stratified", procedure=fit))
    assert np.bincount(fit.labels).tolist() == [18, 6, 3]
    assert row.claim.weights == pytest.approx(np.array([42, 14, 8]) / 64)
    assert row.value == stratified_upper(row.details["errors"], 64, 0.05)


def test_stratified_edge_rule():
    """All held points but one wrong: the value is 1 - delta/n, not the binomial one."""
    y = np.arange(2).repeat(10)
    f = np.zeros((20, 1))

    def constant(features, labels, classes):
        return LinearHead(np.array([[0.0], [1.0]]), np.array([0.0, -0.5]))

    _, held = two_parts(
        evidence(f, y, sampling="stratified").head_sample, lambda n: n - -(-7 * n // 10), seed=70
    )
    f[held[y[held] == 0]] = 1.0
    f[held[y[held] == 0][0]] = 0.0
    for delta in (0.05, 0.25):
        row = split_head(evidence(f, y, sampling="stratified", procedure=constant), delta)
        assert row.details["errors"] == row.n - 1 == 13
        assert row.value == pytest.approx(1 - delta / 14, rel=1e-12)


def test_features_that_are_not_finite_and_ties_are_errors():
    f, y = blobs(gap=30.0)
    clean = split_head(evidence(f, y))
    assert clean.details["errors"] == 0
    f[::2] = np.nan
    row = split_head(evidence(f, y))
    assert row.details["errors"] > 20
    assert row.n == clean.n

    def undecided(features, labels, classes):
        return LinearHead(np.zeros((classes, 4)))

    assert split_head(evidence(f, y, procedure=undecided)).value == 1.0


def test_a_class_absent_from_the_fitted_part_is_missed():
    f, y = blobs(60)
    y[:] = 0
    f2 = np.concatenate([f, f[:1] + 90.0])
    y2 = np.append(y, 1)
    row = split_head(evidence(f2, y2))
    assert row.details["errors"] in (0, 1)
    assert np.isfinite(row.value)


def test_coverage_in_a_tight_case():
    """A fixed head whose error p makes a clean held part have probability just below delta."""
    delta, n, runs = 0.2, 10, 700
    p = 1 - delta ** (1 / 7) * 0.999

    def fixed(features, labels, classes):
        return LinearHead(np.array([[-1.0], [1.0]]), np.array([0.5, -0.5]))

    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(runs):
        wrong = rng.random(n) < p
        f = wrong[:, None].astype(float)
        e = evidence(f, np.zeros(n, dtype=int), procedure=fixed)
        missed += split_head(e, delta=delta).value < p
    assert missed > 0.8 * delta * runs
    assert binom.sf(missed - 1, runs, delta) > 1e-6


@pytest.mark.parametrize("n", [12, 40])
def test_coverage_with_a_fitted_head_of_known_error(n):
    """Two Gaussian classes on a line: the error of nearest class mean is a normal tail."""
    rng = np.random.default_rng(n)
    delta, runs = 0.1, 250
    missed = 0
    for _ in range(runs):
        y = rng.integers(2, size=n)
        f = rng.normal(size=n) + np.where(y, 1.0, -1.0)
        row = split_head(evidence(f[:, None], y), delta=delta)
        head = row.claim.head
        slope = head.weight[1, 0] - head.weight[0, 0]
        cut = (head.bias[0] - head.bias[1]) / slope if slope else np.nan
        if np.isnan(cut):  # one class in the fitted part: the other is never predicted
            truth = 0.5
        else:
            truth = 0.5 * (norm.sf(cut + 1) + norm.cdf(cut - 1))
            truth = truth if slope > 0 else 1 - truth
        missed += row.value < truth
    assert binom.sf(missed - 1, runs, delta) > 1e-6
