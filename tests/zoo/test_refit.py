import shutil
from pathlib import Path

import numpy as np
import pytest

from ncbounds.data.npz import load_npz
from ncbounds.errors import ManifestError
from ncbounds.zoo.make import make
from ncbounds.zoo.recipes import Refit

DATA = Path(__file__).parents[2] / "data"
RNG = np.random.RandomState(3)


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
