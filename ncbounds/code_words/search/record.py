"""What a search has found: the best words on disk, and the curve of all it saw."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.code_words.code.certificate import Certificate, certify
from ncbounds.code_words.code.coder import CodeWordError
from ncbounds.code_words.code.codeword import Network, encode
from ncbounds.code_words.search.curve import Point
from ncbounds.code_words.search.rate import nonzeros
from ncbounds.files import write_bytes
from ncbounds.numerics import occam_upper

#: How much smaller a bound must be to be counted exactly before its stage ends.
WORTH_A_COUNT = 0.002


@dataclass
class State:
    """Where a search stands; saved after every epoch."""

    stage: int = 0
    epoch: int = 0
    seconds: float = 0.0
    best: float = math.inf
    best_saved: float = math.inf
    curve: list[Point] = field(default_factory=list)

    def kept(self) -> dict[str, Any]:
        """Fields as plain values."""
        return {**asdict(self), "curve": [asdict(p) for p in self.curve]}

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "State":
        """State from :meth:`kept`."""
        return cls(**{**stored, "curve": [Point(**point) for point in stored["curve"]]})


@dataclass
class Record:
    """Keeps what is best in ``folder``: ``network.ncz`` with ``certificate.json``, ``saved.ncz``.

    Attributes
    ----------
    folder : Path
    images, labels : uint8 array (n, channels, height, width), integer array (n,)
    classes : int
    delta : float
    report : callable
        Given a line for every network that is seen.
    state : State
    """

    folder: Path
    images: NDArray[np.uint8]
    labels: NDArray[Any]
    classes: int
    delta: float
    report: Callable[[str], None]
    state: State = field(default_factory=State)

    def weigh(
        self, place: tuple[str, int], network: Network, errors: int, differences: int, *, last: bool
    ) -> None:
        """Put a network on the curve, and on disk if it is the best of its kind."""
        state, n, data = self.state, len(self.labels), encode(network)
        bound = occam_upper(errors, n, 8 * len(data), self.delta)
        if bound < state.best - (0.0 if last else WORTH_A_COUNT):
            self._keep(data)
        if bound + differences / n < state.best_saved:
            state.best_saved = bound + differences / n
            write_bytes(self.folder / "saved.ncz", data)
        state.curve.append(
            Point(
                *place,
                bits=8 * len(data),
                errors=errors,
                differences=differences,
                bound=bound,
                nonzeros=nonzeros(network),
                seconds=state.seconds,
            )
        )
        self.report(
            f"{place[0]} {place[1]}  {8 * len(data)} bits  {errors / n:.4f} errors  "
            f"{differences / n:.4f} differ  bound {bound:.4f}  best {state.best:.4f}  "
            f"{state.seconds:.0f} s"
        )

    def heed(self) -> None:
        """Let a word that somebody has put into the folder count as the best so far."""
        try:
            data = (self.folder / "network.ncz").read_bytes()
            self.state.best = self._certified(data).value
        except (FileNotFoundError, CodeWordError):
            return

    def _keep(self, data: bytes) -> None:
        """Put a code word on disk if its exact certificate is better."""
        found = self._certified(data)
        if found.value < self.state.best:
            self.state.best = found.value
            write_bytes(self.folder / "network.ncz", data)
            found.save(self.folder / "certificate.json")

    def _certified(self, data: bytes) -> Certificate:
        return certify(data, self.images, self.labels, classes=self.classes, delta=self.delta)
