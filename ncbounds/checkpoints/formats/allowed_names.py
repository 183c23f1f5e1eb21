"""What a checkpoint's pickle may name and call: tensors and plain containers, nothing else."""

from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable
from dataclasses import dataclass

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


def _is_attribute_tensor(args: tuple[object, ...]) -> bool:
    types = {"torch.Tensor", "torch.nn.parameter.Parameter"}
    return (
        len(args) == 4
        and isinstance(args[0], Name)
        and args[0].path in REBUILD
        and isinstance(args[1], Name)
        and args[1].path in types
    )


def _anything(args: tuple[object, ...]) -> bool:
    return True


CALLS: dict[str, Callable[[tuple[object, ...]], bool]] = {
    "_codecs.encode": _is_encode,
    "argparse.Namespace": lambda args: not args,
    "builtins.bytearray": _no_numbers,
    "builtins.complex": _anything,
    "builtins.set": _no_numbers,
    "collections.Counter": _no_numbers,
    "collections.OrderedDict": _no_numbers,
    "collections.defaultdict": _is_default_dict,
    "torch.Size": _anything,
    "torch._tensor._rebuild_from_type_v2": _is_attribute_tensor,
    "torch.device": _anything,
    "torch.nn.parameter.Parameter": _no_numbers,
    "torch.serialization._get_layout": _anything,
    **dict.fromkeys(REBUILD, _anything),
}
ALLOWED = (
    frozenset(CALLS)
    | DTYPES
    | frozenset(STORAGE_BYTES)
    | {"torch.Tensor"}
    | {f"builtins.{name}" for name in FACTORIES}
)
