"""Few-shot errors against a slow loop."""

import numpy as np
import pytest

from ncbounds.claims import few_shot
from ncbounds.claims.few_shot import few_shot_error
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import kl_interval


def made(features, labels, **more):
    features = np.asarray(features, dtype=float).reshape(len(labels), -1)
    return Sample.from_arrays(features, labels, role="test", sampling="iid", **more)


def slow_few_shot(test, shots, weights):
    """One draw after the other, one query after the other, with plain distances."""
    f = np.asarray(test.features, dtype=float)
    rng = np.random.default_rng(few_shot.FEW_SHOT_SEED)
    queries = max(few_shot.FEW_SHOT_QUERIES // test.classes, 20)
    errors = []
    for _ in range(few_shot.FEW_SHOT_DRAWS):
        drawn = []
        for c in range(test.classes):
            rows = np.flatnonzero(test.labels == c)
            drawn.append(rng.permutation(rows)[: shots + queries])
        means = [f[d[:shots]].mean(axis=0) for d in drawn]
        shares = []
        for c, rows in enumerate(drawn):
            wrong = 0
            for i in rows[shots:]:
                own = np.linalg.norm(f[i] - means[c])
                others = [np.linalg.norm(f[i] - m) for j, m in enumerate(means) if j != c]
                wrong += not own < min(others)
            shares.append(wrong / (len(rows) - shots))
        errors.append(np.dot(weights, shares))
    return float(np.mean(errors))


@pytest.mark.parametrize("weights", [None, np.array([0.2, 0.3, 0.5])])
def test_few_shot_against_a_slow_loop(weights, monkeypatch):
    monkeypatch.setattr(few_shot, "FEW_SHOT_DRAWS", 10)
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [12, 14, 20])
    test = made(np.eye(3)[labels] * 1.5 + rng.standard_normal((46, 3)) + 50.0, labels)
    w = test.counts / test.n if weights is None else weights
    found = few_shot_error(test, 3, weights)
    assert found.error == pytest.approx(slow_few_shot(test, 3, w), rel=1e-12)
    assert 0.05 < found.error < 0.6
    assert (found.low, found.high) == pytest.approx(kl_interval(found.error, 3, 0.95), rel=1e-9)
    assert "3 blocks" in found.reasons[0]


def test_few_shot_ties_and_non_finite_points_are_errors():
    labels = np.repeat([0, 1], 10)
    assert few_shot_error(made(np.zeros(20), labels), 2).error == 1.0
    apart = np.where(labels == 0, -1.0, 1.0)
    assert few_shot_error(made(apart, labels), 2).error == 0.0
    broken = apart.copy()
    broken[::4] = np.nan
    assert few_shot_error(made(broken, labels), 2).error > 0.25
    broken[:] = np.inf
    assert few_shot_error(made(broken, labels), 2).error == 1.0


def test_few_shot_without_enough_points():
    test = made([0, 0, 0, 1, 1], [0, 0, 0, 1, 1])
    found = few_shot_error(test, 2)
    assert np.isnan(found.error)
    assert "2 test points" in found.reasons[0]
    for weights in (np.ones(3) / 3, np.ones(1)):
        found = few_shot_error(test, 1, weights)
        assert np.isnan(found.error)
        assert "classes" in found.reasons[0]
