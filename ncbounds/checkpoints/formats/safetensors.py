"""safetensors: a header of names, types and places, then the numbers.

The format is read here, and not through its library, for one reason: the tensors are views of the
bytes that were hashed, without a second copy of them. What the library refuses is refused.
"""

import json
import math
import re
from typing import Any

import torch

from ncbounds.budgets import HEADER_BYTES, TENSORS
from ncbounds.checkpoints.formats.format import Flat, Format
from ncbounds.errors import CheckpointUnreadable, shown
from ncbounds.files import Content

TYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
}
_START = 8  # bytes of the header's length
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


def _is_safetensors(content: Content) -> bool:
    head = content.data[: _START + 1].tobytes()
    length = int.from_bytes(head[:_START], "little")
    begun = len(head) > _START and head[_START:] == b"{" and 0 < length <= content.size - _START
    return begun or content.path.suffix == ".safetensors"


def load_safetensors(content: Content) -> Flat:
    """Return tensors, which are views of ``content.data``, and metadata as a hint.

    Raises
    ------
    CheckpointUnreadable
        If the header is damaged or declares anything but the numbers behind it, each once.
    """
    try:
        header, start = _header(content)
        metadata = header.pop("__metadata__", None)
        metadata = {} if metadata is None else metadata
        if not _is_text(metadata):
            raise ValueError("its metadata are no texts")
        tensors = _tensors(content, header, start)
    except (ValueError, RecursionError) as error:
        raise CheckpointUnreadable(
            f"{content.path} is no complete safetensors file ({error}); copy or save it again"
        ) from None
    return Flat(tensors, {"metadata": metadata} if metadata else {})


def _header(content: Content) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(content.data[:_START].tobytes(), "little")
    if content.size < _START or length > content.size - _START:
        raise ValueError(f"its header has {length} bytes, the file has {content.size}")
    if length > HEADER_BYTES:
        raise ValueError(f"its header has {length} bytes, at most {HEADER_BYTES} are read")
    text = content.data[_START : _START + length].tobytes().decode("utf-8")
    header = json.loads(text, object_pairs_hook=_once) if text.startswith("{") else None
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    if len(header) > TENSORS:
        raise ValueError(f"it has {len(header)} tensors, at most {TENSORS} are read")
    return header, _START + length


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("its header has a name twice")
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())


def _tensors(content: Content, header: dict[str, Any], start: int) -> dict[str, torch.Tensor]:
    places = {name: _place(name, entry) for name, entry in header.items()}
    ranges = sorted((begin, end) for _, _, begin, end in places.values())
    ends = [0, *(end for _, end in ranges)]
    if any(begin != end for (begin, _), end in zip(ranges, ends, strict=False)):
        raise ValueError("its tensors overlap, or leave bytes out")
    if ends[-1] != content.size - start:
        raise ValueError(
            f"its tensors take {ends[-1]} bytes, the file has {content.size - start} for them"
        )
    tensors = {}
    for name in sorted(places, key=_natural):
        dtype, shape, begin, end = places[name]
        flat = (
            torch.frombuffer(
                content.data,
                dtype=dtype,
                offset=start + begin,
                count=(end - begin) // dtype.itemsize,
            )
            if end > begin
            else torch.empty(0, dtype=dtype)
        )
        tensors[name] = flat.reshape(shape)
    return tensors


def _place(name: str, entry: object) -> tuple[torch.dtype, list[int], int, int]:
    """Type, shape, first and last byte of a tensor, which must agree with each other."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"tensor {shown(name)} has no type, shape and place")
    kind, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in TYPES:
        raise ValueError(f"tensor {shown(name)} is of type {shown(kind)}, which is not read")
    if not _are_counts(shape) or not _are_counts(place) or len(place) != 2:
        raise ValueError(f"tensor {shown(name)} has a shape or place that is no whole numbers")
    size = TYPES[kind].itemsize * math.prod(shape)
    if place[1] - place[0] != size:
        raise ValueError(
            f"tensor {shown(name)} of shape {shown(shape)} takes {shown(size)} bytes and is given "
            f"{place[1] - place[0]}"
        )
    return TYPES[kind], shape, place[0], place[1]


def _are_counts(value: object) -> bool:
    """Whether a value is a list of whole numbers, each of at most eight bytes."""
    return (
        isinstance(value, list)
        and len(value) <= 64
        and all(type(n) is int and 0 <= n < 1 << 63 for n in value)
    )


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key by which layer 2 stands before layer 10; the format keeps no order of its own."""
    return [(int(p), "") if _NUMBER.fullmatch(p) else (-1, p) for p in name.split(".")]


FORMAT = Format(name="safetensors", recognises=_is_safetensors, load=load_safetensors)
