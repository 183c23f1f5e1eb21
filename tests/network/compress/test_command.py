"""The two commands, from a checkpoint on disk to a recounted code word."""

import json

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from ncbounds.cli import app
from ncbounds.errors import DataError, NcboundsError
from ncbounds.network.compress.command import seconds_of
from ncbounds.network.compress.tasks import task_images
from ncbounds.zoo.architectures import mlp

DATA = """
import numpy as np
from sklearn.datasets import load_digits

def load():
    d = load_digits()
    x = np.kron(np.minimum(16 * d.images, 255), np.ones((2, 2))).astype(np.uint8)
    return {
        "fit": (x[:1200], d.target[:1200]),
        "unlabelled": (x[1200:1500], None),
        "test": (x[1500:], d.target[1500:]),
    }
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data.py").write_text(DATA)
    torch.manual_seed(0)
    model = mlp(width=16, depth=1, in_features=256)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_compress_then_verify(folder):
    spec, out = f"{folder / 'data.py'}:load", folder / "out"
    made = run(
        "compress", folder / "model.safetensors", "--data", spec, "--unlabelled", spec,
        "--model", "mlp", "--args", '{"width": 16, "depth": 1, "in_features": 256}',
        "--budget", "1s", "--out", out,
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert "error of the decoded network <=" in made.output
    pair = json.loads((out / "unlabelled_network.json").read_text())
    assert pair["unlabelled"] == 300
    assert pair["value"] >= pair["differences"] / 300
    seen = run("verify", out / "network.ncz", "--data", spec)
    assert seen.exit_code == 0, seen.output
    assert seen.output.splitlines()[0] == made.output.splitlines()[-1]
    assert "measured on 297 test images" in seen.output
    word = (out / "network.ncz").read_bytes()
    (out / "network.ncz").write_bytes(word[:-1])
    broken = run("verify", out / "network.ncz", "--data", spec)
    assert broken.exit_code == 2
    assert "Traceback" not in broken.output


def test_wrong_words_are_explained(folder):
    spec = f"{folder / 'data.py'}:load"
    missing = run("verify", folder / "none.ncz", "--data", spec)
    assert missing.exit_code == 2
    with pytest.raises(NcboundsError, match="90s"):
        seconds_of("soon")
    assert [seconds_of(text) for text in ("90s", "30m", "1.5h")] == [90, 1800, 5400]
    with pytest.raises(DataError, match="npz"):
        task_images("nothing.csv")
