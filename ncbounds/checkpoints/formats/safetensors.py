"""The safetensors format."""

from pathlib import Path
from typing import Any

from ncbounds.errors import CheckpointUnreadable


def is_safetensors(head: bytes, size: int) -> bool:
    """Whether the first bytes of a file of ``size`` bytes begin a safetensors header."""
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and head[8:9] == b"{" and 0 < length <= size - 8


def load_safetensors(path: Path) -> dict[str, Any]:
    """Tensors (layer 2 before layer 10) and metadata of a safetensors file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys(), key=_natural)}
            return {"tensors": tensors, "metadata": dict(file.metadata() or {})}
    except (SafetensorError, ValueError, RuntimeError, KeyError) as error:
        raise CheckpointUnreadable(
            f"{path} is no complete safetensors file ({error}); copy or save it again"
        ) from None


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key by which layer 2 stands before layer 10; the format keeps no order of its own."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in name.split(".")]
