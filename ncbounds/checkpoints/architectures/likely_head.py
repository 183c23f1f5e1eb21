"""Which matrices of a file may be its head, by their names and shapes; nothing rests on it."""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from ncbounds.budgets import LAYERS

SHOWN = 3
_NAMED = frozenset(
    ("head", "heads", "fc", "classifier", "logits", "score", "cls", "linear", "last_layer", "out")
)
#: Matrices inside of blocks, and tables of what is looked up.
_INNER = re.compile(r"embed|token|position|attn|attention|query|key|value|[qkv]_proj|mlp|norm")


class LikelyHead(NamedTuple):
    """A matrix that may be the head.

    Attributes
    ----------
    name : str
        Of the layer.
    classes, dim : int
    has_bias : bool
    why : str
        ``"by name and shape"``, ``"by name"`` or ``"by shape"``.
    """

    name: str
    classes: int
    dim: int
    has_bias: bool
    why: str


def likely_heads(tensors: Mapping[str, Tensor]) -> tuple[LikelyHead, ...]:
    """Name up to three matrices that may be the head, likeliest first.

    A name counts where its first or last part is one that heads have (``fc``, ``classifier``,
    ...), a shape where no other matrix takes as many inputs as this one has outputs.

    Parameters
    ----------
    tensors : mapping of str to Tensor

    Returns
    -------
    tuple of LikelyHead
    """
    layers = {
        name.removesuffix("weight").removesuffix("."): t
        for name, t in tensors.items()
        if name.endswith("weight") and t.is_floating_point() and _is_matrix(t)
    }
    taken = {t.shape[1] for t in tensors.values() if t.ndim >= 2 and t.is_floating_point()}
    found = []
    for place, (name, weight) in enumerate(layers.items()):
        parts = name.split(".")
        named = not _NAMED.isdisjoint((parts[0], parts[-1]))
        shaped = weight.shape[0] not in taken and weight.shape[0] <= LAYERS
        if (named or shaped) and not _INNER.search(name):
            why = " and ".join(["name"] * named + ["shape"] * shaped)
            bias = f"{name}.bias".removeprefix(".") in tensors
            classes, dim = weight.shape[:2]
            head = LikelyHead(name or "the only layer", classes, dim, bias, f"by {why}")
            found.append((named + shaped, place, head))
    return tuple(head for _, _, head in sorted(found, reverse=True, key=lambda f: f[:2])[:SHOWN])


def _is_matrix(tensor: Tensor) -> bool:
    """Whether this is a matrix, or a convolution of one point, with two outputs or more."""
    return (
        tensor.ndim >= 2 and tensor.numel() == math.prod(tensor.shape[:2]) > 0 and len(tensor) > 1
    )
