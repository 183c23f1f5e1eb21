"""What a classifier decides, what an error is, and what the classes are called."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Bools, Floats, Ints
from ncbounds.errors import InvalidSample, few
from ncbounds.evidence.decided import doubt
from ncbounds.evidence.given_labels import given_labels
from ncbounds.evidence.head import Head, LinearHead, NoHead, margins
from ncbounds.evidence.rankings import one_errors
from ncbounds.evidence.roles import LABELS_OPTIONAL
from ncbounds.evidence.sample import Sample
from ncbounds.results import ONE_ERROR, SUBSET_ERROR


class Decision(Protocol):
    """How logits become predictions, and predictions errors; the one place that says so."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes; empty if they have none."""

    @property
    def several(self) -> bool:
        """Whether a point may have several labels."""

    @property
    def error(self) -> str:
        """What an error is called where it is not that of a class; empty otherwise."""

    def name(self, c: int) -> str:
        """Name of class ``c``, or its number."""

    def check(self, classes: int) -> None:
        """Raise InvalidSample if this is no decision between so many classes."""

    def predicted(self, sample: Sample, head: Head) -> NDArray[Any]:
        """Predictions of a head, shape (n,), or (n, L) where labels are given one by one.

        -1 where there is no single one, or no answer.
        """

    def wrong(self, sample: Sample, head: Head) -> Bools:
        """Error indicators of a head on a labelled sample, shape (n,)."""

    def wrong_logits(self, logits: Floats, labels: NDArray[Any]) -> Bools:
        """Error indicators, shape (n,), of logits (n, C) that are not those of a head."""

    def missed(self, predicted: NDArray[Any], labels: NDArray[Any]) -> Bools:
        """Error indicators, shape (n,), from predictions as :meth:`predicted` gives them.

        Where points may have several labels, ``labels`` are their indicators (n, L).
        """


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
    several: ClassVar[bool] = False
    error: ClassVar[str] = ""

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


@dataclass(frozen=True)
class MultiLabel:
    """Any number of L labels: one is given iff its logit exceeds its threshold.

    The error is the **subset error**: that any label of a point is wrong. A label whose logit is at
    its threshold, or within what rounding could turn (:mod:`ncbounds.evidence.given_labels`), has
    no answer and is wrong whatever is true; so are all labels of a row with a logit that is not
    finite.

    Parameters
    ----------
    names : tuple of str
        Names of all labels in the order of the head's outputs; empty if they have none.
    threshold : float or sequence of L floats, optional
        Of the logits, 0 (a probability of 1/2) unless given; of ``probabilities=`` it is in
        probability, 1/2 unless given. Fixed before the sample: thresholds that were tuned on it
        need ``selected_among`` (all that could have been chosen), or the role ``"head"``.
    ranked : bool
        Whether logits only rank the labels, as those of a pick-all-label head. There are no
        thresholds, and the error is the **one-error**: that the top label is none of the point's.
        A tie of the top is an error, and so is every point without a label.
    """

    names: tuple[str, ...] = ()
    threshold: float | tuple[float, ...] | None = None
    ranked: bool = False
    several: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(map(str, self.names)))
        if twice := sorted({name for name in self.names if self.names.count(name) > 1}):
            raise InvalidSample(
                f"label names are all different, found {few(twice)} more than once: "
                "give each label a name of its own, or leave names out"
            )
        if self.threshold is None:
            return
        if self.ranked:
            raise InvalidSample("ranked=True has no thresholds: labels are compared with another")
        t = np.asarray(self.threshold, dtype=np.float64)
        if t.ndim > 1 or not np.isfinite(t).all():
            raise InvalidSample(
                f"threshold is a number, or one for each label, found {self.threshold!r}"
            )
        value = float(t) if t.ndim == 0 else tuple(map(float, t))
        object.__setattr__(self, "threshold", value)

    @property
    def error(self) -> str:
        """``"subset error"``, or ``"one-error"`` of labels that are only ranked."""
        return ONE_ERROR if self.ranked else SUBSET_ERROR

    def name(self, c: int) -> str:
        """Name of label ``c``; its number if it has none."""
        return self.names[c] if 0 <= c < len(self.names) else str(c)

    def check(self, classes: int) -> None:
        """Raise InvalidSample unless names and thresholds are those of ``classes`` labels."""
        if self.names and len(self.names) != classes:
            raise InvalidSample(
                f"{len(self.names)} label names were given, the head has {classes} outputs; name "
                "all of them in their order, MultiLabel(names), or none"
            )
        self.thresholds(classes)

    def thresholds(self, classes: int, usual: float = 0.0) -> Floats:
        """Threshold of each label, shape (L,); ``usual`` ones where none were given.

        Raises
        ------
        InvalidSample
            If there are thresholds for another number of labels.
        """
        t = np.asarray(usual if self.threshold is None else self.threshold, dtype=np.float64)
        if t.ndim and len(t) != classes:
            raise InvalidSample(f"{len(t)} thresholds were given for {classes} labels")
        return np.broadcast_to(t, classes).astype(np.float64)

    def predicted(self, sample: Sample, head: Head) -> NDArray[Any]:
        """Labels that are given, (n, L): 1, 0, or -1 for no answer; ranked: the top one, (n,)."""
        if isinstance(head, NoHead):
            return answers_of(sample)
        if self.ranked:
            return np.where(sample.decided(head), sample.predictions(head), -1)
        t = self.thresholds(head.classes)
        return sample.of_head(("given", t.tobytes()), head, lambda: given_labels(sample, head, t))

    def wrong(self, sample: Sample, head: Head) -> Bools:
        """Points with a wrong label; ranked: points whose top label is not surely one of theirs."""
        held = held_by(sample)
        if isinstance(head, NoHead) or not self.ranked:
            return self.missed(self.predicted(sample, head), held)
        return sample.of_head("wrong top", head, lambda: _wrong_top(sample, head))

    def wrong_logits(self, logits: Floats, labels: NDArray[Any]) -> Bools:
        """Points with a wrong label, or top label, of indicators (n, L); logits as they are."""
        if self.ranked:
            return one_errors(labels, logits, np.zeros(len(logits))) > 0
        lead = np.where(labels, 1.0, -1.0) * (logits - self.thresholds(logits.shape[1]))
        right = np.asarray(((lead > 0) & np.isfinite(logits)).all(axis=1))
        return ~right

    def missed(self, predicted: NDArray[Any], labels: NDArray[Any]) -> Bools:
        """Points where any answer, or the top label, is wrong; ``labels`` are indicators (n, L)."""
        if predicted.ndim == 2:
            found: Bools = (predicted != labels).any(axis=1)
            return found
        known = predicted >= 0
        top: Bools = labels[np.arange(len(labels)), np.where(known, predicted, 0)]
        return ~(known & top)


def _wrong_top(sample: Sample, head: LinearHead) -> Bools:
    held, out = held_by(sample), np.empty(sample.n, dtype=np.bool_)
    scaled = head.scaled
    for part, logits in sample.logit_rows(scaled).pieces():
        off = doubt(scaled, sample.features[part], rounded=sample.rounded)
        out[part] = one_errors(held[part], logits, off) > 0
    out.setflags(write=False)
    return out


def held_by(sample: Sample) -> Bools:
    """Which labels the points of a sample have, boolean of shape (n, L).

    Raises
    ------
    InvalidSample
        If it came with one label a point, or none.
    """
    if sample.indicators is None:
        raise InvalidSample(
            f"MultiLabel needs several labels a point, and the {sample.role} sample has one: pass "
            "labels of shape (n, L), 1 where a point has the label, or lists of label numbers with "
            "classes=L"
        )
    return sample.indicators


def check_labels(sample: Sample, decision: Decision, classes: int) -> None:
    """Raise InvalidSample unless the labels of a sample are such as a decision is about."""
    held = sample.indicators
    if not decision.several:
        if held is not None:
            raise InvalidSample(
                f"the {sample.role} sample has several labels a point: say so with "
                "decision=nb.MultiLabel(), or MultiLabel(names, threshold)"
            )
        return
    if held is None and (sample.role not in LABELS_OPTIONAL or (sample.labels >= 0).any()):
        held_by(sample)  # raises
    if held is not None and held.shape[1] != classes:
        raise InvalidSample(
            f"the {sample.role} sample has {held.shape[1]} labels, the head {classes} outputs"
        )


def one_class(decision: Decision, what: str, instead: str = "") -> None:
    """Raise InvalidSample if points may have several labels, which ``what`` cannot be about."""
    if decision.several:
        ways = f": {instead}" if instead else ""
        raise InvalidSample(
            f"{what} is about one class a point, and these have several labels{ways}"
        )


def answers_of(sample: Sample) -> NDArray[Any]:
    """Predictions that came with a sample, shape (n,) or (n, L); -1 where there is no single one.

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
