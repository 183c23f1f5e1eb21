"""Code words: back and forth, in any company, and refused when they are damaged."""

import math
from dataclasses import replace

import numpy as np
import pytest
from fixtures.words import SHAPE, random_network

from ncbounds.code_words import (
    Architecture,
    CodeWordError,
    FrontEnd,
    Layer,
    Network,
    decode,
    decode_prefix,
    encode,
)
from ncbounds.code_words.code.coder import Encoder
from ncbounds.code_words.code.grammar import FRONTS
from ncbounds.code_words.search.rate import code_length


def same(one, other):
    return one.architecture == other.architecture and all(
        np.array_equal(a, b)
        for a, b in zip((*one.codes, *one.biases), (*other.codes, *other.biases), strict=True)
    )


@pytest.mark.parametrize("seed", range(4))
def test_round_trip_and_whatever_follows(seed):
    options = {
        "norm": ("layer", "channel")[seed % 2],
        "front": FRONTS[5 * seed % len(FRONTS)],
    }
    network = random_network(seed, cut=seed, **options)
    data = encode(network)
    assert same(decode(data, SHAPE, 5), network)
    noise = np.random.default_rng(seed).bytes(40)
    for tail in (b"\0" * 40, b"\xff" * 40, noise, data):
        found, used = decode_prefix(data + tail, SHAPE, 5)
        assert used == len(data)
        assert same(found, network)


def test_a_frame_needs_no_head():
    layers = (Layer(4), Layer(5))
    framed = random_network(0, layers, frame=True)
    assert len(framed.codes) == 2
    assert same(decode(encode(framed), SHAPE, 5), framed)


def test_every_flipped_bit_is_an_error():
    data = encode(random_network(1, (Layer(3), Layer(2, 3, 1, "pool"))))
    for place in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(CodeWordError):
            decode(bytes(damaged), SHAPE, 5)


def test_every_truncation_and_any_rest_is_an_error():
    data = encode(random_network(2, (Layer(3), Layer(2, 3, 1, "pool"))))
    for length in range(len(data)):
        with pytest.raises(CodeWordError):
            decode(data[:length], SHAPE, 5)
    with pytest.raises(CodeWordError, match="ends after"):
        decode(data + b"\0", SHAPE, 5)
    with pytest.raises(CodeWordError):
        decode(b"", SHAPE, 5)


def test_a_version_costs_its_bits_and_others_are_refused():
    network = random_network(3, (Layer(3),))
    later = random_network(3, (Layer(3),), front=FrontEnd("roots"))
    bits = code_length(later) - code_length(network)
    assert bits == pytest.approx(math.log2(12 / 6) + math.log2(len(FRONTS) - 1))
    for version in (0, 3, 1000):
        encoder = Encoder()
        for passed in range(version):
            encoder.bit(1, passed + 1, passed + 2)
        encoder.bit(0, version + 1, version + 2)
        with pytest.raises(CodeWordError, match="version"):
            decode(encoder.payload() + bytes(9), SHAPE, 5)


@pytest.mark.parametrize("front", [("pixels", 1, 2), ("roots", 3, 4), ("logs", 3, 2)])
def test_readings_that_the_code_does_not_hold_are_refused(front):
    network = random_network(0, (Layer(3),))
    foreign = replace(network.architecture, front=FrontEnd(*front))
    with pytest.raises(CodeWordError, match="the code has no"):
        encode(replace(network, architecture=foreign))


def test_zeros_are_cheap_and_large_architectures_are_refused():
    a = Architecture(tuple(Layer(24) for _ in range(3)), reduction=1)
    shapes = a.shapes(1, 10)
    empty = Network(
        a,
        tuple(np.zeros(s, int) for s in shapes),
        tuple(np.zeros(s[0], int) for s in shapes),
        SHAPE,
        10,
    )
    assert len(encode(empty)) < 24
    huge = Architecture(tuple(Layer(48, 5, 8) for _ in range(3)), reduction=1)
    with pytest.raises(CodeWordError, match="more than"):
        encode(Network(huge, (), (), SHAPE, 10))
