"""Networks described by a few hundred bytes: a fixed code, its exact decoder, and a search.

What a certificate rests on is small and uses NumPy alone: :mod:`.code`. The search
(:mod:`.search`) may do as it likes and proves nothing.
"""

from ncbounds.code_words.code.certificate import Certificate, certify, count_errors, verify
from ncbounds.code_words.code.coder import CodeWordError
from ncbounds.code_words.code.codeword import CODEC_VERSION, Network, decode, decode_prefix, encode
from ncbounds.code_words.code.grammar import Architecture, FrontEnd, Layer
from ncbounds.code_words.code.integers import logits, predictions

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
