"""Code words: a network as a byte string, and back."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ncbounds.code_words.code.coder import Channel, CodeWordError, Decoder, Encoder, check_byte
from ncbounds.code_words.code.grammar import MAX_CODES, Architecture, Layer, code_architecture
from ncbounds.code_words.code.weights import Adaptive, Codes, Shared, code_biases, code_tensor

CODEC_VERSION = 2
"""Latest version of the code; version v costs log2((v + 1)(v + 2)) bits of each of its code words.

It goes up with every change of what bytes mean, in particular with one that is made after looking
at the data of a claim. Words of version 1 mean what they meant: networks that read pixels as they
are. Version 2 holds those with any other front end.
"""

_LONGEST = 1 << 16
_FILES = ("coder", "basis", "grammar", "weights", "codeword", "integers")


@dataclass(frozen=True, eq=False)
class Network:
    """What a code word describes.

    Attributes
    ----------
    architecture : Architecture
    codes : tuple of int64 arrays (outputs, inputs, modes)
        One per layer, and the head's unless the architecture has a frame instead.
    biases : tuple of int64 arrays (outputs,)
    shape : (channels, height, width) of the images
    classes : int
    """

    architecture: Architecture
    codes: tuple[Codes, ...]
    biases: tuple[Codes, ...]
    shape: tuple[int, int, int]
    classes: int


def encode(network: Network) -> bytes:
    """Return the code word of ``network``.

    Raises
    ------
    CodeWordError
        If its architecture is too large, or has a front end that is not in the code.
    """
    encoder = Encoder()
    code_network(encoder, network, network.shape, network.classes)
    payload = encoder.payload()
    return payload + bytes([check_byte(payload)])


def decode(data: bytes, shape: tuple[int, int, int], classes: int) -> Network:
    """Read a code word that is all of ``data``.

    Parameters
    ----------
    data : bytes
    shape : (channels, height, width)
    classes : int
        Of the task; known before any data, so not part of the code word.

    Raises
    ------
    CodeWordError
        If ``data`` is truncated, damaged, too long or of another version.
    """
    network, used = decode_prefix(data, shape, classes)
    if used != len(data):
        raise CodeWordError(f"the code word ends after {used} bytes, the file has {len(data)}")
    return network


def decode_prefix(data: bytes, shape: tuple[int, int, int], classes: int) -> tuple[Network, int]:
    """Read the code word that ``data`` begins with, and its length in bytes.

    Raises
    ------
    CodeWordError
        If ``data`` does not begin with a code word.
    """
    head = data[:_LONGEST]
    nothing = Network(Architecture((Layer(2),)), (), (), shape, classes)
    network = code_network(Decoder(head), nothing, shape, classes)
    whole = encode(network)
    if len(whole) > len(head):
        raise CodeWordError(
            f"truncated: {len(data)} bytes, the code word that they begin needs {len(whole)}"
        )
    if head[: len(whole)] != whole:
        raise CodeWordError("damaged: the bytes are not the code word of the network they describe")
    return network, len(whole)


def code_network(
    channel: Channel, given: Network, shape: tuple[int, int, int], classes: int
) -> Network:
    """Pass a network through ``channel``: version, architecture, then codes tensor by tensor."""
    version = _code_version(channel, given.architecture.version)
    architecture = code_architecture(channel, given.architecture, shape[0], classes, version)
    sizes = architecture.shapes(shape[0], classes)
    if sum(int(np.prod(size)) for size in sizes) > MAX_CODES:
        raise CodeWordError(f"the architecture has more than {MAX_CODES} codes")
    shared, bias_zeros, bias_shared = Shared(), Adaptive(), Shared()
    codes, biases = [], []
    for i, size in enumerate(sizes):
        asked = given.codes[i] if i < len(given.codes) else np.zeros(size, dtype=np.int64)
        codes.append(code_tensor(channel, asked, shared))
        asked = given.biases[i] if i < len(given.biases) else np.zeros(size[0], dtype=np.int64)
        biases.append(code_biases(channel, asked, bias_zeros, bias_shared))
    return Network(architecture, tuple(codes), tuple(biases), shape, classes)


def _code_version(channel: Channel, asked: int) -> int:
    version = 0
    while channel.bit(int(version < asked), version + 1, version + 2):
        version += 1
        if version > CODEC_VERSION:
            raise CodeWordError(f"version {version} or later, this library reads {CODEC_VERSION}")
    if version < 1:
        raise CodeWordError(f"version {version}, this library reads 1 to {CODEC_VERSION}")
    return version


@cache
def codec_hash() -> str:
    """Sha256 of the source of all that decoding depends on."""
    digest = hashlib.sha256()
    for name in _FILES:
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return digest.hexdigest()
