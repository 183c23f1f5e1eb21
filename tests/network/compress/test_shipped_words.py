"""The code words in the repository, decoded and recounted."""

import json
from pathlib import Path

import pytest

from ncbounds.datasets import load_npz, noisy_labels
from ncbounds.network.compress import certify, decode, encode
from ncbounds.network.compress.certificate import occam_upper
from ncbounds.network.compress.codeword import codec_hash
from ncbounds.network.compress.command import recount
from ncbounds.network.compress.tasks import task_images
from ncbounds.zoo.fashion14 import FASHION_MNIST_FOLDER
from ncbounds.zoo.recipes import TASKS

DATA = Path(__file__).parents[3] / "data"


def test_the_28x28_word_and_its_certificate():
    data = (DATA / "zoo28/network.ncz").read_bytes()
    claim = json.loads((DATA / "zoo28/certificate.json").read_text())
    assert len(data) < 1000
    assert claim["bits"] == 8 * len(data)
    assert claim["codec"] == codec_hash()
    assert encode(decode(data, (1, 28, 28), 10)) == data
    assert claim["value"] == occam_upper(claim["errors"], 60_000, 8 * len(data), 0.05)


@pytest.mark.slow
@pytest.mark.skipif(not FASHION_MNIST_FOLDER.exists(), reason="the idx files are not installed")
def test_the_28x28_word_recounted():
    samples = task_images(str(FASHION_MNIST_FOLDER))
    found, lines = recount(DATA / "zoo28/network.ncz", samples, 0.05)
    assert found.value <= 0.27
    assert len(lines) == 1


@pytest.mark.parametrize(("name", "noise"), [("z0", 0.0), ("z100", 1.0)])
def test_14x14_words_recounted(name, noise):
    (task, *_) = [t for t in TASKS.values() if t.label_noise == noise]
    arrays = load_npz(DATA / "fashion14.npz")
    labels = noisy_labels(arrays["labels"], task.label_noise, task.noise_seed)[:4000]
    word = (DATA / f"zoo/code_words/mlp128x2-n4k-{name}.ncz").read_bytes()
    found = certify(word, arrays["images"][:4000], labels, classes=10)
    # below the error of guessing where there is something to learn, above it where there is not
    assert (found.value < 0.6) if noise == 0 else (found.value >= 0.9)
