"""The code words in the repository, decoded and recounted."""

import json
from pathlib import Path

import pytest

from ncbounds.code_words import certify, decode, encode, predictions
from ncbounds.code_words.code.codeword import codec_hash
from ncbounds.code_words.recount import recount
from ncbounds.data.fashion_mnist import FASHION_MNIST_FOLDER
from ncbounds.data.task import listed_images, task_images
from ncbounds.numerics import occam_upper

DATA = Path(__file__).parents[3] / "data"
WORDS = sorted((DATA / "zoo/code_words").glob("*.ncz"))


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
    assert found.value <= 0.199
    assert len(lines) == 1


@pytest.mark.parametrize("word", WORDS, ids=lambda path: path.stem)
def test_14x14_words_recounted(word):
    samples, classes = listed_images(word)
    assert classes == 10
    fit, test = samples["fit"], samples["test"]
    found = certify(word.read_bytes(), fit.images, fit.labels, classes=classes)
    network = decode(word.read_bytes(), (1, 14, 14), classes)
    assert found.value > (predictions(network, test.images) != test.labels).mean()
    # below the error of guessing where there is something to learn, above it where there is not
    assert (found.value >= 0.9) if word.stem.endswith("z100") else (found.value < 0.85)
