"""Arrangements under imbalance with a free bias, and distances to all of them."""

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.errors import InvalidSample, RoleError
from ncbounds.geometry import (
    collapse_efficiency,
    frame_distances,
    seli_grams,
    seli_grams_free_bias,
    simplex_etf,
)


def factors(head_gram, products):
    """Rows W with ``W W' = head_gram`` and class means M with ``M W' = products'``."""
    values, vectors = np.linalg.eigh(head_gram)
    kept = values > 1e-9 * values[-1]
    w = vectors[:, kept] * np.sqrt(values[kept])
    return w, (np.linalg.pinv(w) @ products).T


def world(means, counts, head, bias=None):
    y = np.repeat(np.arange(len(counts)), counts)
    return nb.Sample.from_arrays(means[y], y, role="fit"), nb.LinearHead(head, bias)


def by_name(sample, head, efficiency=None):
    return {d.reference: d for d in frame_distances(sample, head, efficiency)}


@pytest.mark.parametrize("counts", [(3, 3, 3), (7, 2, 1), (5, 1), (4, 3, 2, 2)])
def test_free_bias_matches_the_decomposition_of_the_whole_label_matrix(counts):
    k, n = len(counts), sum(counts)
    labels = np.repeat(np.arange(k), counts)
    z = np.eye(k)[:, labels]
    z = z - z.mean(axis=1, keepdims=True)
    v, l, u = np.linalg.svd(z, full_matrices=False)
    v, l, u = v[:, : k - 1], l[: k - 1], u[: k - 1].T
    found = seli_grams_free_bias(counts)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    np.testing.assert_allclose(found.head, v @ np.diag(l) @ v.T, atol=1e-13)
    whole = u @ np.diag(l) @ u.T
    np.testing.assert_allclose(found.means, whole[np.ix_(first, first)], atol=1e-13)
    np.testing.assert_allclose(found.products, z[:, first], atol=1e-13)
    # the same by the roots of K = D - n pi pi'
    pi = np.array(counts) / n
    values, vectors = np.linalg.eigh(np.diag(np.array(counts, float)) - n * np.outer(pi, pi))
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    np.testing.assert_allclose(found.head, root, atol=1e-7)


def test_hand_calculation_for_two_classes():
    # K = (n1 n2/n) [[1, -1], [-1, 1]] with eigenvalue 2 n1 n2/n along (1, -1)/sqrt 2.
    found = seli_grams_free_bias([6, 3])
    np.testing.assert_allclose(found.head, [[1, -1], [-1, 1]], atol=1e-14)
    # means are at (1/3) and (-2/3) of (1, -1) in logits, divided by the head's sqrt 2
    np.testing.assert_allclose(found.means, np.outer([1, -2], [1, -2]) / 9, atol=1e-14)


def test_equal_counts_give_one_arrangement():
    frame = simplex_etf(5, 4)
    for grams in (seli_grams([8] * 5), seli_grams_free_bias([8] * 5)):
        np.testing.assert_allclose(grams.head / grams.head[0, 0], frame @ frame.T, atol=1e-13)
        np.testing.assert_allclose(grams.means / grams.means[0, 0], frame @ frame.T, atol=1e-13)
    found = by_name(*world(frame, [8] * 5, frame))
    for distance in found.values():
        assert max(distance.head.value, distance.means.value) < 1e-7


@pytest.mark.parametrize("name", ["simplex", "seli", "seli with free bias"])
def test_each_arrangement_is_at_distance_zero_from_itself_alone(name):
    counts = (60, 12, 3)
    if name == "simplex":
        w = m = simplex_etf(3, 2)
    else:
        grams = seli_grams(counts) if name == "seli" else seli_grams_free_bias(counts)
        w, m = factors(grams.head, grams.products)
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((2, 2)))[0]
    shift = rng.standard_normal(2)
    for means, head in ((m, w), (3 * m @ turn + shift, 0.1 * w @ turn + shift)):
        found = by_name(*world(means, counts, head))
        assert max(found[name].head.value, found[name].means.value) < 1e-7
        others = [d for other, d in found.items() if other != name]
        assert min(max(d.head.value, d.means.value) for d in others) > 0.05


def test_the_optimum_at_the_own_loss_tends_to_seli_with_free_bias():
    counts = (60, 12, 3)
    grams = seli_grams_free_bias(counts)
    w, m = factors(grams.head, grams.products)
    far = []
    for size in (3.0, 30.0, 300.0):
        pi = np.array(counts) / sum(counts)
        sample, head = world(size * m, counts, w, size * pi)
        efficiency = collapse_efficiency(sample, head)
        found = by_name(sample, head, efficiency)["optimum at own loss"]
        far.append(max(found.head.value, found.means.value))
    assert far[0] > far[1] > far[2]
    assert far[2] < 0.05


def test_relabelling_and_absent_classes():
    rng = np.random.default_rng(4)
    counts, order = (9, 5, 2), np.array([2, 0, 1])
    m, w = rng.standard_normal((2, 3, 4))
    sample, head = world(m, counts, w)
    base = frame_distances(sample, head)
    back = np.argsort(order)
    moved = nb.Sample.from_arrays(sample.features, order[sample.labels], role="fit")
    relabelled = frame_distances(moved, nb.LinearHead(w[back]))
    wider = frame_distances(sample, nb.LinearHead(np.vstack([w, 7 * w[:1]])))
    for a, b, c in zip(base, relabelled, wider, strict=True):
        assert b.head.value == pytest.approx(a.head.value, rel=1e-9)
        assert b.means.value == pytest.approx(a.means.value, rel=1e-9)
        assert c.head.value == pytest.approx(a.head.value, rel=1e-9)
        assert "left out: 3" in c.head.reasons[0]


def test_bad_input_is_named():
    for counts in ([3, 0], [4], [[1, 2]]):
        with pytest.raises(InvalidSample, match="positive"):
            seli_grams_free_bias(counts)
    sample, head = world(np.eye(3), (2, 2, 2), np.eye(3))
    two, small = world(np.eye(2), (2, 2), np.eye(2))
    with pytest.raises(InvalidSample, match="2 groups, the sample has 3"):
        frame_distances(sample, head, collapse_efficiency(two, small))
    with pytest.raises(InvalidSample, match="a label is 2"):
        frame_distances(sample, nb.LinearHead(np.eye(3)[:2]))
    alone, _ = world(np.eye(2), (2,), np.eye(2))
    assert "two classes" in frame_distances(alone, small)[0].head.reasons[-1]
    flat = frame_distances(sample, nb.LinearHead(np.full((3, 3), 0.1)))
    assert np.isnan(flat[0].head.value)
    assert "zero" in flat[0].head.reasons[0]
    test = nb.Sample.from_arrays(np.eye(2), [0, 1], role="test")
    with pytest.raises(RoleError, match="holdout"):
        frame_distances(test, small)
