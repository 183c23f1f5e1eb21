"""A decoded code word, as bounds see it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Ints
from ncbounds.errors import InvalidSample
from ncbounds.evidence.roles import Role

Classes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Compressed:
    """A decoded code word and what its network predicts.

    Attributes
    ----------
    bits : int
        Length of the byte string that was decoded.
    predict : dict from role to a function without arguments
        Gives the predicted class of every row (int64, shape (n,)), -1 where the network cannot
        decide. Counting many images takes long, so it is done when a bound asks, and kept.
    tried : int or None
        Decoded networks that are, or could have been, compared on the unlabelled sample: a list
        that was complete before that sample was read. None if unknown.
    sha256 : str
    assumption : str
        What has to be granted because the code was developed on such images: see
        :mod:`ncbounds.code_words.code.developed`; empty if nothing has.
    reason : str
        Why the code word could not be decoded; empty if it was.
    """

    bits: int = 0
    predict: Mapping[Role, Callable[[], Classes]] = field(default_factory=dict)
    tried: int | None = None
    sha256: str = ""
    assumption: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if self.bits < 1 and not self.reason:
            raise InvalidSample(f"a code word has at least one bit, found {self.bits}")
        if self.tried is not None and self.tried < 1:
            raise InvalidSample(f"tried counts this code word too, so it is >= 1: {self.tried}")

    def on(self, role: Role) -> Classes | None:
        """Predicted classes of the rows of a sample, or None if it was given no images."""
        found = self.predict.get(role)
        return None if found is None else np.asarray(found())

    def take(self, role: Role, index: Ints) -> "Compressed":
        """Return the same code word for the rows ``index`` of a sample."""
        found = self.predict.get(role)
        if found is None:
            return self
        return replace(self, predict={**self.predict, role: lambda: np.asarray(found())[index]})

    def without_test(self) -> "Compressed":
        """Return the same code word as bounds see it."""
        return replace(self, predict={r: p for r, p in self.predict.items() if r != "test"})
