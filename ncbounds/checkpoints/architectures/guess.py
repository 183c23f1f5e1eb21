"""Say what a file's tensors look like; nothing is ever built from the guess."""

from collections import Counter
from collections.abc import Mapping

from torch import Tensor

MARKS = {
    "a transformer": ("attention", "attn", "q_proj", "self_attn", "in_proj_weight", "qkv"),
    "a ResNet": ("layer1.", "shortcut", "downsample"),
    "a ConvNeXt": ("layer_scale", "dwconv", "gamma"),
}


def guess_architecture(tensors: Mapping[str, Tensor]) -> str:
    """Describe layers by their tensors: ``"linear layers 196x128, 128x10: likely an mlp"``.

    Parameters
    ----------
    tensors : mapping of str to Tensor

    Returns
    -------
    str
    """
    matrices = [t for n, t in tensors.items() if t.ndim == 2 and t.is_floating_point()]
    convolutions = [t for t in tensors.values() if t.ndim in (3, 4, 5)]
    norms = sum(n.endswith("running_mean") for n in tensors)
    parts = []
    if convolutions:
        kernels = Counter("x".join(map(str, t.shape[2:])) for t in convolutions)
        listed = ", ".join(f"{count} of {kernel}" for kernel, count in kernels.most_common(3))
        parts.append(f"{len(convolutions)} convolutions ({listed})")
    if matrices:
        sizes = [f"{t.shape[1]}x{t.shape[0]}" for t in matrices]
        shown = sizes if len(sizes) <= 6 else [*sizes[:3], "...", *sizes[-2:]]
        parts.append(f"linear layers {', '.join(shown)}")
    if norms:
        parts.append(f"{norms} batch norms")
    kind = _kind(tensors, bool(convolutions), len(matrices), bool(norms))
    return f"{'; '.join(parts) or f'{len(tensors)} tensors'}: {kind}"


def _kind(tensors: Mapping[str, Tensor], convolutions: bool, matrices: int, norms: bool) -> str:
    for kind, marks in MARKS.items():
        if any(mark in name for name in tensors for mark in marks):
            return f"likely {kind}"
    if convolutions:
        return "likely a convolutional network" + (" with batch norm" if norms else "")
    if matrices == 1:
        return "likely linear"
    if matrices:
        return "likely an mlp" + (" with batch norm (bn_mlp)" if norms else "")
    return "unknown architecture"
