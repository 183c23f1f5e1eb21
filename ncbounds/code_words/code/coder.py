"""Arithmetic coding with exact fractions: an interval inside [0, 1) and the bytes that name it.

Encoder and decoder share one interface, so that a message is described once: every method takes
the value to be written (ignored by the decoder) and returns the value that was written or read.
"""

import math
from typing import Protocol

from ncbounds.errors import NcboundsError

#: Bits by which a message may seem too long for its bytes before reading stops.
_SLACK = 64


class CodeWordError(NcboundsError):
    """The bytes are not a code word: truncated, damaged, or of another version."""


class Channel(Protocol):
    """A place where decisions are written, read or weighed."""

    def bit(self, value: int, ones: int, total: int) -> int:
        """Pass one bit whose probability of being 1 is ``ones / total``, 0 < ones < total."""
        ...


class Encoder:
    """Narrows an interval; ``payload`` is the shortest byte string whose interval lies inside."""

    def __init__(self) -> None:
        # the interval is [low, low + width) / scale
        self._low, self._width, self._scale = 0, 1, 1

    def bit(self, value: int, ones: int, total: int) -> int:
        """Write ``value``; see :class:`Channel`."""
        split = self._width * ones
        self._low *= total
        self._scale *= total
        if value:
            self._width = split
        else:
            self._low += split
            self._width = self._width * total - split
        return value

    def payload(self) -> bytes:
        """Bytes b with [0.b, 0.b + 256^-len(b)) inside the interval; as few as possible.

        Whatever follows them, a decoder reads the same message: intervals of different messages
        are disjoint, so no payload begins with another.
        """
        length = max(0, (self._scale.bit_length() - self._width.bit_length() - 1) // 8)
        while True:
            cells = 1 << 8 * length
            cell = -(-self._low * cells // self._scale)
            if (cell + 1) * self._scale <= (self._low + self._width) * cells:
                return cell.to_bytes(length, "big")
            length += 1


class Decoder:
    """Follows the interval that contains the number 0.data.

    Once that interval is far smaller than the bytes could name, they are not a whole code word.
    """

    def __init__(self, data: bytes) -> None:
        self._shift = 8 * len(data)
        self._offset = int.from_bytes(data, "big")  # (0.data * scale - low) * 2^shift
        self._width = 1
        self._left = float(self._shift + _SLACK)

    def bit(self, value: int, ones: int, total: int) -> int:
        """Read one bit; ``value`` is ignored.

        Raises
        ------
        CodeWordError
            If the message read so far needs more bytes.
        """
        split = self._width * ones
        self._offset *= total
        read = self._offset < split << self._shift
        if read:
            self._width = split
        else:
            self._offset -= split << self._shift
            self._width = self._width * total - split
        self._left += math.log2(ones if read else total - ones) - math.log2(total)
        if self._left < 0:
            raise CodeWordError("truncated or damaged: the bytes end before the network does")
        return int(read)


def choice(channel: Channel, value: int, options: int) -> int:
    """Pass a number in ``range(options)``, all equally likely."""
    low, high = 0, options
    while high - low > 1:
        middle = (low + high) // 2
        if channel.bit(int(value >= middle), high - middle, high - low):
            low = middle
        else:
            high = middle
    return low


def weighted(channel: Channel, value: int, weights: tuple[int, ...]) -> int:
    """Pass a number in ``range(len(weights))`` with probabilities in proportion to ``weights``."""
    rest = sum(weights)
    for index, weight in enumerate(weights[:-1]):
        if channel.bit(int(value == index), weight, rest):
            return index
        rest -= weight
    return len(weights) - 1


def check_byte(payload: bytes) -> int:
    """CRC-8 (polynomial x^8 + x^2 + x + 1): finds every error burst of up to 8 bits."""
    register = 0
    for byte in payload:
        register ^= byte
        for _ in range(8):
            register = (register << 1 ^ 0x07) & 0xFF if register & 0x80 else register << 1
    return register
