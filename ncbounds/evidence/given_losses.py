"""Evidence from losses in [0, 1]: whatever is judged point by point has a mean that is bounded."""

from collections.abc import Mapping
from typing import Any

from ncbounds.arrays import plain_array
from ncbounds.errors import InvalidSample
from ncbounds.evidence.asked import Asked
from ncbounds.evidence.by_role import by_role, declared_of, identified
from ncbounds.evidence.head import NoHead
from ncbounds.evidence.indicators import several
from ncbounds.evidence.risks import Given
from ncbounds.evidence.roles import Role
from ncbounds.evidence.sample import Sample

#: Why no head is known of what losses were given.
GIVEN = "only losses were given"


def loss_parts(
    losses: Any,
    *,
    role: str | None = None,
    labels: Any = None,
    name: str = "loss",
    ids: Any = None,
    input_hashes: Any = None,
    checkpoint: str = "",
    provenance: Mapping[str, Any] | None = None,
    **declared: Any,
) -> tuple[dict[Role, Sample], dict[str, Any]]:
    """Samples by role, and the other arguments of an ``Evidence``, of losses.

    Parameters
    ----------
    losses : array-like of n numbers in [0, 1], or mapping from role to it
        Truth values (booleans) can only be 0 or 1, and have the exact limit of a count.
    role : {"fit", "head", "holdout", "unlabelled", "test"}
        What the rows were used for; left out where a mapping names the roles.
    labels : array-like of n integers, or mapping from role to it, optional
        Classes or strata: the weights of a stratified sample are their shares.
    name : str
        What rows call the loss.
    ids, input_hashes, checkpoint, provenance, **declared
        As for predictions: see :func:`ncbounds.evidence.predictions.predicted_parts`.

    Raises
    ------
    InvalidSample
        If a loss is no number in [0, 1], or some roles have truth values and others numbers.
    RoleError, OverlapError
        If a role is unknown, also of a declaration, or one row has two.
    """
    found = by_role("losses", losses, role)
    own = declared_of(
        found, {**declared, "labels": labels, "ids": ids, "input_hashes": input_hashes}
    )
    samples, truth = {}, set()
    for which, values in found.items():
        array = plain_array(values, "losses")
        truth.add(array.dtype.kind == "b")
        more, hashes = identified(own[which], array.shape, "losses")
        if hashes is None and more.get("repeats") == "copies":
            raise InvalidSample(
                "repeats='copies' counts each point once, but losses do not say which points are "
                "equal: pass input_hashes="
            )
        if (strata := more.get("labels")) is not None and several(strata):
            raise InvalidSample(
                "labels= of losses are classes or strata, one a row; what was answered about "
                "several labels goes to Evidence.from_predictions(..., decision=nb.MultiLabel())"
            )
        samples[which] = Sample.from_losses(
            {name: array}, more.pop("labels", None), role=which, input_hashes=hashes, **more
        )
    if len(truth) > 1:
        raise InvalidSample("losses of some roles are truth values, those of others numbers")
    head = NoHead(max(s.classes for s in samples.values()), GIVEN, predicts=False)
    return samples, {
        "head": head,
        "asked": Asked(risks=(Given(name, truth.pop()),)),
        "checkpoint": checkpoint,
        "provenance": dict(provenance or {}),
    }
