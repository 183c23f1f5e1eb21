"""Formats that are recognised and not read, each with what to do instead."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from ncbounds.checkpoints.formats.format import Format, starts_with
from ncbounds.errors import CheckpointMismatch, few
from ncbounds.files import Content

_FLAT = re.compile(r"(^|[._])flat_param(_\d+)?$")
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


_NAMES = "then rename and transpose its arrays to those of your torch module"
_ARRAYS = f"np.savez('weights.npz', **{{name: array, ...}}); {_NAMES}"
_H5 = (
    "a = {{}}; h5py.File({}).visititems(lambda n, o: a.update({{n.replace('/', '.'): o[()]}}) "
    "if hasattr(o, 'shape') else None); np.savez('weights.npz', **a)"
)


def _python(code: str, then: str = _NAMES) -> str:
    """What to type, and what to do then; FILE becomes the path of the file."""
    return f'type: python -c "{code}" FILE ; {then}'


FORMATS = (
    Format(
        name="a Keras archive",
        recognises=_zip_with(b"model.weights.h5"),
        instead=_python(
            "import sys, io, zipfile, h5py, numpy as np; "
            "z = zipfile.ZipFile(sys.argv[1]).read('model.weights.h5'); "
            + _H5.format("io.BytesIO(z)")
        ),
    ),
    Format(
        name="an HDF5 file",
        recognises=_begins(b"\x89HDF"),
        instead=_python("import sys, h5py, numpy as np; " + _H5.format("sys.argv[1]")),
    ),
    Format(
        name="an ONNX model",
        recognises=_ends(".onnx"),
        instead=_python(
            "import sys, onnx, numpy as np; from onnx.numpy_helper import to_array; "
            "np.savez('weights.npz', **{t.name: to_array(t) "
            "for t in onnx.load(sys.argv[1]).graph.initializer})"
        ),
    ),
    Format(
        name="a TFLite model",
        recognises=_is_tflite,
        instead=f"read its tensors with a tflite interpreter, and save them: {_ARRAYS}",
    ),
    Format(
        name="a GGUF file",
        recognises=_begins(b"GGUF"),
        instead=_python(
            "import sys, gguf, numpy as np; np.savez('weights.npz', "
            "**{t.name: gguf.quants.dequantize(t.data, t.tensor_type) "
            "for t in gguf.GGUFReader(sys.argv[1]).tensors})"
        ),
    ),
    Format(
        name="a msgpack file of flax",
        recognises=_ends(".msgpack"),
        instead=_python(
            "import sys, numpy as np; from flax import serialization as s, traverse_util as t; "
            "np.savez('weights.npz', **t.flatten_dict(s.msgpack_restore("
            "open(sys.argv[1], 'rb').read()), sep='.'))"
        ),
    ),
    Format(
        name="a program of torch.export",
        recognises=_zip_with(b"/archive_format"),
        instead="where you trust it, "
        + _python(
            "import sys, torch; "
            "torch.save(dict(torch.export.load(sys.argv[1]).state_dict), 'weights.pt')",
            "it writes weights.pt",
        ),
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

#: Known by a member of its archive, wherever that stands.
TORCHSCRIPT = Format(
    name="a TorchScript archive, which holds a program",
    recognises=_zip_with(b"/constants.pkl"),
    instead="where you trust it, "
    + _python(
        "import sys, torch; torch.save("
        "torch.jit.load(sys.argv[1], map_location='cpu').state_dict(), 'weights.pt')",
        "it writes weights.pt",
    ),
)


def instead_of(found: Format, path: Path) -> str:
    """Say what a file is that is not read, and what to do with it."""
    return f"{path} is {found.name}; {found.instead.replace(' FILE ', f' {quote(str(path))} ')}"


DEEPSPEED = (
    "a checkpoint of DeepSpeed, whose weights are spread over its files: in its folder type "
    "python zero_to_fp32.py . weights , and name what it writes"
)
FULL = (
    "torch.distributed.checkpoint.state_dict.get_model_state_dict(model, "
    "options=StateDictOptions(full_state_dict=True, cpu_offload=True))"
)
#: Names in a pickle that say who wrote it, and what gives whole weights.
WRITERS = {
    "deepspeed.": f"It is {DEEPSPEED}. ",
    "torch.distributed.": f"It holds one rank's pieces: on all ranks call {FULL}, and save that. ",
    "megatron.": "Convert it with Megatron's own tools/checkpoint/convert.py. ",
}
#: Files in a folder that say who wrote it.
FOLDERS = {
    "zero_to_fp32.py": DEEPSPEED,
    "*_optim_states.pt": DEEPSPEED,
    "*/*_optim_states.pt": DEEPSPEED,
    "*/.metadata": "a folder around one of torch.distributed.checkpoint: name the inner one, in "
    "which .metadata stands",
    "saved_model.pb": "a SavedModel of TensorFlow: save its variables with " + _ARRAYS,
    "manifest.ocdbt": "a checkpoint of Orbax: restore it with orbax, and save its arrays with "
    + _ARRAYS,
}


def foreign_folder(folder: Path) -> str | None:
    """Say what a folder without weights of a usual name is, if one of its files tells."""
    return next((what for glob, what in FOLDERS.items() if any(folder.glob(glob))), None)


def check_whole(tensors: Mapping[str, Any], path: object) -> None:
    """Refuse one rank's share of a network that was spread over several.

    Raises
    ------
    CheckpointMismatch
        Naming what wrote it, and what gives whole weights.
    """
    if flat := [name for name in tensors if _FLAT.search(name)]:
        raise CheckpointMismatch(
            f"{path} holds flattened parameters of FSDP ({few(flat)}), a part of the network: on "
            f"all ranks call {FULL}, and save that"
        )
    if tensors and not any(t.numel() for t in tensors.values()):
        raise CheckpointMismatch(
            f"{path} holds tensors without a number; if DeepSpeed wrote it, it is {DEEPSPEED}"
        )
