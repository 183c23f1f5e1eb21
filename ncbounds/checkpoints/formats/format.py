"""File formats: how each is recognised, and how it is read or what converts it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from ncbounds.files import Content


class Flat(NamedTuple):
    """What a format without entries holds.

    Attributes
    ----------
    tensors : dict of str to Tensor
    hints : dict
        Plain values beside them.
    unpacked : int
        Bytes that were set aside beyond the file's own; tensors may claim no more than both.
    """

    tensors: dict[str, torch.Tensor]
    hints: dict[str, Any]
    unpacked: int = 0


class Nested(NamedTuple):
    """What a format with entries holds, in words and as it is; weights are looked for in it."""

    kind: str
    content: Any


@dataclass(frozen=True, kw_only=True)
class Format:
    """One file format; ``ncbounds.register(Format(...))`` adds one of one's own.

    Attributes
    ----------
    name : str
        In words, such as ``"safetensors"``.
    recognises : callable ``(content) -> bool``
        Decides by the bytes and the name of the file.
    load : callable ``(content) -> Flat or Nested``, or None
        Reads the bytes without running code from them. None: it is not read.
    instead : str
        What to do with a file that is not read, such as the tool that converts it.
    """

    name: str
    recognises: Callable[[Content], bool]
    load: Callable[[Content], Flat | Nested] | None = None
    instead: str = field(default="save it as safetensors or with torch.save")


def starts_with(content: Content, *magic: bytes) -> bool:
    """Whether the first bytes are one of ``magic``."""
    head = content.data[:64].tobytes()
    return head.startswith(magic)
