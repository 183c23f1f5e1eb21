"""Measures of whole networks: by hand, and what rescaling leaves alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
from fixtures.evidence import network_evidence

from ncbounds.bounds.network import (
    distance_to_initialisation,
    frobenius_product,
    pac_bayes_flatness,
    path_norm,
    spectral_complexity,
    spectral_product,
)
from ncbounds.network import AffineLayer, Network
from ncbounds.network.steps import Activation

MEASURES = (
    spectral_product,
    spectral_complexity,
    frobenius_product,
    path_norm,
    distance_to_initialisation,
    pac_bayes_flatness,
)


def linear(weight, bias, steps=()):
    w = np.asarray(weight, dtype=float)[:, :, None, None]
    none = ((0, 0), (0, 0))
    shape = (w.shape[1], 1, 1)
    return AffineLayer("fc", w, np.asarray(bias, float), (1, 1), none, (1, 1), 1, shape, steps)


def evidence(layers, x, y=None, reference=None):
    network = Network(layers=tuple(layers), inputs=np.asarray(x, float), reference=reference)
    assert len(network.activation_norms)  # shapes fit
    return network_evidence(network, y)


def two_layers():
    first = linear([[3.0, 0.0], [0.0, 4.0]], [1.0, 0.0], (Activation("relu"),))
    return first, linear([[2.0, 0.0], [0.0, 1.0]], [0.0, 0.0])


X = np.array([[1.0, 0.0]] * 9 + [[0.0, 1.0]] * 11)


def test_by_hand():
    e = evidence(two_layers(), X)
    # margins: (3+1)2 - 0 = 8 on nine points, 4 - 2 = 2 on eleven; the tenth percentile is 2
    assert spectral_product(e).measure == pytest.approx(4 * 2 / 2)
    assert frobenius_product(e).measure == pytest.approx(5 * math.sqrt(5) / 2)
    ratio = ((7 / 4) ** (2 / 3) + (3 / 2) ** (2 / 3)) ** 1.5
    assert spectral_complexity(e).measure == pytest.approx(8 * ratio / 2)
    # squared weights on (1, 1): (9 + 1) 4 + 16
    assert path_norm(e).measure == pytest.approx(math.sqrt(56))
    first, second = two_layers()
    below = (
        replace(first, bias=np.array([-2.0, 0.0])),
        replace(second, bias=np.array([0.0, -3.0])),
    )
    assert path_norm(evidence(below, X)).measure == pytest.approx(math.sqrt((9 + 4) * 4 + 16 + 9))
    assert np.isnan(distance_to_initialisation(e).measure)
    assert "no initialisation" in distance_to_initialisation(e).reasons[-1]


def test_distance_by_hand():
    first, second = two_layers()
    start = (replace(first, weight=0 * first.weight), second)
    e = evidence((first, second), X, reference=start)
    assert distance_to_initialisation(e).measure == pytest.approx(5.0)
    assert (
        spectral_complexity(e).measure < spectral_complexity(evidence((first, second), X)).measure
    )


def test_a_layer_of_zeros_has_no_ratio_of_norms():
    first, second = two_layers()
    still = replace(first, weight=0 * first.weight)
    row = spectral_complexity(evidence((still, replace(second, bias=np.array([1.0, 0.0]))), X))
    assert np.isnan(row.measure)
    assert "a layer is zero" in row.reasons[-1]


def test_margin_keeps_its_sign():
    e = evidence(two_layers(), X, y=np.array([1] * 9 + [1] * 11))
    for bound in (spectral_product, spectral_complexity, frobenius_product):
        row = bound(e)
        assert np.isnan(row.measure)
        assert "-8, not positive" in row.reasons[-1]


def test_rescaling_a_unit():
    """ReLU homogeneity of one unit leaves the path norm; of a whole layer, all products too."""
    first, second = two_layers()
    rng = np.random.default_rng(0)
    first = replace(first, weight=rng.random(first.weight.shape), bias=np.zeros(2))
    second = replace(second, weight=rng.standard_normal(second.weight.shape))
    x = rng.random((40, 2))
    before = evidence((first, second), x)

    def scaled(c):
        up, down = c[:, None, None, None], c[None, :, None, None]
        return evidence(
            (
                replace(first, weight=up * first.weight, bias=c * first.bias),
                replace(second, weight=second.weight / down),
            ),
            x,
        )

    unit, layer = scaled(np.array([5.0, 1.0])), scaled(np.array([5.0, 5.0]))
    assert path_norm(unit).measure == pytest.approx(path_norm(before).measure)
    assert spectral_product(unit).measure != pytest.approx(spectral_product(before).measure)
    for bound in (spectral_product, spectral_complexity, frobenius_product, path_norm):
        assert bound(layer).measure == pytest.approx(bound(before).measure)


def test_flatness_of_a_threshold():
    """One input, two classes: noise on the difference of two biases flips all or nothing."""
    layers = (linear([[0.0], [0.0]], [0.0, 1.0]),)
    e = evidence(layers, np.full((100, 1), 1e-9), y=np.ones(100, dtype=int))
    row = pac_bayes_flatness(e)
    sigma = row.details["sigma"]
    assert row.measure == pytest.approx(1 / sigma**2)
    # with 10 draws, a drop of .1 allows one flip: the second largest of ten ratios decides
    rng = np.random.default_rng(20_191_204)
    rng.permutation(100)
    flips = []
    for _ in range(10):
        rng.standard_normal((2, 1, 1, 1), dtype=np.float32)
        noise = rng.standard_normal(2, dtype=np.float32)
        flips.append(1.0 / float(noise[0] - noise[1]) if noise[0] > noise[1] else np.inf)
    assert sigma == pytest.approx(np.sort(flips)[1], rel=1e-3)


def test_flatness_ends_where_the_search_for_it_ends():
    """Predictions that no noise changes, and predictions that any noise changes."""
    inputs, y = np.full((100, 1), 1e-9), np.ones(100, dtype=int)
    deaf = evidence((linear([[0.0], [0.0]], [-1e6, 1e6]),), inputs, y=y)
    assert pac_bayes_flatness(deaf).details["sigma"] == pytest.approx(2.0**4, rel=1e-3)
    touchy = evidence((linear([[0.0], [0.0]], [0.0, 1e-9]),), inputs, y=y)
    assert pac_bayes_flatness(touchy).details["sigma"] == pytest.approx(2.0**-16, rel=1e-3)


def test_scaling_weights_scales_the_noise_they_stand():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((100, 2))
    w = rng.standard_normal((3, 2))
    one, ten = (
        pac_bayes_flatness(evidence((linear(c * w, np.zeros(3)),), x)).details["sigma"]
        for c in (1.0, 10.0)
    )
    assert ten == pytest.approx(10 * one, rel=0.02)


@pytest.mark.parametrize("bound", MEASURES, ids=lambda b: b.id)
def test_not_covered(bound):
    e = evidence(two_layers(), X)
    refused = replace(e, network=Network(layers=(), inputs=X, reason="GRU 'rnn'"))
    row = bound(refused)
    assert row.kind == "measure"
    assert np.isnan(row.measure)
    assert row.reasons[-1] == "GRU 'rnn'"
    assert not hasattr(row, "value")
