"""The cover of the weights: a slow second implementation, its lemma by simulation, and limits."""

import math
from dataclasses import replace

import numpy as np
import pytest
from fixtures.evidence import network_evidence

from ncbounds.bounds.network import parameter_cover
from ncbounds.bounds.network._grid import all_rounded_up, price, rounded_up
from ncbounds.bounds.network.parameter_cover import TAU, cover
from ncbounds.evidence.head import LinearHead, margins
from ncbounds.evidence.sample import Sample
from ncbounds.network import AffineLayer, Network
from ncbounds.network.norms import dense_matrix, operator_norm
from ncbounds.network.steps import Activation, AveragePool, Flatten, MaxPool, window_averages


def conv(name, weight, bias, side, *, stride=1, padding=0, groups=1, steps=()):
    pads = ((padding, padding), (padding, padding))
    shape = (weight.shape[1] * groups, *side)
    return AffineLayer(name, weight, bias, (stride, stride), pads, (1, 1), groups, shape, steps)


def linear(name, weight, bias, steps=()):
    return conv(name, weight[:, :, None, None], bias, (1, 1), steps=steps)


def small_network(rng, n=400, scale=0.5, bias=True):
    """A convolution, a depthwise one behind an average pool, a linear layer; 3 classes."""

    def b(size):
        return 0.1 * rng.standard_normal(size) if bias else None

    pool = AveragePool(window_averages(6, 2, 2, 0), window_averages(6, 2, 2, 0))
    relu = Activation("relu")
    layers = (
        conv(
            "a",
            scale * rng.standard_normal((2, 1, 3, 3)),
            b(2),
            (6, 6),
            padding=1,
            steps=(relu, pool),
        ),
        conv(
            "b",
            scale * rng.standard_normal((2, 1, 2, 2)),
            b(2),
            (3, 3),
            groups=2,
            steps=(relu, MaxPool((2, 2), (2, 2), (0, 0)), Flatten()),
        ),
        linear("c", rng.standard_normal((3, 2)), b(3)),
    )
    return Network(layers=layers, inputs=rng.standard_normal((n, 1, 6, 6)))


def slow_value(network, y, delta):
    """Everything again with dense matrices and loops, each constant written out."""
    import mpmath

    dense = [dense_matrix(layer) for layer in network.layers]
    n, depth = network.n, network.depth
    u, norms = network.inputs.astype(float), []
    for layer in network.layers:
        norms.append(np.linalg.norm(u.reshape(n, -1), axis=1))
        u = layer(u)
        for step in layer.steps:
            u = step(u)
    m = margins(u.reshape(n, -1), y)

    def grid(v):
        k = math.ceil(4 * math.log2(v) - 1e-12)
        return k, 2 ** (k / 4)

    def cost(k):
        return math.log(2 * (abs(k) + 1) * (abs(k) + 2))

    sizes, a, s, nu2, rho, places = [], [], [None], [], [], []
    for i, layer in enumerate(network.layers):
        b = np.zeros(0) if layer.bias is None else layer.bias
        sizes.append(layer.weight.size + b.size)
        a.append(grid(math.sqrt((layer.weight**2).sum() + (b**2).sum())))
        if i:
            s.append(grid(max(operator_norm(layer), np.linalg.norm(dense[i], 2))))
        kh, kw = layer.weight.shape[2:]
        t = layer.stride[0]
        nu2.append(math.ceil(kh / min(t, kh)) * math.ceil(kw / min(t, kw)))
        rho.append(0.5 if any(isinstance(x, AveragePool) for x in layer.steps) else 1.0)
        places.append(layer.positions if layer.bias is not None else 0)
    best = 1.0
    for q in (0.99, 0.999, 1.0):
        h = [grid(np.sort(v)[min(n - 1, math.ceil(q * (n - 1)))]) for v in norms]
        long = np.zeros(n, dtype=bool)
        for v, (_, top) in zip(norms, h, strict=True):
            long |= v > top
        g = []
        for i in range(depth):
            product = rho[i]
            for j in range(i + 1, depth):
                product *= s[j][1] * rho[j]
            g.append(product * math.sqrt(nu2[i] * (1.02 * h[i][1]) ** 2 + places[i]))
        for k in range(-140, 40):
            gamma = 2 ** (k / 4)
            usable = True
            for ell in range(1, depth):
                product = h[ell][1]
                for j in range(ell, depth):
                    product *= s[j][1] * rho[j]
                usable &= gamma <= 2 * math.sqrt(2) * 0.02 * product
            if not usable:
                continue
            total = sum(sizes)
            nats = sum(
                w * math.log(1 + 2 * r[1] / (gamma * w / (2 * math.sqrt(2) * gi * total)))
                for w, r, gi in zip(sizes, a, g, strict=True)
            )
            paid = cost(k) + sum(cost(x[0]) for x in (*h, *s[1:], *a))
            bad = float((long | (m <= gamma)).mean())
            budget = (nats + paid + math.log(1 / delta)) / n
            if bad >= 1:
                continue

            def kl(p, bad=bad):
                left = bad * mpmath.log(bad / p) if bad else 0
                return left + (1 - bad) * mpmath.log((1 - bad) / (1 - p))

            low, high = mpmath.mpf(bad), mpmath.mpf(1)
            for _ in range(60):
                middle = (low + high) / 2
                low, high = (middle, high) if middle == 0 or kl(middle) <= budget else (low, middle)
            best = min(best, float(high))
    return best


@pytest.mark.parametrize("bias", [True, False])
def test_against_a_slow_second_implementation(bias):
    rng = np.random.default_rng(7)
    network = small_network(rng, n=1500, bias=bias)
    e = network_evidence(network, flip=0.1)
    row = parameter_cover(e)
    assert row.kind == "certificate"
    expected = slow_value(network, e.fit.labels, 0.05)
    assert 0.1 < expected < 1
    assert row.value == pytest.approx(expected, rel=1e-7)


def test_a_linear_network_by_hand():
    """L = 1: one ball of 4 weights; no layer has to stay short but the input."""
    n, delta = 500, 0.05
    x = np.tile([[0.9, 0.0], [0.0, 0.9]], (n // 2, 1))
    weight = np.array([[3.9, 0.0], [0.0, 3.9]])
    network = Network(layers=(linear("head", weight, None),), inputs=x)
    row = parameter_cover(network_evidence(network), delta)
    # all margins are 3.51, H = 1 > .9, a = 2^(10/4) > 3.9 sqrt 2; gamma = 2^(7/4) < 3.51
    gamma, a = 2.0 ** (7 / 4), 2.0**2.5
    eta = gamma / (2 * math.sqrt(2) * 1.02)
    nats = 4 * math.log(1 + 2 * a / eta)
    pay = price(0) + price(10) + price(7)
    expected = 1 - math.exp(-(nats + pay + math.log(1 / delta)) / n)
    assert row.value == pytest.approx(expected, rel=1e-9)
    assert row.value >= expected * (1 - 1e-15)
    assert row.details["gamma"] == gamma
    assert row.details["pay"] == pytest.approx(pay)


def test_perturbation_lemma_by_simulation():
    """Networks within eta of each other: layers, logits and margins move as the proof says."""
    rng = np.random.default_rng(11)
    worst = 0.0
    for trial in range(60):
        network = small_network(rng, n=40, scale=0.3 + 0.02 * trial)
        norms = network.activation_norms
        h = all_rounded_up(np.quantile(norms, 0.9, axis=1))
        kernels = [layer.weight for layer in network.layers]
        a = [rounded_up(2 * np.linalg.norm(k) + 1) for k in kernels]
        s = all_rounded_up(1.1 * network.operator_norms[1:])
        made = cover(network, h, s, a)
        gamma = min(1.0, made.largest_margin)
        total = made.parameters.sum()
        eta = gamma * made.parameters / (2 * math.sqrt(2) * made.sensitivities * total)
        moved = []
        for layer, radius in zip(network.layers, eta, strict=True):
            step = rng.standard_normal(layer.parameters)
            step *= radius / np.linalg.norm(step)
            dk, db = step[: layer.weight.size], step[layer.weight.size :]
            moved.append(
                replace(
                    layer,
                    weight=layer.weight + dk.reshape(layer.weight.shape),
                    bias=layer.bias + db,
                )
            )
        other = replace(network, layers=tuple(moved))
        if any(o > p.value for o, p in zip(other.operator_norms[1:], s, strict=True)):
            continue
        tops = np.array([p.value for p in h])[:, None]
        near = other.activation_norms
        short = (norms <= (1 + TAU) * tops).all(axis=0) | (near <= (1 + TAU) * tops).all(axis=0)
        y = rng.integers(0, 3, network.n)
        x = network.inputs
        shift = np.linalg.norm(network.logits(x) - other.logits(x), axis=1)
        assert (shift[short] <= gamma / (2 * math.sqrt(2)) * (1 + 1e-12)).all()
        worst = max(worst, float(shift[short].max()) / (gamma / (2 * math.sqrt(2))))
        m, mo = margins(network.logits(x), y), margins(other.logits(x), y)
        assert (np.abs(m - mo)[short] <= gamma / 2 * (1 + 1e-12)).all()
        assert (np.abs(norms - near)[:, short] <= TAU * tops * (1 + 1e-12)).all()
        bad = ~((m > gamma) & (norms <= tops).all(axis=0))
        bad_near = ~((mo > gamma / 2) & (near <= (1 + TAU) * tops).all(axis=0))
        assert (bad_near <= bad).all()
        assert ((m <= 0) <= bad_near).all()
    assert worst > 0.01  # the inequalities are not trivially loose


def test_logits_move_no_further_than_the_sensitivity_of_one_layer():
    """The worst direction of the last layer attains its g up to tau and the grid."""
    x = np.array([[3.0, 4.0]])
    network = Network(layers=(linear("head", np.eye(2), np.zeros(2)),), inputs=x)
    made = cover(network, [rounded_up(5.0)], [], [rounded_up(1.0)])
    step = np.outer([1.0, 0.0], x[0])
    parameters = np.r_[step.ravel(), 1.0, 0.0]
    attained = np.linalg.norm(step @ x[0] + [1.0, 0.0]) / np.linalg.norm(parameters)
    assert attained == pytest.approx(math.sqrt(26))
    h = rounded_up(5.0).value
    assert made.sensitivities[0] == pytest.approx(math.sqrt((1.02 * h) ** 2 + 1))
    assert made.sensitivities[0] >= attained


def test_covering_number_holds_on_a_line():
    """In one dimension the separated sets can be counted: no more points than the formula."""
    for a, eta in ((1.0, 0.3), (5.0, 0.01), (0.2, 1.0)):
        count = math.floor(2 * a / eta - 1e-12) + 1  # points further than eta apart in [-a, a]
        assert count <= 1 + 2 * a / eta


def test_rounding_is_outward():
    for norm in (1.0, 1.0000001, 3.7, 2.0**0.25, 1e-3, 1e-9, 0.0):
        point = rounded_up(norm)
        assert point.value >= norm
        if norm > 2.0**-20:
            assert point.value < norm * 2**0.25 * (1 + 1e-12)
    assert rounded_up(0.0).value == 2.0**-20
    weights = sum(math.exp(-price(k)) for k in range(-100_000, 100_001))
    assert 0.74 < weights <= 0.75
    with pytest.raises(ArithmeticError):
        rounded_up(np.inf)


def test_falls_with_delta_and_rises_with_candidates_and_long_layers():
    network = small_network(np.random.default_rng(2), n=1500)
    e = network_evidence(network)
    values = [parameter_cover(e, delta).value for delta in (0.001, 0.05, 0.2)]
    assert values == sorted(values, reverse=True)
    paid = parameter_cover(network_evidence(network, selected_among=100))
    assert paid.value == parameter_cover(e, 0.0005).value
    assert paid.kind == "certificate"
    far = network.inputs.copy()
    far[0] *= 1e6  # one point far away: with the quantile it is bad, and little else changes
    assert parameter_cover(network_evidence(replace(network, inputs=far))).value < values[1] + 0.02


def test_reference_is_used():
    network = small_network(np.random.default_rng(3), n=1500)
    near = replace(
        network,
        reference=tuple(
            replace(layer, weight=0.99 * layer.weight, bias=0.99 * layer.bias)
            for layer in network.layers
        ),
    )
    row, plain = parameter_cover(network_evidence(near)), parameter_cover(network_evidence(network))
    assert row.value < plain.value
    assert row.details["reference"] == "initialisation"


def test_points_that_are_not_finite_are_bad():
    network = small_network(np.random.default_rng(4), n=1500)
    spoiled = network.inputs.copy()
    spoiled[:300] = np.nan
    labels = np.zeros(1500, dtype=int)
    good = network_evidence(network).fit.labels
    labels[300:] = good[300:]
    row = parameter_cover(network_evidence(replace(network, inputs=spoiled), labels))
    assert row.terms["empirical"] >= 0.2
    assert row.value > 0.2


def test_other_samples_have_no_row():
    network = small_network(np.random.default_rng(5), n=50)
    e = network_evidence(network)
    other = replace(e, network=replace(network, inputs=network.inputs[:20]))
    row = parameter_cover(other)
    assert np.isnan(row.value)
    assert "measured on 20 rows" in row.reasons[-1]
    refused = replace(e, network=Network(layers=(), inputs=network.inputs, reason="GELU '3' ..."))
    assert parameter_cover(refused).reasons[-1] == "GELU '3' ..."


def test_stratified_sample_speaks_about_its_own_class_weights():
    network = small_network(np.random.default_rng(6), n=1500)
    e = network_evidence(network, sampling="stratified", flip=0.1)
    row = parameter_cover(e)
    assert row.kind == "certificate"
    np.testing.assert_allclose(row.claim.weights, e.fit.counts / 1500)
    assert row.value == parameter_cover(network_evidence(network, flip=0.1)).value


def test_trained_on_random_labels_it_certifies_nothing():
    """A linear network that fits 300 random labels of 200-dimensional inputs."""
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal((300, 200)), rng.integers(0, 2, 300)
    w = np.linalg.lstsq(np.c_[x, np.ones(300)], 2.0 * y - 1.0, rcond=None)[0]
    weight, bias = 50 * np.stack([-w[:-1], w[:-1]]), 50 * np.array([-w[-1], w[-1]])
    row = parameter_cover(
        network_evidence(Network(layers=(linear("head", weight, bias),), inputs=x), y)
    )
    assert row.details["training error"] < 0.2
    assert row.value >= 0.9


def test_coverage_of_the_best_of_all_thresholds():
    """Labels that no threshold explains: the one that fits best is still not below its error."""
    rng = np.random.default_rng(9)
    below = 0
    for _ in range(200):
        x = rng.uniform(-1, 1, (150, 1))
        y = np.where(rng.random(150) < 0.2, rng.integers(0, 2, 150), (x[:, 0] > 0.1) * 1)
        cuts = np.linspace(-1, 1, 81)
        errors = [((x[:, 0] > c) != y).mean() for c in cuts]
        c = cuts[int(np.argmin(errors))]
        weight = np.array([[-30.0], [30.0]])
        network = Network(layers=(linear("h", weight, np.array([30.0 * c, -30.0 * c])),), inputs=x)
        row = parameter_cover(network_evidence(network, y), 0.05)
        true = 0.1 + 0.8 * abs(c - 0.1) / 2
        below += row.value < true
    assert below == 0


def test_a_network_that_is_not_that_of_head_and_sample_has_no_row():
    """Its norms would go with margins that are not its own."""
    e = network_evidence(small_network(np.random.default_rng(5), n=50))
    longer = LinearHead(1e6 * e.head.weight, e.head.bias, has_bias=e.head.has_bias)
    fit = e.fit
    turned = Sample.from_arrays(fit.features[::-1], fit.labels[::-1], role="fit", sampling="iid")
    for other in (replace(e, head=longer), replace(e, fit=turned)):
        row = parameter_cover(other)
        assert np.isnan(row.value)
        assert "other logits" in row.reasons[-1]


@pytest.mark.parametrize("row", [0, -1])
def test_first_and_last_row_are_among_those_compared(row):
    e = network_evidence(small_network(np.random.default_rng(6), n=500))
    assert np.isfinite(parameter_cover(e).value)
    features = np.array(e.fit.features)
    features[row] += 1.0
    other = Sample.from_arrays(features, e.fit.labels, role="fit", sampling="iid")
    assert "other logits" in parameter_cover(replace(e, fit=other)).reasons[-1]


def test_a_network_may_differ_from_the_head_by_the_digits_of_float32():
    e = network_evidence(small_network(np.random.default_rng(6), n=500))
    noise = 1.0 + 1e-5 * np.random.default_rng(7).standard_normal(e.fit.features.shape)
    near = Sample.from_arrays(e.fit.features * noise, e.fit.labels, role="fit", sampling="iid")
    assert np.isfinite(parameter_cover(replace(e, fit=near)).value)


def test_largest_margin_by_hand():
    """Three linear layers: 2 sqrt(2) tau times the smaller of H_1 s_2 s_3 and H_2 s_3."""
    layers = tuple(linear(f"{i}", np.eye(2), None) for i in range(3))
    network = Network(layers=layers, inputs=np.ones((4, 2)))
    h, a = all_rounded_up([1.0, 2.0, 4.0]), all_rounded_up([1.0] * 3)
    for s, least in (((4.0, 2.0), 8.0), ((0.5, 2.0), 2.0)):
        made = cover(network, h, all_rounded_up(s), a)
        assert made.largest_margin == pytest.approx(2 * math.sqrt(2) * TAU * least, rel=1e-6)
