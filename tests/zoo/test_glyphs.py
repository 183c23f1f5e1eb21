"""Letters unseen when the code was frozen: their law, and what a code word says of them."""

import hashlib
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ncbounds.code_words import certify, decode, encode, predictions
from ncbounds.code_words.code.codeword import codec_hash
from ncbounds.code_words.code.developed import developed_on
from ncbounds.errors import DataError
from ncbounds.numerics import occam_upper
from ncbounds.zoo import fonts, glyphs

FOLDER = Path(__file__).parents[2] / "data/glyphs28"
CLAIM = json.loads((FOLDER / "certificate.json").read_text())
WORD = (FOLDER / "network.ncz").read_bytes()
DEVELOPMENT = "0" * 39 + "1"


@pytest.fixture(scope="module", autouse=True)
def rendered():
    """The letters of the pinned fonts; other fonts are no fault of the code word."""
    try:
        return fonts.letters()
    except DataError as error:
        pytest.skip(str(error))


def test_the_letters_are_drawn_as_they_were():
    images, labels = glyphs.block(DEVELOPMENT, 0, 0)
    digest = hashlib.sha256(images.tobytes() + labels.astype("<i8").tobytes()).hexdigest()
    assert digest == "dbec9c27bff6d19c27d9dc31321c2b82940ab2192e1e658b6e37063030e3d50f"


def test_blocks_do_not_depend_on_how_many_are_drawn():
    few, labels = glyphs.drawn(1500, seed=DEVELOPMENT)
    more, _ = glyphs.drawn(2000, seed=DEVELOPMENT)
    assert few.shape == (1500, 28, 28)
    assert np.array_equal(few, more[:1500])
    assert np.array_equal(more[1000:], glyphs.block(DEVELOPMENT, 0, 1)[0])
    other, others = glyphs.drawn(1000, seed=DEVELOPMENT, stream=1)
    assert not np.array_equal(others, labels[:1000])
    assert len(np.unique(np.concatenate([more, other]).reshape(3000, -1), axis=0)) == 3000


def test_all_letters_are_equally_likely():
    _, labels = glyphs.drawn(4000, seed=DEVELOPMENT)
    counts = np.bincount(labels, minlength=10)
    assert len(counts) == 10
    assert (np.abs(counts - 400) < 5 * np.sqrt(400)).all()


def test_an_affine_map_by_exact_fractions(rendered):
    draw = np.random.RandomState(0)
    unit, side, last = glyphs._UNIT, fonts.CANVAS, fonts.CANVAS - 1
    canvas = rendered[:3, 4]
    along, across, shift = (
        draw.randint(low, high, (2, 3, 1, 1))
        for low, high in ((900, 1700), (-350, 351), (-3000, 3001))
    )
    found = glyphs._read(canvas, along, across, shift)
    for n, i, j in zip(draw.randint(0, 3, 300), *draw.randint(0, 28, (2, 300)), strict=True):
        a, b, c = (values[:, n, 0, 0].tolist() for values in (along, across, shift))
        down, right = Fraction(2 * int(i) - 27, 2), Fraction(2 * int(j) - 27, 2)
        y = Fraction((a[0] * down + b[0] * right).__floor__() + c[0], unit) + Fraction(last, 2)
        x = Fraction((b[1] * down + a[1] * right).__floor__() + c[1], unit) + Fraction(last, 2)
        wanted = Fraction(0)
        for p in (y.__floor__(), y.__floor__() + 1):
            for q in (x.__floor__(), x.__floor__() + 1):
                if 0 <= p < side and 0 <= q < side:
                    wanted += (1 - abs(y - p)) * (1 - abs(x - q)) * int(canvas[n, p, q])
        assert found[n, i, j] == wanted.__floor__()


def test_another_font_is_named(monkeypatch):
    monkeypatch.setitem(fonts.FONTS, "cmss10", "0" * 16)
    with pytest.raises(DataError, match=r"cmss10\.ttf differs"):
        fonts.letters.__wrapped__()
    monkeypatch.setitem(fonts.FONTS, "cmss10", "7df91a83d05b2e47")
    monkeypatch.setattr(fonts, "RENDERED", "0" * 16)
    with pytest.raises(DataError, match="renders them otherwise"):
        fonts.letters.__wrapped__()


def test_the_word_was_new_to_the_code_and_its_certificate_adds_up():
    network = decode(WORD, (1, 28, 28), 10)
    assert encode(network) == WORD
    assert CLAIM["kind"] == "certificate"
    assert CLAIM["assumption"] == ""
    assert CLAIM["seed"] == glyphs.SEED
    assert CLAIM["codec"] == codec_hash()
    assert CLAIM["n"] == glyphs.TRAINING
    assert CLAIM["bits"] == 8 * len(WORD)
    assert CLAIM["value"] == occam_upper(CLAIM["errors"], CLAIM["n"], CLAIM["bits"], 0.05)
    assert CLAIM["fresh"] == glyphs.FRESH
    assert CLAIM["value"] > CLAIM["errors_on_fresh"] / CLAIM["fresh"]


def test_the_word_recounted_on_its_first_images():
    images, labels = glyphs.drawn(CLAIM["first"])
    network = decode(WORD, (1, 28, 28), 10)
    assert int((predictions(network, images) != labels).sum()) == CLAIM["errors_on_first"]
    assert developed_on(network.architecture.version, images) == ()


@pytest.mark.slow
def test_the_word_recounted():
    images, labels = glyphs.fit()["fit"]
    found = certify(WORD, images, labels, classes=10)
    assert found.kind == "certificate"
    assert (found.errors, found.value) == (CLAIM["errors"], CLAIM["value"])
