"""What a classifier decides, what an error is, and what the classes are called."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidSample
from ncbounds.evidence.head import margins

Bools = NDArray[np.bool_]


class Decision(Protocol):
    """How logits become predictions, and predictions errors; the one place that says so."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes; empty if they have none."""

    def name(self, c: int) -> str:
        """Name of class ``c``, or its number."""

    def check(self, classes: int) -> None:
        """Raise InvalidSample if this is no decision between so many classes."""

    def predicted(self, logits: Floats) -> Ints:
        """Predictions, shape (n,), from logits (n, C); -1 where there is no single one."""

    def wrong(self, logits: Floats, labels: Ints) -> Bools:
        """Error indicators, shape (n,), from logits (n, C) and labels (n,)."""

    def missed(self, predicted: Ints, labels: Ints) -> Bools:
        """Error indicators, shape (n,), from predictions as :meth:`predicted` gives them."""


@dataclass(frozen=True)
class MultiClass:
    """One of C classes: the largest logit decides, and a tie or a non-finite logit is an error.

    Parameters
    ----------
    names : tuple of str
        Names of all classes in the order of the head's outputs; empty if they have none.
    """

    names: tuple[str, ...] = ()

    def name(self, c: int) -> str:
        """Name of class ``c``; its number if it has none (the head may not know it)."""
        return self.names[c] if 0 <= c < len(self.names) else str(c)

    def check(self, classes: int) -> None:
        """Raise InvalidSample unless all of ``classes`` classes are named, or none."""
        if self.names and len(self.names) != classes:
            raise InvalidSample(
                f"{len(self.names)} class names were given, the head has {classes} classes; name "
                "all of them in the order of its outputs (MultiClass(names), or classes = [...] of "
                "the task in zoo.toml), or none"
            )

    def predicted(self, logits: Floats) -> Ints:
        """Class with the largest logit; -1 for a tie of the largest or a non-finite logit."""
        finite = np.asarray(np.isfinite(logits).all(axis=1))
        known = np.where(finite[:, None], logits, 0.0)
        top = np.partition(known, -2, axis=1)[:, -2:]
        single = finite & (top[:, 1] > top[:, 0])
        return np.where(single, known.argmax(axis=1), -1)

    def wrong(self, logits: Floats, labels: Ints) -> Bools:
        """Points whose margin is not positive: ties, non-finite logits and unknown labels too."""
        found: Bools = ~(margins(logits, labels) > 0)
        return found

    def missed(self, predicted: Ints, labels: Ints) -> Bools:
        """Points whose label is not the prediction, and those without one."""
        found: Bools = (predicted != labels) | (predicted < 0)
        return found
