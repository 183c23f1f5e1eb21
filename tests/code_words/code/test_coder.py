"""Exact fractions: what is written is read, nothing behind it matters, and no bit is wasted."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncbounds.code_words.code.basis import KERNELS
from ncbounds.code_words.code.coder import Decoder, Encoder, check_byte, choice, weighted
from ncbounds.code_words.code.grammar import (
    ACTIVATIONS,
    CUTS,
    DEPTH,
    FRONTS,
    LINKS,
    NORMS,
    REDUCTIONS,
    SHRINKS,
    WIDTHS,
    Architecture,
    FrontEnd,
    Layer,
    code_architecture,
)
from ncbounds.code_words.code.weights import LARGEST, Adaptive, Shared, code_biases, code_tensor

DECISIONS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 99), st.integers(100, 200)), max_size=60
)


def share(encoder):
    """Width of the encoder's interval: the probability of what was written."""
    return Fraction(encoder._width, encoder._scale)


@given(DECISIONS, st.binary(max_size=6))
def test_reads_what_was_written_whatever_follows(decisions, tail):
    encoder = Encoder()
    for bit, ones, total in decisions:
        encoder.bit(bit, ones, total)
    payload = encoder.payload()
    for follow in (b"", tail, b"\0" * 9, b"\xff" * 9):
        decoder = Decoder(payload + follow)
        assert [decoder.bit(0, ones, total) for _, ones, total in decisions] == [
            bit for bit, _, _ in decisions
        ]


@given(DECISIONS)
def test_payload_is_within_two_bytes_of_the_information(decisions):
    encoder = Encoder()
    information = 0.0
    for bit, ones, total in decisions:
        encoder.bit(bit, ones, total)
        information -= np.log2(ones / total if bit else 1 - ones / total)
    length = 8 * len(encoder.payload())
    assert information - 1e-6 <= length < information + 9


def test_no_payload_begins_with_another_and_kraft_holds():
    """All messages of six adaptive bits."""
    payloads = []
    for message in product((0, 1), repeat=6):
        encoder, model = Encoder(), Adaptive()
        for bit in message:
            model.code(encoder, bit)
        payloads.append(encoder.payload())
    assert sum(Fraction(1, 256 ** len(p)) for p in payloads) <= 1
    for i, one in enumerate(payloads):
        assert not any(j != i and other.startswith(one) for j, other in enumerate(payloads))


@pytest.mark.parametrize("options", [1, 2, 3, 7, 16])
def test_choices_are_uniform_and_sum_to_one(options):
    shares = []
    for value in range(options):
        encoder = Encoder()
        assert choice(encoder, value, options) == value
        shares.append(share(encoder))
        assert choice(Decoder(encoder.payload()), 0, options) == value
    assert shares == [Fraction(1, options)] * options


def test_weighted_choices_have_their_weights():
    for value, weight in enumerate((2, 1, 5)):
        encoder = Encoder()
        weighted(encoder, value, (2, 1, 5))
        assert share(encoder) == Fraction(weight, 8)
        assert weighted(Decoder(encoder.payload()), 0, (2, 1, 5)) == value


def test_probabilities_of_all_tensors_of_one_shape_sum_to_one():
    total = Fraction(0)
    for values in product(range(-LARGEST, LARGEST + 1), repeat=2):
        encoder = Encoder()
        code_tensor(encoder, np.array(values).reshape(1, 1, 2), Shared())
        total += share(encoder)
    assert total == 1


def test_probabilities_of_all_bias_vectors_sum_to_one():
    total = Fraction(0)
    for values in product(range(-LARGEST, LARGEST + 1), repeat=2):
        encoder = Encoder()
        code_biases(encoder, np.array(values), Adaptive(), Shared())
        total += share(encoder)
    assert total == 1


@pytest.mark.parametrize("front", [FRONTS[0], FrontEnd("roots", 3, 2)])
def test_architectures_of_one_layer_share_their_part(front):
    """Kraft's sum over every one-layer architecture; a width equal to the input's has two names."""
    total, same_width = Fraction(0), Fraction(0)
    version = Architecture(front=front).version
    inputs = 3 * front.channels
    for reduction, norm, centred, frame in product(REDUCTIONS, NORMS, (False, True), (False, True)):
        for kernel, width, shrink, link, act, alone in product(
            KERNELS, WIDTHS, SHRINKS, LINKS, ACTIVATIONS, (False, True)
        ):
            same = width == inputs
            if (link != "plain" and (not same or shrink == "stride")) or (frame and width != 4):
                continue
            if alone and not same:
                continue
            cuts = (0,) if kernel == 1 else range(1, 2 * kernel - 1)
            for cut in cuts:
                # the head's polynomials are a factor of their own
                a = Architecture(
                    (Layer(width, kernel, cut, shrink, link, act, alone),),
                    reduction,
                    norm,
                    centred,
                    0,
                    frame,
                    front,
                )
                encoder = Encoder()
                assert code_architecture(encoder, a, 3, 4, version) == a
                part = share(encoder) * (1 if frame else len(CUTS))
                total += part
                same_width += part if same else 0
    # "another width" that is the same one: 2/3 of 1/16 where 1/3 was counted
    total += same_width * 3 * Fraction(2, 3 * 16)
    assert total == Fraction(1, DEPTH * (1 if version == 1 else len(FRONTS) - 1))


@given(st.binary(min_size=1, max_size=30), st.integers(0, 10_000), st.integers(1, 255))
def test_check_byte_finds_every_damaged_byte(payload, place, damage):
    where = place % len(payload)
    damaged = bytearray(payload)
    damaged[where] ^= damage
    assert check_byte(bytes(damaged)) != check_byte(payload)


def test_check_byte_of_the_standard_text():
    assert check_byte(b"123456789") == 0xF4
