"""Measured errors: by hand, and few-shot errors against a slow loop."""

import numpy as np
import pytest

from ncbounds.claims import few_shot
from ncbounds.claims.claim import measured_error
from ncbounds.claims.counted import head_error
from ncbounds.claims.few_shot import few_shot_error
from ncbounds.errors import InvalidSample
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import binomial_interval, kl_interval

HEAD = LinearHead([[-1.0], [1.0]])


def made(features, labels, **more):
    features = np.asarray(features, dtype=float).reshape(len(labels), -1)
    return Sample.from_arrays(features, labels, role="test", sampling="iid", **more)


def test_head_error_by_hand():
    # right, wrong, tie (wrong), non-finite (wrong), right
    test = made([-1, -1, 0, np.nan, 2], [0, 1, 0, 1, 1])
    found = head_error(test, HEAD)
    assert found.error == 3 / 5
    assert (found.low, found.high) == pytest.approx(binomial_interval(3, 5, 0.95), rel=1e-12)
    assert found.reasons == ()


def test_weighted_error_by_hand():
    # class 0: 1 of 4 wrong; class 1: 1 of 2 wrong
    test = made([-1, -1, -1, 1, 1, -1], [0, 0, 0, 0, 1, 1])
    found = head_error(test, HEAD, np.array([0.9, 0.1]))
    assert found.error == pytest.approx(0.9 * 0.25 + 0.1 * 0.5, rel=1e-14)
    a, b = (binomial_interval(1, n, 0.975) for n in (4, 2))
    assert found.low == pytest.approx(0.9 * a[0] + 0.1 * b[0], rel=1e-12)
    assert found.high == pytest.approx(0.9 * a[1] + 0.1 * b[1], rel=1e-12)
    assert "re-weighted" in found.reasons[0]


def test_own_frequencies_are_no_reweighting():
    test = made([-1, -1, -1, 1, 1, -1], [0, 0, 0, 0, 1, 1])
    assert head_error(test, HEAD, np.array([4, 2]) / 6) == head_error(test, HEAD)
    nearly = np.array([4, 2]) / 6 + [1e-6, -1e-6]
    assert head_error(test, HEAD, nearly).reasons


def test_weights_over_other_classes():
    test = made([-1, 1], [0, 1])
    # the bound's sample had a third class, without and with weight
    assert head_error(test, HEAD, np.array([0.3, 0.7, 0.0])).error == 0.0
    assert np.isnan(head_error(test, HEAD, np.array([0.3, 0.6, 0.1])).error)
    # the test sample has a class that the bound's sample had not
    more = made([-1, 1, 1], [0, 1, 2])
    assert head_error(more, HEAD, np.array([0.5, 0.5])).error == 0.0
    assert head_error(more, HEAD).error == 1 / 3


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


def evidence(test=None):
    return Evidence(head=HEAD, test=test)


def test_measured_error_by_target():
    test = made([-1, -1, 1, 1], [0, 0, 1, 0])
    assert measured_error(evidence(), "saved") is None
    assert measured_error(evidence(test), "unseen-classes") is None
    assert measured_error(evidence(test), "saved").error == 0.25
    turned = LinearHead([[1.0], [-1.0]])
    assert measured_error(evidence(test), "refitted-head", head=turned).error == 0.75
    with pytest.raises(InvalidSample, match="finite number of shots"):
        measured_error(evidence(test), "few-shot", params={"m": np.inf})


def test_other_label_noise_is_said():
    test = made([-1, 1], [0, 1], label_noise=0.1)
    assert measured_error(evidence(test), "saved", label_noise=0.1).reasons == ()
    (reason,) = measured_error(evidence(test), "saved", label_noise=0.0).reasons
    assert "not comparable: label noise 0 in the bound's sample, 0.1 in test" in reason
