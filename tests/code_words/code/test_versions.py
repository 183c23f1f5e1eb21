"""What the bytes of each version of the code mean is frozen: words, and what their networks say."""

import hashlib

import numpy as np
import pytest

from ncbounds.code_words import Architecture, Layer, Network, decode, encode, logits
from ncbounds.code_words.code.codeword import CODEC_VERSION
from ncbounds.code_words.code.grammar import (
    ACTIVATIONS,
    CUTS,
    FRONTS,
    LINKS,
    NORMS,
    REDUCTIONS,
    SHRINKS,
    WIDTHS,
    FrontEnd,
)
from ncbounds.code_words.code.versions import VERSIONS, version

#: Of 60 words of each version, and of the logits of their networks. A change of either is another
#: version of the code, with data sets of its own that it was developed on: these never change.
FROZEN = {
    1: "84523271d0abc8e1ec9f75b9c6722a14ad7c836c23cfff6ab4f1d1cf6348fd1a",
    2: "da1500a567767343f29af2356fa44f547233c5064209ecc7c956ea24f5ed0777",
}
WORDS = 60
CLASSES = 4


def any_of(draw, options):
    return options[draw.randint(len(options))]


def layer(draw, previous, width):
    # RandomState draws the same numbers for ever
    width = width or any_of(draw, (previous if previous in WIDTHS else 2, *WIDTHS[:8]))
    shrink = any_of(draw, SHRINKS)
    kernel = any_of(draw, (1, 3, 3, 5))
    cut = 0 if kernel == 1 else 1 + draw.randint(2 * (kernel - 1))
    same = width == previous
    link = any_of(draw, LINKS) if same and shrink != "stride" else "plain"
    deep = bool(same and draw.randint(2))
    return Layer(width, kernel, cut, shrink, link, any_of(draw, ACTIVATIONS), deep)


def network(draw, number, index):
    channels = 1 + draw.randint(3)
    front = FrontEnd() if number == 1 else FRONTS[1 + index % (len(FRONTS) - 1)]
    frame, depth = bool(draw.randint(2)), 1 + draw.randint(4)
    layers, previous = [], channels * front.channels
    for place in range(depth):
        last = frame and place == depth - 1
        layers.append(layer(draw, previous, CLASSES if last else None))
        previous = layers[-1].width
    architecture = Architecture(
        tuple(layers),
        any_of(draw, REDUCTIONS),
        any_of(draw, NORMS),
        bool(draw.randint(2)),
        0 if frame else any_of(draw, CUTS),
        frame,
        front,
    )
    shapes = architecture.shapes(channels, CLASSES)
    codes = [(draw.rand(*s) < 0.4) * draw.randint(-4, 5, s) for s in shapes]
    biases = [(draw.rand(s[0]) < 0.5) * draw.randint(-2, 3, s[0]) for s in shapes]
    shape = (channels, 8 + draw.randint(9), 8 + draw.randint(9))
    return Network(architecture, tuple(codes), tuple(biases), shape, CLASSES)


def meaning(number):
    draw, digest = np.random.RandomState(number), hashlib.sha256()
    for index in range(WORDS):
        given = network(draw, number, index)
        word = encode(given)
        read = decode(word, given.shape, CLASSES)
        assert read.architecture == given.architecture
        assert read.architecture.version == number
        images = draw.randint(0, 256, (3, *given.shape)).astype(np.uint8)
        digest.update(len(word).to_bytes(4, "big") + word)
        digest.update(logits(read, images).astype("<i8").tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("number", FROZEN)
def test_words_of_a_version_mean_what_they_meant(number):
    assert meaning(number) == FROZEN[number]


def test_every_version_is_listed_and_frozen():
    numbers = list(range(1, CODEC_VERSION + 1))
    assert [v.number for v in VERSIONS] == numbers
    assert list(FROZEN) == numbers
    assert [version(n).number for n in numbers] == numbers


def test_both_versions_were_made_on_fashion_mnist():
    assert all("Fashion-MNIST" in v.developed_on for v in VERSIONS)
