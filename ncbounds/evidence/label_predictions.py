"""What was answered about several labels a point: indicators, or one score for each label."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import numbers
from ncbounds.errors import InvalidSample
from ncbounds.evidence.answers import THRESHOLDS, answers_of_outputs, checked_scores
from ncbounds.evidence.by_role import identified
from ncbounds.evidence.decision import MultiLabel
from ncbounds.evidence.indicators import Given, answers_of_labels, indicators_of, several
from ncbounds.evidence.label_risks import OneError
from ncbounds.evidence.point_hashes import point_hashes
from ncbounds.evidence.risks import losses_of_scores
from ncbounds.evidence.sample import Sample


def label_sample(
    outputs: Any, kind: str, decision: MultiLabel, role: str, own: dict[str, Any], classes: Any
) -> tuple[Sample, NDArray[Any] | None]:
    """Sample of answers about several labels, and the scores (n, L) where there are any.

    Parameters
    ----------
    outputs : array-like of shape (n, L)
        Scores; for ``"predicted"`` 0 and 1 (-1 or nan for no answer), n lists of label numbers, or
        of labels that are ranked the top label of each row, (n,).
    kind : {"predicted", "logits", "probabilities"}
    decision : MultiLabel
        Its thresholds are of what ``kind`` says.
    role : str
    own : dict
        ``labels`` and what is declared of the sample.
    classes : int or None
        L, which lists do not say.

    Raises
    ------
    InvalidSample
        If these are no answers about labels.
    """
    scores = None if kind == "predicted" else scores_of(outputs, kind)
    n, width = (len(outputs), classes) if scores is None else _same(classes, scores)
    own, hashes = identified(own, (n,), kind)
    if hashes is None and kind == "logits":
        array = numbers(outputs, kind)
        if array.dtype.kind == "f" and array.dtype.itemsize >= 4:
            hashes = point_hashes(array)
    labels = own.pop("labels", None)
    if labels is not None and not several(labels):
        raise InvalidSample(
            "MultiLabel needs several labels a point: labels of shape (n, L), 1 where a point has "
            "the label, or lists of label numbers with classes=L"
        )
    if labels is not None:
        labels = indicators_of(labels, n, classes, width=width)
        width = labels.shape[1]
    if decision.ranked:
        answers: NDArray[Any] = answers_of_outputs(_top(outputs, kind, width), kind)
    elif scores is None:
        answers = answers_of_labels(outputs, n, classes, kind, width)
    else:
        answers = _beyond_thresholds(scores, decision, kind)
    sample = Sample.from_answers(
        answers, labels, role=role, input_hashes=hashes, classes=width, **own
    )
    if decision.ranked and scores is not None and sample.indicators is not None:
        top = losses_of_scores(OneError(), sample.indicators, answers, scores)
        sample = replace(sample, losses={OneError().name: top})
    return sample, scores


def _top(outputs: Any, kind: str, width: int | None) -> NDArray[Any]:
    """Scores (n, L), or top labels (n,), as they were given."""
    array = numbers(outputs, kind)
    if kind != "predicted":
        return array
    if array.ndim != 1:
        raise InvalidSample(
            f"predicted of ranked labels are the top label of each row, (n,), found {array.shape}"
        )
    odd = np.isfinite(array) & (array != np.floor(array))
    if width is not None:
        odd |= array >= width
    if odd.any():
        raise InvalidSample(
            "predicted of ranked labels are numbers of labels from 0 on, below L, -1 for none; "
            f"found {array[odd][0]:g}"
        )
    return array


def scores_of(outputs: Any, kind: str) -> NDArray[Any]:
    """Scores of labels, shape (n, L), as they were given.

    Raises
    ------
    InvalidSample
        If they are of another shape, or a probability is none.
    """
    array = numbers(outputs, kind)
    if array.ndim != 2 or array.shape[1] < 2:
        raise InvalidSample(
            f"{kind} of several labels need shape (n, L), L from 2 on, found {array.shape}"
        )
    return checked_scores(array, kind)


def _same(classes: int | None, scores: NDArray[Any]) -> tuple[int, int]:
    n, width = scores.shape
    if classes is not None and classes != width:
        raise InvalidSample(f"classes={classes}, but there are {width} scores a row")
    return n, width


def _beyond_thresholds(scores: NDArray[Any], decision: MultiLabel, kind: str) -> Given:
    """Labels above their thresholds; at one, and in a row that is not finite, no answer."""
    t = decision.thresholds(scores.shape[1], THRESHOLDS[kind])
    if kind == "probabilities" and not ((t > 0) & (t < 1)).all():
        raise InvalidSample(
            "thresholds of probabilities= are probabilities between 0 and 1, found "
            f"{t[~((t > 0) & (t < 1))][0]:g}; leave threshold out for 1/2"
        )
    out = np.empty(scores.shape, dtype=np.int8)
    for k in range(0, len(scores), 2**10):
        s = scores[k : k + 2**10]
        finite = np.isfinite(s).all(axis=1, keepdims=True)
        wide = s.astype(np.longdouble)  # exact, also for 64-bit whole numbers
        # equal in the type of the scores, too, is at the threshold
        sure = finite & (wide != t) & (s != t.astype(s.dtype))
        out[k : k + 2**10] = np.where(sure, wide > t, -1)
    return out
