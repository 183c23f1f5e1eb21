"""What a checkpoint's pickle may name and call.

Tensors and plain containers are made; what else stands beside them is stood in for.
"""

import re
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable
from dataclasses import dataclass

from ncbounds.checkpoints.formats.beside import STAND_INS

STORAGE_BYTES = {
    "torch.storage.UntypedStorage": 1,
    **{f"torch.{t}Storage": 1 for t in ("Byte", "Char", "Bool")},
    **{f"torch.{t}Storage": 2 for t in ("Short", "Half", "BFloat16")},
    **{f"torch.{t}Storage": 4 for t in ("Int", "Float")},
    **{f"torch.{t}Storage": 8 for t in ("Long", "Double", "ComplexFloat")},
    "torch.ComplexDoubleStorage": 16,
}
FACTORIES = ("list", "dict", "set", "tuple", "int", "float", "bool", "str")
REBUILD = frozenset(
    f"torch._utils.{name}"
    for name in (
        "_rebuild_tensor",
        "_rebuild_tensor_v2",
        "_rebuild_tensor_v3",
        "_rebuild_parameter",
        "_rebuild_parameter_with_state",
    )
)
LARGEST_RANK = 64  # axes of a tensor
DTYPES = frozenset(
    f"torch.{name}"
    for name in (
        *(["float16", "float32", "float64", "bfloat16", "complex64", "complex128", "bool"]),
        *(f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)),
        *(["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"]),
    )
)


@dataclass(frozen=True)
class Name:
    """A global that the pickle refers to."""

    path: str


@dataclass(frozen=True)
class Storage:
    """A tensor's storage: its bytes, and the bytes of one number in it."""

    size: int
    item: int


def unbacked(args: tuple[object, ...]) -> str | None:
    """Say how a tensor of ``(storage, offset, shape, strides, ...)`` goes beyond its storage.

    A storage that is too small would be made larger, to whatever the shape asks for.
    """
    if not args or not isinstance(args[0], Storage):
        return None
    offset, shape, strides = _counts(args[1:2]), *map(_counts, (*args[2:4], None, None)[:2])
    if not offset or shape is None or strides is None or len(shape) != len(strides):
        return "its pickle describes a tensor without offset, shape and as many strides"
    if len(shape) > LARGEST_RANK:
        return (
            f"its pickle describes a tensor of {len(shape)} axes, at most {LARGEST_RANK} are read"
        )
    reach = sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + 1
    item = max(args[0].item, _item(args[6]) if len(args) > 6 else 1)
    needed = item * (offset[0] + (0 if 0 in shape else reach))
    if needed > args[0].size:
        return f"its pickle describes a tensor of {needed} bytes in a storage of {args[0].size}"
    return None


def _counts(value: object) -> list[int] | None:
    """The whole numbers of a tuple of such."""
    if not isinstance(value, tuple):
        return None
    numbers = [n for n in value if isinstance(n, int) and n >= 0]
    return numbers if len(numbers) == len(value) else None


def _item(dtype: object) -> int:
    """Bytes of one number of a ``torch.float32`` and the like."""
    if not isinstance(dtype, Name) or dtype.path not in DTYPES:
        return 1
    digits = re.search(r"\d+", dtype.path)
    return int(digits.group()) // 8 if digits else 1


def modern_name(module: str, name: str) -> str:
    """Return the Python 3 path of a global written with Python 2 names."""
    if (module, name) in NAME_MAPPING:
        module, name = NAME_MAPPING[(module, name)]
    return f"{IMPORT_MAPPING.get(module, module)}.{name}"


def _is_encode(args: tuple[object, ...]) -> bool:
    return len(args) == 2 and isinstance(args[0], str) and args[1] == "latin1"


def _no_numbers(args: tuple[object, ...]) -> bool:
    return not any(isinstance(a, int) and not isinstance(a, bool) for a in args)


def _is_default_dict(args: tuple[object, ...]) -> bool:
    factories = {f"builtins.{name}" for name in FACTORIES} | {"collections.OrderedDict"}
    return not args or args[0] is None or (isinstance(args[0], Name) and args[0].path in factories)


def _is_backed(args: tuple[object, ...]) -> bool:
    return unbacked(args) is None


def _is_attribute_tensor(args: tuple[object, ...]) -> bool:
    types = {"torch.Tensor", "torch.nn.parameter.Parameter"}
    return (
        len(args) == 4
        and isinstance(args[0], Name)
        and args[0].path in REBUILD
        and isinstance(args[1], Name)
        and args[1].path in types
        and isinstance(args[2], tuple)
        and _is_backed(args[2])
    )


def _anything(args: tuple[object, ...]) -> bool:
    return True


CALLS: dict[str, Callable[[tuple[object, ...]], bool]] = {
    "_codecs.encode": _is_encode,
    "argparse.Namespace": lambda args: not args,
    "builtins.bytearray": _no_numbers,
    "builtins.complex": _anything,
    "builtins.frozenset": _no_numbers,
    "builtins.set": _no_numbers,
    "collections.Counter": _no_numbers,
    "collections.OrderedDict": _no_numbers,
    "collections.defaultdict": _is_default_dict,
    "torch.Size": _anything,
    "torch._tensor._rebuild_from_type_v2": _is_attribute_tensor,
    "torch.device": _anything,
    "torch.nn.parameter.Parameter": _no_numbers,
    "torch.serialization._get_layout": _anything,
    **dict.fromkeys(REBUILD, _is_backed),
    **dict.fromkeys(STAND_INS, _anything),
}
ALLOWED = (
    frozenset(CALLS)
    | DTYPES
    | frozenset(STORAGE_BYTES)
    | {"torch.Tensor"}
    | {f"builtins.{name}" for name in FACTORIES}
)
