"""The grammar of architectures: what a code word may describe, and how likely it holds each.

Probabilities are a matter of taste: few layers, 3x3 kernels, equal neighbouring widths. Every
network of the grammar can be described; what came with a later version of the code pays for it.
"""

from dataclasses import dataclass, field

from ncbounds.code_words.code.basis import KERNELS, SCALES, degrees, frequencies
from ncbounds.code_words.code.coder import Channel, CodeWordError, choice, weighted

WIDTHS = (2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48)
SHRINKS = ("none", "stride", "pool")
LINKS = ("plain", "residual", "twice")
ACTIVATIONS = ("relu", "abs")
REDUCTIONS = (1, 2, 4)
CUTS = (0, 1, 2, 3)
NORMS = ("layer", "channel")
DEPTH = 8
MAX_CODES = 1 << 15


@dataclass(frozen=True)
class FrontEnd:
    """What the first layer reads of every channel of an image: pixels, or a fixed filter bank.

    The bank's responses at every position (see :func:`.basis.bank`) are rectified: the mean, the
    positive and the negative part of both first derivatives, and the absolute values of all others.
    Only the front ends in ``FRONTS`` can be encoded.

    Attributes
    ----------
    scale : str
        One of :data:`.basis.SCALES`.
    kernel, cut : int
        Side of the filters (1: none, just the scale) and largest sum of their two frequencies.
    """

    scale: str = "pixels"
    kernel: int = 1
    cut: int = 0

    @property
    def channels(self) -> int:
        """Channels read of each one of the image."""
        return 1 if self.kernel == 1 else len(frequencies(self.kernel, self.cut)) + 2


FRONTS = (
    *(FrontEnd(scale) for scale in SCALES),
    *(FrontEnd(scale, k, cut) for scale in SCALES for k in KERNELS[1:] for cut in (1, 2, 3)),
)


@dataclass(frozen=True)
class Layer:
    """One convolution with zero padding, its parameter-free norm, bias, activation and pooling.

    Attributes
    ----------
    width : int
        Output channels.
    kernel, cut : int
        Side, and the largest sum of two frequencies among its patterns.
    shrink : str
        ``"none"``, ``"stride"`` (2, in the convolution) or ``"pool"`` (2x2 maxima afterwards).
    link : str
        ``"plain"``, ``"residual"`` (the input is added before the activation) or ``"twice"`` (the
        same layer is applied again); the latter two only where the shapes allow it.
    activation : str
        ``"relu"`` or ``"abs"``.
    depthwise : bool
        Every channel is convolved by itself, where the width stays.
    """

    width: int
    kernel: int = 3
    cut: int = 2
    shrink: str = "none"
    link: str = "plain"
    activation: str = "relu"
    depthwise: bool = False


@dataclass(frozen=True)
class Architecture:
    """A chain of layers between a reduced image and a head.

    Attributes
    ----------
    layers : tuple of Layer
    reduction : int
        Side of the blocks of what is read that are averaged first.
    norm : str
        Mean and mean absolute value are removed per image (``"layer"``) or per image and channel.
    centred : bool
        Whether the mean is removed at all.
    cut : int
        The head reads every channel's products with the polynomials of degrees (p, q), vertical
        and horizontal, of ``p + q <= cut``: 1, 3, 6 or 10 numbers. With 0 that is the average.
    frame : bool
        No head: the last layer has one channel per class, and its averages are the logits. Up to
        a shift that is the simplex frame of collapsed class means.
    front : FrontEnd
        What the first layer reads.
    """

    layers: tuple[Layer, ...] = field(default=())
    reduction: int = 2
    norm: str = "layer"
    centred: bool = True
    cut: int = 0
    frame: bool = False
    front: FrontEnd = FrontEnd()

    @property
    def version(self) -> int:
        """First version of the code with such an architecture."""
        return 1 if self.front == FrontEnd() else 2

    def shapes(self, channels: int, classes: int) -> list[tuple[int, int, int]]:
        """Shape (outputs, inputs, modes) of each layer's codes, the head's last."""
        found, inputs = [], channels * self.front.channels
        for layer in self.layers:
            modes = len(frequencies(layer.kernel, layer.cut))
            found.append((layer.width, 1 if layer.depthwise else inputs, modes))
            inputs = layer.width
        if not self.frame:
            found.append((classes, inputs, len(degrees(self.cut))))
        return found


def code_architecture(
    channel: Channel, given: Architecture, channels: int, classes: int, version: int
) -> Architecture:
    """Pass an architecture through ``channel``, in a version of the code that holds it.

    Raises
    ------
    CodeWordError
        If no version holds its front end.
    """
    if given.front not in FRONTS:
        raise CodeWordError(f"the code has no {given.front}, only those in grammar.FRONTS")
    front = FRONTS[0]
    if version > 1:
        # a decoder's own is the first, which is in version 1
        asked = max(1, FRONTS.index(given.front))
        front = FRONTS[1 + choice(channel, asked - 1, len(FRONTS) - 1)]
    reduction = choice(channel, REDUCTIONS.index(given.reduction), len(REDUCTIONS))
    norm = choice(channel, NORMS.index(given.norm), 2)
    centred = choice(channel, int(given.centred), 2)
    frame = choice(channel, int(given.frame), 2)
    cut = 0 if frame else choice(channel, CUTS.index(given.cut), len(CUTS))
    depth = 1 + choice(channel, len(given.layers) - 1, DEPTH)
    layers: list[Layer] = []
    for index in range(depth):
        layer = given.layers[index] if index < len(given.layers) else Layer(WIDTHS[0])
        width = classes if frame and index == depth - 1 else None
        previous = layers[-1].width if layers else channels * front.channels
        layers.append(_code_layer(channel, layer, previous, width, first=index == 0))
    return Architecture(
        tuple(layers),
        REDUCTIONS[reduction],
        NORMS[norm],
        bool(centred),
        CUTS[cut],
        bool(frame),
        front,
    )


def _code_layer(
    channel: Channel, asked: Layer, previous: int, width: int | None, *, first: bool
) -> Layer:
    likely = (1, 4, 3) if first else (1, 6, 1)
    kernel = KERNELS[weighted(channel, KERNELS.index(asked.kernel), likely)]
    cut = 0 if kernel == 1 else 1 + choice(channel, asked.cut - 1, 2 * (kernel - 1))
    if width is None:
        width = _code_width(channel, asked.width, previous)
    shrink = SHRINKS[weighted(channel, SHRINKS.index(asked.shrink), (2, 1, 1))]
    link = 0
    if width == previous and shrink != "stride":
        link = weighted(channel, LINKS.index(asked.link), (2, 1, 1))
    activation = weighted(channel, ACTIVATIONS.index(asked.activation), (3, 1))
    depthwise = width == previous and weighted(channel, int(asked.depthwise), (2, 1))
    return Layer(width, kernel, cut, shrink, LINKS[link], ACTIVATIONS[activation], bool(depthwise))


def _code_width(channel: Channel, asked: int, previous: int) -> int:
    if previous in WIDTHS and weighted(channel, int(asked != previous), (1, 2)) == 0:
        return previous
    # a decoder has no width to ask for: the index it passes is ignored
    return WIDTHS[choice(channel, WIDTHS.index(asked), len(WIDTHS))]
