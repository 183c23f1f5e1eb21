"""Nearest means by products in float32, against products in float64."""

import numpy as np
import pytest

from ncbounds.statistics.nearest import MANY, nearest, not_nearest, strictly_nearest


def in_float64(x, means, truth):
    """The same decision from products in float64."""
    score = (means**2).sum(axis=1) - 2.0 * x @ means.T
    rows = np.arange(len(x))
    own = score[rows, truth]
    score[rows, truth] = np.inf
    return own < score.min(axis=1) - 1e-12 * ((x**2).sum(axis=1) + (means**2).sum(axis=1).max())


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e-8, 1e14, 1e30])
def test_float32_products_decide_as_float64(scale):
    rng = np.random.default_rng(0)
    means = rng.standard_normal((8, 300))
    truth = rng.integers(0, 8, 400)
    rival = (truth + rng.integers(1, 8, 400)) % 8
    # points about half way, closer to it than float32 tells, one of them with a rival's sign
    step = (means[truth] - means[rival]) * rng.choice([-1.0, 1.0], 400)[:, None]
    away = 10.0 ** rng.uniform(-11, 0, 400)[:, None]
    x = (means[truth] + means[rival]) / 2 + away * step
    x[0], x[1] = np.nan, (means[truth[1]] + means[rival[1]]) / 2
    x, means = scale * x, scale * means
    found = strictly_nearest(x, means, truth)
    assert found.tolist() == in_float64(x, means, truth).tolist()
    assert not found[0]
    assert not found[1]
    assert 100 < found.sum() < 300


def test_blocks_of_many_classes_are_decided_as_those_of_few():
    rng = np.random.default_rng(1)
    k = MANY + 1
    means = rng.standard_normal((2, k, 40))
    x = means + 1.8 * rng.standard_normal((2, k, 40))
    x[0, 3] = (means[0, 3] + means[0, 4]) / 2
    x[1, 5] = np.nan
    expected = [
        ~in_float64(x[b], means[b], np.arange(k)) | np.isnan(x[b]).any(axis=1) for b in range(2)
    ]
    found = not_nearest(x, means)
    assert found.tolist() == np.array(expected).tolist()
    assert found[0, 3]
    assert found[1, 5]
    assert 10 < found.sum() < 100
    means[0, 0] = np.inf
    assert not_nearest(x, means)[0].all()


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e14, 1e30])
def test_the_nearest_of_many_is_that_of_float64(scale):
    rng = np.random.default_rng(2)
    points = rng.standard_normal((MANY, 300))
    own, rival = rng.integers(0, MANY, (2, 400))
    # points about half way, closer to it than float32 tells
    away = 10.0 ** rng.uniform(-11, 0, 400)[:, None] * rng.choice([-1.0, 1.0], 400)[:, None]
    x = (points[own] + points[rival]) / 2 + away * (points[own] - points[rival])
    points[5] = points[9]
    x[0] = np.nan
    expected = np.argmax(x @ points.T - (points**2).sum(axis=1) / 2, axis=1)
    found = nearest(scale * x, scale * points)
    assert found[1:].tolist() == expected[1:].tolist()
    assert 100 < (found == own).sum() < 300
    assert nearest(scale * points[[9]], scale * points).tolist() == [5]  # a tie is the first one's
