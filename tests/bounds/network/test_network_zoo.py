"""Shipped checkpoints end to end: plain and batch-norm chains, residual ones, random labels."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ncbounds.bounds.network import (
    compressed_network,
    excess_capacity_conv,
    frobenius_peeling,
    parameter_cover,
    path_norm,
    spectral_margin,
    spectral_product,
)
from ncbounds.code_words.recount import recount, word_images
from ncbounds.data.fashion_mnist import fashion_mnist
from ncbounds.data.images import standardise
from ncbounds.data.manifest import load_manifest
from ncbounds.errors import DataError
from ncbounds.evaluation.rows import bound_rows
from ncbounds.runs.subject import evidence_of

DATA = Path(__file__).parents[3] / "data"
NAMED = [n for n, e in load_manifest(DATA / "zoo").checkpoints.items() if e.code_word]
CERTIFICATES = (parameter_cover, excess_capacity_conv, spectral_margin, frobenius_peeling)


@cache
def evidence(name, folder="zoo"):
    manifest = load_manifest(DATA / folder)
    entry = manifest.checkpoints[name]
    return evidence_of(entry, manifest.tasks[entry.task])


@pytest.mark.parametrize("name", ["bncnn8-wd5e-3", "cnn8-z10"])
def test_plain_cnns(name):
    e = evidence(name)
    assert e.network.covered
    assert e.network.depth == 4
    # the chain's features are those that were extracted
    np.testing.assert_allclose(e.network.activation_norms[-1], e.fit.norms, rtol=1e-4)
    for bound in (parameter_cover, excess_capacity_conv):
        row = bound(e)
        assert row.kind == "certificate"
        assert row.value >= 0.9
    assert spectral_product(e).measure > 1
    assert path_norm(e).measure > 1
    assert "no linear layer" in spectral_margin(e).reasons[-1]


def test_residual_ones_are_not_covered():
    e = evidence("rescnn8-wd5e-3")
    for bound in CERTIFICATES:
        row = bound(e)
        assert np.isnan(row.value)
        assert "residual sums" in row.reasons[-1]


def test_random_labels():
    e = evidence("mlp128x2-n500-z100")
    assert (e.fit.margins(e.head) > 0).all()  # all random labels are learned
    for bound in CERTIFICATES:
        assert bound(e).value >= 0.9


@pytest.mark.parametrize("name", NAMED)
def test_code_words_of_the_zoo(name):
    e = evidence(name)
    row = compressed_network(e)
    # images of the pool that both versions were developed on
    assert row.kind == "conditional"
    assert "was fixed before these images were seen" in row.reasons[0]
    decoded = e.code_word.on("test") != e.test.labels
    assert decoded.mean() < row.value < 1
    # in the table: that error, and the same from the command that recounts
    (shown,) = bound_rows(compressed_network, e, 0.05)
    assert shown.test.error == decoded.mean()
    word = load_manifest(DATA / "zoo").checkpoints[name].code_word
    samples, classes = word_images(word, None)
    assert recount(word, samples, 0.05, classes)[0].value == row.value


def test_norms_of_a_convolutional_network():
    e = evidence("bncnn8-wd5e-3")
    assert len(e.network.operator_norms) == 4
    assert e.network.activation_norms.shape == (4, e.fit.n)


def test_small_network_on_all_of_fashion_mnist():
    """The training sample alone bounds the error of a saved network well below guessing."""
    try:
        images, labels, _ = fashion_mnist()
    except DataError:
        pytest.skip("the idx files of Fashion-MNIST are not installed")
    assert standardise(images[:1]).shape == (1, 1, 28, 28)
    assert len(labels) == 70_000
    e = evidence("tiny6", "zoo28")
    row = parameter_cover(e)
    assert row.kind == "certificate"
    assert row.n == 60_000
    assert row.details["parameters"] == 370
    test_error = float((~(e.test.margins(e.head) > 0)).mean())
    assert test_error < row.value < 0.36
