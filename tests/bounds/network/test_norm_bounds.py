"""Spectral, Frobenius and kernel-norm bounds: golden values, special cases, invariances."""

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import mpmath
import numpy as np
import pytest
from fixtures.evidence import network_evidence

from ncbounds.bounds.network import excess_capacity_conv, frobenius_peeling, spectral_margin
from ncbounds.bounds.network._grid import price, rounded_up
from ncbounds.bounds.network._ramp import deviation, mean_ramp
from ncbounds.bounds.network.excess_capacity_conv import dudley_sum, layer_norms, log_covering
from ncbounds.bounds.network.frobenius_peeling import peeled_average, peeled_gap
from ncbounds.bounds.network.spectral_margin import dudley_radius
from ncbounds.network import AffineLayer, Network
from ncbounds.network.steps import Activation, MaxPool

GOLDEN = json.loads((Path(__file__).parents[2] / "golden.json").read_text())
RELU = Activation("relu")


def golden(name):
    return [(case["inputs"], float(case["value"])) for case in GOLDEN[name]]


def linear(weight, bias=None, steps=()):
    none = ((0, 0), (0, 0))
    shape = (weight.shape[1], 1, 1)
    w = np.asarray(weight, dtype=float)[:, :, None, None]
    return AffineLayer("fc", w, bias, (1, 1), none, (1, 1), 1, shape, steps)


def mlp(rng, n=300, width=8, depth=3, classes=3, dim=5, bias=True):
    sizes = [dim, *[width] * (depth - 1), classes]
    layers = tuple(
        linear(
            rng.standard_normal((b, a)) / math.sqrt(a),
            0.1 * rng.standard_normal(b) if bias else None,
            () if i == depth - 1 else (RELU,),
        )
        for i, (a, b) in enumerate(pairwise(sizes))
    )
    return Network(layers=layers, inputs=rng.standard_normal((n, dim)))


ALL = (spectral_margin, frobenius_peeling, excess_capacity_conv)


@pytest.mark.parametrize(("inputs", "value"), golden("D.bft_rad"))
def test_golden_untruncated_dudley(inputs, value):
    found = dudley_radius(inputs["n"], float(inputs["Rc"]))
    assert found == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(("inputs", "value"), golden("D.bft_rad_truncated"))
def test_golden_truncated_dudley(inputs, value):
    found = dudley_radius(inputs["n"], float(inputs["Rc"]), float(inputs["T0"]))
    assert min(1.0, found) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(("inputs", "value"), golden("D.golowich_scalar_Lminus1"))
def test_golden_peeling(inputs, value):
    found = peeled_average(
        inputs["L"], float(inputs["prodM"]), float(inputs["sum_sq"]), inputs["n"]
    )
    assert found == pytest.approx(value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("inputs", "value"), golden("D.golowich_multiclass_gap"))
def test_golden_peeling_of_many_classes(inputs, value):
    """The older form counted one activation more: one layer more here."""
    found = peeled_gap(
        inputs["L"] + 1,
        float(inputs["prodM"]),
        float(inputs["sum_sq"]),
        inputs["n"],
        inputs["C"],
        float(inputs["gamma"]),
    )
    assert found == pytest.approx(value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("inputs", "value"), golden("D.bft_slack_two_sided_grid"))
def test_golden_slack_with_prices(inputs, value):
    n, delta = inputs["n"], float(inputs["delta"])
    pay = sum(price(k) for k in inputs["grid_indices"])
    found = 2 * dudley_radius(n, float(inputs["Rc"])) + deviation(n, delta, pay)
    assert found == pytest.approx(value, rel=1e-9)


def test_dudley_of_a_class_that_is_small_at_every_scale():
    """3 R / sqrt(n) = 30 exceeds the longest element: its length over sqrt(n), else 1."""
    assert dudley_radius(100, 100.0, 5.0) == pytest.approx(0.5)
    assert dudley_radius(100, 100.0, 20.0) == pytest.approx(2.0)
    assert dudley_radius(100, 100.0) == 1.0


def test_dudley_is_the_infimum_of_its_integral():
    n, r = 60_000, 100.0
    with mpmath.workdps(20):
        values = [
            4 * a / mpmath.sqrt(n)
            + 12 / mpmath.mpf(n) * mpmath.quad(lambda e: r / e, [a, mpmath.sqrt(n)])
            for a in mpmath.linspace(0.2, 5, 97)
        ]
        assert dudley_radius(n, r) <= min(values) * (1 + 1e-12)
        assert dudley_radius(n, r) == pytest.approx(float(min(values)), rel=1e-3)


def test_mean_ramp_by_hand():
    m = np.array([-1.0, 0.0, 1.0, 2.0, 5.0, -np.inf, np.nan])
    assert mean_ramp(m, 2.0) == pytest.approx((1 + 1 + 0.5 + 0 + 0 + 1 + 1) / 7)


def test_one_linear_layer_in_spectral_margin_by_hand():
    """L = 1 without a bias: [W, 0] acts on (x, 1)."""
    rng = np.random.default_rng(1)
    network = mlp(rng, n=200, depth=1, bias=False)
    row = spectral_margin(network_evidence(network))
    w = network.layers[0].weight[:, :, 0, 0]
    s = rounded_up(np.linalg.norm(w, 2) * (1 + 1e-10))
    b = rounded_up(np.linalg.norm(w, axis=1).sum() * (1 + 1e-10))
    x = math.sqrt((network.inputs**2).sum() + 200)
    gamma, width = row.details["gamma"], 6
    log = math.log(2 * width**2)
    rc = 2 / gamma * x * math.sqrt(log) * b.value  # s (b/s)
    k = round(4 * math.log2(gamma))
    expected = (
        mean_ramp(network_evidence(network).fit.margins(network_evidence(network).head), gamma)
        + 2 * dudley_radius(200, rc, rc / math.sqrt(2 * log))
        + deviation(200, 0.05, price(k) + s.price + b.price)
    )
    assert row.value == pytest.approx(expected, rel=1e-8)
    assert row.details["pay"] == pytest.approx(price(k) + s.price + b.price)


def test_one_linear_layer_in_frobenius_peeling_by_hand():
    rng = np.random.default_rng(2)
    network = mlp(rng, n=5000, depth=1)
    e = network_evidence(network)
    row = frobenius_peeling(e)
    w, b = network.layers[0].weight[:, :, 0, 0], network.layers[0].bias
    top = np.sqrt((w**2).sum(1) + b**2).max()
    x2 = (network.inputs**2).sum() + 5000
    m = e.fit.margins(e.head) / top
    expected = min(
        mean_ramp(m, 2.0**k) + 12 / 2.0**k * math.sqrt(x2) / 5000 + deviation(5000, 0.05, price(k))
        for k in range(-10, 3)
    )
    assert expected < 1  # otherwise the row shows another minimum
    assert row.value == pytest.approx(expected, rel=1e-8)


def test_one_linear_layer_in_excess_capacity_by_hand():
    """L = 1: covering numbers from a loop, Dudley's integral by fine quadrature."""
    rng = np.random.default_rng(3)
    n, gamma = 4000, 2.0
    network = mlp(rng, n=n, depth=1)
    (norms,) = layer_norms(network)
    x = network.input_frobenius
    w = norms.parameters
    assert w == 18

    def slow(eta):
        own = norms.b.value * x + norms.c.value * math.sqrt(n)
        size = (math.sqrt(2) / (gamma * eta * math.sqrt(n)) * own) ** 2
        k = 0 if size <= 1 else math.ceil(size)
        return min(k * math.log(2 * w), 2 * w * math.log(1 + k))

    # where the ball of radius eta just does, and where it just does not, hold the whole class
    edge = (
        math.sqrt(2) / (gamma * math.sqrt(n)) * (norms.b.value * x + norms.c.value * math.sqrt(n))
    )
    assert slow(edge / math.sqrt(1.05)) == 2 * math.log(2 * w)
    assert slow(edge * 1.01) == 0
    radii = np.array([1e-3, 0.01, 0.1, 0.2, edge / math.sqrt(1.05), edge * 1.01])
    found = log_covering([norms], x, n, gamma, radii)
    np.testing.assert_allclose(found, [slow(r) for r in radii], rtol=1e-9)
    fine = np.geomspace(1 / n, 0.25, 4001)
    pieces = np.diff(fine) * np.sqrt([slow(r) for r in fine[1:]])  # lower sums
    lower = min(
        4 * fine[i] + 12 / math.sqrt(n) * pieces[i:].sum() for i in range(4000) if fine[i] <= 0.1
    )
    value = dudley_sum([norms], x, n, gamma)
    assert lower <= value <= 1.06 * lower


@pytest.mark.parametrize(("n", "start"), [(4, 0.1), (1000, 0.001)])
def test_a_network_at_its_reference_costs_only_the_start_of_the_chain(n, start):
    """Every covering number is 1, so four times the least radius remains."""
    (norms,) = layer_norms(mlp(np.random.default_rng(3), n=n, depth=1))
    still = norms._replace(b=rounded_up(0.0), c=rounded_up(0.0))
    assert dudley_sum([still], 1e-3, n, 1.0) == pytest.approx(4 * start, rel=1e-12)


def test_steps_of_dudleys_sum_are_no_wider_than_said():
    """Radii from .1 to .25, covering numbers like 1/eta^2: Dudley's integral is a logarithm."""
    (norms,) = layer_norms(mlp(np.random.default_rng(3), n=4, depth=1))
    wide = norms._replace(b=rounded_up(1e6), parameters=10**40)
    size = math.sqrt(2) / (1.0 * 2.0) * (wide.b.value * 8.0 + wide.c.value * 2.0)
    exact = size * math.sqrt(math.log(2e40)) * math.log(2.5)
    found = (dudley_sum([wide], 8.0, 4, 1.0) - 4 * 0.1) / 6.0
    assert exact < found < exact * 0.05 / math.log(1.05)


def test_excess_capacity_rises_with_every_norm():
    network = mlp(np.random.default_rng(4))
    layers = layer_norms(network)
    base = dudley_sum(layers, 30.0, 300, 1.0)
    for i in range(3):
        for name in ("s", "b", "beta", "c"):
            larger = list(layers)
            point = getattr(layers[i], name)
            larger[i] = layers[i]._replace(**{name: rounded_up(4 * point.value)})
            assert dudley_sum(larger, 30.0, 300, 1.0) >= base
    assert dudley_sum(layers, 60.0, 300, 1.0) >= base
    assert dudley_sum(layers, 30.0, 300, 2.0) <= base


@pytest.mark.parametrize("bound", ALL, ids=lambda b: b.id)
def test_vacuous_rows_say_by_how_much(bound):
    row = bound(network_evidence(mlp(np.random.default_rng(5))))
    assert row.kind == "certificate"
    assert row.value > 1
    assert row.details["log10"] == pytest.approx(math.log10(row.value))
    assert row.terms["empirical"] <= 0.5
    assert sum(row.terms.values()) == pytest.approx(row.value)
    json.dumps(row.to_dict(), allow_nan=False)


@pytest.mark.parametrize("bound", ALL, ids=lambda b: b.id)
def test_falls_with_delta(bound):
    e = network_evidence(mlp(np.random.default_rng(6)))
    values = [bound(e, d).value for d in (0.001, 0.05, 0.2)]
    assert values == sorted(values, reverse=True)


def rebalanced(network, factor):
    """ReLU(c u) = c ReLU(u): the same function with other weights."""
    first, second, *rest = network.layers
    return replace(
        network,
        layers=(
            replace(first, weight=factor * first.weight, bias=None),
            replace(second, weight=second.weight / factor, bias=None),
            *rest,
        ),
    )


def test_rescaling_without_biases_leaves_norm_products():
    """By a power of the grid's ratio the rounded norms move along, and products stay."""
    rng = np.random.default_rng(7)
    network = mlp(rng, bias=False)
    moved = rebalanced(network, 4.0)
    np.testing.assert_allclose(moved.logits(network.inputs), network.logits(network.inputs))
    a, b = (layer_norms(net) for net in (network, moved))
    assert dudley_sum(a, 30.0, 300, 1.0) == pytest.approx(dudley_sum(b, 30.0, 300, 1.0), rel=1e-9)
    rows = [excess_capacity_conv(network_evidence(net)) for net in (network, moved)]
    assert rows[0].terms["complexity"] == pytest.approx(rows[1].terms["complexity"], rel=1e-6)


def test_scaling_all_logits_changes_nothing_in_peeling():
    network = mlp(np.random.default_rng(8))
    last = network.layers[-1]
    louder = replace(last, weight=8.0 * last.weight, bias=8.0 * last.bias)
    values = [
        frobenius_peeling(
            network_evidence(replace(network, layers=(*network.layers[:-1], layer)))
        ).value
        for layer in (last, louder)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-9)


def test_refusals_by_bound():
    rng = np.random.default_rng(9)
    network = mlp(rng)
    tanh = replace(network.layers[0], steps=(Activation("tanh"),))
    other = network_evidence(replace(network, layers=(tanh, *network.layers[1:])))
    assert "exactly one ReLU" in frobenius_peeling(other).reasons[-1]
    assert np.isfinite(spectral_margin(other).value)
    pool = replace(network.layers[0], steps=(RELU, MaxPool((1, 1), (1, 1), (0, 0))))
    pooled = network_evidence(replace(network, layers=(pool, *network.layers[1:])))
    for bound, words in ((frobenius_peeling, "max pool"), (spectral_margin, "pool")):
        assert words in bound(pooled).reasons[-1]
    refused = replace(other, network=Network(layers=(), inputs=network.inputs, reason="LSTM 'x'"))
    for bound in ALL:
        row = bound(refused)
        assert np.isnan(row.value)
        assert row.reasons[-1] == "LSTM 'x'"


def test_a_tie_everywhere_is_undefined_or_vacuous():
    network = mlp(np.random.default_rng(10), depth=1)
    zero = replace(network.layers[0], weight=0 * network.layers[0].weight, bias=np.zeros(3))
    e = network_evidence(replace(network, layers=(zero,)))
    for bound in ALL:
        assert not bound(e).value < 1


def test_reference_lowers_spectral_margin_and_excess_capacity():
    network = mlp(np.random.default_rng(11))
    near = tuple(
        replace(layer, weight=0.98 * layer.weight, bias=0.98 * layer.bias)
        for layer in network.layers
    )
    for bound in (spectral_margin, excess_capacity_conv):
        with_start = bound(network_evidence(replace(network, reference=near)))
        assert with_start.value < bound(network_evidence(network)).value
        assert with_start.details["reference"] == "initialisation"


def test_peeling_holds_for_random_unit_networks():
    """Rademacher averages of sampled scalar networks of unit norms stay below the bound."""
    rng = np.random.default_rng(12)
    n, depth = 8, 2
    x = rng.standard_normal((n, 3))
    signs = rng.choice([-1.0, 1.0], (400, n))
    hidden = rng.standard_normal((3000, 4, 3))
    hidden /= np.linalg.norm(hidden, axis=(1, 2), keepdims=True)
    last = rng.standard_normal((3000, 4))
    last /= np.linalg.norm(last, axis=1, keepdims=True)
    f = np.einsum("kj,kjn->kn", last, np.maximum(hidden @ x.T, 0))
    average = (signs @ f.T).max(axis=1).mean() / n
    assert average <= peeled_average(depth, 1.0, (x**2).sum(), n)
