"""Few-shot error on unseen classes: golden values, disjointness, coverage over populations."""

import json
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from fixtures.shares import Kept
from scipy.stats import binom

from ncbounds.bounds.collapse.unseen_classes import unseen_classes
from ncbounds.errors import MissingEvidence
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.numerics import partition_upper

GOLDEN = json.loads((Path(__file__).parents[2] / "golden.json").read_text())
MODULE = "ncbounds.bounds.collapse.unseen_classes"


def made(features, labels, seen=(0, 1), fit_dim=None):
    d = features.shape[1] if fit_dim is None else fit_dim
    fit = Sample.from_arrays(
        np.random.default_rng(0).normal(size=(2 * len(seen), d)),
        np.repeat(seen, 2),
        role="fit",
        sampling="iid",
    )
    held = Sample.from_arrays(features, labels, role="holdout", sampling="iid")
    return Evidence(head=LinearHead(np.ones((2, d))), fit=fit, holdout=held)


def population(classes, n, rng, d=16, spread=1.0, first=2):
    """Class means from a Gaussian population, labels from ``first`` on."""
    mu = rng.normal(size=(classes, d))
    f = np.repeat(mu, n, axis=0) + spread * rng.normal(size=(classes * n, d))
    return f, np.arange(first, first + classes).repeat(n)


@pytest.mark.parametrize("case", GOLDEN["E.ustat_kl"])
def test_tasks_that_lose_alike(case, monkeypatch):
    inputs = case["inputs"]
    loss = float(inputs["U"])
    monkeypatch.setattr(sys.modules[MODULE], "_task_loss", lambda points, m, rng: loss)
    f, y = population(inputs["l"], 6, np.random.default_rng(0))
    row = unseen_classes(made(f, y), delta=float(inputs["delta"]), k=inputs["k"], m=5)
    assert row.n == inputs["l"] // inputs["k"]
    if row.n == 0:
        assert row.value == float(case["value"]) == 1.0
        return
    # all tasks lose alike: the largest stake alone, which has a weight of .7, gives this
    stake = 1 - (1 - loss) * (0.7 * row.delta) ** (1 / row.n)
    assert loss <= row.value <= stake * (1 + 1e-9)
    if row.n >= 10:
        assert row.value < float(case["value"])
    losses = np.full((2, row.n), loss)
    assert row.value == pytest.approx(partition_upper(losses, row.delta), rel=1e-11)


def test_never_above_the_hoeffding_form(monkeypatch):
    for case in GOLDEN["E.ustat_hoeffding"]:
        inputs = case["inputs"]
        loss = float(inputs["U"])
        monkeypatch.setattr(
            sys.modules[MODULE], "_task_loss", lambda points, m, rng, loss=loss: loss
        )
        f, y = population(inputs["l"], 6, np.random.default_rng(0))
        row = unseen_classes(made(f, y), delta=float(inputs["delta"]), k=inputs["k"], m=5)
        assert row.value <= float(case["value"]) + 1e-12


def test_four_classes_are_far_too_few_and_the_row_says_so():
    f, y = population(4, 20, np.random.default_rng(0))
    row = unseen_classes(made(f, y))
    assert row.value == 1.0
    assert any("4 unseen classes" in r and "needs 5" in r for r in row.reasons)


def test_two_hundred_classes_work(monkeypatch):
    monkeypatch.setattr(sys.modules[MODULE], "REPLICATES", 40)
    f, y = population(200, 20, np.random.default_rng(1), spread=0.5)
    row = unseen_classes(made(f, y))
    assert (row.kind, row.target, row.n) == ("conditional", "unseen-classes", 40)
    assert "the classes are independent draws from a population of classes" in row.reasons
    assert row.value < 0.15
    assert row.details["unseen classes"] == 200


def test_classes_of_the_fit_sample_and_small_classes_are_left_out():
    f, y = population(20, 8, np.random.default_rng(2), first=0)
    row = unseen_classes(made(f, y, seen=(3, 4, 19)))
    assert row.details == {"unseen classes": 17, "with enough points": 17, "groups": 3}
    keep = np.concatenate([np.flatnonzero(y != 7), np.flatnonzero(y == 7)[:5]])
    row = unseen_classes(made(f[keep], y[keep], seen=(3, 4, 19)))
    assert row.details["with enough points"] == 16
    # labels above everything in the fit sample are unseen, too
    assert unseen_classes(made(f, y, seen=(0, 1))).details["unseen classes"] == 18


def test_seen_classes_do_not_enter_the_value():
    f, y = population(20, 8, np.random.default_rng(3), first=0)
    g = f.copy()
    g[y < 2] = 1e6
    assert unseen_classes(made(f, y)).value == unseen_classes(made(g, y)).value


def test_groups_are_disjoint(monkeypatch):
    module = sys.modules[MODULE]
    f, y = population(12, 8, np.random.default_rng(4))
    tasks = []
    plain = module._task_loss

    def record(points, m, rng):
        tasks.append([p[0, 0] for p in points])
        return plain(points, m, rng)

    monkeypatch.setattr(module, "_task_loss", record)
    unseen_classes(made(f, y), k=5, m=5)
    assert len(tasks) == 2 * module.REPLICATES
    for one, two in zip(tasks[::2], tasks[1::2], strict=True):
        assert len({*one, *two}) == 10


def test_task_loss_equals_a_loop_over_points_that_are_no_shots():
    module = sys.modules[MODULE]
    rng = np.random.default_rng(5)
    points = [rng.normal(size=(9, 3)) + rng.normal(size=3) for _ in range(4)]
    loss = module._task_loss(points, 2, np.random.default_rng(7))
    again = np.random.default_rng(7)
    shots = [again.choice(9, 2, replace=False) for _ in points]
    means = [p[s].mean(axis=0) for p, s in zip(points, shots, strict=True)]
    shares = []
    for c, (p, s) in enumerate(zip(points, shots, strict=True)):
        wrong = []
        for k in set(range(9)) - set(s.tolist()):
            distance = [((p[k] - mu) ** 2).sum() for mu in means]
            wrong.append(distance[c] >= min(distance[:c] + distance[c + 1 :]))
        shares.append(np.mean(wrong))
    assert loss == pytest.approx(np.mean(shares))
    assert 0 < loss < 1


def test_ties_and_points_that_are_not_finite_are_errors():
    y = np.arange(2, 12).repeat(8)
    assert unseen_classes(made(np.zeros((80, 2)), y)).terms["empirical"] == 1.0
    f, y = population(10, 8, np.random.default_rng(6), spread=0.01)
    clean = unseen_classes(made(f, y)).terms["empirical"]
    f[y == 5] = np.nan
    assert unseen_classes(made(f, y)).terms["empirical"] > clean + 0.3


def test_without_a_fit_sample_it_is_missing():
    f, y = population(10, 8, np.random.default_rng(7))
    with pytest.raises(MissingEvidence, match="fit"):
        unseen_classes(replace(made(f, y), fit=None))


def test_frame_does_not_matter():
    f, y = population(10, 8, np.random.default_rng(8), spread=2.0)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0]
    assert unseen_classes(made(f, y)).value == unseen_classes(made(100 * f @ rotation - 5, y)).value


def test_coverage_in_a_tight_population(monkeypatch):
    """Classes are distinct points, or with probability p lie on one common point.

    A task of two classes errs completely iff both lie on the common point, else not at all: the
    error is p^2, and no error in l/2 tasks has probability (1 - p^2)^(l/2). The error lies just
    above the value without errors.
    """
    monkeypatch.setattr(sys.modules[MODULE], "REPLICATES", 5)
    delta, groups, runs = 0.2, 3, 200
    p = np.sqrt(partition_upper(np.zeros((5, groups)), delta)) * 1.002
    rng = np.random.default_rng(9)
    missed = 0
    y = np.arange(2, 2 + 2 * groups).repeat(2)
    for _ in range(runs):
        common = rng.random(2 * groups) < p
        mu = np.where(common, 0.0, np.arange(1, 2 * groups + 1))
        row = unseen_classes(made(np.repeat(mu, 2)[:, None], y), delta=delta, k=2, m=1)
        missed += row.value < p * p
    assert missed > 0
    assert binom.sf(missed - 1, runs, delta) > 1e-6


def test_a_distance_that_is_equal_up_to_rounding_is_a_miss():
    """The query lies in the middle of two means far from the origin."""
    missed = sys.modules[MODULE]._missed
    for own in (0, 1):
        means = np.array([[1e3 + 0.1], [1e3 + 0.7]])
        assert missed(means.mean(axis=0)[None], means, np.array([own])).all()
        assert not missed(means[[own]], means, np.array([own])).any()


def test_classes_of_the_head_sample_are_left_out_too():
    f, y = population(12, 8, np.random.default_rng(3))
    e = made(f, y)
    head = Sample.from_arrays(
        np.random.default_rng(4).normal(size=(4, 16)), [2, 2, 3, 3], role="head", sampling="iid"
    )
    found = unseen_classes(replace(e, head_sample=head))
    assert found.details["unseen classes"] == 10
    assert unseen_classes(e).details["unseen classes"] == 12


def test_losses_of_tasks_are_rounded_up(monkeypatch):
    """A third is no float and rounds down."""
    losses = Kept(partition_upper, 0)
    monkeypatch.setattr(sys.modules[MODULE], "partition_upper", losses)
    monkeypatch.setattr(sys.modules[MODULE], "_task_loss", lambda *_: 1 / 3)
    unseen_classes(made(*population(12, 6, np.random.default_rng(0))))
    assert {Fraction(x) >= Fraction(1, 3) for x in losses.found[0].ravel()} == {True}
