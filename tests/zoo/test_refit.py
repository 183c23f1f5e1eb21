import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestCentroid

from ncbounds.datasets import load_npz
from ncbounds.errors import ManifestError
from ncbounds.zoo.make import make
from ncbounds.zoo.recipes import Refit
from ncbounds.zoo.refit import ESTIMATORS, RIDGE, logistic, ncm, ridge

DATA = Path(__file__).parents[2] / "data"
RNG = np.random.RandomState(3)
LABELS = np.arange(200) % 4
FEATURES = RNG.randn(4, 6)[LABELS] * 2 + RNG.randn(200, 6) + 20.0


def test_ridge_agrees_with_scikit_learn() -> None:
    weight, bias = ridge(FEATURES, LABELS, 4)
    centred = FEATURES - FEATURES.mean(0)
    reference = Ridge(alpha=RIDGE * np.mean((centred**2).sum(0))).fit(FEATURES, np.eye(4)[LABELS])
    np.testing.assert_allclose(weight, reference.coef_, rtol=1e-8)
    np.testing.assert_allclose(bias, reference.intercept_, rtol=1e-7)


def test_ncm_agrees_with_scikit_learn() -> None:
    weight, bias = ncm(FEATURES, LABELS, 4)
    fresh = RNG.randn(500, 6) * 3 + 20.0
    expected = NearestCentroid().fit(FEATURES, LABELS).predict(fresh)
    np.testing.assert_array_equal((fresh @ weight.T + bias).argmax(1), expected)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_separable_points_are_separated(name: str) -> None:
    means = np.eye(4, 6) * 10
    values = means[LABELS] + RNG.randn(200, 6)
    weight, bias = ESTIMATORS[name](values, LABELS, 4)
    assert weight.shape == (4, 6)
    np.testing.assert_array_equal((values @ weight.T + bias).argmax(1), LABELS)


def test_logistic_is_stationary_on_standardised_features() -> None:
    weight, bias = logistic(FEATURES, LABELS, 4)
    scale, centre = FEATURES.std(0), FEATURES.mean(0)
    scaled = (FEATURES - centre) / scale
    inner, shift = weight * scale, bias + weight @ centre
    logits = scaled @ inner.T + shift
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    gradient = (shares - np.eye(4)[LABELS]).T @ scaled + inner / 0.1
    assert np.abs(gradient).max() < 1e-2


def test_logistic_never_predicts_an_absent_class() -> None:
    present = LABELS != 2
    weight, bias = logistic(FEATURES[present], LABELS[present], 4)
    assert 2 not in (FEATURES @ weight.T + bias).argmax(1)
    assert np.abs(bias).max() < 65504  # largest fp16


def test_head_depends_on_its_rows_only(tmp_path: Path) -> None:
    recipe = Refit("x", "mlp16x2", 500, "ridge")
    shutil.copy(DATA / "zoo" / "mlp16x2.safetensors", tmp_path)
    row = make(recipe, DATA / "fashion14.npz", tmp_path)
    assert (row["n"], row["head_rows"], row["epochs"]) == (1000, 500, 0)
    first = (tmp_path / "x.safetensors").read_bytes()

    arrays = load_npz(DATA / "fashion14.npz")
    others = np.ones(26_000, bool)
    others[4000:4500] = False
    arrays["images"][others] = 7
    arrays["labels"][others] = RNG.randint(0, 10, others.sum())
    np.savez(tmp_path / "d.npz", **arrays)
    make(recipe, tmp_path / "d.npz", tmp_path)
    assert (tmp_path / "x.safetensors").read_bytes() == first

    arrays["labels"][4499] = (arrays["labels"][4499] + 1) % 10
    np.savez(tmp_path / "d.npz", **arrays)
    make(recipe, tmp_path / "d.npz", tmp_path)
    assert (tmp_path / "x.safetensors").read_bytes() != first


def test_refit_without_its_backbone_says_what_to_make(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="--only mlp16x2"):
        make(Refit("x", "mlp16x2", 500, "ridge"), DATA / "fashion14.npz", tmp_path)
