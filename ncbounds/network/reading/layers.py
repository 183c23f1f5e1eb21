"""From a torch module to a chain of arrays, with batch norm folded into the layer before it."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ncbounds.arrays import Floats
from ncbounds.errors import NotCovered
from ncbounds.network.affine import AffineLayer, Pair
from ncbounds.network.reading.links import Absolute, Link, Reshape, read_links
from ncbounds.network.steps import (
    Activation,
    AveragePool,
    Flatten,
    MaxPool,
    Step,
    adaptive_averages,
    window_averages,
)

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)

Chain = tuple[tuple[Step, ...], tuple[AffineLayer, ...]]


def read_chain(module: nn.Module, example: Tensor) -> Chain:
    """Steps before the first affine layer, and the affine layers with the steps after each.

    Batch norm directly behind an affine layer is folded into it; anywhere else it is an affine
    layer of its own, a 1x1 convolution of each channel: moving it through zero padding would not be
    exact.

    Raises
    ------
    NotCovered
        Naming the layer and the reason.
    """
    before: list[Step] = []
    layers: list[AffineLayer] = []
    for link in read_links(module, example):
        if isinstance(link.module, _BATCH_NORMS) and layers and not layers[-1].steps:
            layers[-1] = _folded(link, layers[-1])
            continue
        made = _read(link)
        if isinstance(made, AffineLayer):
            layers.append(made)
        elif made is not None:
            if layers:
                layers[-1] = replace(layers[-1], steps=(*layers[-1].steps, made))
            else:
                before.append(made)
    if not layers:
        raise NotCovered("the network has no affine layer")
    if layers[-1].steps:
        raise NotCovered(f"after the last affine layer, {layers[-1].name!r}, more is done")
    return tuple(before), tuple(layers)


def _read(link: Link) -> AffineLayer | Step | None:
    module = link.module
    if isinstance(module, nn.Dropout | nn.Dropout2d | nn.Identity):
        return None
    if isinstance(module, nn.Linear):
        return _linear(link, module)
    if isinstance(module, nn.Conv2d):
        return _conv(link, module)
    if isinstance(module, _BATCH_NORMS):
        return _diagonal(link)
    if isinstance(module, Reshape | nn.Flatten):
        return _flatten(link)
    step = _activation(module) or _pool(link)
    if step is None:
        raise _refused(link, "is no layer that the norm bounds are proved for")
    return step


def _refused(link: Link, reason: str) -> NotCovered:
    return NotCovered(f"{type(link.module).__name__} {link.name!r} {reason}")


def _linear(link: Link, module: nn.Linear) -> AffineLayer:
    if len(link.in_shape) != 2:
        raise _refused(link, f"acts on an unflattened input of shape {link.in_shape[1:]}")
    weight = _array(module.weight)[:, :, None, None]
    bias = None if module.bias is None else _array(module.bias)
    shape = (module.in_features, 1, 1)
    return AffineLayer(link.name, weight, bias, (1, 1), ((0, 0), (0, 0)), (1, 1), 1, shape)


def _conv(link: Link, module: nn.Conv2d) -> AffineLayer:
    if module.padding_mode != "zeros":
        raise _refused(link, f"pads by {module.padding_mode}, which is not zero padding")
    if len(link.in_shape) != 4:
        raise _refused(link, "has an input without a batch")
    padding: Any
    if isinstance(module.padding, str):
        spans = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        same = module.padding == "same"
        padding = tuple((s // 2, s - s // 2) if same else (0, 0) for s in spans)
    else:
        padding = tuple((p, p) for p in module.padding)
    layer = AffineLayer(
        name=link.name,
        weight=_array(module.weight),
        bias=None if module.bias is None else _array(module.bias),
        stride=_pair(module.stride),
        padding=padding,
        dilation=_pair(module.dilation),
        groups=module.groups,
        in_shape=_image_shape(link.in_shape),
    )
    if layer.out_shape != link.out_shape[1:]:
        raise _refused(link, f"gives {link.out_shape[1:]}, read as {layer.out_shape}")
    return layer


def _folded(link: Link, layer: AffineLayer) -> AffineLayer:
    scale, shift = _scale_and_shift(link)
    old = 0.0 if layer.bias is None else layer.bias
    weight = layer.weight * scale[:, None, None, None]
    return replace(layer, weight=weight, bias=old * scale + shift)


def _diagonal(link: Link) -> AffineLayer:
    """Batch norm as a layer of its own."""
    scale, shift = _scale_and_shift(link)
    if len(link.in_shape) not in (2, 4):
        raise _refused(link, f"acts on an input of shape {link.in_shape[1:]}")
    return AffineLayer(
        name=link.name,
        weight=scale[:, None, None, None],
        bias=shift,
        stride=(1, 1),
        padding=((0, 0), (0, 0)),
        dilation=(1, 1),
        groups=len(scale),
        in_shape=_image_shape(link.in_shape),
    )


def _scale_and_shift(link: Link) -> tuple[Floats, Floats]:
    module: Any = link.module
    if module.running_mean is None or module.running_var is None:
        raise _refused(link, "keeps no running statistics, so it depends on the batch")
    scale: Floats = 1.0 / np.sqrt(_array(module.running_var) + module.eps)
    shift: Floats = -_array(module.running_mean) * scale
    if module.weight is not None:
        scale, shift = scale * _array(module.weight), shift * _array(module.weight)
    return scale, shift if module.bias is None else shift + _array(module.bias)


def _flatten(link: Link) -> Step | None:
    size = int(np.prod(link.in_shape[1:]))
    if link.out_shape == link.in_shape:
        return None
    if link.out_shape != (link.in_shape[0], size):
        raise _refused(link, f"makes {link.out_shape} of {link.in_shape}; only flattening is read")
    return Flatten()


def _activation(module: nn.Module) -> Step | None:
    if isinstance(module, nn.ReLU):
        return Activation("relu")
    if isinstance(module, nn.LeakyReLU) and abs(module.negative_slope) <= 1:
        return Activation("leaky_relu", float(module.negative_slope))
    if isinstance(module, nn.ELU) and 0 <= module.alpha <= 1:
        return Activation("elu", float(module.alpha))
    if isinstance(module, nn.Tanh):
        return Activation("tanh")
    return Activation("abs") if isinstance(module, Absolute) else None


def _pool(link: Link) -> Step | None:
    module = link.module
    step: Step
    if isinstance(module, nn.MaxPool2d):
        kernel, stride = _pair(module.kernel_size), _pair(module.stride or module.kernel_size)
        if any(s < k for k, s in zip(kernel, stride, strict=True)):
            raise _refused(link, f"has overlapping windows (kernel {kernel}, stride {stride})")
        if module.ceil_mode or _pair(module.dilation) != (1, 1) or module.return_indices:
            raise _refused(link, "has ceil_mode, dilation or indices")
        step = MaxPool(kernel, stride, _pair(module.padding))
    elif isinstance(module, nn.AvgPool2d):
        kernel, padding = _pair(module.kernel_size), _pair(module.padding)
        if padding != (0, 0) and not module.count_include_pad:
            raise _refused(link, "leaves padding out of its divisor, which can expand distances")
        if module.ceil_mode or module.divisor_override not in (None, kernel[0] * kernel[1]):
            raise _refused(link, "has ceil_mode or another divisor than its window")
        sizes = zip(link.in_shape[2:], kernel, _pair(module.stride), padding, strict=True)
        step = AveragePool(*(window_averages(*size) for size in sizes))
    elif isinstance(module, nn.AdaptiveAvgPool2d):
        if any(o > i for i, o in zip(link.in_shape[2:], link.out_shape[2:], strict=True)):
            raise _refused(link, "makes a grid finer than its input")
        axes = zip(link.in_shape[2:], link.out_shape[2:], strict=True)
        step = AveragePool(*(adaptive_averages(*axis) for axis in axes))
    else:
        return None
    if step.shape(_image_shape(link.in_shape)) != link.out_shape[1:]:
        raise _refused(link, f"gives shape {link.out_shape[1:]}, which is read differently")
    return step


def _image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    c, *rest = shape[1:]
    h, w = rest or (1, 1)
    return (c, h, w)


def _pair(value: Any) -> Pair:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _array(tensor: Tensor) -> Floats:
    with torch.no_grad():
        array: Floats = tensor.detach().cpu().double().numpy().copy()
    return array
