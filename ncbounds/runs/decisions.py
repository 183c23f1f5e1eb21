"""What the rows of a checkpoint decide: one class, or several labels, as data and files say it."""

from collections.abc import Mapping
from math import log, log1p
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ncbounds.checkpoints.head.passes import SEVERAL_LABELS
from ncbounds.data.manifest import Entry, Task
from ncbounds.errors import DataError, HeadNotFound
from ncbounds.evidence.decision import Decision, MultiClass, MultiLabel
from ncbounds.evidence.roles import Role
from ncbounds.evidence.sample import Sample

if TYPE_CHECKING:
    from ncbounds.checkpoints.head.classifier import Classifier

#: What makes 0 and 1 a label of class numbers, for messages.
HOW_TO = (
    "labels of shape (n, L), 1 where a row has the label and 0 where not, in the order of the "
    "network's outputs"
)


Thresholds = float | tuple[float, ...] | None


class Decided(NamedTuple):
    """A decision, and what has to be said of it."""

    decision: Decision
    remarks: tuple[str, ...] = ()


def decision_of(
    entry: Entry,
    task: Task,
    config: Any,
    classifier: "Classifier",
    samples: Mapping[Role, Sample],
    names: tuple[str, ...],
) -> Decided:
    """Return the decision of a checkpoint on the rows of a task.

    Parameters
    ----------
    entry : Entry
    task : Task
    config : object
        Configuration that came with the weights, if any.
    classifier : Classifier
        After it has run.
    samples : mapping from role to Sample
    names : tuple of str
        Of the classes or labels.

    Raises
    ------
    DataError
        If labels, the declared decision and the configuration contradict each other, or it is not
        clear which is meant; the message says what to type.
    HeadNotFound
        If thresholds are asked of logits that only compare labels with each other.
    """
    says = config.get("problem_type") if isinstance(config, Mapping) else None
    configured = says == SEVERAL_LABELS
    t, p = entry.thresholds, entry.probability_thresholds
    said: tuple[str, ...] = ()
    if _several(task.decision, configured, samples) and not entry.ranked:
        t, p, said = _of_network(t, p, classifier, samples)
    decision = decision_on(
        task.decision,
        samples,
        thresholds=t,
        probability_thresholds=p,
        ranked=entry.ranked,
        names=names,
        configured=configured,
    )
    return Decided(decision, said)


def decision_on(
    declared: str | None,
    samples: Mapping[Role, Sample],
    *,
    thresholds: Thresholds = None,
    probability_thresholds: Thresholds = None,
    ranked: bool = False,
    names: tuple[str, ...] = (),
    configured: bool = False,
) -> Decision:
    """Return the decision on samples whose logits are known.

    Parameters
    ----------
    declared : {"multi-class", "multi-label"} or None
    samples : mapping from role to Sample
    thresholds, probability_thresholds : float or tuple of float, optional
        Of several labels.
    ranked : bool
        Whether there are none.
    names : tuple of str
    configured : bool
        Whether the network was made for several labels, by its own configuration.

    Raises
    ------
    DataError
        As :func:`decision_of` does.
    """
    if not _several(declared, configured, samples):
        if ranked or thresholds is not None or probability_thresholds is not None:
            raise DataError(
                "thresholds, and ranked, are of rows with several labels, and these have one each; "
                f"leave them out, or pass {HOW_TO}"
            )
        return MultiClass(names)
    p = probability_thresholds
    if p is not None:
        thresholds = tuple(map(_logit, p)) if isinstance(p, tuple) else _logit(p)
    return MultiLabel(names, thresholds, ranked)


def _several(declared: str | None, configured: bool, samples: Mapping[Role, Sample]) -> bool:
    """Whether rows have several labels."""
    sets = [s.indicators for s in samples.values() if s.indicators is not None]
    labelled = [s for s in samples.values() if (s.labels >= 0).any()]
    if sets and labelled:
        raise DataError(
            "some samples have one label a row and others several; give all of them one form"
        )
    if sets and declared == "multi-class":
        raise DataError(
            f"labels have shape (n, {sets[0].shape[1]}), several a row, and the decision is "
            "multi-class: type --decision multi-label (decision = 'multi-label' of the task in "
            "zoo.toml), or pass class numbers, labels.argmax(axis=1), if each row has exactly one"
        )
    if labelled and declared == "multi-label":
        raise DataError(
            f"the decision is multi-label, and labels are one number a row; pass {HOW_TO}, or "
            "type --decision multi-class"
        )
    if labelled and configured and declared is None:
        raise DataError(
            "the model's config.json says that a row may have several labels "
            f"(problem_type {SEVERAL_LABELS!r}), and labels are one number a row: pass {HOW_TO}, "
            "or type --decision multi-class, which takes the largest logit for the answer"
        )
    one_hot = bool(sets) and all((y.sum(axis=1) == 1).all() for y in sets)
    if one_hot and declared is None and not configured:
        raise DataError(
            f"labels have shape (n, {sets[0].shape[1]}) and exactly one 1 in every row: if a row "
            "always has one class, pass class numbers, labels.argmax(axis=1); if it may have "
            "several labels, type --decision multi-label (decision = 'multi-label' of the task)"
        )
    return bool(sets) or (declared == "multi-label" and not labelled)


def _of_network(
    t: Thresholds, p: Thresholds, classifier: "Classifier", samples: Mapping[Role, Sample]
) -> tuple[Thresholds, Thresholds, tuple[str, ...]]:
    """Thresholds of logits, and of probabilities, of a network, and what is said of them."""
    found = classifier.found
    if found is not None and (found.centred or "softmax" in found.through):
        raise HeadNotFound(
            "the network ends with a softmax, which compares labels with each other, so that no "
            "threshold on a logit decides about a label; of a network that ranks labels type "
            "--ranked (ranked = true of the checkpoint in zoo.toml)"
        )
    sigmoid = found is not None and found.through == "sigmoid"
    if classifier.predicts and not sigmoid and _between_0_and_1(samples):
        if t is None and p is None:
            raise DataError(
                "no linear head was found, and the network returns numbers between 0 and 1 that no "
                "sigmoid is seen to make: say what decides about a label, "
                "--probability-threshold 0.5 if they are probabilities, or --threshold"
            )
        return (t if p is None else p), None, ()
    if t is not None and sigmoid:
        return t, p, ("thresholds are of the logits, before the sigmoid that ends the network",)
    return t, p, ()


def _between_0_and_1(samples: Mapping[Role, Sample]) -> bool:
    """Whether all finite numbers of a network without a head are between 0 and 1."""
    for sample in samples.values():
        x = np.asarray(sample.features)
        x = x[np.isfinite(x)]
        if ((x < 0) | (x > 1)).any():
            return False
    return True


def _logit(p: float) -> float:
    return log(p) - log1p(-p)
