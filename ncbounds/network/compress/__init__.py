"""Networks described by a few hundred bytes: a fixed code, its exact decoder, and a search.

What a certificate rests on is small and uses NumPy alone: :mod:`.coder`, :mod:`.grammar`,
:mod:`.basis`, :mod:`.weights`, :mod:`.codeword` (the code), :mod:`.integers` (what a code word
computes) and :mod:`.certificate` (bytes and recounted errors). The search (:mod:`.student`,
:mod:`.search`, :mod:`.polish`) may do as it likes and proves nothing.
"""

from .certificate import Certificate, certify, count_errors, verify
from .coder import CodeWordError
from .codeword import CODEC_VERSION, Network, decode, decode_prefix, encode
from .grammar import Architecture, FrontEnd, Layer
from .integers import logits, predictions

__all__ = [
    "CODEC_VERSION",
    "Architecture",
    "Certificate",
    "CodeWordError",
    "FrontEnd",
    "Layer",
    "Network",
    "certify",
    "count_errors",
    "decode",
    "decode_prefix",
    "encode",
    "logits",
    "predictions",
    "verify",
]
