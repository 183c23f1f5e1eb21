"""True errors of the worlds against counting on large samples, and closed forms by hand."""

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import multivariate_normal

from ncbounds.evidence.head import LinearHead
from ncbounds.procedures.linear import ncm
from ncbounds.testing import worlds
from ncbounds.testing.worlds.laws import Atoms, bivariate_normal, normal_line

WORLDS = [w for w in worlds() if w.name != "class_population"]


def test_there_are_enough_worlds():
    names = [w.name for w in worlds()]
    assert len(names) == len(set(names)) >= 20


@pytest.mark.parametrize("sampling", ["iid", "stratified"])
@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.name)
def test_error_agrees_with_counting(world, sampling):
    rng = np.random.default_rng(3)
    head = world.draw(rng, sampling=sampling).evidence.head
    n = 3000 if world.law.dim > 100 else 20_000
    big = world.sample("test", rng, n, sampling=sampling)
    counted = float((big.margins(head) <= 0).mean())
    truth = world.error(head, None if sampling == "iid" else big.counts / big.n)
    sd = np.sqrt(max(truth.error * (1 - truth.error), 1e-4) / big.n + truth.se**2)
    assert abs(counted - truth.error) < 5.5 * sd


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.name)
def test_stratified_counts_are_fixed(world):
    a, b = (
        world.sample("holdout", np.random.default_rng(s), sampling="stratified") for s in (0, 1)
    )
    assert np.array_equal(a.counts, b.counts)
    assert a.sampling == "stratified"
    assert (a.counts > 0).all()


@pytest.mark.parametrize("name", ["simplex3", "two_bumps", "t3_five_classes", "label_noise"])
def test_few_shot_error_agrees_with_simulation(name):
    (world,) = (w for w in WORLDS if w.name == name)
    truth = world.few_shot(2)
    rng = np.random.default_rng(8)
    errors = []
    for _ in range(500):
        labels = np.repeat(np.arange(world.classes), 2 + 5)
        f = world.law.draw(world._components(labels, rng), rng)
        f = f.reshape(world.classes, 7, -1)
        shots, query = f[:, :2].reshape(2 * world.classes, -1), f[:, 2:]
        head = ncm(shots, np.repeat(np.arange(world.classes), 2), world.classes)
        predicted = head.logits(query.reshape(5 * world.classes, -1)).argmax(axis=1)
        errors.append((predicted != np.repeat(np.arange(world.classes), 5)).mean())
    gap = np.mean(errors) - truth.error
    assert abs(gap) < 5 * np.hypot(truth.se, np.std(errors) / np.sqrt(len(errors)))


def test_random_labels_leave_chance():
    (world,) = (w for w in WORLDS if w.name == "random_labels")
    draw = world.draw(np.random.default_rng(0))
    assert world.error(draw.training.head).error == pytest.approx(2 / 3, abs=1e-12)
    fit = draw.training.fit
    assert (fit.margins(draw.training.head) <= 0).mean() < 0.25


def test_bivariate_normal_against_scipy():
    rng = np.random.default_rng(0)
    for i in range(300):
        h, k = 2 * rng.normal(size=2) * [i % 5 != 0, i % 7 != 0]
        rho = rng.uniform(-0.999, 0.999)
        exact = multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf([h, k])
        assert bivariate_normal(h, k, rho) == pytest.approx(exact, abs=1e-9)
    assert bivariate_normal(0.0, 0.0, 0.5) == pytest.approx(1 / 3, abs=1e-15)
    assert bivariate_normal(0.3, 1.0, 1.0) == pytest.approx(ndtr(0.3), abs=1e-15)
    assert bivariate_normal(0.3, -0.1, -1.0) == pytest.approx(ndtr(0.3) + ndtr(-0.1) - 1, abs=1e-15)


def test_line_is_cut_into_intervals():
    law = normal_line(np.array([0.0]), 1.0)
    # 0 wins left of -1, class 1 on (-1, 2), class 2 right of 2
    head = LinearHead([[-1.0], [0.0], [1.0]], [-1.0, 0.0, -2.0])
    found, _ = law.predicted(head)
    assert found[0] == pytest.approx([ndtr(-1), ndtr(2) - ndtr(-1), ndtr(-2)], abs=1e-15)
    tied, _ = law.predicted(LinearHead([[1.0], [1.0]]))
    assert not tied.any()


def test_atoms_on_the_boundary_are_errors():
    law = Atoms(np.array([[0.0], [1.0]]), np.array([[0.25, 0.75]]))
    found, _ = law.predicted(LinearHead([[1.0], [-1.0]]))
    assert found[0].tolist() == [0.75, 0.0]
