"""What is put in the place of values beside the weights, so that nothing of theirs is run.

Training loops save numbers and arrays of NumPy, states of random generators, paths, dates and
settings with the weights. Their names are allowed because none of them is ever looked up: each
stands for something here that keeps a number, a text, or nothing but the name of its type.
"""

import argparse
import re
from typing import Any

import numpy as np

_CODE = re.compile(r"[biufcSU]\d{1,4}", re.ASCII)  # of a NumPy type: kind and bytes


class Aside:
    """A value of which nothing is kept but the name of its type."""

    def __new__(cls, *args: object) -> "Aside":
        """Make one, whatever the file hands over."""
        return super().__new__(cls)

    def __init__(self, *args: object) -> None:
        """Keep nothing."""

    def __setstate__(self, state: object) -> None:
        """Keep nothing."""


class DType(Aside):
    """A NumPy type: its code, as in ``f8``, and its byte order."""

    def __init__(self, *args: object) -> None:
        self.code = args[0] if args and isinstance(args[0], str) else ""
        self.order = "="

    def __setstate__(self, state: object) -> None:
        """Take the byte order from ``(version, order, ...)``."""
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.order = state[1]


def scalar(*args: object) -> object:
    """Return the Python value of a NumPy number or text, given its type and bytes."""
    kind, data = args if len(args) == 2 else (None, None)
    if isinstance(kind, DType) and isinstance(data, bytes) and _CODE.fullmatch(kind.code):
        dtype = np.dtype(kind.order + kind.code)
        if 0 < dtype.itemsize == len(data):
            return np.frombuffer(data, dtype)[0].item()
    return Aside()


def plain_dict(*ignored: object) -> dict[Any, Any]:
    """Stand in for ``defaultdict``, whose factory is not needed to read a file."""
    return {}


def plain_list(*ignored: object) -> list[Any]:
    """Stand in for ``deque``; what it holds is appended afterwards."""
    return []


def path_text(*parts: object) -> str:
    """Return the parts of a path as one text; no file is looked at."""
    return "/".join(str(p) for p in parts).replace("//", "/")


_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path", "PurePath")
_NUMBERS = (
    *(f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)),
    *("float16", "float32", "float64", "longdouble", "complex64", "complex128"),
    *("bool", "bool_", "str_", "bytes_"),
)
_KEPT_NAME_ONLY = (
    "numpy.ndarray",
    *(f"numpy.{name}" for name in _NUMBERS),
    *(f"numpy.random._pickle.__{what}_ctor" for what in ("randomstate", "bit_generator")),
    "numpy.random._pickle.__generator_ctor",
    "numpy.random._mt19937.MT19937",
    "numpy.random._pcg64.PCG64",
    "numpy.random._pcg64.PCG64DXSM",
    "numpy.random._philox.Philox",
    "numpy.random._sfc64.SFC64",
    "numpy.random.bit_generator.SeedSequence",
    "numpy.random.bit_generator.__pyx_unpickle_SeedSequence",
    *(f"datetime.{name}" for name in ("date", "datetime", "time", "timedelta", "timezone")),
    "decimal.Decimal",
    "fractions.Fraction",
    "uuid.UUID",
    "builtins.range",
    "builtins.slice",
    "torch._C.Generator",
    "torch.torch_version.TorchVersion",
    "typing.Any",
    "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    *(f"omegaconf.nodes.{kind}Node" for kind in ("Any", "String", "Integer", "Float", "Boolean")),
)


def _named(path: str) -> type[Aside]:
    return type(path.rpartition(".")[2].strip("_"), (Aside,), {})


#: By the name in the file: what takes its place. Calls of these may have any arguments.
STAND_INS: dict[str, Any] = {
    **{path: _named(path) for path in _KEPT_NAME_ONLY},
    **{f"numpy.{c}.multiarray._reconstruct": _named("numpy.ndarray") for c in ("core", "_core")},
    "numpy.dtype": DType,
    "numpy.core.multiarray.scalar": scalar,
    "numpy._core.multiarray.scalar": scalar,
    "types.SimpleNamespace": lambda *ignored: argparse.Namespace(),
    "collections.deque": plain_list,
    **{f"{m}.{name}": path_text for m in ("pathlib", "pathlib._local") for name in _PATHS},
}
