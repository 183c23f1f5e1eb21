"""The networks of the zoo: textbook modules with a ``head``, registered by name in ``MODELS``.

Every model is ``head(features(x))`` with ``features`` an ``nn.Sequential`` and ``head`` an
``nn.Linear``. The plain and batch-norm networks are chains of Conv2d, BatchNorm, ReLU,
non-overlapping MaxPool2d, Flatten and Linear without branches, so that they can be read layer by
layer; the residual one is not a chain. Arguments are keyword-only ints and bools, so that a
manifest can give them.
"""

from collections.abc import Callable, Mapping
from typing import cast

from torch import Tensor, nn

from ncbounds.errors import ManifestError, UnknownName, suggest


class FeatureClassifier(nn.Module):
    """Linear ``head`` on the output of ``features``.

    Parameters
    ----------
    features : nn.Sequential
        Maps a batch ``(n, ...)`` to features ``(n, d)``.
    dim : int
        Feature dimension d.
    classes : int
        Number of classes C.
    """

    def __init__(self, features: nn.Sequential, dim: int, classes: int) -> None:
        super().__init__()
        self.features = features
        self.head = nn.Linear(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(n, C)``."""
        return cast(Tensor, self.head(self.features(x)))


def linear(*, in_features: int = 196, classes: int = 10) -> FeatureClassifier:
    """Linear classifier on the flattened input."""
    return FeatureClassifier(nn.Sequential(nn.Flatten()), in_features, classes)


def mlp(
    *,
    width: int = 128,
    depth: int = 2,
    batch_norm: bool = False,
    in_features: int = 196,
    classes: int = 10,
) -> FeatureClassifier:
    """ReLU network with ``depth`` hidden layers of ``width`` units; flattens its input."""
    layers: list[nn.Module] = [nn.Flatten()]
    for i in range(depth):
        layers.append(nn.Linear(width if i else in_features, width, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm1d(width))
        layers.append(nn.ReLU())
    return FeatureClassifier(nn.Sequential(*layers), width if depth else in_features, classes)


def bn_mlp(
    *, width: int = 128, depth: int = 2, in_features: int = 196, classes: int = 10
) -> FeatureClassifier:
    """:func:`mlp` with batch normalisation before every ReLU."""
    return mlp(width=width, depth=depth, batch_norm=True, in_features=in_features, classes=classes)


def _conv(inputs: int, outputs: int, *, stride: int = 1, batch_norm: bool) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=not batch_norm)
    return [conv, nn.BatchNorm2d(outputs)] if batch_norm else [conv]


def cnn(
    *,
    channels: int = 8,
    batch_norm: bool = False,
    side: int = 14,
    in_channels: int = 1,
    classes: int = 10,
) -> FeatureClassifier:
    """Three 3x3 convolutions (``channels``, twice, four times as many), no hidden linear layer.

    The ``side`` x ``side`` image shrinks by a max pool, a strided convolution and a max pool; at
    ``side = 14`` the features are ``16 * channels`` numbers.
    """
    c = channels
    last = ((side // 2 + 1) // 2) // 2
    layers = [
        *_conv(in_channels, c, batch_norm=batch_norm),
        nn.ReLU(),
        nn.MaxPool2d(2),
        *_conv(c, 2 * c, stride=2, batch_norm=batch_norm),
        nn.ReLU(),
        *_conv(2 * c, 4 * c, batch_norm=batch_norm),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
    ]
    return FeatureClassifier(nn.Sequential(*layers), 4 * c * last * last, classes)


def bn_cnn(
    *, channels: int = 8, side: int = 14, in_channels: int = 1, classes: int = 10
) -> FeatureClassifier:
    """:func:`cnn` with batch normalisation before every ReLU."""
    return cnn(
        channels=channels, batch_norm=True, side=side, in_channels=in_channels, classes=classes
    )


def tiny_cnn(
    *, channels: int = 6, batch_norm: bool = False, side: int = 14, classes: int = 10
) -> FeatureClassifier:
    """Network of a few hundred weights: one 3x3 convolution and a depthwise one on a halved image.

    A single-channel ``side`` x ``side`` image is averaged over 2x2 blocks; a max pool of 2 stands
    between the convolutions, and one of 3 behind them. At ``side = 28`` the features are
    ``4 * channels`` numbers.
    """
    c = channels
    last = side // 2 // 2 // 3
    depthwise = nn.Conv2d(c, c, 3, padding=1, groups=c, bias=not batch_norm)
    layers = [
        nn.AvgPool2d(2),
        *_conv(1, c, batch_norm=batch_norm),
        nn.ReLU(),
        nn.MaxPool2d(2),
        depthwise,
        *([nn.BatchNorm2d(c)] if batch_norm else []),
        nn.ReLU(),
        nn.MaxPool2d(3),
        nn.Flatten(),
    ]
    return FeatureClassifier(nn.Sequential(*layers), c * last * last, classes)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm beside a shortcut (a 1x1 convolution where it must)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv(inputs, outputs, stride=stride, batch_norm=True),
            nn.ReLU(),
            *_conv(outputs, outputs, batch_norm=True),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Block output; both sides are halved if ``stride`` is 2."""
        return cast(Tensor, self.relu(self.body(x) + self.shortcut(x)))


def res_bn_cnn(
    *, channels: int = 8, blocks: int = 1, in_channels: int = 1, classes: int = 10
) -> FeatureClassifier:
    """Small ResNet: stem, three stages of ``blocks`` residual blocks, global average pooling.

    Stages have ``channels``, twice and four times as many channels; the image side does not
    matter. The features are ``4 * channels`` numbers.
    """
    layers: list[nn.Module] = [*_conv(in_channels, channels, batch_norm=True), nn.ReLU()]
    inputs = channels
    for stage in range(3):
        outputs = channels * 2**stage
        for block in range(blocks):
            layers.append(ResidualBlock(inputs, outputs, stride=2 if stage and not block else 1))
            inputs = outputs
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return FeatureClassifier(nn.Sequential(*layers), inputs, classes)


MODELS: dict[str, Callable[..., nn.Module]] = {
    "linear": linear,
    "mlp": mlp,
    "bn_mlp": bn_mlp,
    "cnn": cnn,
    "bn_cnn": bn_cnn,
    "res_bn_cnn": res_bn_cnn,
    "tiny_cnn": tiny_cnn,
}


def build_model(name: str, args: Mapping[str, int | bool | str] | None = None) -> nn.Module:
    """Build the registered model ``name`` with keyword arguments ``args``.

    Raises
    ------
    UnknownName
        If no model of that name is registered.
    ManifestError
        If the model does not take these arguments.
    """
    if name not in MODELS:
        raise UnknownName(f"no model {name!r} is registered; {suggest(name, list(MODELS))}")
    try:
        return MODELS[name](**(args or {}))
    except TypeError as error:
        raise ManifestError(
            f"model {name!r} was given args = {dict(args or {})}: {error}"
        ) from None
