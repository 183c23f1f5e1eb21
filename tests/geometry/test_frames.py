"""Simplex frame and the geometry under imbalance."""

import numpy as np
import pytest

from ncbounds.errors import InvalidSample
from ncbounds.geometry import seli_grams, simplex_etf


@pytest.mark.parametrize(("classes", "dim"), [(2, 1), (2, 4), (3, 2), (10, 9), (10, 64)])
def test_simplex_frame_has_its_gram_matrix(classes, dim):
    frame = simplex_etf(classes, dim)
    assert frame.shape == (classes, dim)
    expected = (classes * np.eye(classes) - 1) / (classes - 1)
    np.testing.assert_allclose(frame @ frame.T, expected, atol=1e-14)
    np.testing.assert_allclose(frame.sum(axis=0), 0, atol=1e-14)


@pytest.mark.parametrize(("classes", "dim"), [(1, 3), (4, 2)])
def test_impossible_frames_are_refused(classes, dim):
    with pytest.raises(InvalidSample, match="d >= C - 1"):
        simplex_etf(classes, dim)


@pytest.mark.parametrize("counts", [(3, 3, 3), (7, 2, 1), (5, 1), (4, 3, 2, 2)])
def test_seli_matches_the_decomposition_of_the_whole_label_matrix(counts):
    k = len(counts)
    labels = np.repeat(np.arange(k), counts)
    z = (np.eye(k) - 1 / k) @ np.eye(k)[:, labels]
    v, l, u = np.linalg.svd(z, full_matrices=False)
    v, l, u = v[:, : k - 1], l[: k - 1], u[: k - 1].T
    found = seli_grams(counts)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    np.testing.assert_allclose(found.head, v @ np.diag(l) @ v.T, atol=1e-13)
    np.testing.assert_allclose(
        found.means, (u @ np.diag(l) @ u.T)[np.ix_(first, first)], atol=1e-13
    )
    np.testing.assert_allclose(found.products, z[:, first], atol=1e-13)


def test_equal_counts_give_the_simplex_frame():
    frame = simplex_etf(5, 4)
    gram = frame @ frame.T
    found = seli_grams([8] * 5)
    np.testing.assert_allclose(found.head / found.head[0, 0], gram, atol=1e-13)
    np.testing.assert_allclose(found.means / found.means[0, 0], gram, atol=1e-13)


def test_counts_have_to_be_positive():
    for counts in ([3, 0], [4], [[1, 2]]):
        with pytest.raises(InvalidSample, match="positive"):
            seli_grams(counts)
