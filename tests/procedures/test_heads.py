"""Fitting procedures against scikit-learn and brute force."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds.errors import InvalidSample, ManifestError, UnknownName
from ncbounds.procedures.linear import (
    PROCEDURES,
    logistic,
    named_procedure,
    ncm,
    procedure_name,
    ridge,
    ridge_of_moments,
)
from ncbounds.statistics.moments import class_moments

ALL = [ncm, ridge, logistic]


def world(n=200, d=6, classes=4, seed=0, spread=1.0):
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    f = 2.0 * rng.normal(size=(classes, d))[y] + spread * rng.normal(size=(n, d)) + 3.0
    return f, y


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.floats(-1e4, 1e4))
def test_ncm_predicts_the_nearest_mean(seed, classes, offset):
    f, y = world(seed=seed, classes=classes)
    f = f + offset
    head = ncm(f, y, classes)
    means = np.stack([f[y == c].mean(axis=0) for c in range(classes)])
    distance = ((f[:, None] - means) ** 2).sum(axis=2)
    gap = np.partition(distance, 1, axis=1)
    clear = gap[:, 1] - gap[:, 0] > 1e-6
    assert (head.logits(f).argmax(axis=1) == distance.argmin(axis=1))[clear].all()


def test_ncm_by_hand():
    head = ncm(np.array([[0.0], [2.0], [10.0]]), np.array([0, 0, 1]), 2)
    # means 1 and 10, their average 5.5: threshold at 5.5
    assert head.weight.ravel() == pytest.approx([-4.5, 4.5])
    logits = head.logits(np.array([[5.4], [5.5], [5.6]]))
    assert logits[0, 0] > logits[0, 1]
    assert logits[1, 0] == pytest.approx(logits[1, 1])
    assert logits[2, 0] < logits[2, 1]


def test_ridge_of_moments_is_ridge_in_other_units():
    f, y = world()
    f[y == 2] += 1e3
    moments = class_moments(f, y, 5)
    head = ridge_of_moments(moments, 7.0)
    variance = np.square(f - f.mean(axis=0)).mean()
    other = ridge(f, y, 5, penalty=7.0 / (len(f) * variance))
    np.testing.assert_allclose(head.weight, other.weight, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(head.bias, other.bias, rtol=1e-8)


def test_ridge_is_the_minimiser_that_sklearn_finds():
    from sklearn.linear_model import Ridge

    f, y = world()
    head = ridge(f, y, 4, penalty=0.3)
    q = f.mean(axis=0)
    scale = np.sqrt(np.mean((f - q) ** 2))
    model = Ridge(alpha=0.3 * len(f)).fit((f - q) / scale, np.eye(4)[y])
    assert head.logits(f) == pytest.approx(model.predict((f - q) / scale), abs=1e-9)


def test_logistic_is_the_minimiser_that_sklearn_finds():
    from sklearn.linear_model import LogisticRegression

    f, y = world(spread=2.0)
    head = logistic(f, y, 4, penalty=0.1)
    q = f.mean(axis=0)
    scale = np.sqrt(np.mean((f - q) ** 2))
    model = LogisticRegression(C=1 / (0.1 * len(f)), tol=1e-10, max_iter=5000)
    model.fit((f - q) / scale, y)
    mine = head.logits(f)
    theirs = model.decision_function((f - q) / scale)
    centre = lambda s: s - s.mean(axis=1, keepdims=True)  # noqa: E731
    assert centre(mine) == pytest.approx(centre(theirs), abs=2e-5)


@pytest.mark.parametrize("fit", ALL)
def test_an_absent_class_is_never_predicted(fit):
    f, y = world()
    y = np.where(y == 1, 0, y)
    head = fit(f, y, 6)
    far = (
        np.random.default_rng(1).normal(size=(500, 6))
        * 10.0 ** np.arange(-2, 3).repeat(100)[:, None]
    )
    predicted = head.logits(np.concatenate([f, far])).argmax(axis=1)
    assert not np.isin(predicted, [1, 4, 5]).any()
    assert np.isfinite(head.logits(far)).all()


@pytest.mark.parametrize("fit", ALL)
def test_a_single_present_class_is_always_predicted(fit):
    f, _ = world()
    head = fit(f, np.full(len(f), 2), 3)
    assert (head.logits(f).argmax(axis=1) == 2).all()


@pytest.mark.parametrize("fit", ALL)
def test_rows_without_finite_features_or_a_known_label_are_left_out(fit):
    f, y = world()
    bad = np.concatenate([f, [[np.nan] * 6, [np.inf] * 6], 100 * f[:3]])
    labels = np.concatenate([y, [0, 1], [7, 7, 7]])
    head, clean = fit(bad, labels, 4), fit(f, y, 4)
    assert np.array_equal(head.weight, clean.weight)
    assert np.array_equal(head.bias, clean.bias)


@pytest.mark.parametrize("fit", ALL)
def test_no_usable_row_is_an_error(fit):
    with pytest.raises(InvalidSample, match="none of 2 rows"):
        fit(np.full((2, 3), np.nan), np.array([0, 1]), 2)


@pytest.mark.parametrize("fit", ALL)
def test_predictions_do_not_depend_on_the_frame(fit):
    f, y = world(seed=3)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    moved = 5.0 * (f @ rotation) + 7.0
    one = fit(f, y, 4).logits(f).argmax(axis=1)
    other = fit(moved, y, 4).logits(moved).argmax(axis=1)
    assert np.mean(one == other) > 0.99


@pytest.mark.parametrize("fit", ALL)
def test_collapsed_and_constant_features_do_no_harm(fit):
    f = np.repeat(np.eye(3), 5, axis=0)
    y = np.repeat(np.arange(3), 5)
    assert (fit(f, y, 3).logits(f).argmax(axis=1) == y).all()
    assert np.isfinite(fit(np.ones((6, 2)), np.array([0, 1] * 3), 2).weight).all()


def test_names():
    assert [procedure_name(p) for p in PROCEDURES.values()] == ["ncm", "ridge", "logistic"]
    assert procedure_name(partial(ridge, penalty=0.5)) == "ridge(penalty=0.5)"


def test_procedures_by_name():
    fit = named_procedure({"name": "ridge", "penalty": 0.01})
    assert procedure_name(fit) == "ridge(penalty=0.01)"
    assert named_procedure({"name": "ncm"}) is ncm
    for named, error, says in [
        ({"name": "rigde"}, UnknownName, "did you mean 'ridge'"),
        ({}, UnknownName, "no procedure None"),
        ({"name": "ncm", "penalty": 1}, ManifestError, "takes no settings"),
        ({"name": "ridge", "penalty": "x"}, ManifestError, "needs a number"),
        ({"name": "ridge", "penalty": -1}, ManifestError, "needs a number"),
    ]:
        with pytest.raises(error, match=says):
            named_procedure(named)
