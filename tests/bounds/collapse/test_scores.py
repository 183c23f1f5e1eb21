"""LogME and ridge left out, as rows: the values of their formulas, and what is said of others."""

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.bounds import get
from ncbounds.bounds.collapse.logme import logme
from ncbounds.bounds.collapse.ridge_leave_one_out import ridge_leave_one_out
from ncbounds.bounds.explain import as_text


def evidence(n=40, dim=6, spoiled=0, role="holdout"):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    f = rng.standard_normal((n, dim)) + rng.standard_normal((3, dim))[y]
    f[:spoiled] = np.nan
    sample = nb.Sample.from_arrays(f, y, role=role, sampling="iid")
    head = nb.LinearHead(np.zeros((3, dim)))
    return nb.Evidence.of({role: sample}, head=head)


def test_a_score_is_a_measure_and_an_estimate_a_plug_in():
    e = evidence()
    score, estimate = logme(e), ridge_leave_one_out(e)
    assert score.kind == "measure"
    assert not hasattr(score, "value")
    assert score.measure == nb.geometry.logme(e.holdout).value
    assert estimate.kind == "plug-in"
    assert estimate.value == nb.geometry.ridge_leave_one_out(e.holdout).error


@pytest.mark.parametrize("dim", [6, 60])
def test_the_head_of_the_estimate_is_ridge_at_its_penalty(dim):
    e = evidence(dim=dim)
    row = ridge_leave_one_out(e)
    x = e.holdout.features - e.holdout.features.mean(0)
    target = np.eye(3)[e.holdout.labels]
    gram = x.T @ x + row.details["penalty"] * np.eye(dim)
    weight = np.linalg.solve(gram, x.T @ (target - target.mean(0))).T
    np.testing.assert_allclose(row.claim.head.weight, weight, rtol=1e-7, atol=1e-12)


def test_points_that_are_not_finite_are_missed():
    e, clean = evidence(spoiled=4), evidence()
    assert np.isnan(logme(e).measure)
    kept = nb.Sample.from_arrays(
        clean.holdout.features[4:], clean.holdout.labels[4:], role="holdout"
    )
    expected = (nb.geometry.ridge_leave_one_out(kept).error * 36 + 4) / 40
    assert ridge_leave_one_out(e).value == pytest.approx(expected)
    assert np.isnan(ridge_leave_one_out(evidence(spoiled=40)).value)


def test_scores_that_are_not_here_are_named_with_why():
    text = as_text(get("logme"))
    for name in ("LEEP", "NCE", "TransRate", "SFDA", "NCTI", "PARC", "H-score", "VCI"):
        assert name in text
