"""Hindsight: on images that the code was made on, what its words say is conditional."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures.words import random_network
from typer.testing import CliRunner

from ncbounds.bounds.network.compressed_network import compressed_network
from ncbounds.bounds.network.unlabelled_network import unlabelled_network
from ncbounds.cli.app import app
from ncbounds.cli.code_words import sentence
from ncbounds.code_words import FrontEnd, Layer, certify, encode
from ncbounds.code_words.code.developed import (
    FILES,
    assumption,
    developed_on,
    fingerprints,
    hashes,
    save_hashes,
)
from ncbounds.code_words.code.versions import VERSIONS
from ncbounds.code_words.counted import with_code_word
from ncbounds.data.fashion_mnist import fashion_mnist
from ncbounds.data.npz import load_npz
from ncbounds.errors import DataError
from ncbounds.evidence.evidence import Evidence
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.zoo.fashion14 import halve

RNG = np.random.default_rng(5)
SEEN = load_npz(Path(__file__).parents[3] / "data/fashion14.npz")["images"]
NEW = RNG.integers(0, 256, (2000, 14, 14), dtype=np.uint8)
GRANTED = "was fixed before these images were seen"


def word(version, side=14):
    front = FrontEnd() if version == 1 else FrontEnd("roots", 3, 2)
    network = random_network(4, (Layer(4), Layer(5)), front=front)
    return encode(replace(network, shape=(1, side, side)))


def mixed(common, n):
    """A sample of n images, some of which the code was developed on."""
    images = NEW[RNG.choice(len(NEW), n, replace=False)]
    images[RNG.choice(n, common, replace=False)] = SEEN[
        RNG.choice(len(SEEN), common, replace=False)
    ]
    return images


def evidence(images, version, pool=None):
    head = LinearHead(np.eye(5), np.zeros(5))

    def sample(x, role):
        labels = RNG.integers(0, 5, len(x))
        features = np.eye(5)[labels]
        y = labels if role == "fit" else None
        return Sample.from_arrays(features, y, role=role, sampling="iid", repeats="by chance")

    given = {"fit": images} if pool is None else {"fit": images, "unlabelled": pool}
    found = Evidence(head=head, **{role: sample(x, role) for role, x in given.items()})
    return with_code_word(found, word(version), given, tried=1)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("common", "kind"), [(0, "certificate"), (10, "conditional")])
def test_one_row_in_a_hundred_is_enough(version, common, kind):
    row = compressed_network(evidence(mixed(common, 1000), version))
    assert row.kind == kind
    said = [reason for reason in row.reasons if GRANTED in reason]
    assert len(said) == (kind == "conditional")
    assert all(reason.startswith(f"version {version} ") for reason in said)
    assert np.isfinite(row.value)


@pytest.mark.parametrize("where", ["fit", "unlabelled"])
def test_either_sample_of_the_saved_network(where):
    new, old = mixed(0, 600), mixed(6, 600)
    clean = unlabelled_network(evidence(new, 2, new[:500]))
    assert clean.kind == "certificate"
    images, pool = (old, new) if where == "fit" else (new, old)
    assert unlabelled_network(evidence(images, 2, pool)).kind == "conditional"


def test_nothing_is_granted_for_a_plug_in():
    base = evidence(mixed(10, 1000), 2)
    undeclared = Sample.from_arrays(base.fit.features, base.fit.labels, role="fit")
    row = compressed_network(replace(base, fit=undeclared))
    assert row.kind == "plug-in"
    assert any(GRANTED in reason for reason in row.reasons)


def test_test_images_do_not_matter():
    assert compressed_network(evidence(NEW, 2)).kind == "certificate"
    base = with_code_word(evidence(NEW, 2), word(2), {"fit": NEW, "test": SEEN[:100]})
    assert base.code_word.assumption == ""


def test_every_image_that_is_shipped_is_recognised():
    assert np.isin(fingerprints(SEEN), hashes("Fashion-MNIST")).all()
    share = np.isin(fingerprints(NEW), hashes("Fashion-MNIST")).mean()
    assert share < 0.006  # .0017 by chance


@pytest.mark.parametrize("version", [1, 2])
def test_frames_and_channels_hide_nothing(version):
    images = SEEN[:500]
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    coloured = np.repeat(images[:, None], 3, axis=1)
    for form in (images, framed, coloured):
        assert developed_on(version, form) == ("Fashion-MNIST",)
    large = np.repeat(np.repeat(images, 2, axis=1), 2, axis=2)  # its halves are the same
    for form in (large, np.pad(large, ((0, 0), (2, 2), (2, 2)))):
        assert developed_on(version, form) == ("Fashion-MNIST",)


@pytest.mark.parametrize("shape", [(300, 12, 12), (300, 3, 28, 28), (300, 32, 32), (0, 14, 14)])
def test_images_of_another_kind_are_new(shape):
    assert developed_on(2, RNG.integers(0, 256, shape, dtype=np.uint8)) == ()


def test_other_arrays_are_refused():
    with pytest.raises(DataError, match="uint8"):
        developed_on(2, np.zeros((3, 14, 14)))


def test_small_foreign_samples_are_seldom_taken_for_seen():
    draws = 100
    for n in (1, 30):
        foreign = RNG.integers(0, 256, (draws * n, 14, 14), dtype=np.uint8)
        found = [bool(developed_on(2, part)) for part in np.split(foreign, draws)]
        # both data sets of version 2 may be found by chance, each with probability .01
        assert np.mean(found) <= 0.02 + 4 * np.sqrt(0.02 / draws)


def test_every_data_set_that_is_named_has_hashes():
    assert {name for v in VERSIONS for name in v.developed_on} == set(FILES)
    for name, least in (("Fashion-MNIST", 69_900), ("MNIST", 4990)):
        found = hashes(name)
        assert least <= len(found) <= 70_000
        assert (np.diff(found) > 0).all()


def test_hashes_are_written_as_they_are_read(tmp_path, monkeypatch):
    path = tmp_path / "some.npz"
    save_hashes(NEW, path)
    monkeypatch.setitem(FILES, "some", str(path))
    assert np.array_equal(hashes("some"), np.unique(fingerprints(NEW)))


def test_a_certificate_and_its_sentence_say_it(tmp_path):
    for images, kind in ((mixed(10, 1000), "conditional"), (NEW, "certificate")):
        found = certify(word(2), images, np.zeros(len(images), dtype=int), classes=5)
        assert found.kind == kind
        assert found.assumption == assumption(2, images)
        assert (GRANTED in sentence(found)) == (kind == "conditional")
        found.save(tmp_path / "certificate.json")
        assert json.loads((tmp_path / "certificate.json").read_text())["kind"] == kind


def test_verify_says_it_and_disagrees_with_a_file_that_does_not(tmp_path):
    path = tmp_path / "network.ncz"
    path.write_bytes(word(1))
    images = mixed(20, 400)
    np.savez(tmp_path / "data.npz", images=images, labels=np.arange(400) % 5)
    (tmp_path / "certificate.json").write_text('{"kind": "certificate"}')
    said = CliRunner().invoke(app, ["verify", str(path), "--data", str(tmp_path / "data.npz")])
    assert f"version 1 {GRANTED} (it was developed on Fashion-MNIST), error of" in said.output
    assert "kind: the file says certificate, recounted conditional" in said.output


def test_the_shipped_hashes_are_those_of_fashion_mnist():
    try:
        images, _, _ = fashion_mnist()
    except DataError:
        pytest.skip("the idx files of Fashion-MNIST are not installed")
    assert np.array_equal(np.unique(fingerprints(images)), hashes("Fashion-MNIST"))
    assert np.array_equal(fingerprints(images[:100]), fingerprints(halve(images[:100])))
