"""Formats that are recognised and not read, each with what to do instead."""

from collections.abc import Callable

from ncbounds.checkpoints.formats.format import Format, starts_with
from ncbounds.files import Content

_DIRECTORY = 1 << 16  # bytes at the end of a zip in which its names are looked for


def _begins(*magic: bytes) -> Callable[[Content], bool]:
    return lambda content: starts_with(content, *magic)


def _ends(*suffixes: str) -> Callable[[Content], bool]:
    return lambda content: content.path.suffix.lower() in suffixes


def _zip_with(name: bytes) -> Callable[[Content], bool]:
    return lambda content: (
        starts_with(content, b"PK\x03\x04") and name in content.data[-_DIRECTORY:].tobytes()
    )


def _is_tflite(content: Content) -> bool:
    return content.data[4:8].tobytes() == b"TFL3"


_ARRAYS = "np.savez('weights.npz', **{name: array, ...}), with names as in your torch module"

FORMATS = (
    Format(
        name="a Keras archive",
        recognises=_zip_with(b"model.weights.h5"),
        instead=f"load it with keras, and save its arrays: {_ARRAYS}",
    ),
    Format(
        name="an HDF5 file",
        recognises=_begins(b"\x89HDF"),
        instead=f"read its arrays with h5py, and save them: {_ARRAYS}",
    ),
    Format(
        name="an ONNX model",
        recognises=_ends(".onnx"),
        instead="its initializers are arrays (onnx.numpy_helper.to_array); save them: " + _ARRAYS,
    ),
    Format(
        name="a TFLite model",
        recognises=_is_tflite,
        instead=f"read its tensors with a tflite interpreter, and save them: {_ARRAYS}",
    ),
    Format(
        name="a GGUF file",
        recognises=_begins(b"GGUF"),
        instead=f"read its tensors with the gguf package, and save them: {_ARRAYS}",
    ),
    Format(
        name="a msgpack file of flax",
        recognises=_ends(".msgpack"),
        instead=f"restore it with flax.serialization, flatten it, and save its arrays: {_ARRAYS}",
    ),
    Format(
        name="a piece of a folder of torch.distributed.checkpoint",
        recognises=_ends(".distcp"),
        instead="name that folder, in which .metadata says where each piece belongs",
    ),
    Format(name="a gzip archive", recognises=_begins(b"\x1f\x8b"), instead="unpack it first"),
    Format(name="a bzip2 archive", recognises=_begins(b"BZh"), instead="unpack it first"),
    Format(name="an xz archive", recognises=_begins(b"\xfd7zX"), instead="unpack it first"),
    Format(
        name="a NumPy array",
        recognises=_begins(b"\x93NUM"),
        instead=f"a network has several: {_ARRAYS}",
    ),
    Format(
        name="a Git LFS pointer",
        recognises=_begins(b"version https://git-lfs"),
        instead="fetch the file itself with git lfs pull",
    ),
    Format(
        name="a web page or XML",
        recognises=_begins(b"<"),
        instead="perhaps a download saved an error page: download it again",
    ),
)
