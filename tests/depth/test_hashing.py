"""A sign hash keeps squared distances in the mean over signs, and is fixed by its seed."""

import numpy as np
import pytest

from ncbounds.depth.hashing import SEED, coordinates, hash_plan, sign_hash
from ncbounds.errors import InvalidArgument


def test_squared_distances_are_kept_in_the_mean_and_spread_as_stated():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 48)) ** 3
    ratios = []
    for seed in range(2000):
        a, b = sign_hash(x, 16, seed)
        ratios.append(np.sum((a - b) ** 2) / np.sum((x[0] - x[1]) ** 2))
    error = np.std(ratios) / np.sqrt(len(ratios))
    assert abs(np.mean(ratios) - 1.0) < 4.0 * error
    assert np.std(ratios) < np.sqrt(2.0 / 16)


def test_every_input_is_used_once_and_none_twice():
    order, signs = hash_plan(11, 4, SEED)
    used = order[signs != 0]
    assert sorted(used.tolist()) == list(range(11))
    assert set(np.abs(signs)) == {0.0, 1.0}
    hashed = sign_hash(np.eye(11), 4)
    assert (np.abs(hashed).sum(axis=1) == 1).all()
    assert np.abs(hashed).sum(axis=0).max() <= 3


def test_the_view_is_the_same_in_every_process():
    assert sign_hash(np.arange(6.0)[None], 2).tolist() == [[-2.0, -7.0]]


def test_what_is_narrow_enough_stays_and_what_is_not_finite_shows():
    x = np.ones((3, 5), dtype=np.float32)
    assert sign_hash(x, 5) is x
    x = np.ones((2, 9))
    x[1, 4] = np.inf
    assert np.isfinite(sign_hash(x, 4)).all(axis=1).tolist() == [True, False]
    assert coordinates(10) == 512
    assert coordinates(1000) == 1000
    with pytest.raises(InvalidArgument, match="shape"):
        sign_hash(np.ones(4), 2)
