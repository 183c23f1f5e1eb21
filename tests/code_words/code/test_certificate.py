"""Certificates: bytes and recounted errors, and nothing that a file beside them says."""

import json
import math

import mpmath
import numpy as np
import pytest
from fixtures.words import random_network

from ncbounds.code_words import FrontEnd, certify, count_errors, encode, predictions, verify
from ncbounds.code_words.code.certificate import predicted
from ncbounds.code_words.counted import counted
from ncbounds.errors import DataError, InvalidSample
from ncbounds.evidence.code_word import Compressed
from ncbounds.numerics import occam_upper

RNG = np.random.default_rng(9)
IMAGES = RNG.integers(0, 256, (3000, 12, 12), dtype=np.uint8)
NETWORK = random_network(0, None)
DATA = encode(NETWORK)
LABELS = predictions(NETWORK, IMAGES)
LABELS = np.where(RNG.random(len(LABELS)) < 0.1, (LABELS + 1) % 5, LABELS)


def test_value_against_high_precision():
    found = certify(DATA, IMAGES, LABELS, classes=5)
    assert found.bits == 8 * len(DATA)
    assert found.errors == count_errors(NETWORK, IMAGES, LABELS)
    k, n = found.errors, found.n
    with mpmath.workdps(60):
        wanted = mpmath.log(mpmath.mpf("0.05")) - found.bits * mpmath.log(2)
        for p, above in ((found.value, True), (found.value * (1 - 1e-9), False)):
            p = mpmath.mpf(p)
            tail = mpmath.fsum(
                mpmath.binomial(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1)
            )
            assert (mpmath.log(tail) <= wanted + mpmath.mpf("1e-6")) == above or not above
            if not above:
                assert mpmath.log(tail) > wanted


def test_images_that_stand_several_times_are_no_independent_draws():
    twice, labels = np.concatenate([IMAGES, IMAGES]), np.concatenate([LABELS, LABELS])
    found = certify(DATA, twice, labels, classes=5)
    assert found.value < certify(DATA, IMAGES, LABELS, classes=5).value
    assert (found.kind, found.assumption[:32]) == ("plug-in", "the 3000 images that repeat othe")
    few = np.concatenate([IMAGES, IMAGES[:30]])
    kept = certify(DATA, few, np.concatenate([LABELS, LABELS[:30]]), classes=5)
    assert (kept.kind, kept.assumption) == ("certificate", "")


def test_more_bits_or_errors_never_help():
    values = [occam_upper(100, 1000, bits, 0.05) for bits in (8, 80, 800)]
    assert values == sorted(values)
    assert occam_upper(101, 1000, 80, 0.05) > occam_upper(100, 1000, 80, 0.05)
    assert occam_upper(100, 1000, 80, 0.05) > 0.1
    assert occam_upper(999, 1000, 8, 0.05, stratified=True) < 1


def test_verify_trusts_nothing_beside_the_bytes(tmp_path):
    path = tmp_path / "network.ncz"
    path.write_bytes(DATA)
    found, said = verify(path, IMAGES, LABELS, classes=5)
    assert said == []
    found.save(tmp_path / "certificate.json", task="random")
    assert verify(path, IMAGES, LABELS, classes=5) == (found, [])
    lie = json.loads((tmp_path / "certificate.json").read_text())
    lie["errors"], lie["value"] = 0, 0.01
    (tmp_path / "certificate.json").write_text(json.dumps(lie))
    again, said = verify(path, IMAGES, LABELS, classes=5)
    assert again == found
    assert len(said) == 2
    (tmp_path / "certificate.json").write_text("{")
    assert "not JSON" in verify(path, IMAGES, LABELS, classes=5)[1][0]


def test_a_certificate_states_the_version_of_its_word():
    later = random_network(0, front=FrontEnd("roots"))
    data = encode(later)
    assert certify(DATA, IMAGES, LABELS, classes=5).codec_version == 1
    assert certify(data, IMAGES, LABELS, classes=5).codec_version == 2


def test_threads_count_the_same(monkeypatch):
    monkeypatch.setattr("ncbounds.code_words.code.certificate._PART", 700)
    assert np.array_equal(predicted(NETWORK, IMAGES), predictions(NETWORK, IMAGES))
    assert len(predicted(NETWORK, IMAGES[:0])) == 0


def test_impossible_input_is_refused():
    with pytest.raises(DataError, match="labels"):
        certify(DATA, IMAGES, LABELS[:-1], classes=5)
    with pytest.raises(DataError, match="delta"):
        certify(DATA, IMAGES, LABELS, classes=5, delta=1.0)


def test_counted_predicts_every_role():
    found = counted(DATA, {"fit": IMAGES[:50], "unlabelled": IMAGES[50:60]}, 5, tried=2)
    assert found.bits == 8 * len(DATA)
    assert np.array_equal(found.on("fit"), predictions(NETWORK, IMAGES[:50]))
    assert len(found.on("unlabelled")) == 10
    assert found.on("test") is None
    assert found.on("fit") is found.without_test().on("fit")  # counted once


def test_bounds_do_not_see_the_test_images():
    found = counted(DATA, {"fit": IMAGES[:5], "test": IMAGES[5:9]}, 5)
    assert found.tried is None
    assert len(found.on("test")) == 4
    assert found.without_test().on("test") is None
    for wrong in ({"bits": 0}, {"bits": 8, "tried": 0}):
        with pytest.raises(InvalidSample, match=r"at least one|>= 1"):
            Compressed(**wrong)


def test_chance_level_bits():
    """A word of l bits costs at least what l bits must: k = 0 gives 1 - (delta 2^-l)^(1/n)."""
    assert occam_upper(0, 1000, 100, 0.05) == pytest.approx(
        -math.expm1((math.log(0.05) - 100 * math.log(2)) / 1000), rel=1e-12
    )
