"""Golden numbers of pieces and of superseded forms, against formulas written here."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ncbounds import numerics as nm
from ncbounds.numerics.ellipsoid_dense import certify


def phi(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def log_factor(name: str, n: int) -> float:
    return nm.ln_xi(n) if name.startswith("xi") else math.log(2.0 * math.sqrt(n))


def etf_gap(classes: int, mu: float) -> np.ndarray:
    return np.full((1, classes - 1), mu * math.sqrt(classes) / (classes - 1))


def etf_divergence(mu: float, dim: int | None) -> float:
    return 0.5 * mu * mu if dim is None else nm.scale_free_kl(dim, mu)


@pytest.mark.golden("A.etf_kl")
def test_etf_divergence(inputs, expected, agrees):
    agrees(etf_divergence(float(inputs["mu"]), inputs["D"]), expected)


@pytest.mark.golden("A.etf_gibbs")
def test_etf_gibbs(inputs, expected, agrees):
    agrees(nm.gaussian_loss(etf_gap(inputs["C"], float(inputs["mu"])))[0], expected)


def etf_bound(inputs) -> float:
    n, theta, mu = inputs["n"], float(inputs["theta"]), float(inputs["mu"])
    loss = nm.gaussian_loss(etf_gap(inputs["C"], mu) - theta)[0]
    price = math.log(inputs["T"] / float(inputs["delta"])) + log_factor(inputs["ln_factor"], n)
    budget = (etf_divergence(mu, inputs.get("D")) + price) / n
    return nm.kl_upper(loss, budget) / phi(theta / math.sqrt(2.0))


@pytest.mark.golden("A.etf_bound")
def test_etf_bound(inputs, expected, agrees):
    agrees(etf_bound(inputs), expected)


@pytest.mark.golden("B.etf_theta_bound")
def test_etf_theta_bound(inputs, expected, agrees):
    agrees(etf_bound(inputs), expected)


@pytest.mark.golden("AB.bound_raw")
def test_bound_raw(inputs, expected, agrees):
    n, theta = inputs["n"], float(inputs["theta"])
    price = math.log(inputs["T"] / float(inputs["delta"])) + log_factor(inputs["ln_factor"], n)
    value = nm.kl_upper(float(inputs["G"]), (float(inputs["KL"]) + price) / n)
    agrees(value / phi(theta / math.sqrt(2.0)), expected)


def head(inputs):
    """Centred head of norm mu, centred prior mean, feature, label."""
    w = np.array(inputs["W"], dtype=float)
    centred = w - w.mean(axis=0)
    m = float(inputs["mu"]) * centred / np.linalg.norm(centred)
    prior = np.zeros_like(w) if inputs["W0"] is None else np.array(inputs["W0"], dtype=float)
    return m, prior - prior.mean(axis=0), np.array(inputs["phi"], dtype=float), inputs["y"]


def head_gaps(inputs) -> np.ndarray:
    m, _, feature, y = head(inputs)
    scores = m @ feature / np.linalg.norm(feature)
    return np.delete(scores[y] - scores, y)


@pytest.mark.golden("A.head_t0")
def test_head_gap(inputs, expected, agrees):
    agrees(head_gaps(inputs)[0], expected)


@pytest.mark.golden("A.head_gibbs")
def test_head_gibbs(inputs, expected, agrees):
    agrees(nm.gaussian_loss(head_gaps(inputs)[None])[0], expected)


@pytest.mark.golden("A.head_KL")
def test_head_divergence(inputs, expected, agrees):
    m, prior, _, _ = head(inputs)
    value = nm.gaussian_kl(7, 1.0, np.sum(m * m), np.sum(m * prior), np.sum(prior * prior))
    agrees(value, expected)


@pytest.mark.golden("D.bft_rad")
def test_bartlett_rademacher(inputs, expected, agrees):
    agrees(bartlett(inputs["n"], float(inputs["Rc"])), expected)


def bartlett(n: int, rc: float) -> float:
    return 12 * rc / n * (1 + math.log(n / (3 * rc))) if 3 * rc <= n else 1.0


@pytest.mark.golden("D.bft_rad_truncated")
def test_bartlett_rademacher_truncated(inputs, expected, agrees):
    n, rc, t0 = inputs["n"], float(inputs["Rc"]), float(inputs["T0"])
    h, low = min(math.sqrt(n), t0), 3 * rc / math.sqrt(n)
    inside = 12 * rc / n * (1 + math.log(h * math.sqrt(n) / (3 * rc))) if low <= h else math.inf
    agrees(min(1.0, inside if low <= h else t0 / math.sqrt(n)), expected)


@pytest.mark.golden("D.bft_slack_two_sided_grid")
def test_bartlett_slack(inputs, expected, agrees):
    n = inputs["n"]
    pay = sum(math.log(2 * (abs(k) + 1) * (abs(k) + 2)) for k in inputs["grid_indices"])
    slack = 3 * math.sqrt((math.log(1 / float(inputs["delta"])) + pay) / (2 * n))
    agrees(2 * bartlett(n, float(inputs["Rc"])) + slack, expected)


def peeling(inputs, depth: int) -> float:
    root = math.sqrt(float(inputs["sum_sq"])) / inputs["n"]
    return float(inputs["prodM"]) * root * (math.sqrt(2 * depth * math.log(2)) + 1)


@pytest.mark.golden("D.golowich_scalar_L")
def test_peeling_with_all_layers(inputs, expected, agrees):
    agrees(peeling(inputs, inputs["L"]), expected)


@pytest.mark.golden("D.golowich_scalar_Lminus1")
def test_peeling(inputs, expected, agrees):
    agrees(peeling(inputs, inputs["L"] - 1), expected)


@pytest.mark.golden("D.golowich_multiclass_gap")
def test_peeling_multiclass(inputs, expected, agrees):
    factor = 4 * inputs["C"] / float(inputs["gamma"])
    agrees(factor * peeling(inputs, inputs["L"]), expected)


def shots(inputs):
    """Mean and variance of Z by the closed form, from finite laws."""
    (a, wa), (b, wb) = (
        (np.array(inputs[f"atoms_{c}"], float), np.array(inputs[f"w_{c}"], float)) for c in "ij"
    )
    mi, mj = inputs["m_i"], inputs["m_j"]
    mu_a, mu_b = wa @ a, wb @ b
    ea, eb, gap = a - mu_a, b - mu_b, mu_b - mu_a
    cov_a, cov_b = (wa[:, None] * ea).T @ ea, (wb[:, None] * eb).T @ eb
    va, vb = np.trace(cov_a), np.trace(cov_b)
    fourth = [np.sum(w * np.sum(e * e, axis=1) ** 2) for e, w in ((ea, wa), (eb, wb))]
    kappa = (wb * np.sum(eb * eb, axis=1)) @ eb
    mean = gap @ gap + vb / mj - va / mi
    variance = 4 * gap @ cov_a @ gap + 4 / mj * gap @ cov_b @ gap
    variance += 4 / mi * np.trace(cov_a @ cov_a) + 4 / mj * np.trace(cov_a @ cov_b)
    for m4, v, cov, m in ((fourth[0], va, cov_a, mi), (fourth[1], vb, cov_b, mj)):
        variance += (m4 - v * v + 2 * (m - 1) * np.trace(cov @ cov)) / m**3
    return mean, variance + 4 / mj**2 * gap @ kappa


@pytest.mark.golden("E.ncc_EZ")
def test_few_shot_mean(inputs, expected, agrees):
    agrees(shots(inputs)[0], expected)


@pytest.mark.golden("E.ncc_VarZ")
def test_few_shot_variance(inputs, expected, agrees):
    agrees(shots(inputs)[1], expected)


@pytest.mark.golden("E.ncc_cantelli")
def test_few_shot_bound(inputs, expected, agrees):
    mean, variance = shots(inputs)
    d = mean / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, mean)
    agrees(nm.cantelli(d), expected)


def test_few_shot_moments_by_enumeration(golden):
    for item in golden["E.ncc_EZ"]:
        inputs = item["inputs"] | {"m_i": 2, "m_j": 1}
        a, b = np.array(inputs["atoms_i"], float), np.array(inputs["atoms_j"], float)
        wa, wb = np.array(inputs["w_i"], float), np.array(inputs["w_j"], float)
        values, probabilities = [], []
        for x, s, t, u in itertools.product(
            range(len(a)), range(len(a)), range(len(a)), range(len(b))
        ):
            centre = 0.5 * (a[s] + a[t])
            values.append(np.sum((a[x] - b[u]) ** 2) - np.sum((a[x] - centre) ** 2))
            probabilities.append(wa[x] * wa[s] * wa[t] * wb[u])
        mean = np.dot(values, probabilities)
        variance = np.dot((np.array(values) - mean) ** 2, probabilities)
        assert shots(inputs) == pytest.approx((mean, variance), rel=1e-12, abs=1e-12)


@pytest.mark.golden("E.ustat_hoeffding")
def test_unseen_classes_hoeffding(inputs, expected, agrees):
    blocks = inputs["l"] // inputs["k"]
    slack = math.sqrt(math.log(1 / float(inputs["delta"])) / (2 * blocks)) if blocks else math.inf
    agrees(min(1.0, float(inputs["U"]) + slack), expected)


@pytest.mark.golden("E.ustat_kl")
def test_unseen_classes_kl(inputs, expected, agrees):
    blocks = inputs["l"] // inputs["k"]
    budget = math.log(1 / float(inputs["delta"]))
    agrees(nm.kl_upper(float(inputs["U"]), budget / blocks) if blocks else 1.0, expected)


@pytest.mark.golden("E.loo_scaled_own_distance")
def test_leave_one_out(inputs, expected, agrees):
    n = inputs["n_y"]
    own = (n / (n - 1)) ** 2 * float(inputs["own_sq_dist"])
    agrees(own, expected)
    assert (own >= float(inputs["rival_sq_dist"])) is inputs["error"]


def blocks(inputs) -> int:
    counts = inputs["n_c"]
    smallest = counts["value"] if isinstance(counts, dict) else min(counts)
    return smallest // (inputs["m"] + 1)


@pytest.mark.golden("E.block_certificate_kl")
def test_blocks_kl(inputs, expected, agrees):
    budget = math.log(1 / float(inputs["delta"])) / inputs["Bk"]
    agrees(nm.kl_upper(float(inputs["U"]), budget), expected)
    assert blocks(inputs) == inputs["Bk"]


@pytest.mark.golden("E.block_certificate_hoeffding")
def test_blocks_hoeffding(inputs, expected, agrees):
    slack = math.sqrt(math.log(1 / float(inputs["delta"])) / (2 * inputs["Bk"]))
    agrees(float(inputs["U"]) + slack, expected)
    assert blocks(inputs) == inputs["Bk"]


@pytest.mark.golden("F.nogo_floor")
def test_no_go_floor(inputs, expected, agrees):
    agrees(1.0 - (2.0 * float(inputs["delta"])) ** (1.0 / inputs["n"]), expected)


@pytest.mark.golden("F.symmetric")
def test_symmetric(inputs, expected, agrees):
    d = float(inputs["d"])
    agrees(min(0.5, 0.5 / d**2) if d > 0 else 1.0, expected)


@pytest.mark.golden("F.symmetric_unimodal")
def test_symmetric_unimodal(inputs, expected, agrees):
    d = float(inputs["d"])
    inside = 2 / (9 * d * d) if d >= 2 / math.sqrt(3) else 0.5 - d / (2 * math.sqrt(3))
    agrees(inside if d > 0 else 1.0, expected)


@pytest.mark.golden("F.transport_slack_two_mcdiarmid")
def test_transport_slack_two_deviations(inputs, expected, agrees):
    n, log = inputs["n_c"], math.log(2 / float(inputs["delta_c"]))
    slack = math.sqrt(log / (n // 2)) + math.sqrt(log / (2 * n))
    value = float(inputs["W1"]) + inputs["B"] * slack
    agrees(float(inputs["L_over_gamma"]) * value, expected)


@pytest.mark.golden("F.repair")
def test_repair(inputs, expected, agrees):
    u, d, q, c = (np.array(inputs[key], dtype=float) for key in ("U", "d", "Q", "c"))
    value = certify(d, u @ u.T, u @ c, u @ q @ u.T)
    assert value >= expected * (1 - 1e-15)
    agrees(value, expected)


@pytest.mark.golden("G.length_penalty_bits")
def test_length_penalty(inputs, expected, agrees):
    agrees(math.log2((inputs["l"] + 1) * (inputs["l"] + 2)), expected)


def occam(inputs, delta: str) -> float:
    return math.log(float(inputs[delta])) - inputs["bits"] * math.log(2)


@pytest.mark.golden("G.occam_binomial")
def test_occam_binomial(inputs, expected, agrees):
    agrees(nm.binomial_upper_log(inputs["K"], inputs["n"], occam(inputs, "delta")), expected)


@pytest.mark.golden("G.occam_kl")
def test_occam_kl(inputs, expected, agrees):
    budget = -occam(inputs, "delta") / inputs["n"]
    agrees(nm.kl_upper(inputs["K"] / inputs["n"], budget), expected)


@pytest.mark.golden("G.semisup")
def test_semi_supervised(inputs, expected, agrees):
    decoded = nm.binomial_upper_log(inputs["K"], inputs["n"], occam(inputs, "delta1"))
    differ = nm.binomial_upper(inputs["k_disagree"], inputs["m"], float(inputs["delta2"]))
    agrees(min(1.0, decoded + differ), expected)
