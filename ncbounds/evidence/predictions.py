"""Evidence from predictions: what a classifier answered is enough to count its errors."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Floats, Ints, numbers
from ncbounds.budgets import CLASSES
from ncbounds.errors import InvalidSample
from ncbounds.evidence.answers import answers_of_outputs, checked_scores
from ncbounds.evidence.asked import Asked, asked_for
from ncbounds.evidence.by_role import by_role, declared_of, identified
from ncbounds.evidence.decision import MultiLabel, answers_of
from ncbounds.evidence.head import NoHead
from ncbounds.evidence.label_claims import asked_under
from ncbounds.evidence.label_predictions import label_sample
from ncbounds.evidence.point_hashes import point_hashes
from ncbounds.evidence.risks import labels_of, losses_of_scores
from ncbounds.evidence.roles import Role
from ncbounds.evidence.sample import Sample

#: Why no head is known of a classifier whose predictions were given.
GIVEN = "only predictions were given"

Numbers = NDArray[Any]


def predicted_parts(
    *,
    predicted: Any = None,
    logits: Any = None,
    probabilities: Any = None,
    labels: Any,
    role: str | None = None,
    threshold: float | None = None,
    classes: int | None = None,
    ids: Any = None,
    input_hashes: Any = None,
    why: str = GIVEN,
    priors: Any = None,
    decision: Any = None,
    claims: Any = None,
    checkpoint: str = "",
    provenance: Mapping[str, Any] | None = None,
    **declared: Any,
) -> tuple[dict[Role, Sample], dict[str, Any]]:
    """Samples by role, and the other arguments of an ``Evidence``, of answers and labels.

    Every bound that counts errors works on it; those that need a head or features give a row that
    says so. Rows are counted as they stand, in exact whole numbers.

    Parameters
    ----------
    predicted : array-like of n integers, or mapping from role to it
        Predicted classes; -1 (or nan) stands for no prediction, which counts as an error.
    logits, probabilities : array-like of shape (n, C), (n,) or (n, 1), or mapping from role to it
        In place of ``predicted``. The largest of a row is the answer. **A tie of the largest, and a
        value in the row that is not finite, count as errors.** One number per row decides between
        two classes: 1 above the threshold, 0 below, an error at it.
    labels : array-like of n integers, or mapping from role to it
        May be left out of a mapping for ``"unlabelled"`` and ``"target"``.
    role : {"fit", "head", "holdout", "unlabelled", "target", "test"}
        What the rows were used for; left out where mappings name the roles.
    threshold : float, optional
        For one number per row: 0 for logits and 1/2 for probabilities unless given.
    classes : int, optional
        Number of classes that the law has; for predicted classes they are counted otherwise, among
        labels and predictions, and rows over all classes (the worst one, balanced) are plug-ins.
    ids : array-like of n integers or texts, or mapping from role to it, optional
        What a row is called; rows with one name are one row, and no row may have two roles.
    input_hashes : array-like of n integers, or mapping from role to it, optional
        Equal where inputs are, by which copies are found. Rows of two or more float32 or float64
        logits stand for them where they are not given, as features do elsewhere.
    why : str
        Why no head is known.
    priors, decision, checkpoint, provenance
        As for :class:`~ncbounds.Evidence`. With ``decision=nb.MultiLabel(...)`` a point has several
        labels: ``labels`` are indicators (n, L), or lists of label numbers with ``classes=L``;
        ``predicted`` are 0 and 1 (-1 for no answer), or the top labels (n,) of ranked ones. A label
        is given iff its score exceeds its threshold, which is in probability for
        ``probabilities=`` (1/2 unless given); a score at its threshold is no answer.
    claims : str, mapping, loss, or iterable of these, optional
        What is asked beside the error: see :func:`ncbounds.evidence.asked.asked_for`. Losses that
        read scores (``"top-5"``, ``"answered:0.9"``) have to be asked for here, where these are.
    **declared
        ``sampling``, ``selected_among``, ``label_noise``, ``groups``, ``repeats`` of
        :class:`~ncbounds.Draw`, and ``ignore_label``: one value, or a mapping from role to it.

    Raises
    ------
    InvalidSample
        If not exactly one of the three is given, shapes do not fit, or a probability is none.
    RoleError, OverlapError
        If a role is unknown, also of a declaration, or one row has two.
    """
    if classes is not None and not 2 <= classes <= CLASSES:
        raise InvalidSample(f"classes counts them, from 2 to {CLASSES}; found {classes}")
    kinds = {"predicted": predicted, "logits": logits, "probabilities": probabilities}
    given = {kind: value for kind, value in kinds.items() if value is not None}
    if len(given) != 1:
        raise InvalidSample(
            f"one of predicted=, logits= and probabilities= says what the classifier answered, "
            f"found {' and '.join(given) or 'none'}"
        )
    [(kind, value)] = given.items()
    outputs_of = by_role(kind, value, role)
    own = declared_of(
        outputs_of, {**declared, "labels": labels, "ids": ids, "input_hashes": input_hashes}
    )
    asked = asked_for(claims)
    if isinstance(decision, MultiLabel):
        if threshold is not None:
            raise InvalidSample(
                "thresholds of several labels are those of the decision: MultiLabel(threshold=...)"
            )
        samples, asked = _of_labels(outputs_of, kind, decision, own, classes, asked)
        head = NoHead(max(s.classes for s in samples.values()), why)
    else:
        samples, head = _of_classes(outputs_of, kind, threshold, own, classes, asked, why)
    parts: dict[str, Any] = {
        "head": head,
        "priors": priors,
        "asked": asked,
        "checkpoint": checkpoint,
        "provenance": dict(provenance or {}),
    }
    return samples, parts if decision is None else {**parts, "decision": decision}


def _of_classes(
    outputs_of: Mapping[Role, Any],
    kind: str,
    threshold: float | None,
    own: Mapping[Role, dict[str, Any]],
    classes: int | None,
    asked: Asked,
    why: str,
) -> tuple[dict[Role, Sample], NoHead]:
    """Samples of answers about one class a point."""
    samples: dict[Role, Sample] = {}
    widths = set()
    for name, outputs in outputs_of.items():
        array = _answered(outputs, kind)
        answers = answers_of_outputs(array, kind, threshold)
        sample = _sample(answers, array, kind, name, own[name])
        scores = _scores(array, kind) if sample.kept is None else _scores(array, kind)[sample.kept]
        samples[name] = replace(sample, losses=_scored_losses(asked, sample, scores, kind))
        widths.add(_width(array, kind))
    if len(widths) > 1:
        raise InvalidSample(
            f"{kind} of the roles have different numbers of classes: {sorted(widths)}"
        )
    most = max(int(max(s.labels.max(initial=0), _answers_max(s))) for s in samples.values()) + 1
    known = widths.pop() or classes or max(most, 2)
    if classes is not None and classes < known:
        raise InvalidSample(f"classes={classes}, but there are {known} {kind} per row")
    if classes is not None and classes < most:
        raise InvalidSample(f"classes={classes}, but a label or prediction is {most - 1}")
    counted = kind == "predicted" and classes is None
    return samples, NoHead(max(known, classes or 0), why, counted)


def _of_labels(
    outputs_of: Mapping[Role, Any],
    kind: str,
    decision: MultiLabel,
    own: Mapping[Role, dict[str, Any]],
    classes: int | None,
    asked: Asked,
) -> tuple[dict[Role, Sample], Asked]:
    """Samples of answers about several labels a point, and what is asked of so many labels."""
    found = {
        name: label_sample(outputs, kind, decision, name, own[name], classes)
        for name, outputs in outputs_of.items()
    }
    labels = max(sample.classes for sample, _ in found.values())
    asked = asked_under(asked, decision, labels, scored=kind != "predicted")
    samples = {}
    for name, (sample, scores) in found.items():
        more = _scored_losses(asked, sample, scores, kind)
        samples[name] = replace(sample, losses={**sample.losses, **more})
    return samples, asked


def _scores(array: Numbers, kind: str) -> Floats:
    """Scores of all classes, (n, C), whose softmax are the shares; no columns for predictions."""
    if kind == "predicted":
        return np.empty((len(array), 0))
    s = array.astype(np.float64).reshape(len(array), -1)
    if s.shape[1] == 1:  # one number decides between two classes
        s = np.column_stack([1.0 - s if kind == "probabilities" else np.zeros_like(s), s])
    if kind == "logits":
        return s
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.maximum(s, np.finfo(np.float64).tiny))


def _scored_losses(
    asked: Asked, sample: Sample, scores: Numbers | None, kind: str
) -> dict[str, Floats]:
    """Losses that read scores, which are not kept."""
    needed = [risk for risk in asked.risks if risk.scored]
    if not needed:
        return {}
    if scores is None or kind == "predicted":
        raise InvalidSample(
            f"{needed[0].name} needs scores of all classes: pass logits= or probabilities= in "
            "place of predicted="
        )
    labels, answers = labels_of(sample), answers_of(sample)
    return {r.name: losses_of_scores(r, labels, answers, scores) for r in needed}


def _answered(outputs: Any, kind: str) -> Numbers:
    array = numbers(outputs, kind)
    if kind == "predicted":
        if array.ndim != 1:
            raise InvalidSample(
                f"predicted are class numbers of shape (n,), found {array.shape}; scores for each "
                "class are logits= or probabilities=, 0 and 1 for each of several labels need "
                "decision=nb.MultiLabel()"
            )
        odd = np.isfinite(array) & ((array != np.floor(array)) | (np.abs(array) >= CLASSES))
        if odd.any():
            raise InvalidSample(
                f"predicted are class numbers 0, 1, ... below {CLASSES}, -1 for none, found such "
                f"as {array[odd][0]}"
            )
        return array
    if array.ndim not in (1, 2) or array.shape[-1] < 1:
        raise InvalidSample(
            f"{kind} need shape (n, C), or (n,) for two classes, found {array.shape}"
        )
    return checked_scores(array, kind)


def _width(array: Numbers, kind: str) -> int:
    """Number of classes that outputs have by their shape; 0 where it does not say."""
    if kind == "predicted":
        return 0
    return max(2, array.shape[1] if array.ndim == 2 else 1)


def _answers_max(sample: Sample) -> int:
    return 0 if sample.answers is None else int(sample.answers.max(initial=0))


def _sample(answers: Ints, outputs: Numbers, kind: str, role: str, own: dict[str, Any]) -> Sample:
    own, hashes = identified(own, answers.shape, kind)
    if hashes is None and kind == "logits" and outputs.ndim == 2 and outputs.shape[1] > 1:
        hashes = point_hashes(outputs) if _fine(outputs) else None
    if hashes is None and own.get("repeats") == "copies":
        raise InvalidSample(
            f"repeats='copies' counts each point once, but {kind} do not say which points are "
            "equal: pass input_hashes="
        )
    return Sample.from_answers(
        answers, own.pop("labels", None), role=role, input_hashes=hashes, **own
    )


def _fine(outputs: Numbers) -> bool:
    """Whether numbers are so fine that equal rows are equal points rather than chance."""
    return outputs.dtype.kind == "f" and outputs.dtype.itemsize >= 4
