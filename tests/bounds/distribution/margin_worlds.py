"""Samples whose margins have prescribed values or moments, for the distribution tests."""

import numpy as np
from fixtures.evidence import drawn, evidence_of

from ncbounds.evidence.head import LinearHead


def evidence(features, labels, weight, bias=None, *, role="holdout", **more):
    """Evidence of one sample and a head."""
    return evidence_of(LinearHead(weight, bias), drawn(features, labels, role, **more))


def from_margins(margins, *, role="holdout", sampling="iid", order=None):
    """Evidence whose class c has the margins ``margins[c]`` of shape (n_c, C-1), exactly.

    The features are the logits: the own one is 0 and the rivals' are minus the margins.
    """
    classes = len(margins)
    logits = [np.insert(-np.asarray(m, dtype=float), c, 0.0, axis=1) for c, m in enumerate(margins)]
    labels = np.repeat(np.arange(classes), [len(m) for m in margins])
    stacked = np.vstack(logits)
    if order is not None:
        stacked, labels = stacked[order], labels[order]
    return evidence(stacked, labels, np.eye(classes), role=role, sampling=sampling)


def binary(first, second=None, **more):
    """Evidence of two classes with the given margins (n,) each."""
    second = first if second is None else second
    return from_margins([np.reshape(first, (-1, 1)), np.reshape(second, (-1, 1))], **more)


def with_moments(rng, n, mean, cov):
    """``n`` points with exactly this sample mean and covariance (divisor n - 1), n > k."""
    z = rng.normal(size=(n, len(mean)))
    z -= z.mean(axis=0)
    z = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z, rowvar=False).reshape(len(mean), -1))).T
    return mean + z @ np.linalg.cholesky(cov).T


def simplex(rng, k, d, rho=0.5, n=None):
    """Evidence of k+1 classes, every margin at distance d, correlations rho, exactly."""
    cov = np.full((k, k), rho) + (1 - rho) * np.eye(k)
    n = k + 10 if n is None else n
    return from_margins([with_moments(rng, n, np.full(k, float(d)), cov) for _ in range(k + 1)])


def random_world(seed, classes=4, dim=6, n=200, spread=1.0, **more):
    """Gaussian classes of unequal sizes around random means, with a linear head that fits them."""
    rng = np.random.default_rng(seed)
    means = 3.0 * rng.normal(size=(classes, dim))
    weights = rng.dirichlet(np.full(classes, 5.0))
    labels = rng.choice(classes, size=n, p=weights)
    labels[: 3 * classes] = np.repeat(np.arange(classes), 3)
    shape = rng.normal(size=(classes, dim, dim)) / np.sqrt(dim)
    noise = np.einsum("nij,nj->ni", shape[labels], rng.normal(size=(n, dim)))
    features = means[labels] + spread * noise
    return evidence(features, labels, means, -0.5 * (means**2).sum(axis=1), **more)


def slow_moments(ev, role="holdout"):
    """Per class: margins (n_c, k) by loops over points and rivals."""
    sample = ev.sample(role)
    found = []
    for c in range(len(sample.counts)):
        rows = []
        for x, y in zip(np.asarray(sample.features, dtype=float), sample.labels, strict=True):
            if y == c:
                s = [w @ x + b for w, b in zip(ev.head.weight, ev.head.bias, strict=True)]
                rows.append([s[c] - s[j] for j in range(len(s)) if j != c])
        found.append(np.array(rows))
    return found
