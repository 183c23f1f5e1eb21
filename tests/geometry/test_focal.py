"""The focal loss through the cross-entropy that it allows: closed forms, the envelope, networks."""

import json
from pathlib import Path

import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.spatial import ConvexHull

import ncbounds as nb
from ncbounds.geometry import collapse_efficiency, simplex_etf
from ncbounds.geometry.focal import cross_entropy_of, envelope, focal

GOLDEN = json.loads((Path(__file__).parent / "golden_efficiency.json").read_text())


def points(features, labels, weight, bias=None):
    sample = nb.Sample.from_arrays(features, labels, role="fit")
    return sample, nb.LinearHead(weight, bias)


def noisy(seed, counts, noise):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    frame = 2.5 * simplex_etf(len(counts), 6)
    features = frame[labels] + noise * rng.standard_normal((len(labels), 6))
    return points(features, labels, frame + 0.2 * rng.standard_normal(frame.shape))


@pytest.mark.parametrize("item", GOLDEN["U.balanced_focal"])
def test_a_balanced_simplex_of_golden_loss_is_optimal(item):
    """Its loss at its budget is the golden one, and no smaller budget has it."""
    classes, each, budget, gamma = (item["inputs"][k] for k in item["inputs"])
    labels = np.repeat(np.arange(classes), each)
    frame = simplex_etf(classes, classes - 1)
    unit = np.linalg.norm(frame) * np.linalg.norm(frame[labels])
    size = np.sqrt(budget / unit)
    sample, head = points(size * frame[labels], labels, size * frame)
    found = collapse_efficiency(sample, head, f"focal:{gamma}")
    assert found.budget == pytest.approx(budget, rel=1e-12)
    assert found.loss == pytest.approx(float(item["value"]), rel=1e-9)
    assert found.lower == pytest.approx(1.0, abs=1e-8)
    assert found.within * found.alignment * found.outputs == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("gamma", [0.3, 2.0, 40.0])
def test_the_envelope_is_the_lower_convex_hull(gamma):
    c = np.append(np.geomspace(1e-4, 60, 1000), [0.0])
    ours = np.array([envelope(x, gamma) for x in c])
    values = focal(c, gamma)
    assert (ours <= values * (1 + 1e-12)).all()
    far = np.append(c, 1e7)  # the hull's last edge has slope 1
    hull = ConvexHull(np.column_stack([far, np.append(values, 1e7)]))
    below = hull.simplices[hull.equations[:, 1] < 0]
    corners = np.unique(below)
    corners = corners[np.argsort(far[corners])]
    lowest = np.interp(c, far[corners], np.append(values, 1e7)[corners])
    assert ours == pytest.approx(lowest, rel=2e-3, abs=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
@pytest.mark.parametrize("loss", [1e-200, 1e-9, 0.01, 0.2, 3.0])
def test_the_cross_entropy_of_a_focal_loss_is_rounded_up(gamma, loss):
    found = cross_entropy_of(loss, gamma)
    with mpmath.workdps(60):
        c = mpmath.mpf(found)
        reached = c * (-mpmath.expm1(-c)) ** gamma
        if envelope(found, gamma) < float(reached) * (1 - 1e-9):  # on the tangent
            assert envelope(found, gamma) == pytest.approx(loss, rel=1e-9)
        else:
            assert loss < reached < loss * (1 + mpmath.mpf("1e-8"))


def test_points_never_have_more_cross_entropy_than_their_focal_loss_allows():
    rng = np.random.default_rng(0)
    for gamma in (0.5, 1.0, 2.0, 5.0):
        for size in (0.01, 0.3, 2.0, 8.0):
            c = size * rng.pareto(1.2, (200, 5))  # few points of much more than the rest
            for row in c:
                loss = float(focal(row, gamma).mean())
                assert row.mean() <= cross_entropy_of(loss, gamma)


def test_focal_with_gamma_0_is_the_cross_entropy():
    sample, head = noisy(0, (12, 7, 3), 0.3)
    zero, plain = (collapse_efficiency(sample, head, loss) for loss in ("focal:0", "cross-entropy"))
    assert zero.loss == plain.loss
    assert (zero.lower, zero.upper) == pytest.approx((plain.lower, plain.upper), rel=1e-6)


def test_the_upper_end_is_reached_by_the_logits_found():
    sample, head = noisy(2, (20, 4, 2), 0.1)
    found = collapse_efficiency(sample, head, "focal:2")
    assert 0 < found.lower <= found.upper <= 1
    product = found.within * found.alignment * found.outputs
    assert product == pytest.approx(found.lower, rel=1e-6)
    size = np.array([20.0, 4.0, 2.0])
    logits = found.logits + found.bias
    c = np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)
    assert size @ focal(c, 2) / size.sum() <= found.loss * (1 + 1e-9)
    cost = np.linalg.svd(np.sqrt(size)[:, None] * found.logits, compute_uv=False).sum()
    assert cost == pytest.approx(found.upper * found.budget, rel=1e-6)


@pytest.mark.parametrize("counts", [(5, 5), (9, 3), (60, 1)])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_two_classes_lie_in_their_bracket(counts, gamma):
    """Of two classes only the sum of the leads costs norm; the bias splits it as is best."""
    sample, head = noisy(3, counts, 0.1)
    found = collapse_efficiency(sample, head, f"focal:{gamma}")
    share = np.array(counts) / sum(counts)
    lead = brentq(lambda t: _least_focal(t, share, gamma) - found.loss, 0, 100)
    least = lead * np.sqrt(sum(counts) * share.prod() / 2)
    assert found.lower * found.budget <= least * (1 + 1e-6)
    assert least <= found.upper * found.budget * (1 + 1e-6)
    assert found.upper <= found.lower * (1.2 if counts != (60, 1) else 2)


def _least_focal(lead, share, gamma):
    """Least mean focal loss of two classes whose leads sum to ``lead``."""

    def mean(split):
        leads = lead * np.array([split, 1 - split])
        return share @ focal(np.logaddexp(0, -leads), gamma)

    grid = np.linspace(-0.5, 1.5, 81)
    near = grid[np.argmin([mean(a) for a in grid])]
    return minimize_scalar(mean, bounds=(near - 0.05, near + 0.05), method="bounded").fun


def test_a_focal_loss_that_says_little_has_an_open_bracket():
    sample, head = points([[1.0], [-1.0]], [1, 0], [[1.0], [-1.0]])
    found = collapse_efficiency(sample, head, "focal:2")
    assert (found.lower, found.upper) == (0.0, 1.0)
    assert "without features" in found.reasons[0]


def test_spread_of_the_points_costs_more_than_for_the_cross_entropy():
    sample, head = noisy(1, (20, 20, 20), 0.5)
    focal_one, plain = (collapse_efficiency(sample, head, a) for a in ("focal:2", "cross-entropy"))
    assert focal_one.upper < plain.lower
