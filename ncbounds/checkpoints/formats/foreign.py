"""Formats that are recognised and not read."""

from pathlib import Path

from ncbounds.errors import CheckpointUnreadable

FOREIGN = {
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"GGUF": "a GGUF file",
    b"BZh": "a bzip2 archive; unpack it first",
    b"\xfd7zX": "an xz archive; unpack it first",
    b"\x93NUM": "a NumPy array",
    b"<": "a web page or XML, perhaps an error page saved by a download",
    b"version https://git-lfs": "a Git LFS pointer; fetch the file itself with git lfs pull",
}


def check_foreign(path: Path, head: bytes) -> None:
    """Raise CheckpointUnreadable if the first bytes are those of a foreign format."""
    for magic, what in FOREIGN.items():
        if head.startswith(magic):
            raise CheckpointUnreadable(
                f"{path} is {what}; needed is safetensors or a file written by torch.save"
            )
