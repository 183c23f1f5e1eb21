"""Exact moments of finitely supported laws, and samples of them, for the collapse tests."""

from itertools import product

import numpy as np
from fixtures.evidence import drawn, evidence_of

from ncbounds.evidence.head import LinearHead
from ncbounds.statistics.unbiased import PairEstimates


def exact(laws):
    """Moments of all pairs of ``laws``, each a pair (atoms of shape (k, d), weights)."""
    c = len(laws)
    mean, cov, fourth, kap = [], [], [], []
    for atoms, w in laws:
        mu = w @ atoms
        e = atoms - mu
        norm2 = (e**2).sum(axis=1)
        mean.append(mu)
        cov.append((e * w[:, None]).T @ e)
        fourth.append(w @ norm2**2)
        kap.append(w @ (e * norm2[:, None]))
    trace = np.array([np.trace(s) for s in cov])
    own, rival, skew, dist2, products = (np.zeros((c, c)) for _ in range(5))
    for i, j in product(range(c), repeat=2):
        d = mean[j] - mean[i]
        dist2[i, j] = d @ d
        own[i, j] = d @ cov[i] @ d
        rival[i, j] = d @ cov[j] @ d
        skew[i, j] = d @ kap[j]
        products[i, j] = np.trace(cov[i] @ cov[j])
    return PairEstimates(
        variance=trace,
        variance_squared=trace**2,
        trace_of_square=np.diag(products),
        fourth=np.array(fourth),
        trace_products=products,
        dist2=dist2,
        own=own,
        rival=rival,
        rival_skew=skew,
        usable=np.ones(c, dtype=bool),
        reasons=(),
    )


def random_law(rng, atoms=3, d=2, gap=0.0):
    """A random law with a few atoms, shifted by ``gap`` along the first axis."""
    points = rng.normal(size=(atoms, d)) * rng.exponential(size=d)
    points[:, 0] += gap
    w = rng.exponential(size=atoms)
    return points, w / w.sum()


def gap_law(law_i, law_j, m):
    """Values and probabilities of Z by enumeration of the query and all shots."""
    (ai, wi), (aj, wj) = law_i, law_j
    means_i, pi = _shot_means(ai, wi, m)
    means_j, pj = _shot_means(aj, wj, m)
    values, probs = [], []
    for z, w in zip(ai, wi, strict=True):
        far = ((z - means_j) ** 2).sum(axis=1)
        near = ((z - means_i) ** 2).sum(axis=1)
        values.append((far[None, :] - near[:, None]).ravel())
        probs.append((w * pj[None, :] * pi[:, None]).ravel())
    return np.concatenate(values), np.concatenate(probs)


def _shot_means(atoms, w, m):
    draws = np.array(list(product(range(len(w)), repeat=m)))
    return atoms[draws].mean(axis=1), w[draws].prod(axis=1)


def draw(law, n, rng):
    atoms, w = law
    return atoms[rng.choice(len(w), n, p=w)]


def evidence(features, labels, role="holdout", sampling="iid", head=None, **more):
    """Evidence with one sample; the head is arbitrary unless given."""
    sample = drawn(features, labels, role, sampling=sampling)
    if head is None:
        classes = max(sample.classes, 2)
        head = LinearHead(np.arange(classes * sample.dim, dtype=float).reshape(classes, -1) % 7)
    return evidence_of(head, sample, **more)
