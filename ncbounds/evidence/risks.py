"""Losses in [0, 1] other than the error, by name: the best k, abstention, cost, given ones."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Bools, Floats, Ints, numbers
from ncbounds.errors import InvalidSample
from ncbounds.evidence.decided import doubt
from ncbounds.evidence.decision import Decision
from ncbounds.evidence.head import Head, LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.statistics.rows import blocks_of

#: What float64 can do to a softmax share beside the doubt of its logits.
SHARE_OFF = 1e-12


class Risk(Protocol):
    """A loss of one point in [0, 1] whose mean is asked for; fixed before the sample is seen.

    It is a frozen value. A loss is ``nan`` where the risk does not count the point: its mean is
    then one over the points that it counts, whose number is not fixed beforehand.
    """

    @property
    def name(self) -> str:
        """What a row calls it."""

    @property
    def binary(self) -> bool:
        """Whether a loss can only be 0 or 1, whatever the data."""

    @property
    def scored(self) -> bool:
        """Whether it reads scores of all classes, not only answers."""

    def losses(
        self, labels: NDArray[Any], answers: NDArray[Any], scores: Floats, off: Floats
    ) -> Floats:
        """Losses of some points, shape (m,).

        Parameters
        ----------
        labels : integer array of shape (m,)
            Of several labels a point their indicators, boolean of shape (m, L).
        answers : integer array of shape (m,)
            Predictions; -1 where there is no single one. Of several labels (m, L): 1 given, 0 not
            given, -1 no answer; of ranked ones the top label, (m,).
        scores : array of shape (m, C)
            Logits; of no columns where the risk reads none.
        off : array of shape (m,)
            What rounding can do to the difference of two scores of a row.
        """


def losses_of(risk: Risk, sample: Sample, head: Head, decision: Decision) -> Floats:
    """Losses of a head on a sample, shape (n,); ``nan`` where the risk does not count the row.

    Raises
    ------
    InvalidSample
        If it needs scores, and only predictions are known, or losses, and none were given; or if
        its losses are not what it says.
    """
    if risk.name in sample.losses:
        return sample.losses[risk.name]
    labels = labels_of(sample)
    if not risk.scored:
        none, answers = np.empty((sample.n, 0)), decision.predicted(sample, head)
        found = _checked(risk, risk.losses(labels, answers, none, np.zeros(sample.n)), sample.n)
        in_doubt = answers < 0 if answers.ndim == 1 else np.zeros(sample.n, dtype=np.bool_)
        return _none_hidden(found, sample, in_doubt)
    if not isinstance(head, LinearHead):
        raise InvalidSample(
            f"{risk.name} needs scores of all classes, and only predictions are known: pass "
            "logits= or probabilities=, and claims= with them"
        )
    if not getattr(risk, "several", False):
        found = _of_logits(risk, sample, head, decision.predicted(sample, head))
        return _none_hidden(found, sample, ~sample.logit_rows(head.scaled).finite)
    # rankings do not depend on the scale of the head, and take long enough to be kept
    none = np.empty((sample.n, 0), dtype=np.int8)
    return sample.of_head(("loss", risk), head, lambda: _of_logits(risk, sample, head.scaled, none))


def _checked(risk: Risk, losses: Floats, n: int) -> Floats:
    """Losses of n rows that are what a risk says they are.

    Raises
    ------
    InvalidSample
        If they are not.
    """
    x = np.asarray(losses, dtype=np.float64)
    needed = f"one loss for each of {n} rows, found shape {x.shape}"
    if x.shape == (n,):
        fits = (x == 0) | (x == 1) if risk.binary else (x >= 0) & (x <= 1)
        odd = ~fits & ~np.isnan(x)
        if not odd.any():
            return x
        allowed = "0 or 1" if risk.binary else "in [0, 1]"
        needed = f"losses {allowed}, or nan where a row is not counted, found {x[odd][0]:g}"
    raise InvalidSample(f"{risk.name} needs {needed}")


def _none_hidden(losses: Floats, sample: Sample, in_doubt: Bools) -> Floats:
    """Losses in which no row is passed over whose answer rounding to float16 hides: it counts 1."""
    return np.where(in_doubt & np.isnan(losses), 1.0, losses) if sample.rounded else losses


def _of_logits(risk: Risk, sample: Sample, head: LinearHead, answers: NDArray[Any]) -> Floats:
    out, labels = np.empty(sample.n), labels_of(sample)
    for part, logits in sample.logit_rows(head).pieces():
        off = doubt(head, sample.features[part], rounded=sample.rounded)
        out[part] = _checked(
            risk, risk.losses(labels[part], answers[part], logits, off), len(logits)
        )
    out.setflags(write=False)
    return out


def labels_of(sample: Sample) -> NDArray[Any]:
    """Labels of shape (n,), or indicators (n, L) where a point may have several."""
    return sample.labels if sample.indicators is None else sample.indicators


def losses_of_scores(
    risk: Risk, labels: NDArray[Any], answers: NDArray[Any], scores: Floats
) -> Floats:
    """Losses of scores as they were given, shape (n,), a block of rows at a time."""
    out = np.empty(len(labels))
    for part in blocks_of(*scores.shape):
        off = np.zeros(len(labels[part]))
        s = np.asarray(scores[part], dtype=np.float64)
        out[part] = _checked(risk, risk.losses(labels[part], answers[part], s, off), len(s))
    return out


@dataclass(frozen=True)
class Given:
    """Losses that came with the samples.

    Parameters
    ----------
    name : str
    binary : bool
        Whether they can only be 0 or 1: they were given as truth values.
    """

    name: str = "loss"
    binary: bool = False
    scored: bool = False

    def losses(self, labels: Ints, answers: Ints, scores: Floats, off: Floats) -> Floats:
        """Refuse: they are read from the sample.

        Raises
        ------
        InvalidSample
        """
        raise InvalidSample(f"the sample came without {self.name}: Evidence.from_losses(...)")


@dataclass(frozen=True)
class TopK:
    """Whether the label is not among the ``k`` largest scores.

    A tie with the label is against it, and so is a lead within rounding; a score that is not finite
    and a label without a score are errors.

    Parameters
    ----------
    k : int
        From 2 on; the best one alone is the error itself.
    """

    k: int
    binary: bool = True
    scored: bool = True

    def __post_init__(self) -> None:
        if self.k < 2:
            raise InvalidSample(f"top-k counts from k = 2 on (the error is top-1), found {self.k}")

    @property
    def name(self) -> str:
        """``top-5 error``."""
        return f"top-{self.k} error"

    def losses(self, labels: Ints, answers: Ints, scores: Floats, off: Floats) -> Floats:
        """1 where at least k other classes have no smaller a score; see :class:`Risk`."""
        n, classes = scores.shape
        if self.k >= classes:
            raise InvalidSample(f"{self.name} of {classes} classes is no error at all")
        known = (labels >= 0) & (labels < classes) & np.isfinite(scores).all(axis=1)
        own = scores[np.arange(n), np.where(known, labels, 0)]
        with np.errstate(invalid="ignore"):
            # the label itself is one of them; what cannot be compared is against it
            above = (~(scores < (own - off)[:, None])).sum(axis=1) - 1
        return np.where(known & (above < self.k), 0.0, 1.0)


@dataclass(frozen=True)
class Answered:
    """What a classifier does that answers only where it is confident.

    With a threshold it answers where the largest share of its softmax (or the largest of given
    probabilities over their sum) is not below it; a tie of the largest is then a wrong answer.
    Without one it answers where it has a single prediction. What rounding leaves open of the share
    is counted against it.

    Parameters
    ----------
    threshold : float or None
        In (0, 1), fixed before the sample; None: a row without a prediction is no answer.
    wrong : bool
        Whether it is the error among the answered points, or else the share of the others, so that
        the coverage is 1 minus it.
    """

    threshold: float | None = None
    wrong: bool = True
    binary: bool = True

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0.0 < self.threshold < 1.0:
            raise InvalidSample(
                f"confidence has a threshold between 0 and 1, found {self.threshold}"
            )

    @property
    def name(self) -> str:
        """``error among the answered`` or ``abstained``, with the threshold."""
        at = "" if self.threshold is None else f" (confidence from {self.threshold:g})"
        return ("error among the answered" if self.wrong else "abstained") + at

    @property
    def scored(self) -> bool:
        """Whether there is a threshold."""
        return self.threshold is not None

    def losses(self, labels: Ints, answers: Ints, scores: Floats, off: Floats) -> Floats:
        """Error where it answers and nan elsewhere, or 1 where it does not; see :class:`Risk`."""
        there, surely = answers >= 0, answers >= 0
        if self.threshold is not None:
            share = largest_share(scores)
            doubtful = off + SHARE_OFF
            with np.errstate(invalid="ignore"):
                # a tie is answered, by one or the other
                there = share >= self.threshold - doubtful
                surely = surely & (share >= self.threshold + doubtful)
        if not self.wrong:
            return np.where(surely, 0.0, 1.0)
        error = answers != labels
        # in doubt an error was answered, and what is right was not
        return np.where(there & error, 1.0, np.where(surely & ~error, 0.0, np.nan))


def largest_share(scores: Floats) -> Floats:
    """Largest share of the softmax of each row of scores, shape (m,); nan if one is not finite."""
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        top = scores.max(axis=1, keepdims=True)
        shares: Floats = 1.0 / np.exp(scores - top).sum(axis=1)
    return np.where(np.isfinite(scores).all(axis=1), shares, np.nan)


@dataclass(frozen=True, eq=False)
class Cost:
    """What a wrong answer costs, over the most that one can cost.

    Parameters
    ----------
    matrix : array of shape (C, C)
        Cost of answering j (column) where i (row) is right: 0 or more, fixed before the sample. No
        single answer, and a label that it does not know, cost the most.
    name : str
    """

    matrix: Floats
    name: str = "cost / largest cost"
    binary: bool = False
    scored: bool = False

    def __post_init__(self) -> None:
        m = np.array(numbers(self.matrix, "costs"), dtype=np.float64)
        if m.ndim != 2 or m.shape[0] != m.shape[1] or not (np.isfinite(m) & (m >= 0)).all():
            raise InvalidSample(f"costs are numbers from 0 on of shape (C, C), found {m.shape}")
        if not m.max() > 0:
            raise InvalidSample("costs are all 0: one of them has to be larger")
        m.setflags(write=False)
        object.__setattr__(self, "matrix", m)

    def losses(self, labels: Ints, answers: Ints, scores: Floats, off: Floats) -> Floats:
        """Cost of each answer; see :class:`Risk`."""
        classes = len(self.matrix)
        if (answers >= classes).any():
            raise InvalidSample(
                f"costs are of {classes} classes, and class {answers.max()} is answered"
            )
        known = (labels >= 0) & (labels < classes) & (answers >= 0)
        cost = self.matrix[np.where(known, labels, 0), np.where(known, answers, 0)]
        return np.where(known, cost / self.matrix.max(), 1.0)
