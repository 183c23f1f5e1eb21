"""What a network predicts, where no linear head of it is known."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Bools, Floats
from ncbounds.evidence.answers import answers_of_outputs
from ncbounds.evidence.decision import Decision, MultiClass, MultiLabel
from ncbounds.evidence.draw import Draw
from ncbounds.evidence.indicators import Given
from ncbounds.evidence.sample import Sample
from ncbounds.extraction.extract import extract

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier

#: Leads of so many unit roundoffs of the outputs may be rounding, and count as ties.
ROUNDOFFS = 16
#: What is decided unless something else is said.
ONE_CLASS = MultiClass()


def predict(
    classifier: "Classifier",
    loader: Any,
    role: str | Draw,
    store: str | os.PathLike[str] | None = None,
    *,
    classes: int | None = None,
    key_parts: Mapping[str, Any] | None = None,
    batch_size: int | str | None = None,
    ignore_label: int | None = None,
    decision: Decision = ONE_CLASS,
    **declared: Any,
) -> Sample:
    """Run a network once over the data and return what it predicts, as a sample without features.

    It is enough to count errors, for networks whose logits are no linear head on features. The
    network passes the checks that it passes with a head: built twice it is the same, and each row
    gives its own logits in any company. The largest logit is the answer (of one logit, whether it
    is above 0); a tie, also one that a last softmax or sigmoid makes, a lead of at most 16 unit
    roundoffs of the size of the logits, and a value that is not finite are no answer, which counts
    as an error.

    Parameters
    ----------
    classifier : Classifier
    loader, role, store, key_parts, batch_size, ignore_label, **declared
        See :func:`extract`.
    classes : int, optional
        Number of classes, where the data may lack the last ones; counted among labels by default.
    decision : Decision
        ``MultiLabel(...)`` where rows have several labels, whose thresholds are of the logits.

    Returns
    -------
    Sample
        For ``Evidence(head=NoHead(classes, why), ...)``.

    Raises
    ------
    HeadNotFound
        If the network is no fixed function of each row, or what it returns may be features: as many
        numbers as there are classes, a name such as ``logits``, or probabilities are needed.
    DataError, StoreError
        As :func:`extract` does.
    """
    alone = classifier if classifier.predicts else classifier.predicting()
    sample = extract(
        alone,
        loader,
        role,
        store,
        key_parts=key_parts,
        batch_size=batch_size,
        ignore_label=ignore_label,
        **declared,
    )
    check_classes(alone, sample.dim, sample.classes if classes is None else classes)
    return answered(alone, sample, decision)


def check_classes(classifier: "Classifier", width: int, classes: int) -> None:
    """Raise HeadNotFound if what a network returns may be features rather than logits."""
    from ncbounds.checkpoints.head.alone import check_width

    if classifier.found is not None:
        check_width(classifier.found, width, classes)


def answered(classifier: "Classifier", sample: Sample, decision: Decision = ONE_CLASS) -> Sample:
    """Return a sample whose features are logits as one of predictions only."""
    logits = np.asarray(sample.features)
    near = _rounding(classifier, logits)
    if isinstance(decision, MultiLabel) and not decision.ranked:
        answers: NDArray[Any] = _beyond(logits, decision.thresholds(logits.shape[1]), near)
    else:
        answers = answers_of_outputs(logits, "logits", near=near)
        answers = np.where(_saturated(classifier, logits), -1, answers)
    empty = np.empty((sample.n, 0))
    return replace(sample, features=empty, answers=answers, module_disagreements=None)


def _beyond(logits: Any, thresholds: Floats, near: Floats) -> Given:
    """Labels (n, L) whose logit exceeds its threshold (1) or not (0); -1 within what rounding does.

    A row with a logit that is not finite has no answer.
    """
    with np.errstate(invalid="ignore"):
        lead = logits.astype(np.float64) - thresholds
        sure = (np.abs(lead) > near[:, None]) & np.isfinite(logits).all(axis=1, keepdims=True)
    return np.where(sure, lead > 0, -1).astype(np.int8)


def _saturated(classifier: "Classifier", logits: Any) -> Bools:
    """Rows, shape (n,), that a last softmax or sigmoid makes a tie, such as (1, 1) of (20, 30)."""
    from torch import from_numpy

    from ncbounds.checkpoints.head.monotone import BY_NAME

    found = classifier.found
    if found is None or not found.through:
        return np.zeros(len(logits), dtype=np.bool_)
    of = logits[:, 1:] if found.binary else logits
    returned = BY_NAME[found.through](from_numpy(np.array(of))).numpy()
    tied: Bools = answers_of_outputs(returned, "probabilities") < 0
    return tied


def _rounding(classifier: "Classifier", logits: Any) -> Floats:
    """Leads that rounding may have made, shape (n,), at the size of the row or of most rows."""
    largest = np.maximum(logits.max(axis=1), -logits.min(axis=1)).astype(np.float64)
    sizes = np.where(np.isfinite(largest), largest, 0.0)
    common = float(np.median(sizes)) if len(sizes) else 0.0
    found: Floats = ROUNDOFFS * classifier.roundoff * np.maximum(sizes, common)
    return found
