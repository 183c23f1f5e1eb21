"""What a classifier decides, what an error is, and what the classes are called."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ncbounds.arrays import Bools, Floats, Ints
from ncbounds.errors import InvalidSample
from ncbounds.evidence.head import Head, NoHead, margins
from ncbounds.evidence.sample import Sample


class Decision(Protocol):
    """How logits become predictions, and predictions errors; the one place that says so."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes; empty if they have none."""

    def name(self, c: int) -> str:
        """Name of class ``c``, or its number."""

    def check(self, classes: int) -> None:
        """Raise InvalidSample if this is no decision between so many classes."""

    def predicted(self, sample: Sample, head: Head) -> Ints:
        """Predictions of a head, shape (n,); -1 where there is no single one."""

    def wrong(self, sample: Sample, head: Head) -> Bools:
        """Error indicators of a head on a labelled sample, shape (n,)."""

    def wrong_logits(self, logits: Floats, labels: Ints) -> Bools:
        """Error indicators, shape (n,), of logits (n, C) that are not those of a head."""

    def missed(self, predicted: Ints, labels: Ints) -> Bools:
        """Error indicators, shape (n,), from predictions as :meth:`predicted` gives them."""


@dataclass(frozen=True)
class MultiClass:
    """One of C classes: the largest logit decides, and a tie or a non-finite logit is an error.

    A lead that rounding could turn is a tie, see :mod:`ncbounds.evidence.decided`.

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

    def predicted(self, sample: Sample, head: Head) -> Ints:
        """Class with the largest logit; -1 for a tie of the largest or a non-finite logit."""
        if isinstance(head, NoHead):
            return answers_of(sample)
        return np.where(sample.decided(head), sample.predictions(head), -1)

    def wrong(self, sample: Sample, head: Head) -> Bools:
        """Points whose margin is not positive: ties, non-finite logits and unknown labels too."""
        if isinstance(head, NoHead):
            return self.missed(answers_of(sample), sample.labels)
        found: Bools = ~(sample.margins(head) > 0)
        return found

    def wrong_logits(self, logits: Floats, labels: Ints) -> Bools:
        """Points whose label has not the largest logit: ties and non-finite logits too."""
        found: Bools = ~(margins(logits, labels) > 0)
        return found

    def missed(self, predicted: Ints, labels: Ints) -> Bools:
        """Points whose label is not the prediction, and those without one."""
        found: Bools = (predicted != labels) | (predicted < 0)
        return found


def answers_of(sample: Sample) -> Ints:
    """Predictions that came with a sample, shape (n,); -1 where there is no single one.

    Raises
    ------
    InvalidSample
        If it came with features instead.
    """
    if sample.answers is None:
        raise InvalidSample(
            f"no head is known, so the {sample.role} sample needs predictions: "
            "Sample.from_answers(...), or Evidence.from_predictions(...)"
        )
    return sample.answers
