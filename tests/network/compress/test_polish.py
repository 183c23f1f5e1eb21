"""The discrete polish: gains against brute force, and bounds that only fall."""

import itertools
import json

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from ncbounds.network.compress import Architecture, Layer, Network, certify, encode
from ncbounds.network.compress.polish import Head, Polish, predicted
from ncbounds.network.compress.rate import code_length, size_costs, tensor_costs, value_costs
from ncbounds.network.compress.search import Search
from ncbounds.network.compress.student import Student, prepare
from ncbounds.network.compress.weights import LARGEST
from ncbounds.numerics import occam_upper

SMALL = Architecture((Layer(4, 3, 4, "stride"), Layer(4, 3, 2, depthwise=True)), 1, cut=1)


@pytest.fixture(scope="module")
def digits():
    torch.set_num_threads(1)
    data = load_digits()
    images = np.minimum(16 * data.images, 255).astype(np.uint8)[:, None]
    rng = np.random.default_rng(5)
    codes = tuple(rng.integers(-2, 3, size) for size in SMALL.shapes(1, 10))
    biases = tuple(rng.integers(-1, 2, len(c)) for c in codes)
    decided = np.where(rng.random(len(images)) < 0.2, 0, data.target)
    network = Network(SMALL, codes, biases, (1, 8, 8), 10)
    return images, torch.from_numpy(data.target), torch.from_numpy(decided), network


def polish_of(digits, **options):
    images, labels, decided, network = digits
    return Polish(network, prepare(images, SMALL), labels, decided, delta=0.05, **options)


def random_head(seed, targets=2):
    rng = torch.Generator().manual_seed(seed)
    features = torch.randn(5, 60, generator=rng)
    weights = torch.randint(-2, 3, (4, 5), generator=rng).float()
    costs = 0.5 * torch.rand(4, 5, 2 * LARGEST + 1, generator=rng)
    labels = [torch.randint(0, 4, (60,), generator=rng) for _ in range(targets)]
    return Head(features, weights, list(zip((1.0, 0.7), labels, strict=False)), costs)


def cost(head, weights):
    found = predicted(weights @ head.features)
    wrong = sum(w * int((found != target).sum()) for w, target in head.targets)
    at = weights.long() + LARGEST
    return wrong + sum(
        float(head.costs[k, j, at[k, j]]) for k in range(len(at)) for j in range(at.shape[1])
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("targets", [1, 2])
def test_best_steps_of_a_head_are_those_of_brute_force(seed, targets):
    head = random_head(seed, targets)
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
    head.descend(Head.single)
    assert torch.allclose(head.logits, head.weights @ head.features, atol=1e-4)
    assert cost(head, head.weights) < before
    assert all(head.single(k)[0] <= 0 for k in range(4))


def test_no_step_leaves_the_alphabet():
    head = random_head(8)
    head.weights.fill_(LARGEST)
    for k in range(4):
        ((_, change),) = head.single(k)[1]
        assert change < 0


def test_length_is_that_of_the_bytes_before_rounding_up(digits):
    for network in (digits[3], Student(SMALL, (1, 8, 8), 10, seed=3).network()):
        real = 8 * len(encode(network))
        assert real - 15 <= code_length(network) <= real


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


def test_nothing_changes_when_it_may_not_go_on(digits):
    polish = polish_of(digits)
    before = encode(polish.network)
    polish.run(lambda: False, lambda found: None)
    polish.improve_head(lambda: False)
    polish.improve_layer(0, lambda: False)
    assert encode(polish.network) == before
    assert polish.changes == 0


def test_polish_of_a_vacuous_word_lowers_its_errors(digits):
    images, labels, decided, network = digits
    few = slice(0, 60)
    polish = Polish(network, prepare(images[few], SMALL), labels[few], decided[few], delta=0.05)
    before = polish.errors
    assert occam_upper(before, 60, round(polish.bits), 0.05) == 1.0
    polish.improve_head(lambda: True)
    assert polish.errors < before


def search(digits, folder, lines=None, **options):
    images, labels, _, network = digits
    teacher = 8.0 * np.eye(10)[labels.numpy()]
    folder.mkdir(exist_ok=True)
    (folder / "network.ncz").write_bytes(encode(network))
    (folder / "saved.ncz").write_bytes(encode(network))
    say = (lambda text: None) if lines is None else lines.append
    return Search(SMALL, images, labels.numpy(), teacher, folder, [], report=say, **options)


@pytest.mark.parametrize(("likeness", "name"), [(0.0, "network.ncz"), (1.0, "saved.ncz")])
def test_search_polishes_the_word_on_disk(digits, tmp_path, likeness, name):
    before = certify(encode(digits[3]), digits[0], digits[1].numpy(), classes=10)
    found = search(digits, tmp_path, likeness=likeness)
    state = found.run(4.0)
    after = certify((tmp_path / name).read_bytes(), digits[0], digits[1].numpy(), classes=10)
    assert after.value < before.value - 0.05
    assert {point.stage for point in state.curve} == {"polish"}
    stated = json.loads((tmp_path / "certificate.json").read_text())
    assert stated["value"] == state.best
    assert len((tmp_path / "curve.csv").read_text().splitlines()) == 1 + len(state.curve)


def test_interrupt_ends_polishing(digits, tmp_path):
    found = search(digits, tmp_path)
    found._stop(2, None)
    found.run()
    assert found.state.curve == []


def test_frame_has_no_head_to_polish(digits, tmp_path):
    images, labels, *_ = digits
    frame = Architecture((Layer(10, 3, 2, "stride"),), 1, frame=True)
    student = Student(frame, (1, 8, 8), 10)
    (tmp_path / "network.ncz").write_bytes(encode(student.network()))
    teacher = 8.0 * np.eye(10)[labels.numpy()]
    found = Search(frame, images, labels.numpy(), teacher, tmp_path, [], report=lambda text: None)
    assert found.run().curve == []
