"""Separation by hand, the line through its logarithms, and the depth at which classes are apart."""

import numpy as np
import pytest

from ncbounds.depth.probes import finite_moments
from ncbounds.depth.separation import (
    effective_depth,
    scatter_ratio,
    separation,
    separation_law,
)

#: Four points of class 0 and two of class 1: within 1 a point; means 0 and 3, all points' mean 1.
X = np.array([[-1.0], [1.0], [-1.0], [1.0], [2.0], [4.0]])
Y = np.array([0, 0, 0, 0, 1, 1])


def test_by_hand():
    """Between scatter (4 * 1 + 2 * 4) / 6 = 2, within 1."""
    moments = finite_moments(X, Y, 2)
    assert separation(moments).value == pytest.approx(0.5, rel=1e-12)
    assert scatter_ratio(moments).value == pytest.approx(0.5, rel=1e-12)


def test_a_class_without_rows_changes_nothing():
    moments = finite_moments(X, Y, 3)
    assert separation(moments).value == pytest.approx(0.5, rel=1e-12)
    assert scatter_ratio(moments).value == pytest.approx(0.5, rel=1e-12)


def test_an_exact_law_is_found_and_what_is_no_separation_left_out():
    law = separation_law([8.0, 4.0, 2.0, 1.0])
    assert law.slope == pytest.approx(-np.log(2.0))
    assert law.correlation == pytest.approx(-1.0)
    with_gap = separation_law([8.0, float("nan"), 2.0, 1.0, 0.0])
    assert with_gap.slope == pytest.approx(-np.log(2.0))
    assert "2 of 5 layers" in with_gap.reasons[0]
    assert np.isnan(separation_law([1.0, 2.0]).slope)
    assert np.isnan(separation_law([1.0, 1.0, 1.0]).correlation)


def test_effective_depth_is_the_first_layer_that_separates():
    assert effective_depth([0.4, 0.01, 0.2, 0.0], 0.01) == 1
    assert effective_depth([0.4, float("nan"), 0.0], 0.01) == 2
    assert effective_depth([0.4, 0.3], 0.01) is None
