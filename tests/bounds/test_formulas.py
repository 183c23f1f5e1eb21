"""Every formula, fed with arrays from outside, gives the bound's own row."""

import math
from dataclasses import replace
from functools import partial
from itertools import pairwise
from unittest.mock import patch

import numpy as np
import pytest

import ncbounds as nb
from ncbounds.bounds.by_class import class_delta, class_weighted
from ncbounds.bounds.collapse._few_shot import empirical
from ncbounds.bounds.collapse._projected import off_subspace
from ncbounds.bounds.collapse.collapsed_head import class_mean_subspace
from ncbounds.bounds.network._grid import all_rounded_up
from ncbounds.bounds.network.excess_capacity_conv import layer_norms
from ncbounds.evidence.code_word import Compressed
from ncbounds.network import AffineLayer, Network
from ncbounds.network.norms import frobenius_norm, kernel_21_norm
from ncbounds.network.steps import INFLATION, Activation
from ncbounds.numerics import partition_upper, probability_up, up
from ncbounds.procedures.linear import ncm
from ncbounds.statistics.pair_moments import pairwise_moments
from ncbounds.statistics.unbiased import estimate

C, DIM, DELTA = 3, 4, 0.07


def blobs(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % C)
    return rng.normal(size=(n, DIM)) + 2.5 * np.eye(C, DIM)[y], y


F, Y = blobs(240, 0)
HEAD = ncm(*blobs(90, 1), C)
LOGITS = F @ HEAD.weight.T + HEAD.bias
MARGINS = LOGITS[np.arange(len(Y)), Y] - np.where(np.eye(C)[Y] > 0, -np.inf, LOGITS).max(axis=1)
COUNTS = np.bincount(Y)
N = len(Y)


def sample(f, y, role, **more):
    return nb.Sample.from_arrays(f, y, role=role, sampling="iid", **more)


POOL = sample(blobs(150, 2)[0], None, "unlabelled")
HELD = nb.Evidence(head=HEAD, holdout=sample(F, Y, "holdout"), procedure=ncm, unlabelled=POOL)
WITH_FIT = nb.Evidence(
    head=HEAD, holdout=HELD.holdout, fit=sample(*blobs(120, 3), "fit"), procedure=ncm
)


def networks():
    """A small ReLU network with labels that it mostly gives, its evidence, and a code word."""
    rng = np.random.default_rng(5)
    sizes, none = [DIM, 6, 6, C], ((0, 0), (0, 0))
    layers = []
    for i, (a, b) in enumerate(pairwise(sizes)):
        w = (rng.normal(size=(b, a)) / math.sqrt(a))[:, :, None, None]
        steps = () if i == len(sizes) - 2 else (Activation("relu"),)
        bias = 0.1 * rng.normal(size=b)
        layers.append(AffineLayer("fc", w, bias, (1, 1), none, (1, 1), 1, (a, 1, 1), steps))
    start = [replace(x, weight=0.9 * x.weight, bias=0.8 * x.bias) for x in layers]
    network = Network(layers=tuple(layers), inputs=F, reference=tuple(start))
    f = F
    for layer in layers[:-1]:
        f = np.maximum(f @ layer.weight[:, :, 0, 0].T + layer.bias, 0.0)
    head = nb.LinearHead(layers[-1].weight[:, :, 0, 0], layers[-1].bias)
    y = head.logits(f).argmax(axis=1)
    y[:3] = (y[:3] + 1) % C
    word = Compressed(
        40, {"fit": partial(np.roll, y, 1), "unlabelled": partial(np.zeros, 150, np.int64)}, 2
    )
    pool = sample(1.1 * f[:150], None, "unlabelled")
    return nb.Evidence(
        head=head, fit=sample(f, y, "fit"), network=network, code_word=word, unlabelled=pool
    )


NET = networks()
NET_MARGINS = NET.fit.margins(NET.head)


def row(name, evidence=HELD, **params):
    return nb.bounds.get(name)(evidence, DELTA, **params)


def moments():
    """Means, variances and covariances of the margins against both rivals, and of the smallest."""
    margins = [np.delete(LOGITS[c == Y, c, None] - LOGITS[c == Y], c, axis=1) for c in range(C)]
    pairs = [(m.mean(axis=0), m.var(axis=0, ddof=1)) for m in margins]
    least = [(m.min(axis=1).mean(), m.min(axis=1).var(ddof=1)) for m in margins]
    covs = [np.cov(m.T) for m in margins]
    return *map(np.array, zip(*pairs)), *map(np.array, zip(*least)), covs


MEAN, VARIANCE, LEAST, LEAST_VARIANCE, COVS = moments()
ERRORS = int((MARGINS <= 0).sum())


def counted(name):
    return row(name).value, getattr(nb.formulas, name)(ERRORS, N, DELTA)


def averaged(name, *arrays):
    per_class = getattr(nb.formulas, name)(*arrays)
    return row(name).value, float(COUNTS @ per_class / N)


def one_by_one(name, *rest):
    formula = getattr(nb.formulas, name)
    values = [formula(m, s, *rest) for m, s in zip(MEAN, COVS)]
    return row(name).value, float(COUNTS @ [getattr(v, "value", v) for v in values] / N)


def few_shot(name, **params):
    m = params["m"]
    pairs = pairwise_moments(F, Y, HELD.holdout.moments)
    made = empirical(pairs) if params.get("moments") == "plug-in" else estimate(pairs)
    found = np.asarray(getattr(nb.formulas, name)(made, m))
    weights = COUNTS / N if "luthra" not in name else np.full(C, 1 / C)
    return row(name, **params).value, float(weights @ found) if found.shape else float(found)


def from_row(name, evidence, *keys, **more):
    """Formula of what a row itself reports."""
    r = row(name, evidence)
    known = {**r.terms, **r.details, "n": r.n}
    return r.value, getattr(nb.formulas, name)(*(known[k] for k in keys), DELTA, **more)


def from_losses(name, evidence):
    """Formula of the block losses that the row hands to it."""
    module = f"ncbounds.bounds.collapse.{name}.partition_upper"
    with patch(module, wraps=partition_upper) as asked:
        value = row(name, evidence).value
    (given,) = asked.call_args_list
    return value, getattr(nb.formulas, name)(*given.args)


def anchored_head():
    r = row("anchored_head", HELD)
    d = r.details
    given = (d["errors"], r.n, d["gibbs"], d["kl"], d["theta"] - d["lost"], d["c"], DELTA)
    return r.value, nb.formulas.anchored_head(*given)


def gaussian_tolerance():
    share = class_delta(DELTA, C, stratified=False) / (C - 1)
    limits = [
        nb.formulas.gaussian_tolerance(m, np.sqrt(v), int(n), share)
        for m, v, n in zip(MEAN, VARIANCE, COUNTS)
    ]
    per_class = probability_up(np.sum(limits, axis=1), C - 1)
    return row("gaussian_tolerance").value, class_weighted(per_class, COUNTS, N, DELTA, False)[0]


def margin_rademacher():
    w = HEAD.weight - HEAD.weight.mean(axis=0)
    b = HEAD.bias - HEAD.bias.mean()
    margins = []
    for kappa in 4.0 ** np.arange(-6, 7):
        size = math.sqrt((w**2).sum() + (b / kappa) @ (b / kappa))
        margins.append(MARGINS / size / np.sqrt((F**2).sum(axis=1) + kappa**2))
    return row("margin_rademacher").value, nb.formulas.margin_rademacher(
        np.array(margins), C, DELTA
    )


def transport_margin():
    from ncbounds.bounds.homogeneous.centre import scale_of_fit
    from ncbounds.bounds.homogeneous.rays import Rays
    from ncbounds.bounds.margin._halves import half_distance, halves
    from ncbounds.bounds.margin._transport import lipschitz, margins_on_rays, unit_rays

    centre = WITH_FIT.fit.features.mean(axis=0)
    rays = Rays.of(F, Y, LOGITS, HEAD.weight, HEAD.bias, centre=centre)
    kappa = scale_of_fit(WITH_FIT.fit, rays)
    steep, p = lipschitz(rays, kappa, C), []
    for c in range(C):
        members = np.flatnonzero(c == Y)
        one, two = (unit_rays(rays, half, kappa) for half in halves(members))
        on_rays = margins_on_rays(rays, kappa, MARGINS, members)
        delta = class_delta(DELTA, C, False)
        args = (steep[c], half_distance(one, two), len(one), delta)
        p.append(nb.formulas.transport_margin(on_rays, *args))
    found = class_weighted(np.array(p), COUNTS, N, DELTA, False)[0]
    return row("transport_margin", WITH_FIT).value, found


def collapsed_head():
    q, basis = class_mean_subspace(WITH_FIT.fit)
    farthest = 2.0 * off_subspace(WITH_FIT.fit.features, q, basis).max(initial=1.0)
    found = nb.formulas.collapsed_head(F, Y, HEAD.weight, HEAD.bias, q, basis, farthest, DELTA)
    return row("collapsed_head", WITH_FIT).value, found


def kv_margin():
    r = row("kv_margin")
    found = nb.formulas.kv_margin(MARGINS, np.array(r.details["spread per class"]), COUNTS)
    return r.measure, found


def normalized_margin():
    w = HEAD.weight
    rivals = np.where(np.eye(C)[Y] > 0, -np.inf, LOGITS).argmax(axis=1)
    distances = MARGINS / np.linalg.norm(w[Y] - w[rivals], axis=1)
    total = np.sum((F - F.mean(axis=0)) ** 2) / (N - 1)
    found = nb.formulas.normalized_margin(distances, total)["lower fence"]
    return row("normalized_margin", statistic="lower fence").measure, found


def parameter_cover():
    r = row("parameter_cover", NET)
    d = r.details
    nats = d["nats per weight"] * d["parameters"]
    found = nb.formulas.parameter_cover(r.terms["empirical"], nats, d["pay"], N, DELTA)
    return r.value, float(found)


def peeling():
    r = row("frobenius_peeling", NET)
    sum_sq = (NET.network.input_frobenius**2 + N) * INFLATION
    found = nb.formulas.frobenius_peeling(3, 1.0, sum_sq, N, C, r.details["gamma"])
    return r.terms["complexity"], float(up(found, 64))


def excess():
    r = row("excess_capacity_conv", NET)
    norms, inputs = layer_norms(NET.network), NET.network.input_frobenius * INFLATION
    found = nb.formulas.excess_capacity_conv(norms, inputs, N, r.details["gamma"])
    return r.terms["complexity"], float(up(2.0 * found, 64))


def spectral():
    from ncbounds.bounds.network.spectral_margin import _matrices
    from ncbounds.network.norms import matrix_norm

    r = row("spectral_margin", NET)
    matrices, offsets = _matrices(NET.network)
    s = [p.value for p in all_rounded_up(matrix_norm(a) for a in matrices)]
    b = [np.linalg.norm(o, axis=1).sum() * INFLATION for o in offsets]
    b = [p.value for p in all_rounded_up(b)]
    inputs = math.sqrt(NET.network.input_frobenius**2 + N) * INFLATION
    found = nb.formulas.spectral_margin(s, b, inputs, 7, N, r.details["gamma"])
    return r.terms["complexity"], float(up(2.0 * found, 64))


def measured(name, *args):
    return row(name, NET).measure, getattr(nb.formulas, name)(*args)


OFFSETS = [kernel_21_norm(w) for w, _ in NET.network.offsets()]
NORMS = NET.network.operator_norms
GAUSS = (F, Y, HEAD.weight, HEAD.bias, DELTA)


def mean_loss():
    x = np.random.default_rng(9).beta(1, 4, 60)
    e = nb.Evidence.from_losses(x, role="holdout", sampling="iid")
    found = nb.bounds.get("mean_loss")(e, loss="loss").value
    return found, nb.formulas.mean_loss(x, 0.05)


CASES = {
    "binomial": lambda: counted("binomial"),
    "kl_holdout": lambda: counted("kl_holdout"),
    "hoeffding": lambda: counted("hoeffding"),
    "mean_loss": mean_loss,
    "split_head": lambda: from_row("split_head", HELD, "errors", "n"),
    "gaussian_head": lambda: (row("gaussian_head").value, nb.formulas.gaussian_head(*GAUSS)),
    "margin_rademacher": margin_rademacher,
    "transport_margin": transport_margin,
    "margin_quantiles": lambda: (
        row("margin_quantiles", percent=5).measure,
        nb.formulas.margin_quantiles(MARGINS, 5),
    ),
    "normalized_margin": normalized_margin,
    "kv_margin": kv_margin,
    "collapsed_head": collapsed_head,
    "ncm_few_shot": lambda: few_shot("ncm_few_shot", m=5),
    "ncm_leave_one_out": lambda: (
        row("ncm_leave_one_out").value,
        nb.formulas.ncm_leave_one_out(F, Y),
    ),
    "ncm_few_shot_gaussian": lambda: few_shot("ncm_few_shot_gaussian", m=10),
    "ncm_luthra_2026": lambda: few_shot("ncm_luthra_2026", m=10, moments="plug-in"),
    "ncm_luthra_2025": lambda: few_shot("ncm_luthra_2025", m=10),
    "ncm_blocks": lambda: from_losses("ncm_blocks", HELD),
    "unseen_classes": lambda: from_losses("unseen_classes", unseen()),
    "anchored_head": anchored_head,
    "unlabelled_head": lambda: from_row(
        "unlabelled_head", HELD, "errors", "n", "differences", "unlabelled"
    ),
    "cantelli_union": lambda: averaged("cantelli_union", MEAN, VARIANCE),
    "mahalanobis_ball": lambda: averaged("mahalanobis_ball", MEAN, VARIANCE, np.full(C, C - 1)),
    "min_margin_cantelli": lambda: averaged("min_margin_cantelli", LEAST, LEAST_VARIANCE),
    "min_margin_unimodal": lambda: averaged("min_margin_unimodal", LEAST, LEAST_VARIANCE),
    "unimodal_union": lambda: averaged("unimodal_union", MEAN, VARIANCE),
    "gaussian_union": lambda: averaged("gaussian_union", MEAN, VARIANCE),
    "saw_marginal": lambda: averaged("saw_marginal", LEAST, LEAST_VARIANCE, COUNTS),
    "gaussian_tolerance": gaussian_tolerance,
    "two_moment_tight": lambda: one_by_one("two_moment_tight"),
    "star_unimodal": lambda: one_by_one("star_unimodal", C - 1),
    "compressed_network": lambda: from_row("compressed_network", NET, "errors", "n", "bits"),
    "unlabelled_network": lambda: from_row(
        "unlabelled_network", NET, "errors", "n", "bits", "differences", "unlabelled", tried=2
    ),
    "parameter_cover": parameter_cover,
    "excess_capacity_conv": excess,
    "spectral_margin": spectral,
    "frobenius_peeling": peeling,
    "spectral_product": lambda: measured("spectral_product", NORMS, NET_MARGINS),
    "spectral_complexity": lambda: measured(
        "spectral_complexity", NORMS, np.array(OFFSETS), NET_MARGINS
    ),
    "frobenius_product": lambda: measured(
        "frobenius_product", [frobenius_norm(x) for x in NET.network.layers], NET_MARGINS
    ),
    "distance_to_initialisation": lambda: measured(
        "distance_to_initialisation", NET.network.offsets()
    ),
}


def unseen():
    """Two classes that the features were fitted on, 10 others: two tasks of five ways."""
    rng = np.random.default_rng(8)
    y = np.repeat(np.arange(12), 20)
    f = rng.normal(size=(240, 12)) + 3.0 * np.eye(12)[y]
    fit = sample(f[:40], y[:40], "fit", classes=12)
    head = nb.LinearHead(np.eye(2, 12))
    fresh = sample(f[40:], y[40:], "holdout", classes=12)
    return nb.Evidence(head=head, fit=fit, holdout=fresh)


#: Moments of the margins here are centred in another order than those of the bounds.
ROUNDED = {"two_moment_tight", "star_unimodal", "margin_rademacher"}


def test_all_are_compared():
    assert set(CASES) == set(dir(nb.formulas))


@pytest.mark.parametrize("name", CASES)
def test_row_equals_its_formula(name):
    value, found = CASES[name]()
    assert np.isfinite(value)
    assert found == pytest.approx(value, rel=1e-6 if name in ROUNDED else 1e-13, abs=0)


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_formula_says_what_it_takes(name):
    doc = getattr(nb.formulas, name).__doc__
    assert doc
    assert "Parameters" in doc or "of shape" in doc


def test_names_without_a_formula_say_why():
    with pytest.raises(AttributeError, match="no function of arrays; there are anchored_head"):
        _ = nb.formulas.minimax_head
    with pytest.raises(AttributeError, match="no such bound"):
        _ = nb.formulas.cantelli_unoin


@pytest.mark.parametrize("delta", [0.05, 0.3])
def test_the_exact_count_by_hand(delta):
    # no error: 1 - delta^(1/n); designed counts at n - 1 errors: 1 - delta/n, proved to 1/4 only
    assert nb.formulas.binomial(0, 10, delta) == pytest.approx(1 - delta**0.1, rel=1e-12)
    designed = nb.formulas.binomial(9, 10, delta, stratified=True)
    assert designed == pytest.approx(
        1 - delta / 10 if delta <= 0.25 else (1 - delta) ** 0.1, rel=1e-12
    )


def test_class_moments_that_are_not_finite_count_as_one():
    mean, variance = np.array([[3.0, np.nan], [3.0, 4.0]]), np.ones((2, 2))
    assert nb.formulas.cantelli_union(mean, variance) == pytest.approx([1.0, 0.1 + 1 / 17])
    assert nb.formulas.min_margin_cantelli(np.array([np.inf, 3.0]), np.ones(2)) == pytest.approx(
        [1.0, 0.1]
    )
    assert nb.formulas.mahalanobis_ball(mean, variance, np.array([1, 1])) == pytest.approx(
        [1.0, 1 / 9]
    )
    still = nb.formulas.cantelli_union(np.array([2.0, 1.0]), np.array([0.0, 1.0]))
    assert float(still) == pytest.approx(0.5)
