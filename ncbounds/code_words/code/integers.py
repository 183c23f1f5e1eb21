"""What a network computes: whole numbers in float64, the same on every machine.

Products and sums of integers below 2^53 are exact in any order, so the number of threads and the
linear algebra library do not matter; divisions, products and roundings are single operations of one
element each, which IEEE 754 fixes. No tolerance is needed: equal logits are ties, and ties errors.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncbounds.code_words.code.basis import BANK_GAIN, bank, degrees, patterns, polynomial, scale
from ncbounds.code_words.code.coder import CodeWordError
from ncbounds.code_words.code.grammar import Architecture, FrontEnd, Layer
from ncbounds.data.images import as_images
from ncbounds.errors import DataError

if TYPE_CHECKING:
    from ncbounds.code_words.code.codeword import Network

Values = NDArray[np.float64]

#: Activation of mean absolute value 1.
UNIT = 1024
#: Activations are cut off here, which bounds every sum beforehand.
CEILING = float(1 << 15)
BIAS = UNIT // 4
HEAD_SCALE = 16
HEAD_BIAS = HEAD_SCALE * BIAS
#: Largest factor of a product with polynomials.
MOMENT_GAIN = 4.0
_EXACT = float(1 << 53)
_CHUNK = 32


def logits(network: "Network", images: NDArray[np.uint8]) -> Values:
    """Integer logits (n, classes) of 8-bit images (n, height, width) or (n, channels, h, w).

    Raises
    ------
    DataError
        If the images have another type or shape than the network's, or are smaller than a block.
    CodeWordError
        If a sum might leave the range of exact integers.
    """
    x = as_images(images)
    if x.shape[1:] != network.shape:
        raise DataError(f"the network reads images of shape {network.shape}, found {x.shape[1:]}")
    parts = [_logits(network, x[i : i + _CHUNK]) for i in range(0, len(x), _CHUNK)]
    return np.concatenate(parts) if parts else np.zeros((0, network.classes))


def predictions(network: "Network", images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Predicted class of each image, -1 where the two largest logits are equal."""
    s = logits(network, images)
    top = np.partition(s, -2, axis=1)[:, -2:]
    return np.where(top[:, 1] > top[:, 0], s.argmax(axis=1), -1).astype(np.int64)


def kernel(layer: Layer, codes: NDArray[np.int64]) -> Values:
    """Integer kernel (outputs, inputs, side, side) of a layer."""
    basis = patterns(layer.kernel, layer.cut)
    full: Values = np.einsum("oim,mab->oiab", codes.astype(np.float64), basis)
    return full


def _logits(network: "Network", images: NDArray[np.uint8]) -> Values:
    a = network.architecture
    x = _reduce(_read(images, a.front), a.reduction)
    for layer, codes, biases in zip(a.layers, network.codes, network.biases, strict=False):
        x = _layer(a, layer, kernel(layer, codes), biases, x)
    moments = _moments(x, a.cut)
    if a.frame:
        return np.ascontiguousarray(moments.T)
    head = network.codes[-1].reshape(network.classes, -1).astype(np.float64)
    _check(MOMENT_GAIN * HEAD_SCALE * CEILING, head)
    s = (head @ moments).T + HEAD_BIAS * network.biases[-1].astype(np.float64)
    return np.ascontiguousarray(s)


def _read(images: NDArray[np.uint8], front: FrontEnd) -> Values:
    """What the front end makes of images at every position: (channels, n, height, width)."""
    # sums of a few hundred products of pixels and filters are exact, whatever the image's size
    pixels = scale(front.scale)[images.transpose(1, 0, 2, 3)]
    if front.kernel == 1:
        return pixels
    filters = bank(front.kernel, front.cut)[:, None]
    return np.concatenate([_rectify(_convolve(colour[None], filters)) for colour in pixels])


def _rectify(responses: Values) -> Values:
    """Mean, positive and negative part of each derivative, absolute values of the others."""
    z = np.rint(responses / BANK_GAIN)
    found = np.empty((len(z) + 2, *z.shape[1:]))
    found[0] = z[0]
    np.maximum(z[1:3], 0.0, out=found[1:4:2])
    np.maximum(-z[1:3], 0.0, out=found[2:5:2])
    np.abs(z[3:], out=found[5:])
    return found


def _reduce(x: Values, side: int) -> Values:
    """Means of blocks of positions, rounded."""
    c, n, h, w = x.shape
    if h < side or w < side:
        raise DataError(f"images of {h}x{w} pixels have no {side}x{side} blocks")
    sums = np.zeros((c, n, h // side, w // side))
    for i in range(side):
        for j in range(side):
            sums += x[:, :, i : h - side + i + 1 : side, j : w - side + j + 1 : side]
    return np.rint(sums / side**2)


def _layer(
    a: Architecture, layer: Layer, weight: Values, biases: NDArray[np.int64], x: Values
) -> Values:
    shift = (BIAS * biases.astype(np.float64))[:, None, None, None]
    stride = 2 if layer.shrink == "stride" else 1
    # sums over all positions, centred, must stay exact as well
    positions = float(np.prod(x.shape[2:]))
    _check(CEILING * (2.0 * layer.width * positions), weight.reshape(layer.width, -1))
    for _ in range(2 if layer.link == "twice" else 1):
        z = _norm(_convolve(x, weight, stride, depthwise=layer.depthwise), a) + shift
        if layer.link == "residual":
            z = z + x
        z = np.abs(z) if layer.activation == "abs" else np.maximum(z, 0.0)
        x = np.minimum(z, CEILING)
    return _pool(x) if layer.shrink == "pool" else x


def _convolve(x: Values, weight: Values, stride: int = 1, *, depthwise: bool = False) -> Values:
    """Exact convolution of (inputs, n, h, w) with zero padding by half the kernel."""
    outputs, _, side, _ = weight.shape
    inputs, n, height, width = x.shape
    pad = side // 2
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    patches = np.empty((inputs, side, side, n, -(-height // stride), -(-width // stride)))
    for i in range(side):
        for j in range(side):
            patches[:, i, j] = padded[:, :, i : i + height : stride, j : j + width : stride]
    rows = patches.reshape(inputs, side * side, -1)
    if depthwise:
        out = weight.reshape(outputs, 1, -1) @ rows
    else:
        out = weight.reshape(outputs, -1) @ rows.reshape(inputs * side * side, -1)
    return out.reshape(outputs, *patches.shape[3:])


def _norm(z: Values, a: Architecture) -> Values:
    axes = (0, 2, 3) if a.norm == "layer" else (2, 3)
    count = float(np.prod([z.shape[axis] for axis in axes]))
    if a.centred:
        z = z - np.rint(z.sum(axis=axes, keepdims=True) / count)
    # whole numbers, so the size is at least 1 unless all are 0
    size = np.maximum(np.abs(z).sum(axis=axes, keepdims=True), 1.0)
    factor = (UNIT * count) / size
    clipped: Values = np.clip(np.rint(z * factor), -CEILING, CEILING)
    return clipped


def _pool(x: Values) -> Values:
    c, n, h, w = x.shape
    if h < 2 or w < 2:
        return x
    even = x[:, :, : h // 2 * 2, : w // 2 * 2]
    pooled: Values = even.reshape(c, n, h // 2, 2, w // 2, 2).max(axis=(3, 5))
    return pooled


def _moments(x: Values, cut: int) -> Values:
    """Mean products with polynomials, in 1/HEAD_SCALE: (channels * polynomials, n)."""
    c, n, h, w = x.shape
    out = np.empty((c, len(degrees(cut)), n))
    for i, pair in enumerate(degrees(cut)):
        rows, columns = (polynomial(d, side) for d, side in zip(pair, (h, w), strict=True))
        weight = np.outer(rows, columns)
        _check(CEILING * MOMENT_GAIN * HEAD_SCALE, weight.reshape(1, -1))
        sums = (x.reshape(c * n, h * w) @ weight.reshape(h * w)).reshape(c, n)
        out[:, i] = np.rint(sums * (moment_gain(pair) * HEAD_SCALE) / moment_size(pair, h, w))
    return out.reshape(-1, n)


def moment_gain(pair: tuple[int, int]) -> float:
    """Two for every degree that is not 0, so that all products are of similar size."""
    return float(2 ** sum(d > 0 for d in pair))


def moment_size(pair: tuple[int, int], height: int, width: int) -> float:
    """Positions times the largest value of the polynomials."""
    peaks = [
        max(1.0, float(np.abs(polynomial(d, side)).max()))
        for d, side in zip(pair, (height, width), strict=True)
    ]
    return height * width * peaks[0] * peaks[1]


def _check(ceiling: float, rows: Values) -> None:
    """Refuse weights with which a sum might leave the range of exact integers."""
    if ceiling * float(np.abs(rows).sum(axis=1).max(initial=0.0)) + CEILING * HEAD_BIAS >= _EXACT:
        raise CodeWordError("the weights are too large for exact sums")
