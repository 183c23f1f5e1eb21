"""Errors of few-shot draws: products of points against products of means, and a slow loop."""

import numpy as np
import pytest

from ncbounds.statistics import few_shot_draws
from ncbounds.statistics.few_shot_draws import errors_of_draws
from ncbounds.statistics.rows import as_rows

CLASSES, SHOTS = 12, 3


def drawn(labels, draws=6):
    rng = np.random.default_rng(1)
    members = [np.flatnonzero(labels == c) for c in range(CLASSES)]
    # the last class has fewer queries than the others, the first none
    return [
        [rng.permutation(m)[: SHOTS + min(c, 4, len(m))] for c, m in enumerate(members)]
        for _ in range(draws)
    ]


def slow(features, draws):
    """Share of the queries of each class that are not nearest, by plain distances."""
    out = np.zeros((len(draws), CLASSES))
    for k, draw in enumerate(draws):
        means = np.stack([features[d[:SHOTS]].mean(axis=0) for d in draw])
        for c, points in enumerate(draw):
            for i in points[SHOTS:]:
                distances = np.square(features[i] - means).sum(axis=1)
                rivals = np.delete(distances, c)
                out[k, c] += not distances[c] < rivals.min() - 1e-9 * rivals.min()
            out[k, c] /= max(len(points) - SHOTS, 1)
    return out


def made(case):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), 7)
    f = 1.5 * rng.standard_normal((CLASSES, 20))[labels] + 2.0 * rng.standard_normal((84, 20))
    if case == "near ties":  # every other class is hardly another one
        twin = labels - labels % 2
        f = 3.0 * rng.standard_normal((CLASSES, 20))[twin] + 1e-3 * rng.standard_normal((84, 20))
        f += 1e-6 * rng.standard_normal((CLASSES, 20))[labels]
    if case == "ties":
        f = np.eye(CLASSES)[labels - labels % 2]
    if case == "nan":
        f[::9] = np.nan
    scale = {"small": 1e-20, "large": 1e20}.get(case, 1.0)
    return scale * (f + 10.0), labels


@pytest.mark.parametrize("case", ["plain", "near ties", "ties", "nan", "small", "large"])
@pytest.mark.parametrize("at_once", [2**24, 300])
def test_both_ways_count_what_a_slow_loop_counts(monkeypatch, case, at_once):
    features, labels = made(case)
    draws = drawn(labels)
    monkeypatch.setattr(few_shot_draws, "PRODUCTS", at_once)  # one strip, or many
    found = []
    for less in (True, False):
        monkeypatch.setattr(few_shot_draws, "_points_are_less", lambda *_, less=less: less)
        found.append(errors_of_draws(as_rows(features), draws, SHOTS))
    assert found[0].tolist() == found[1].tolist()
    if case != "near ties":  # of which plain distances lose too much
        with np.errstate(invalid="ignore"):
            assert found[0] == pytest.approx(slow(features, draws))
    assert 0.1 < found[0].mean() < 0.95
    assert (found[0][:, 0] == 0).all()  # none was asked


def test_points_are_multiplied_with_each_other_where_that_is_less():
    def less(n, classes, queries, shots=5, draws=100):
        rows = as_rows(np.broadcast_to(np.float32(0), (n, 2048)))
        draw = [np.arange(shots + queries)] * classes
        return few_shot_draws._points_are_less(rows, [draw] * draws, shots)

    assert less(10_000, 1000, 2)  # 1e8 products of points, 2e8 of queries and means
    assert not less(50_000, 1000, 2)
    assert not less(10_000, 1000, 2, draws=10)
    assert not less(10_000, 10, 200)  # all means at once, 1000 of them
    assert less(500, 10, 40)
