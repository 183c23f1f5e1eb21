"""The discrete polish: gains against brute force, and bounds that only fall."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from ncbounds.code_words import Architecture, FrontEnd, Layer, Network, certify, encode
from ncbounds.code_words.code.weights import LARGEST
from ncbounds.code_words.search.head_steps import Head
from ncbounds.code_words.search.polish import Polish
from ncbounds.code_words.search.rate import code_length, size_costs, tensor_costs, value_costs
from ncbounds.code_words.search.schedule import Stage
from ncbounds.code_words.search.search import Search
from ncbounds.code_words.search.student import Student, prepare
from ncbounds.code_words.search.trainer import Settings
from ncbounds.numerics import occam_upper

SMALL = Architecture((Layer(4, 3, 4, "stride"), Layer(4, 3, 2, depthwise=True)), 1, cut=1)


@pytest.fixture(scope="module")
def digits():
    torch.set_num_threads(1)
    data = load_digits()
    images = np.minimum(16 * data.images, 255).astype(np.uint8)[:, None]
    target = data.target
    rng = np.random.default_rng(5)
    codes = tuple(rng.integers(-2, 3, size) for size in SMALL.shapes(1, 10))
    biases = tuple(rng.integers(-1, 2, len(c)) for c in codes)
    decided = np.where(rng.random(len(images)) < 0.2, 0, target)
    network = Network(SMALL, codes, biases, (1, 8, 8), 10)
    return images, torch.from_numpy(target), torch.from_numpy(decided), network


def polish_of(digits, **options):
    images, labels, decided, network = digits
    return Polish(network, prepare(images, SMALL), labels, decided, delta=0.05, **options)


def random_head(seed, targets=2, *, whole=False):
    rng = torch.Generator().manual_seed(seed)
    # whole numbers make ties, which are errors
    features = torch.randint(-2, 3, (5, 60), generator=rng).float()
    features = features if whole else features + torch.randn(5, 60, generator=rng)
    weights = torch.randint(-2, 3, (4, 5), generator=rng).float()
    costs = 0.5 * torch.rand(4, 5, 2 * LARGEST + 1, generator=rng)
    labels = [torch.randint(0, 4, (60,), generator=rng) for _ in range(targets)]
    return Head(features, weights, list(zip((1.0, 0.7), labels, strict=False)), costs)


def cost(head, weights):
    """Slow and apart from the code under test."""
    total = 0.0
    for i in range(head.features.shape[1]):
        logits = [float(weights[k] @ head.features[:, i]) for k in range(len(weights))]
        winners = [k for k, value in enumerate(logits) if value == max(logits)]
        for worth, target in head.targets:
            total += worth * (winners != [int(target[i])])
    at = weights.long() + LARGEST
    return total + sum(
        float(head.costs[k, j, at[k, j]]) for k in range(len(at)) for j in range(at.shape[1])
    )


@pytest.mark.parametrize("seed", range(1))
@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("whole", [False, True])
def test_best_steps_of_a_head_are_those_of_brute_force(seed, targets, whole):
    head = random_head(seed, targets, whole=whole)
    now = cost(head, head.weights)
    for k in range(4):
        gains, pairs = [], [0.0]
        for j, change in itertools.product(range(5), (-2, -1, 1, 2)):
            other = head.weights.clone()
            other[k, j] += change
            gains.append(now - cost(head, other))
        for i, j in itertools.combinations(range(5), 2):
            for a, b in itertools.product((-1, 1), repeat=2):
                other = head.weights.clone()
                other[k, i] += a
                other[k, j] += b
                pairs.append(now - cost(head, other))
        assert head.single(k)[0] == pytest.approx(max(gains), abs=1e-4)
        gain, steps = head.pair(k)
        assert gain == pytest.approx(max(pairs), abs=1e-4)
        for j, change in steps:
            head.weights[k, j] += change
        assert now - cost(head, head.weights) == pytest.approx(gain, abs=1e-4)
        for j, change in steps:
            head.weights[k, j] -= change


def test_descent_keeps_logits_and_ends_where_no_step_gains():
    head = random_head(7)
    before = cost(head, head.weights)
    head.descend(99)
    assert torch.allclose(head.logits, head.weights @ head.features, atol=1e-4)
    assert cost(head, head.weights) < before
    assert all(head.single(k)[0] <= 0 for k in range(4))


def test_jumps_are_as_likely_as_their_gains():
    rng, counts, trials = np.random.default_rng(3), {}, 1500
    for _ in range(trials):
        head = random_head(2)
        before = head.weights.clone()
        head.jump(1, 2.0, rng)
        moved = tuple((head.weights - before)[1].int().tolist())
        counts[moved] = counts.get(moved, 0) + 1
        assert torch.allclose(head.logits, head.weights @ head.features, atol=1e-4)
    head = random_head(2)
    now, expected = cost(head, head.weights), {(0,) * 5: 1.0}
    for j, change in itertools.product(range(5), (-1, 1)):
        other = head.weights.clone()
        other[1, j] += change
        expected[tuple((other - head.weights)[1].int().tolist())] = np.exp(
            (now - cost(head, other)) / 2.0
        )
    total = sum(expected.values())
    assert set(counts) <= set(expected)
    for moved, weight in expected.items():
        p = weight / total
        assert abs(counts.get(moved, 0) / trials - p) < 4.5 * np.sqrt(p / trials) + 1e-3


@pytest.mark.parametrize("sign", [-1, 1])
def test_no_step_leaves_the_alphabet(sign):
    head = random_head(8)
    head.weights.fill_(sign * LARGEST)
    head.logits = head.weights @ head.features
    for k in range(4):
        for _, change in (*head.single(k)[1], *head.pair(k)[1]):
            assert sign * change < 0


def test_no_code_of_a_layer_leaves_the_alphabet(digits):
    images, labels, decided, network = digits
    first = np.full_like(network.codes[0], LARGEST)
    full = replace(network, codes=(first, *network.codes[1:]))
    few = slice(0, 300)
    polish = Polish(full, prepare(images[few], SMALL), labels[few], decided[few], delta=0.05)
    polish.improve_layer(0, lambda: True)
    assert polish.changes > 0
    assert max(float(p.detach().abs().max()) for p in polish.student.latents) <= LARGEST


def test_length_is_that_of_the_bytes_before_rounding_up(digits):
    for network in (digits[3], Student(SMALL, (1, 8, 8), 10, seed=3).network()):
        real = 8 * len(encode(network))
        assert real - 15 <= code_length(network) <= real


def test_length_with_another_head_leaves_the_network(digits):
    polish = polish_of(digits)
    before = encode(polish.network)
    weights = polish._weights()
    weights[3, 2] += 5
    weights[1, -1] -= 3
    assert polish._length(weights) != polish.bits
    other = polish.network
    other.codes[-1].reshape(10, -1)[3, 2] += 5
    other.biases[-1][1] -= 3
    assert polish._length(weights) == code_length(other)
    assert encode(polish.network) == before


def test_estimated_bits_of_head_steps_are_near_the_real_ones(digits):
    polish = polish_of(digits)
    head = polish._head(polish._features, slice(None))
    rng = np.random.default_rng(0)
    for k, j in [*rng.integers(0, (10, 13), (30, 2)), *((k, 12) for k in range(10))]:
        for step in (-1, 1, 2):
            weights = polish._weights()
            at = int(weights[k, j]) + LARGEST
            weights[k, j] += step
            estimate = float(head.costs[k, j, at + step] - head.costs[k, j, at])
            real = polish._length(weights) - polish.bits
            assert estimate / polish.worth.bit == pytest.approx(real, abs=2.5)


def test_worth_is_the_slope_of_the_bound(digits):
    polish = polish_of(digits, likeness=True)
    n, k, bits = len(digits[1]), polish.errors, round(polish.bits)
    more = (occam_upper(k + 17, n, bits, 0.05) - occam_upper(k, n, bits, 0.05)) / 17
    dear = (occam_upper(k, n, bits + 100, 0.05) - occam_upper(k, n, bits, 0.05)) / 100
    assert polish.worth.error == pytest.approx(more, rel=1e-6)
    assert polish.worth.bit == pytest.approx(dear, rel=1e-6)
    assert polish.worth.difference == 1 / n


def test_costs_of_values_by_hand():
    codes = torch.tensor([0.0, 0.0, 2.0, -1.0])
    sizes = size_costs([codes])
    zero, one = tensor_costs(codes)
    found = value_costs(codes, sizes)
    assert found.shape == (4, 2 * LARGEST + 1)
    assert float(found[0, LARGEST]) == pytest.approx(float(zero[0]))
    for value in (-3, -1, 1, 2):
        expected = float(one[1]) + sizes[abs(value) - 1]
        assert float(found[1, LARGEST + value]) == pytest.approx(expected)


@pytest.mark.parametrize("likeness", [False, True])
def test_polish_lowers_the_bound_and_counts_right(digits, likeness):
    images, labels, decided, network = digits
    n = len(labels)
    polish = polish_of(digits, likeness=likeness)
    values = []

    def told(found):
        bound = occam_upper(found.errors, n, round(found.bits), 0.05)
        values.append(bound + likeness * found.differences / n)

    told(polish)
    assert (polish.worth.difference > 0) == likeness
    polish.improve_head(lambda: True)
    told(polish)
    changes = polish.changes
    polish.improve_layer(1, lambda: True)
    told(polish)
    polish.improve_layer(0, lambda: True)
    told(polish)
    assert values[0] > values[1] >= values[2] >= values[3]
    assert polish.changes > changes > 0
    # the float form and whole numbers may differ in a row or two
    exact = certify(encode(polish.network), images, labels.numpy(), classes=10)
    assert abs(exact.errors - polish.errors) <= 3
    like = certify(encode(polish.network), images, decided.numpy(), classes=10)
    assert abs(like.errors - polish.differences) <= 3
    assert exact.bits - 15 <= polish.bits <= exact.bits
    assert certify(encode(network), images, labels.numpy(), classes=10).value > exact.value


def test_annealing_keeps_the_best_and_counts_it(digits):
    polish = polish_of(digits)
    before = polish.cost
    polish.anneal_head(lambda: True, rounds=15)
    assert polish.cost < 0.95 * before
    assert polish.changes == 1
    polish.improve_head(lambda: True)
    best, changes = polish.cost, polish.changes
    polish.anneal_head(lambda: True, rounds=2)
    # hot: it may have ended worse, but then nothing has changed
    assert polish.cost <= best
    assert (polish.changes > changes) == (polish.cost < best)
    exact = certify(encode(polish.network), digits[0], digits[1].numpy(), classes=10)
    assert abs(exact.errors - polish.errors) <= 3
    assert exact.bits - 15 <= polish.bits <= exact.bits


def test_nothing_changes_when_it_may_not_go_on(digits):
    polish = polish_of(digits)
    before = encode(polish.network)
    polish.run(lambda: False, lambda found: None)
    polish.improve_head(lambda: False)
    polish.anneal_head(lambda: False)
    polish.improve_layer(0, lambda: False)
    assert encode(polish.network) == before
    assert polish.changes == 0


@pytest.mark.parametrize(("reduction", "front"), [(1, FrontEnd()), (2, FrontEnd("roots", 3, 2))])
def test_other_networks_are_read_right(reduction, front):
    """Three channels, other norms, links and pools: the float form counts as the whole numbers."""
    rng = np.random.default_rng(1)
    layers = (Layer(4, 3, 3, "pool"), Layer(4, 3, 2, link="residual"), Layer(4, 3, 2, link="twice"))
    a = Architecture(layers, reduction, "channel", centred=False, cut=2, front=front)
    codes = tuple(rng.integers(-2, 3, size) for size in a.shapes(3, 4))
    biases = tuple(rng.integers(-1, 2, len(c)) for c in codes)
    network = Network(a, codes, biases, (3, 8, 8), 4)
    images = rng.integers(0, 256, (400, 3, 8, 8)).astype(np.uint8)
    labels = torch.from_numpy(rng.integers(0, 4, 400))
    polish = Polish(network, prepare(images, a), labels, labels, delta=0.05)
    for improve in (lambda: None, lambda: polish.improve_layer(1, lambda: True)):
        improve()
        exact = certify(encode(polish.network), images, labels.numpy(), classes=4)
        assert abs(exact.errors - polish.errors) <= 2
        assert exact.bits - 15 <= polish.bits <= exact.bits
    assert polish.changes > 0


def test_polish_of_a_vacuous_word_lowers_its_errors(digits):
    images, labels, decided, network = digits
    few = slice(0, 60)
    polish = Polish(network, prepare(images[few], SMALL), labels[few], decided[few], delta=0.05)
    before = polish.errors
    assert occam_upper(before, 60, round(polish.bits), 0.05) == 1.0
    polish.improve_head(lambda: True)
    assert polish.errors < before


def search(digits, folder, report=lambda text: None, stages=(), **options):
    images, labels, _, network = digits
    teacher = 8.0 * np.eye(10)[labels.numpy()]
    folder.mkdir(exist_ok=True)
    if not (folder / "network.ncz").exists():
        (folder / "network.ncz").write_bytes(encode(network))
        (folder / "saved.ncz").write_bytes(encode(network))
    return Search(
        SMALL, images, labels.numpy(), teacher, folder, list(stages), Settings(**options), report
    )


def value(digits, path):
    return certify(path.read_bytes(), digits[0], digits[1].numpy(), classes=10).value


@pytest.mark.parametrize(("likeness", "name"), [(0.0, "network.ncz"), (1.0, "saved.ncz")])
def test_search_polishes_the_word_on_disk_until_it_is_stopped(digits, tmp_path, likeness, name):
    def report(text):
        found.interrupted = text.startswith("polish")

    found = search(digits, tmp_path, report, likeness=likeness)
    before = value(digits, tmp_path / name)
    state = found.run()
    assert [point.stage for point in state.curve] == ["polish"]
    assert value(digits, tmp_path / name) < before - 0.05
    stated = json.loads((tmp_path / "certificate.json").read_text())
    assert stated["value"] == state.best == value(digits, tmp_path / "network.ncz")
    assert len((tmp_path / "curve.csv").read_text().splitlines()) == 1 + len(state.curve)
    # and goes on from there
    again = search(digits, tmp_path, likeness=likeness)
    again.run(1.0)
    assert again.state.best <= state.best
    assert len(again.state.curve) >= 1


def test_stop_before_polishing_prevents_it(digits, tmp_path):
    found = search(digits, tmp_path)
    found._stop(2, None)
    found.run()
    assert found.state.curve == []


def test_part_of_the_time_is_for_polishing(digits, tmp_path):
    stages = [Stage("real", 1, (1e-2, 1e-2), rounding=False), Stage("down", 2, (1e-2, 1e-3))]
    found = search(digits, tmp_path, stages=stages, batch=256)
    assert "polish" in {point.stage for point in found.run(3.0).curve}
    unpolished = search(digits, tmp_path / "not", stages=stages, batch=256, polished=False)
    assert "polish" not in {point.stage for point in unpolished.run(3.0).curve}


def test_words_of_another_plan_or_hand_stay_until_there_are_better_ones(digits, tmp_path):
    found = search(digits, tmp_path, lambda text: setattr(found, "interrupted", True))
    best = found.run().best
    poor = [Stage("other", 1, (1e-5, 1e-5))]
    again = search(digits, tmp_path, stages=poor, polished=False)
    assert again.run().best == best == value(digits, tmp_path / "network.ncz")
    assert [point.stage for point in again.state.curve] == ["polish", "other"]
    (tmp_path / "search.pt").unlink()
    third = search(digits, tmp_path, stages=poor, polished=False)
    assert third.run().best == best == value(digits, tmp_path / "network.ncz")
    (tmp_path / "network.ncz").write_bytes(b"no code word")
    (tmp_path / "search.pt").unlink()
    assert search(digits, tmp_path, stages=poor, polished=False).run().best < 1.1


def test_frame_has_no_head_to_polish(digits, tmp_path):
    images, labels, *_ = digits
    frame = Architecture((Layer(10, 3, 2, "stride"),), 1, frame=True)
    student = Student(frame, (1, 8, 8), 10)
    (tmp_path / "network.ncz").write_bytes(encode(student.network()))
    teacher = 8.0 * np.eye(10)[labels.numpy()]
    found = Search(frame, images, labels.numpy(), teacher, tmp_path, [], report=lambda text: None)
    assert found.run().curve == []


def test_a_word_of_another_architecture_is_not_polished(digits, tmp_path):
    images, labels, _, network = digits
    (tmp_path / "network.ncz").write_bytes(encode(network))
    other = replace(SMALL, front=FrontEnd("roots"))
    said, teacher = [], 8.0 * np.eye(10)[labels.numpy()]
    found = Search(other, images, labels.numpy(), teacher, tmp_path, [], report=said.append)
    assert found.run().curve == []
    assert said == ["not polished: the best word so far is of another architecture"]
