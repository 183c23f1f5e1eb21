"""The few-shot certificate from disjoint blocks: golden values, slow forms, coverage."""

import json
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from finite_laws import draw, evidence, gap_law
from fixtures.shares import Kept
from scipy.stats import binom

from ncbounds.bounds.collapse.ncm_blocks import PARTITIONS, ncm_blocks, partitions
from ncbounds.numerics import partition_upper
from ncbounds.statistics.nearest import not_nearest

GOLDEN = json.loads((Path(__file__).parents[2] / "golden.json").read_text())
MODULE = "ncbounds.bounds.collapse.ncm_blocks"


def expand(counts):
    if isinstance(counts, dict):
        return [counts["value"]] * counts["repeat"]
    return counts


@pytest.mark.parametrize("case", GOLDEN["E.block_certificate_kl"])
def test_below_the_entropy_form_where_all_blocks_lose_alike(case, monkeypatch):
    """The relative entropy of the mean loss pays for a variance that these blocks do not have."""
    inputs = case["inputs"]
    counts = expand(inputs["n_c"])
    y = np.repeat(np.arange(len(counts)), counts)
    loss, delta = float(inputs["U"]), float(inputs["delta"])
    monkeypatch.setattr(
        sys.modules[MODULE],
        "_block_losses",
        lambda view, m, blocks, each: np.full((2, blocks), loss),
    )
    row = ncm_blocks(evidence(np.zeros((len(y), 1)), y), delta=delta, m=inputs["m"])
    assert row.n == inputs["Bk"]
    assert loss <= row.value < float(case["value"])
    assert row.value == partition_upper(np.full((2, row.n), loss), delta)


def blobs(n=40, d=3, gap=2.0, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(3).repeat(n))
    return rng.normal(size=(3 * n, d)) + gap * np.eye(3, d)[y], y


def test_without_errors_the_value_is_that_of_no_event_in_b_trials():
    f, y = blobs(gap=50.0)
    row = ncm_blocks(evidence(f, y), delta=0.05, m=5)
    assert row.n == 40 // 6
    assert row.value == partition_upper(np.zeros((PARTITIONS, 6)), 0.05)
    assert 1 - 0.05 ** (1 / 6) < row.value < 1 - 0.035 ** (1 / 6)
    assert row.kind == "certificate"
    assert row.claim.weights == pytest.approx([1 / 3] * 3)


def test_blocks_are_disjoint_and_stay_inside_their_class(monkeypatch):
    seen = []

    def record(rows, centre, picked, each):
        seen.append(picked)
        return np.zeros(picked.shape[1], dtype=int)

    monkeypatch.setattr(sys.modules[MODULE], "_wrong", record)
    f, y = blobs(n=25)
    ncm_blocks(evidence(f, y), m=3)
    assert len(seen) == PARTITIONS
    for picked in seen:
        assert picked.shape == (3, 6, 4)
        assert len(np.unique(picked)) == picked.size
        for c in range(3):
            assert (y[picked[c]] == c).all()
    assert not np.array_equal(seen[0], seen[1])


def test_block_losses_equal_a_loop_over_blocks(monkeypatch):
    module = sys.modules[MODULE]
    f, y = blobs(n=25, gap=1.0)
    plain = module._wrong
    total = []

    def slow(rows, centre, picked, each):
        points = np.asarray(rows.source, dtype=np.float64)
        wrong = np.zeros(picked.shape[1], dtype=int)
        for b in range(picked.shape[1]):
            means = [points[picked[c, b, :-1]].mean(axis=0) for c in range(3)]
            for c in range(3):
                z = points[picked[c, b, -1]]
                distance = [((z - mu) ** 2).sum() for mu in means]
                wrong[b] += distance[c] >= min(distance[:c] + distance[c + 1 :])
        total.append(wrong)
        assert np.array_equal(wrong, plain(rows, centre, picked, each))
        return wrong

    monkeypatch.setattr(module, "_wrong", slow)
    row = ncm_blocks(evidence(f, y), m=3)
    losses = np.array(total) / 3
    assert losses.shape == (PARTITIONS, 6)
    assert row.terms["empirical"] == pytest.approx(losses.mean(), rel=1e-12)
    assert row.value == pytest.approx(partition_upper(losses, 0.05), rel=1e-11)


def test_slices_of_blocks_change_nothing(monkeypatch):
    f, y = blobs(n=60, gap=1.0)
    whole = ncm_blocks(evidence(f, y), m=1).value
    monkeypatch.setattr(sys.modules[MODULE], "CHUNK", 50)
    assert ncm_blocks(evidence(f, y), m=1).value == whole


def test_fewer_partitions_of_large_samples_by_their_size_alone():
    assert partitions(4000, 128) == PARTITIONS
    assert 4 < partitions(50_000, 512) < PARTITIONS
    assert partitions(50_000, 2048) == 4


def test_ties_and_points_that_are_not_finite_are_errors():
    same = np.zeros((2, 2, 3))
    assert not_nearest(same, same).all()
    q = np.array([[[0.0], [1.0]]])
    assert not not_nearest(q, q).any()
    assert not_nearest(q, np.array([[[0.0], [np.nan]]])).all()
    assert not_nearest(np.array([[[np.inf], [1.0]]]), q).tolist() == [[True, False]]
    # identical points in two classes
    row = ncm_blocks(evidence(np.ones((24, 2)), [0, 1] * 12), m=1)
    assert row.terms["empirical"] == 1.0
    assert row.value == 1.0


def test_too_few_points_are_undefined_with_a_reason():
    f, y = blobs(n=6)
    row = ncm_blocks(evidence(f[:-1], y[:-1]), m=5)
    assert np.isnan(row.value)
    assert any("a class has 5 points" in r for r in row.reasons)


def test_a_fit_sample_gives_a_plug_in():
    f, y = blobs()
    assert ncm_blocks(evidence(f, y, role="fit"), role="fit").kind == "plug-in"
    assert ncm_blocks(evidence(f, y, role="head")).kind == "certificate"
    assert ncm_blocks(evidence(f, y, sampling="unknown")).kind == "plug-in"


def test_frame_does_not_matter():
    f, y = blobs(gap=1.0)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    one = ncm_blocks(evidence(f, y))
    other = ncm_blocks(evidence(1e-3 * f @ rotation + 9.0, y))
    assert one.value == other.value


LAWS = [
    # error known exactly by enumeration; the last pair is tight at B = 3
    [
        (np.array([[0.0], [1.0], [5.0]]), np.array([0.5, 0.3, 0.2])),
        (np.array([[3.0], [6.0]]), np.array([0.4, 0.6])),
    ],
    [(np.array([[0.0], [10.0]]), np.array([0.62, 0.38])), (np.array([[4.9]]), np.array([1.0]))],
]


@pytest.mark.parametrize(("law", "m", "n"), [(0, 1, 9), (0, 2, 6), (1, 1, 6), (1, 2, 9)])
def test_coverage(law, m, n):
    laws = LAWS[law]
    truth = 0.0
    for one, other in (laws, laws[::-1]):
        z, w = gap_law(one, other, m)
        truth += 0.5 * w[z <= 1e-9].sum()
    rng = np.random.default_rng([m, n])
    delta, runs = 0.2, 80
    y = np.repeat([0, 1], n)
    missed = 0
    for _ in range(runs):
        f = np.concatenate([draw(law, n, rng) for law in laws])
        missed += ncm_blocks(evidence(f, y), delta=delta, m=m).value < truth
    assert binom.sf(missed - 1, runs, delta) > 1e-6


def joint_world(blocks, rng, p, classes=12, atoms=200):
    """Blocks of one shot and one query whose queries err together or hardly at all.

    Points of the classes 1, 2, ... have a random direction of their own, so a shot at the origin,
    which class 0 has with probability p, is nearer to all of them than their own shots.
    """
    d = atoms + classes
    f = np.zeros((blocks, classes, 2, d))
    index = rng.integers(atoms, size=(blocks, classes, 2))
    np.put_along_axis(f, index[..., None], 1.0, axis=3)
    f[:, 0] = 0.0
    f[:, np.arange(1, classes), :, atoms + np.arange(1, classes)] += 0.3
    f[:, 0, :, atoms] = np.where(rng.random((blocks, 2)) < p, 0.0, 1.0)
    return f


def test_coverage_where_the_errors_of_a_block_come_together(monkeypatch):
    module = sys.modules[MODULE]
    delta, n_blocks, runs = 0.2, 3, 120
    p = 0.61
    rng = np.random.default_rng(11)
    f = joint_world(6_000, rng, p)
    losses = not_nearest(f[:, :, 1], f[:, :, 0]).mean(axis=1)
    truth = losses.mean() - 5 * losses.std() / np.sqrt(len(losses))
    monkeypatch.setattr(module, "PARTITIONS", 1)
    y = np.tile(np.arange(12).repeat(2), n_blocks)
    missed = 0
    for _ in range(runs):
        points = joint_world(n_blocks, rng, p).reshape(len(y), -1)
        missed += ncm_blocks(evidence(points, y), delta=delta, m=1).value < truth
    assert missed > 0  # the value is not far above the truth
    assert binom.sf(missed - 1, runs, delta) > 1e-6


def test_a_class_that_is_asked_for_counts_alone():
    """The third class is far from two that are one."""
    f, y = blobs(gap=0.0)
    f[y == 2] += 100.0
    e = evidence(f, y).asking("far=2,near=0+1")
    far, near = (ncm_blocks(e, delta=0.05, m=5, per=per) for per in ("far", "near"))
    assert far.value == partition_upper(np.zeros((PARTITIONS, 6)), 0.05)
    balanced = ncm_blocks(e, delta=0.05, m=5).terms["empirical"]
    assert balanced > 0.2
    assert near.terms["empirical"] == pytest.approx(1.5 * balanced, rel=1e-12)


def test_losses_of_blocks_are_rounded_up(monkeypatch):
    """Thirds are no floats: 1/3 and 2/3 round down."""
    losses = Kept(partition_upper, 0)
    monkeypatch.setattr(sys.modules[MODULE], "partition_upper", losses)
    ncm_blocks(evidence(*blobs(gap=1.0)), m=1)
    found = [Fraction(x) for x in np.unique(losses.found[0])]
    assert len(found) > 2
    assert all(x >= Fraction(round(3 * x), 3) for x in found)
