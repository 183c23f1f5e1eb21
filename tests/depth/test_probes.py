"""Probes from moments are the probes from rows."""

import numpy as np
import pytest

from ncbounds.depth import probes
from ncbounds.errors import InvalidSample
from ncbounds.procedures.linear import ncm, ridge


@pytest.fixture
def rows():
    rng = np.random.default_rng(3)
    labels = rng.choice([0, 1, 3], 60)  # class 2 has no row
    features = rng.normal(size=(60, 7)) + 3.0 * labels[:, None] + 100.0
    features[5, 2] = np.nan
    return features.astype(np.float32), labels


@pytest.mark.parametrize(("name", "procedure"), [("ncm", ncm), ("ridge", ridge)])
def test_a_probe_of_moments_is_that_of_rows(rows, name, procedure, monkeypatch):
    monkeypatch.setattr(probes, "BLOCK", 7)
    found = probes.PROBES[name](probes.finite_moments(*rows, 4))
    wanted = procedure(*rows, 4)
    f = rows[0][np.isfinite(rows[0]).all(1)].astype(np.float64)
    np.testing.assert_allclose(found.logits(f), wanted.logits(f), rtol=0, atol=1e-8)


def test_a_probe_of_no_row_says_what_is_missing():
    moments = probes.finite_moments(np.full((3, 2), np.nan), np.zeros(3, dtype=int), 2)
    with pytest.raises(InvalidSample, match="pass more rows"):
        probes.ncm_of_moments(moments)
