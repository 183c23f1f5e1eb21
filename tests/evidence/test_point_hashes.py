"""Hashes of feature rows against the formula written out."""

import numpy as np
import pytest

from ncbounds.evidence import point_hashes as module
from ncbounds.evidence.point_hashes import point_hashes


def written_out(features):
    odd = np.random.default_rng(0).integers(1, 2**63, features.shape[1], dtype=np.uint64)
    odd |= np.uint64(1)
    rounded = features.astype(np.float32).astype(np.float64) + 0.0
    bits = rounded.view(np.uint64) >> np.uint64(29)
    for shift in (np.left_shift, np.right_shift):
        bits = (bits ^ shift(bits, np.uint64(32))) * odd
    return (bits ^ (bits >> np.uint64(32))).sum(axis=1, dtype=np.uint64)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_hashes_are_those_of_the_float32_roundings(dtype, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 60)  # blocks of eight rows, the last one shorter
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((101, 7)) * 10.0 ** rng.uniform(-2, 2, (101, 1))).astype(dtype)
    x[0, :4] = [-0.0, 0.0, np.inf, -np.inf]
    found = point_hashes(x)
    assert found.tolist() == written_out(x).tolist()
    assert found.tolist() == point_hashes(x.astype(np.float64)).tolist()
    assert len(set(found.tolist())) == 101
    assert point_hashes(x[:0]).shape == (0,)
