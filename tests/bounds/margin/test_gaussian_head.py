"""The certificate of the saved head through its evidence: roles, centre, coverage."""

import json

import numpy as np
import pytest
from scipy.special import ndtr

from ncbounds.bounds import get
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample

gaussian_head = get("gaussian_head")


def blobs(rng, n, d=6, classes=3, noise=0.4, offset=0.0):
    means = np.zeros((classes, d))
    means[:, :classes] = np.eye(classes)
    y = rng.integers(classes, size=n)
    return means[y] + noise * rng.normal(size=(n, d)) + offset, y


def ncm(f, y, classes=3):
    means = np.stack([f[y == c].mean(axis=0) for c in range(classes)])
    return LinearHead(means, -0.5 * np.square(means).sum(axis=1))


def sample(f, y, role, **kw):
    return Sample.from_arrays(f, y, role=role, **{"sampling": "iid", **kw})


def test_certificate_for_a_head_that_was_fitted_on_the_sample():
    rng = np.random.default_rng(0)
    f, y = blobs(rng, 2000, noise=0.15)
    row = gaussian_head(Evidence(head=ncm(f, y), head_sample=sample(f, y, "head")), delta=0.05)
    assert row.kind == "certificate"
    assert row.role == "head"
    assert row.target == "saved"
    assert row.n == 2000
    assert 0 < row.value < 0.1
    assert row.reasons == ("overlap with training points is not checked: there is no fit sample",)
    assert sum(row.terms.values()) == pytest.approx(row.value)
    json.dumps(row.to_dict())


def test_fit_sample_gives_the_centre_and_is_named():
    rng = np.random.default_rng(1)
    f, y = blobs(rng, 1000, noise=0.15, offset=20.0)
    g, z = blobs(rng, 500, noise=0.15, offset=20.0)
    head = ncm(f, y)
    bare = gaussian_head(Evidence(head=head, head_sample=sample(f, y, "head")), delta=0.05)
    both = Evidence(head=head, head_sample=sample(f, y, "head"), fit=sample(g, z, "fit"))
    centred = gaussian_head(both, delta=0.05)
    assert "fit sample" in centred.reasons[0]
    assert centred.kind == "certificate"
    assert centred.value < 0.5 * bare.value
    # a common shift of everything, with the bias that undoes it, is seen by the centred row only
    moved = LinearHead(head.weight, head.bias + head.weight @ np.full(6, 20.0))
    back = Evidence(
        head=moved,
        head_sample=sample(f - 20.0, y, "head"),
        fit=sample(g - 20.0, z, "fit"),
    )
    assert gaussian_head(back, delta=0.05).value == pytest.approx(centred.value, rel=1e-3)


def test_plug_in_on_fit_holdout_serves_and_test_is_refused():
    rng = np.random.default_rng(2)
    f, y = blobs(rng, 300)
    head = ncm(f, y)
    fit = gaussian_head(Evidence(head=head, fit=sample(f, y, "fit")), delta=0.05, role="fit")
    assert fit.kind == "plug-in"
    assert "fitted on this sample" in fit.reasons[0]
    held = Evidence(head=head, holdout=sample(f, y, "holdout"))
    assert gaussian_head(held, delta=0.05).kind == "certificate"
    assert gaussian_head(held, delta=0.05).role == "holdout"
    unknown = Evidence(head=head, head_sample=sample(f, y, "head", sampling="unknown"))
    assert gaussian_head(unknown, delta=0.05).kind == "plug-in"
    chosen = Evidence(head=head, head_sample=sample(f, y, "head", selected_among=100))
    assert gaussian_head(chosen, delta=0.05).value > gaussian_head(held, delta=0.05).value


def test_an_architecture_without_bias_pays_one_scale():
    rng = np.random.default_rng(3)
    f, y = blobs(rng, 1000, noise=0.15)
    w = np.eye(3, 6)
    rows = [
        gaussian_head(
            Evidence(head=LinearHead(w, has_bias=bias), head_sample=sample(f, y, "head")),
            delta=0.05,
        )
        for bias in (True, False)
    ]
    assert rows[1].details["kappa"] == 0.0
    assert rows[1].value < rows[0].value


def test_weights_of_a_sample_drawn_class_by_class():
    rng = np.random.default_rng(4)
    f, y = blobs(rng, 200)
    head = ncm(f, y)
    drawn = gaussian_head(
        Evidence(head=head, head_sample=sample(f, y, "head", sampling="stratified")), delta=0.05
    )
    assert drawn.claim.weights == pytest.approx(np.bincount(y) / 200)
    assert drawn.kind == "certificate"


def test_random_labels_are_not_certified():
    """A head that interpolates noise: the value stays above its true error of 2/3."""
    rng = np.random.default_rng(5)
    f = rng.normal(size=(120, 150))
    y = rng.integers(3, size=120)
    targets = np.eye(3)[y] - 1 / 3
    w = np.linalg.lstsq(f, targets, rcond=None)[0].T
    head = LinearHead(w, has_bias=False)
    evidence = Evidence(head=head, head_sample=sample(f, y, "head"))
    assert (evidence.head_sample.margins(head) > 0).all()
    assert gaussian_head(evidence, delta=0.05).value >= 2 / 3


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(6)
    f, y = blobs(rng, 400)
    head, order = ncm(f, y), np.argsort(y, kind="stable")
    values = [
        gaussian_head(Evidence(head=head, head_sample=sample(a, b, "head")), delta=0.05).value
        for a, b in ((f, y), (f[order], y[order]))
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-9)


def test_labels_that_the_head_never_saw_are_errors():
    rng = np.random.default_rng(7)
    f, y = blobs(rng, 500, noise=0.1)
    head = ncm(f, y)
    y2 = np.where(np.arange(500) < 100, 5, y)
    row = gaussian_head(Evidence(head=head, head_sample=sample(f, y2, "head")), delta=0.05)
    assert row.value >= 0.2


def line_error(head, mean, sd):
    """Exact error of a two-class head on N(-+mean, sd^2) in the first of two coordinates."""
    w, b = head.weight[1] - head.weight[0], head.bias[1] - head.bias[0]
    norm = np.linalg.norm(w)
    up = ndtr(-(w[0] * mean + b) / (norm * sd))
    down = ndtr(-(w[0] * mean - b) / (norm * sd))
    return 0.5 * (up + down)


def coverage(draws, n, delta, seed):
    rng = np.random.default_rng(seed)
    missed, values = 0, []
    for _ in range(draws):
        y = rng.integers(2, size=n)
        f = np.column_stack([(2.0 * y - 1.0), np.zeros(n)]) + 0.5 * rng.normal(size=(n, 2))
        head = ncm(f, y, 2)
        row = gaussian_head(Evidence(head=head, head_sample=sample(f, y, "head")), delta=delta)
        values.append(row.value)
        missed += row.value < line_error(head, 1.0, 0.5)
    return missed, float(np.mean(values))


def test_coverage_with_known_error():
    missed, mean = coverage(40, 150, 0.5, seed=8)
    # more than 36 of 40 at a probability of 1/2 would have probability below 1e-6
    assert missed <= 36
    assert mean < 0.4


@pytest.mark.slow
def test_coverage_with_known_error_in_full():
    missed, _ = coverage(1500, 150, 0.1, seed=9)
    assert missed <= 150 + 5 * np.sqrt(135)
