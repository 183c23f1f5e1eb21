import numpy as np
import pytest
import torch

from ncbounds.extraction.batches import batches, usual_rows


@pytest.mark.parametrize(
    ("inputs", "rows"),
    [
        (np.zeros((5000, 196), np.float32), 1024),
        ({"x": torch.zeros(5000, 500)}, 524),
        (np.zeros((600, 3, 32, 32), np.float32), 256),
        (np.zeros((600, 16), np.int64), 256),  # tokens
        ({"x": np.zeros((600, 4)), "tokens": np.zeros((600, 4), np.int64)}, 256),
    ],
    ids=["small", "mapping", "images", "tokens", "mixed"],
)
def test_batches_of_whole_arrays_are_larger_where_rows_are_small(inputs, rows):
    n = len(next(iter(inputs.values())) if isinstance(inputs, dict) else inputs)
    sizes = [len(labels) for _, labels in batches((inputs, np.zeros(n, dtype=int)))]
    assert usual_rows(inputs) == sizes[0] == rows
    assert sum(sizes) == n
