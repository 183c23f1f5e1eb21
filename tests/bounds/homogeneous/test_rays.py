"""The homogeneous form of a head: same margins, honest projectors, nothing dropped."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncbounds.bounds.homogeneous.centre import centre_note, fit_centre, rays, scale_of_fit
from ncbounds.bounds.homogeneous.projectors import projected, projectors
from ncbounds.bounds.homogeneous.rays import KAPPAS, Rays
from ncbounds.bounds.view import View
from ncbounds.evidence.head import LinearHead, margins
from ncbounds.evidence.sample import Sample


def world(seed=0, n=40, d=6, classes=4, offset=3.0):
    rng = np.random.default_rng(seed)
    f = rng.normal(size=(n, d)) + offset
    w, b = rng.normal(size=(classes, d)), rng.normal(size=classes)
    return f, rng.integers(classes, size=n), w, b


def made(f, y, w, b, **kw):
    return Rays.of(f, y, f @ w.T + b, w, b, **kw)


def view(f, y, head, *, fit=None, classes=None):
    sample = Sample.from_arrays(f, y, role="head", sampling="iid", classes=classes)
    given = {"sample": sample, "head": head, "fit": fit, "stratified": False}
    return View(**{part.name: given.get(part.name) for part in fields(View)})


def explicit(r, kappa):
    """psi of shape (n, p) and V of shape (C, p), written out."""
    psi = r.features.take(np.arange(r.n)) - r.centre
    v = r.weight
    if r.constant:
        psi = np.column_stack([psi, np.full(r.n, kappa)])
        v = np.column_stack([v, r.bias / kappa])
    return psi, v


def test_scales_are_the_thirteen_powers_of_four():
    assert tuple(4.0**j for j in range(-6, 7)) == KAPPAS


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 8), st.booleans())
def test_products_are_the_logits_up_to_a_common_shift(seed, classes, d, centred):
    f, y, w, b = world(seed, 15, d, classes)
    q = f[:3].mean(axis=0) if centred else None
    r = made(f, y, w, b, centre=q)
    for kappa in KAPPAS[::4]:
        psi, v = explicit(r, kappa)
        shift = psi @ v.T - (f @ w.T + b)
        np.testing.assert_allclose(shift, shift[:, :1] * np.ones(classes), atol=1e-9)
        np.testing.assert_allclose(v.sum(axis=0), 0, atol=1e-9 / kappa)
        np.testing.assert_allclose(r.lengths(kappa), np.linalg.norm(psi, axis=1), rtol=1e-12)
        assert r.size(kappa) == pytest.approx(np.linalg.norm(v), rel=1e-12)
        m = margins(r.logits[:], y)
        unit = m / np.linalg.norm(psi, axis=1) / np.linalg.norm(v)
        np.testing.assert_allclose(r.unit_margins(kappa, m), unit, rtol=1e-12)
        assert (np.abs(unit) <= np.sqrt(2) * (1 + 1e-12)).all()


def test_gaps_are_to_every_rival():
    f, y, w, b = world(1)
    r = made(f, y, w, b)
    index = np.array([3, 0, 7])
    for i, row in zip(index, r.gaps(index), strict=True):
        s = r.logits[i]
        np.testing.assert_allclose(np.sort(row), np.sort(s[y[i]] - np.delete(s, y[i])))
    np.testing.assert_allclose(r.closest(np.arange(40)), margins(r.logits[:], y))


def test_a_common_row_changes_nothing():
    f, y, w, b = world(2)
    one, two = made(f, y, w, b), made(f, y, w + np.arange(6.0), b + 7.0)
    np.testing.assert_allclose(one.weight, two.weight, atol=1e-13)
    np.testing.assert_allclose(one.bias, two.bias, atol=1e-13)


@pytest.mark.parametrize(("classes", "d"), [(4, 9), (3, 2), (6, 3), (2, 5)])
@pytest.mark.parametrize("constant", [True, False])
def test_projectors_are_orthogonal_projections_of_their_rank(classes, d, constant):
    f, y, w, b = world(3, 30, d, classes)
    q = f[:5].mean(axis=0) if constant else None
    r = made(f, y, w, b if constant else 0 * b, constant=constant, centre=q)
    index = np.arange(r.n)
    for kappa in r.kappas[::3]:
        psi, v = explicit(r, kappa)
        rows = np.linalg.svd(v, full_matrices=False)[2][: np.linalg.matrix_rank(v)]
        for p in projectors(r):
            found = projected(r, p, kappa, index, r.coordinates(index))
            if p.name == "all":
                basis = np.eye(r.dim)
            elif p.name == "rows and constant":
                basis = np.linalg.svd(np.vstack([v, np.eye(r.dim)[-1:]]), full_matrices=False)[2]
                basis = basis[: p.rank].T
            elif len(rows) == p.rank:
                basis = rows.T
            else:  # the bias is not in the column space: some other projector of this rank
                assert (found <= np.square(psi).sum(axis=1) * (1 + 1e-12)).all()
                continue
            assert basis.shape == (r.dim, p.rank)
            expected = np.square(psi @ basis).sum(axis=1)
            error = np.abs(found - expected) / np.square(psi).sum(axis=1)
            assert error.max() < 1e-10  # of the singular vectors that it is compared with


def test_row_projector_is_a_projector_whatever_the_bias():
    """For a bias outside the column space: idempotent, symmetric and of the stated rank."""
    f, y, w, b = world(4, 30, 2, 6)
    r, kappa = made(f, y, w, b), 0.25
    p = projectors(r)[-1]
    assert (p.name, p.rank) == ("rows", 2)
    normal = np.r_[-r.tilt, kappa]
    psi = np.column_stack([r.coordinates(np.arange(30)), np.full(30, kappa)])
    matrix = np.eye(3) - np.outer(normal, normal) / (normal @ normal)
    np.testing.assert_allclose(matrix @ matrix, matrix, atol=1e-14)
    assert np.trace(matrix) == pytest.approx(p.rank)
    expected = np.square(psi @ matrix).sum(axis=1)
    found = projected(r, p, kappa, np.arange(30), r.coordinates(np.arange(30)))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_rows_that_count_with_loss_one():
    f, y, w, b = world(5, 10)
    f[0, 0], f[1, 1], f[2] = np.nan, np.inf, 1e160
    y[3] = 9
    with np.errstate(invalid="ignore", over="ignore"):
        r = made(f, y, w, b)
    assert list(np.flatnonzero(~r.usable)) == [0, 1, 2, 3]
    m = np.ones(10)
    assert (r.unit_margins(1.0, m)[:4] == -np.inf).all()
    assert (r.unit_margins(1.0, m)[4:] > 0).all()


def test_a_logit_that_is_not_finite_is_an_error():
    f, y, w, b = world(6, 5)
    logits = f @ w.T + b
    logits[2, 1] = np.inf
    assert list(Rays.of(f, y, logits, w, b).usable) == [True, True, False, True, True]


def test_without_constant_a_zero_ray_is_an_error_and_there_is_one_scale():
    f, y, w, b = world(7, 5)
    f[1] = 0
    r = made(f, y, w, 0 * b, constant=False)
    assert r.kappas == (0.0,)
    assert r.dim == 6
    assert list(r.usable) == [True, False, True, True, True]
    assert made(f, y, w, 0 * b).usable.all()


def test_constant_is_dropped_only_by_design_and_without_a_centre():
    f, y, w, _ = world(8)
    fit = Sample.from_arrays(f + 1, y, role="fit")
    plain, bare = LinearHead(w), LinearHead(w, has_bias=False)
    assert rays(view(f, y, plain)).constant  # a bias that happens to be zero is not known a priori
    assert not rays(view(f, y, bare)).constant
    assert rays(view(f, y, bare, fit=fit)).constant


def test_centre_is_the_mean_of_the_fit_sample_and_never_of_the_bound_sample():
    f, y, w, b = world(9)
    head = LinearHead(w, b)
    fit = Sample.from_arrays(f[:7] * 2, y[:7], role="fit")
    r = rays(view(f, y, head, fit=fit))
    np.testing.assert_allclose(r.centre, 2 * f[:7].mean(axis=0))
    np.testing.assert_allclose(rays(view(f + 5, y, head, fit=fit)).centre, r.centre)
    assert (rays(view(f, y, head)).centre == 0).all()
    assert centre_note(view(f, y, head)) == ()
    assert centre_note(view(f, y, head, fit=fit)) == ("centred at the mean of the fit sample",)


def test_fit_rows_that_are_not_finite_are_left_out_of_the_centre():
    f = np.array([[1.0, 1.0], [np.nan, 5.0], [3.0, 5.0], [np.inf, 0.0]])
    fit = Sample.from_arrays(f, [0, 0, 1, 1], role="fit")
    np.testing.assert_allclose(fit_centre(fit), [2.0, 3.0])
    nothing = Sample.from_arrays(f[[1, 3]], [0, 1], role="fit")
    assert (fit_centre(nothing) == 0).all()
    # a sum that overflows in one coordinate: any centre will do, but a finite one
    huge = Sample.from_arrays(np.array([[1.5e308, 1.0], [1.5e308, 1.0]]), [0, 1], role="fit")
    with np.errstate(over="ignore"):
        assert (fit_centre(huge) == 0).all()


def test_scale_of_the_fit_sample_by_hand():
    f, y, w, b = world(10, d=2)
    fit = Sample.from_arrays(
        np.array([[3.0, 0.0], [0.0, 4.0], [np.nan, 1.0]]), [0, 1, 1], role="fit"
    )
    head = LinearHead(w, b)
    r = rays(view(f, y, head, fit=fit))
    np.testing.assert_allclose(r.centre, [1.5, 2.0])
    assert scale_of_fit(fit, r) == pytest.approx(2.5)
    same = Sample.from_arrays(np.ones((4, 2)), [0, 0, 1, 1], role="fit")
    assert scale_of_fit(same, rays(view(f, y, head, fit=same))) == 1.0


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_features_are_read_in_float64_and_not_written(dtype):
    f, y, w, b = world(11)
    stored = f.astype(dtype)
    stored.setflags(write=False)
    r = Rays.of(stored, y, stored.astype(float) @ w.T + b, w, b, centre=np.ones(6))
    exact = np.square(stored.astype(float) - 1).sum(axis=1)
    np.testing.assert_allclose(r.squares, exact, rtol=1e-14)
    assert r.coordinates(np.arange(3)).dtype == np.float64


def test_a_head_of_zeros_or_nan_has_no_size():
    f, y, w, b = world(12)
    assert made(f, y, 0 * w, 0 * b).size(1.0) == 0.0
    with np.errstate(invalid="ignore"):
        assert not made(f, y, w * np.nan, b).size(1.0) > 0
