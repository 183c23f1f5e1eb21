"""Losses in [0, 1] where a point may have several labels, by name.

Losses read labels as indicators (m, L), and answers (m, L): 1 given, 0 not given, -1 no answer. A
row with a logit that is not finite has no answers, and the loss 1 in each of them.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ncbounds.arrays import Bools, Floats
from ncbounds.errors import InvalidSample, shown, suggest
from ncbounds.evidence.indicators import Given
from ncbounds.evidence.rankings import one_errors, precision_losses, ranking_losses
from ncbounds.results import ONE_ERROR, SUBSET_ERROR

#: Words that can be typed of several labels; the last four need thresholds.
LABEL_WORDS = (
    *("one-error", "ranking", "precision@5"),
    *("hamming", "subset", "misses:LABEL", "false-alarms:LABEL"),
)


@dataclass(frozen=True)
class Subset:
    """Whether any label of a point is wrong."""

    name: str = SUBSET_ERROR
    binary: ClassVar[bool] = True
    scored: ClassVar[bool] = False
    several: ClassVar[bool] = True

    def losses(self, labels: Bools, answers: Given, scores: Floats, off: Floats) -> Floats:
        """1 where an answer differs; see :class:`~ncbounds.evidence.risks.Risk`."""
        return np.asarray((answers != labels).any(axis=1), dtype=np.float64)


@dataclass(frozen=True)
class Hamming:
    """Share of the labels of a point that are wrong."""

    name: str = "hamming"
    binary: ClassVar[bool] = False
    scored: ClassVar[bool] = False
    several: ClassVar[bool] = True

    def losses(self, labels: Bools, answers: Given, scores: Floats, off: Floats) -> Floats:
        """Wrong answers over L; see :class:`~ncbounds.evidence.risks.Risk`."""
        return np.asarray((answers != labels).sum(axis=1) / max(1, labels.shape[1]))


@dataclass(frozen=True)
class OneError:
    """Whether the top label is none of the point's, which it always is where there are none."""

    name: str = ONE_ERROR
    binary: ClassVar[bool] = True
    scored: ClassVar[bool] = True
    several: ClassVar[bool] = True

    def losses(self, labels: Bools, answers: Given, scores: Floats, off: Floats) -> Floats:
        """See :func:`ncbounds.evidence.rankings.one_errors`."""
        return one_errors(labels, scores, off)


@dataclass(frozen=True)
class Ranking:
    """Share of pairs of a relevant and an irrelevant label that are ordered wrongly."""

    name: str = "ranking loss"
    binary: ClassVar[bool] = False
    scored: ClassVar[bool] = True
    several: ClassVar[bool] = True

    def losses(self, labels: Bools, answers: Given, scores: Floats, off: Floats) -> Floats:
        """See :func:`ncbounds.evidence.rankings.ranking_losses`."""
        return ranking_losses(labels, scores, off)


@dataclass(frozen=True)
class PrecisionAt:
    """Share of the ``k`` top labels that are none of the point's: 1 - precision at k.

    Parameters
    ----------
    k : int
        From 1 on and below L; 1 is the one-error.
    """

    k: int
    binary: ClassVar[bool] = False
    scored: ClassVar[bool] = True
    several: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InvalidSample(f"precision@k counts from k = 1 on, found {self.k}")

    def check(self, labels: int) -> None:
        """Raise InvalidSample unless ``k`` is smaller than the number of labels."""
        if self.k >= labels:
            raise InvalidSample(
                f"precision@{self.k} of {labels} labels depends on no order: k is smaller"
            )

    @property
    def name(self) -> str:
        """``1 - precision@5``."""
        return f"1 - precision@{self.k}"

    def losses(self, labels: Bools, answers: Given, scores: Floats, off: Floats) -> Floats:
        """See :func:`ncbounds.evidence.rankings.precision_losses`."""
        self.check(labels.shape[1])
        return precision_losses(labels, scores, off, self.k)


@dataclass(frozen=True)
class OneLabel:
    """Wrong answers about one label, among the points that have it, or that do not.

    Parameters
    ----------
    label : str or int
        Its name or number.
    present : bool
        Among points that have it, so that these are misses; else false alarms.
    column : int or None
        Its number, found by :meth:`among`.
    """

    label: str | int
    present: bool = True
    column: int | None = None
    binary: ClassVar[bool] = True
    scored: ClassVar[bool] = False
    several: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """``misses of dog`` or ``false alarms of dog``."""
        return f"{'misses' if self.present else 'false alarms'} of {self.label}"

    def among(self, names: tuple[str, ...], labels: int) -> "OneLabel":
        """Return the same with the column that the label has among ``labels`` of these names.

        Raises
        ------
        InvalidSample
            If there is no such label.
        """
        text = str(self.label)
        if text in names:
            return replace(self, column=names.index(text))
        if text.isdecimal() and int(text) < labels:
            return replace(self, column=int(text))
        known = suggest(text, list(names)) if names else f"labels are 0 to {labels - 1}"
        raise InvalidSample(f"no label {shown(text)}; {known}")

    def losses(self, labels: Bools, answers: Given, scores: Floats, off: Floats) -> Floats:
        """1 where the label's answer is wrong, nan where the point is not counted."""
        if self.column is None:
            raise InvalidSample(f"{self.name}: which column that is, is known in an Evidence only")
        held = labels[:, self.column]
        wrong = answers[:, self.column] != held
        return np.where(held == self.present, np.asarray(wrong, dtype=np.float64), np.nan)


#: Risk of a simple word; those that take a number or a name stand in :func:`label_risk`.
SIMPLE: dict[str, Any] = {
    "subset": Subset(),
    "hamming": Hamming(),
    "one-error": OneError(),
    "ranking": Ranking(),
}
#: Risks that need answers about each label, which labels that are only ranked do not have.
ANSWERED = (Subset, Hamming, OneLabel)


def label_risk(word: str) -> Any:
    """Risk of several labels that a word stands for, or None.

    Raises
    ------
    InvalidSample
        If it names no label, or an impossible k.
    """
    kind, colon, label = word.partition(":")
    if kind in ("misses", "false-alarms") and colon:
        if not label.strip():
            raise InvalidSample(f"{word} needs a label: {kind}:NAME")
        return OneLabel(label.strip(), present=kind == "misses")
    at, sign, k = word.partition("@")
    if at == "precision" and sign and k.isdecimal():
        return PrecisionAt(int(k))
    return SIMPLE.get(word)
