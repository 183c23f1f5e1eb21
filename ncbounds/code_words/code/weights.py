"""How integer codes are written: adaptive models that learn the counts as they go."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ncbounds.code_words.code.coder import Channel

Codes = NDArray[np.int64]

#: Largest absolute value of a code.
LARGEST = 15
#: Weight of the tensor's own frequency of non-zeros against those of mode, input and output.
BLEND = 24
_UNIT = 1 << 16
_FLOOR = 64


@dataclass
class Adaptive:
    """One binary model: (ones + 1/2) / (all + 1)."""

    ones: int = 0
    seen: int = 0

    def code(self, channel: Channel, value: int) -> int:
        """Pass a bit and count it."""
        bit = channel.bit(value, 2 * self.ones + 1, 2 * self.seen + 2)
        self.ones += bit
        self.seen += 1
        return bit


@dataclass
class Shared:
    """Models that all tensors of a kind share: signs and sizes of the codes that are not 0."""

    sign: Adaptive = field(default_factory=Adaptive)
    larger: list[Adaptive] = field(default_factory=lambda: [Adaptive() for _ in range(3)])

    def code(self, channel: Channel, value: int) -> int:
        """Pass a code that is not 0."""
        negative = self.sign.code(channel, int(value < 0))
        size = 1
        while size < LARGEST and self.larger[min(size, 3) - 1].code(
            channel, int(abs(value) > size)
        ):
            size += 1
        return -size if negative else size


def code_tensor(channel: Channel, given: Codes, shared: Shared) -> Codes:
    """Pass codes of shape (outputs, inputs, modes).

    Whether a code is 0 has a probability that blends the frequency in the tensor so far with those
    of its output, input and mode.
    """
    out = np.zeros(given.shape, dtype=np.int64)
    ones = [np.zeros(size, dtype=np.int64) for size in given.shape]
    seen = [np.zeros(size, dtype=np.int64) for size in given.shape]
    total = count = 0
    for index in np.ndindex(*given.shape):
        own = _UNIT * (2 * total + 1) // (2 * count + 2)
        near = sum(int(o[i]) for o, i in zip(ones, index, strict=True))
        far = sum(int(s[i]) for s, i in zip(seen, index, strict=True))
        likely = (BLEND * own + _UNIT * near) // (BLEND + far)
        likely = min(max(likely, _FLOOR), _UNIT - _FLOOR)
        bit = channel.bit(int(given[index] != 0), likely, _UNIT)
        if bit:
            out[index] = shared.code(channel, int(given[index]))
        total, count = total + bit, count + 1
        for o, s, i in zip(ones, seen, index, strict=True):
            o[i] += bit
            s[i] += 1
    return out


def code_biases(channel: Channel, given: Codes, zeros: Adaptive, shared: Shared) -> Codes:
    """Pass a vector of bias codes."""
    out = np.zeros(given.shape, dtype=np.int64)
    for i, value in enumerate(given.tolist()):
        if zeros.code(channel, int(value != 0)):
            out[i] = shared.code(channel, value)
    return out
