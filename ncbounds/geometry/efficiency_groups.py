"""Points of equal target as one group: what the efficiency of a checkpoint is computed from."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ncbounds.arrays import Bools, Floats, Ints
from ncbounds.errors import InvalidSample
from ncbounds.evidence.head import LinearHead
from ncbounds.evidence.sample import Sample
from ncbounds.geometry import label_sets
from ncbounds.geometry.fenchel import BINARY, SOFTMAX, SQUARED, Fenchel
from ncbounds.geometry.free_features import Task
from ncbounds.geometry.label_sets import distinct_sets, means_of_groups

#: What proves limits of the losses, by the names under which these are declared.
LOSSES: dict[str, Fenchel] = {
    "cross-entropy": SOFTMAX,
    "focal": SOFTMAX,  # by way of the cross-entropy that it allows
    "pick-all-label": SOFTMAX,
    "binary": BINARY,
    "mse": SQUARED,
}
#: Those that take sets of labels.
OF_SETS = ("pick-all-label", "binary")
#: Arrays of the size of all logits that are held at once.
SOLVER = 8
_BLOCK = 4096


class Groups(NamedTuple):
    """Rows of equal target: the task, the group of each row, and what moments of it are read.

    Attributes
    ----------
    task : Task
    group : integer array of shape (n,)
    means : array of shape (T, d)
        Means of the features of each group.
    scatter : float
        Sum over all rows of the squared distance to the mean of their group.
    """

    task: Task
    group: Ints
    means: Floats
    scatter: float

    @property
    def centre(self) -> Floats:
        """Mean of all features, shape (d,)."""
        base = self.means[0]  # averaging differences keeps the digits that a sum would lose
        return np.asarray(base + self.task.share @ (self.means - base))


def targets_of(sample: Sample, head: LinearHead, loss: str, targets: object | None) -> Bools | None:
    """Sets of labels as booleans (n, C), or None where each point has one label."""
    targets = sample.indicators if targets is None else targets
    if targets is None:
        highest = int(sample.labels.max())
        if highest >= head.classes:
            raise InvalidSample(
                f"a label is {highest}, the head has outputs 0..{head.classes - 1}; take the rows "
                "whose label has an output (sample.take)"
            )
        return None
    sets = np.asarray(targets)
    if loss not in OF_SETS:
        needed = " or ".join(f"loss={name!r}" for name in OF_SETS)
        raise InvalidSample(f"sets of labels go with {needed}, found loss={loss!r}")
    if sets.shape != (sample.n, head.classes) or not np.isin(sets, (0, 1)).all():
        raise InvalidSample(
            f"targets need to be 0 or 1 of shape ({sample.n}, {head.classes}), found shape "
            f"{sets.shape} of {sets.dtype}"
        )
    if loss == "pick-all-label" and (empty := int((~sets.any(axis=1)).sum())):
        raise InvalidSample(
            f"a point has no label, as {empty} of {sample.n} here, which pick-all-label cannot "
            "learn from; leave such rows out (sample.take) or use loss='binary'"
        )
    return sets.astype(np.bool_)


def grouped(
    sample: Sample, head: LinearHead, loss: Fenchel, sets: Bools | None, smoothing: float
) -> Groups:
    """Group the rows by class, or by set of labels; classes without rows have no group.

    Raises
    ------
    InvalidSample
        If there are more distinct sets than arrays may be made for.
    """
    if sets is None:
        moments = sample.moments
        here, group = np.unique(sample.labels, return_inverse=True)
        member, counts = np.eye(head.classes)[here], moments.count[here]
        means, scatter = moments.mean[here], float(moments.trace[here].sum())
    else:
        distinct, group = distinct_sets(sets)
        _check_size(distinct, sample.dim)
        counts, means, scatter = means_of_groups(sample.features, group, len(distinct))
        member = distinct.astype(np.float64)
    factor = np.ones(len(member))
    if loss is SOFTMAX:
        factor = member.sum(axis=1)
        member = (1 - smoothing) * member / factor[:, None] + smoothing / head.classes
    task = Task(loss, member, factor, counts.astype(np.float64), bias=head.has_bias)
    return Groups(task, group.astype(np.int64), means, scatter)


def _check_size(sets: Bools, dim: int) -> None:
    groups, outputs = sets.shape
    if groups * (dim + SOLVER * outputs) > label_sets.LARGEST:
        raise InvalidSample(
            f"{groups} distinct sets of {outputs} labels with {dim} features are too many to be "
            f"solved for; needed: sets x (features + {SOLVER} outputs) of at most "
            f"{label_sets.LARGEST}, as a part of the rows has (sample.take)"
        )


def loss_and_response(
    sample: Sample,
    head: LinearHead,
    groups: Groups,
    small: Task,
    of_point: Callable[[Floats], Floats] | None = None,
) -> tuple[float, Floats]:
    """Mean loss of all points, and the group means of their responses on the outputs kept.

    ``of_point`` makes the loss of a point from the one that the groups' tangents belong to.
    """
    task, kept = groups.task, groups.task.unsettled
    logits = sample.logit_rows(head)
    total = 0.0
    response = np.zeros_like(small.target)
    with np.errstate(invalid="ignore", over="ignore"):
        for i in range(0, sample.n, _BLOCK):
            s, group = logits[i : i + _BLOCK], groups.group[i : i + _BLOCK]
            value, u = task.loss.tangent(s, task.target[group])
            total += float(task.factor[group] @ (of_point(value) if of_point else value))
            if not kept.all():
                _, u = task.loss.tangent(s[:, kept], small.target[group])
            response += _sums(u, group, len(response))
    return total / sample.n, response / task.count[:, None]


def _sums(u: Floats, group: Ints, groups: int) -> Floats:
    order = np.argsort(group, kind="stable")
    firsts = np.flatnonzero(np.diff(group[order], prepend=-1))
    out = np.zeros((groups, u.shape[1]))
    out[group[order][firsts]] = np.add.reduceat(u[order], firsts, axis=0)
    return out
