"""LogME and the leave-one-out error of ridge regression, against goldens and slow forms."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, stats

import ncbounds as nb
from ncbounds.errors import InvalidArgument, InvalidSample, RoleError
from ncbounds.geometry import leave_one_out, logme, ridge_axes, ridge_leave_one_out

GOLDEN = json.loads((Path(__file__).parent / "golden_efficiency.json").read_text())
SCORES = (logme, ridge_leave_one_out)


def golden_sample():
    i, j = np.arange(24), np.arange(5)
    y = i % 3
    y[5] = 0
    f = np.sin(0.7 * i[:, None] + 1.3 * j + 0.2 * i[:, None] * j) + 2 * (y[:, None] == j)
    return nb.Sample.from_arrays(f, y, role="fit")


def drawn(seed, n, dim, classes=3, apart=1.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    f = rng.standard_normal((n, dim)) + apart * rng.standard_normal((classes, dim))[y] + 0.5
    return f, y


def fit(f, y, **settings):
    return nb.Sample.from_arrays(f, y, role="fit", **settings)


def test_golden_evidence():
    expected = float(GOLDEN["S.logme"][0]["value"])
    assert logme(golden_sample()).value == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("item", GOLDEN["S.ridge_leave_one_out"])
def test_golden_leave_one_out(item):
    error, squared = map(float, item["value"])
    found = ridge_leave_one_out(golden_sample(), float(item["inputs"]["penalty"]))
    assert found.error == pytest.approx(error, abs=1e-11)
    assert found.squared_error == pytest.approx(squared, rel=1e-11)


def test_evidence_by_hand():
    # One feature of ones: s = n = 4, u = 1 for two of four points, rest = 1 in each class.
    found = logme(fit(np.ones((4, 1)), [0, 0, 1, 1])).value
    t = np.geomspace(1e-6, 1e6, 200001)
    v = 1 + 4 / t
    values = (np.log(4 / (1 / v + 1)) - np.log(v) / 4 - np.log(2 * np.pi) - 1) / 2
    assert found == pytest.approx(values.max(), abs=1e-9)


@pytest.mark.parametrize(("n", "dim"), [(30, 4), (12, 20), (9, 9)])
def test_evidence_is_that_of_the_gaussian_model(n, dim):
    """The largest density of the labels with precisions alpha and beta, by brute force."""
    f, y = drawn(n, n, dim)
    total = 0.0
    for c in range(3):
        target = (y == c).astype(float)

        def loss(logs, target=target):
            covariance = f @ f.T * np.exp(-logs[0]) + np.eye(n) * np.exp(-logs[1])
            return -stats.multivariate_normal(np.zeros(n), covariance).logpdf(target) / n

        starts = [(a, b) for a in (0.0, 4.0) for b in (1.0, 4.0)]
        bounds = [(-12, 12), (-3, 9)]
        total += min(
            optimize.minimize(loss, s, method="L-BFGS-B", bounds=bounds).fun for s in starts
        )
    found = logme(fit(f, y))
    if found.reasons:  # the supremum is at an end of t, where the density has no maximum
        assert n <= dim
        assert found.value >= -total / 3 - 1e-6
    else:
        assert found.value == pytest.approx(-total / 3, abs=2e-6)


def test_evidence_tells_where_it_is_not_attained():
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    signal = np.where(labels == 0, 1.0, -1.0)
    features = rng.standard_normal((40, 3))
    features -= np.outer(signal, signal @ features / 40)  # no linear trace of the labels ...
    features -= features.mean(axis=0)
    assert "t -> infinity" in logme(fit(features, labels)).reasons[0]
    square = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    found = logme(fit(square * rng.uniform(1, 3, 40), labels))
    assert not np.isnan(found.value)


def test_evidence_is_invariant_to_what_it_should_be():
    f, y = drawn(1, 40, 6)
    base = logme(fit(f, y)).value
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((6, 6)))[0]
    assert logme(fit(3 * f, y)).value == pytest.approx(base, abs=1e-10)
    assert logme(fit(f @ turn, y)).value == pytest.approx(base, abs=1e-10)
    assert logme(fit(np.hstack([f, np.zeros((40, 50))]), y)).value == pytest.approx(base, abs=1e-10)
    more = logme(fit(f, y, classes=5))
    assert more.value == pytest.approx(base, abs=1e-12)
    assert "3, 4" in more.reasons[0]
    assert logme(fit(f + 5, y)).value != pytest.approx(base, abs=1e-3)
    assert logme(fit(f, np.random.default_rng(3).permutation(y))).value < base


@pytest.mark.parametrize(("n", "dim"), [(20, 4), (12, 30), (11, 11)])
def test_leaving_out_equals_refitting(n, dim):
    f, y = drawn(7, n, dim)
    y[0] = 3  # alone in its class
    penalties = [0.05, 2.0, 40.0]
    found = ridge_leave_one_out(fit(f, y), penalties)
    target = np.eye(4)[y]
    for k, penalty in enumerate(penalties):
        predicted = np.empty((n, 4))
        for i in range(n):
            x, t = np.delete(f, i, axis=0), np.delete(target, i, axis=0)
            mean, level = x.mean(axis=0), t.mean(axis=0)
            gram = (x - mean).T @ (x - mean) + penalty * np.eye(dim)
            slope = np.linalg.solve(gram, (x - mean).T @ (t - level))
            predicted[i] = level + (f[i] - mean) @ slope
        rivals = np.where(target > 0, -np.inf, predicted).max(axis=1)
        wrong = ~(predicted[np.arange(n), y] > rivals)
        assert wrong[0]
        assert found.errors[k] == pytest.approx(wrong.mean())
        expected = np.square(target - predicted).mean()
        assert found.squared_errors[k] == pytest.approx(expected, rel=1e-9)
    best = int(found.squared_errors.argmin())
    assert found.penalty == penalties[best]
    assert found.error == found.errors[best]


def crowded(stretch, apart=1.0):
    """Points of 70 classes, of one of which float32 hardly tells points apart, or of all."""
    rng = np.random.default_rng(8)
    y = np.arange(900) % 70
    f = 2.0 * rng.standard_normal((900, 40)) + rng.standard_normal((70, 40))[y]
    f[y == 1] = apart * f[y == 1] + f[0]
    f[:, 0] *= stretch
    return fit(f @ np.linalg.qr(rng.standard_normal((40, 40)))[0], y)


@pytest.mark.parametrize(("stretch", "apart"), [(1.0, 1.0), (1.0, 1e-7), (3e3, 1.0), (1e7, 1.0)])
def test_own_weights_in_float32_count_the_errors_of_float64(monkeypatch, stretch, apart):
    sample, penalties = crowded(stretch, apart), [1e-3, 1.0, 100.0]
    exact = ridge_leave_one_out(sample, penalties)
    monkeypatch.setattr(ridge_axes, "NARROW", 1)
    monkeypatch.setattr(ridge_axes, "SHARE", np.inf)  # the first pass accepts what it finds
    now = ridge_leave_one_out(sample, penalties)
    np.testing.assert_array_equal(now.errors, exact.errors)
    np.testing.assert_allclose(now.squared_errors, exact.squared_errors, rtol=1e-6)
    assert now.penalty == exact.penalty
    assert 0.05 < now.error < 0.98


@pytest.mark.parametrize("stretch", [1e5, 1e7])
def test_predictions_in_float32_count_the_errors_of_float64(monkeypatch, stretch):
    sample = crowded(stretch)
    exact = ridge_leave_one_out(sample, [1.0, 100.0])
    monkeypatch.setattr(ridge_axes, "NARROW", 1)
    monkeypatch.setattr(leave_one_out, "COARSE", np.inf)  # whatever they change
    now = ridge_leave_one_out(sample, [1.0, 100.0])
    assert (now.squared_errors != exact.squared_errors).all()
    np.testing.assert_array_equal(now.errors, exact.errors)


@pytest.mark.parametrize("stretch", [1.0, 1e5, 1e7])
def test_own_weights_in_float32_are_good_to_a_share_of_the_rest(monkeypatch, stretch):
    sample = crowded(stretch)
    y, counts = sample.labels, sample.counts
    axes = ridge_axes.axes_of(sample, y)
    shares = 1 / (axes.values + np.array([[1e-3], [100.0]]))
    expected, _ = ridge_axes.first_pass(axes, shares, y, counts)
    monkeypatch.setattr(ridge_axes, "NARROW", 1)
    found, _ = ridge_axes.first_pass(axes, shares, y, counts)
    assert (found != expected).any() or stretch > 1e5
    assert (np.abs(found - expected) <= 0.01 * (1 - expected)).all()


@pytest.mark.parametrize("classes", [3, 70])
@pytest.mark.parametrize("apart", [0.0, 0.1, 1.0])
def test_default_penalties_that_are_not_computed_are_worse(classes, apart):
    f, y = drawn(4, 560, 20, classes, apart)
    found = ridge_leave_one_out(fit(f, y))
    every = ridge_leave_one_out(fit(f, y), found.penalties)
    assert (found.penalty, found.error) == (every.penalty, every.error)
    assert found.squared_error == every.squared_error == every.squared_errors.min()
    left = np.isnan(found.squared_errors)
    assert left.any()
    assert (every.squared_errors[left] > found.squared_error).all()
    np.testing.assert_array_equal(found.errors[~left], every.errors[~left])


def test_penalties_that_a_sample_of_columns_does_not_tell_apart_are_all_computed():
    noise = np.random.default_rng(0).standard_normal(32)
    squares = 100 + np.array([np.zeros(32), noise, noise + 4, np.full(32, 1e-3)])
    assert ridge_axes._may_be_least(squares, 6.0).tolist() == [0, 1, 3]
    assert ridge_axes._may_be_least(squares, 0.0).tolist() == [int(np.argmin(squares.sum(1)))]
    squares[1, 3] = np.nan  # of infinite and infinite
    assert ridge_axes._may_be_least(squares, 0.0).tolist() == [0, 3]
    assert ridge_axes._may_be_least(np.full((3, 2), np.inf), 6.0).tolist() == [0, 1, 2]


def test_leave_one_out_by_hand():
    # Features 0 leave the means: the rest of a class of two in four says 1/3 for it, 2/3 against.
    found = ridge_leave_one_out(fit(np.zeros((4, 2)), [0, 0, 1, 1]), 1.0)
    assert found.error == 1.0
    assert found.squared_error == pytest.approx(4 / 9)


def test_default_penalties_make_it_invariant():
    f, y = drawn(3, 40, 6)
    base = ridge_leave_one_out(fit(f, y))
    assert len(base.penalties) == 8
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((6, 6)))[0]
    order = np.array([2, 0, 1])
    for g, labels in ((7 * f, y), (f - 30, y), (f @ turn, y), (f, order[y])):
        found = ridge_leave_one_out(fit(g, labels))
        assert found.error == base.error
        np.testing.assert_allclose(found.squared_errors, base.squared_errors, rtol=1e-8)
    # an own bound of rounding, where the features are wide
    wide = np.hstack([f, np.zeros((40, 60))])
    scale = np.square(f - f.mean(axis=0)).sum() / 6
    given = ridge_leave_one_out(fit(wide, y), scale * 10.0 ** np.arange(-5, 3))
    computed = np.isfinite(base.squared_errors)
    expected = base.squared_errors[computed]
    np.testing.assert_allclose(given.squared_errors[computed], expected, rtol=1e-8)


def test_noise_labels_are_guesses():
    rng = np.random.default_rng(0)
    errors = [
        ridge_leave_one_out(fit(rng.standard_normal((60, 5)), rng.integers(0, 2, 60)), 10.0).error
        for _ in range(40)
    ]
    assert abs(np.mean(errors) - 0.5) < 0.06  # the constant of a left-out class errs more often


def test_undefined_scores_have_their_reason():
    alone = fit([[1.0], [2.0]], [0, 0])
    assert np.isnan(logme(alone).value)
    assert "two classes" in logme(alone).reasons[0]
    assert np.isnan(ridge_leave_one_out(alone).error)
    assert "two classes" in ridge_leave_one_out(alone).reasons[0]
    # two points, one free direction and next to no penalty: each decides its own prediction
    found = ridge_leave_one_out(fit(np.eye(2), [0, 1]), 1e-14)
    assert found.error == 1.0
    assert "decides its own" in found.reasons[0]
    for penalty in (0.0, -1.0, np.nan, []):
        with pytest.raises(InvalidArgument, match="finite numbers above 0"):
            ridge_leave_one_out(golden_sample(), penalty)


@pytest.mark.parametrize("score", SCORES)
def test_scores_read_no_test_sample(score):
    with pytest.raises(RoleError, match="holdout"):
        score(nb.Sample.from_arrays(np.eye(2), [0, 1], role="test"))
    with pytest.raises(InvalidSample, match="labelled"):
        score(nb.Sample.from_arrays(np.eye(2), role="unlabelled"))
