"""A network of which no linear head is known: what it returns says what it predicts."""

from collections.abc import Callable

import torch
from torch import Tensor

from ncbounds.checkpoints.head.head import HeadReport
from ncbounds.checkpoints.head.outputs import Output, says_logits
from ncbounds.checkpoints.head.reading import OUTPUTS, FoundHead
from ncbounds.errors import HeadNotFound

NAME = "none: predictions only"
#: What is said where the numbers before a last softmax or sigmoid are taken for the logits.
ORDER = "what the last {} is taken of stands for the logits: it keeps their order"


def outputs_alone(output: Output, logits: Tensor, asked: bool) -> tuple[FoundHead, HeadReport]:
    """Return what stands in place of a head where predictions are all that is wanted.

    Parameters
    ----------
    output : Output
        As the network returned it.
    logits : Tensor of shape (n, C)
        The same, or what a last softmax or sigmoid was taken of.
    asked : bool
        Whether the output was named by the user.
    """
    empty = torch.empty(logits.shape[1], 0, dtype=torch.float64)
    named = asked or says_logits(output.name) or _probabilities(output.value)
    found = FoundHead(NAME, OUTPUTS, empty, empty.sum(1), False, expected=0, named=named)
    report = HeadReport(NAME, OUTPUTS, 0.0, 0.0, 0, ())
    return found, report


def check_two_classes(classes: Callable[[], int | None] | None) -> None:
    """Raise HeadNotFound if one number per row is to decide between more than two classes."""
    known = None if classes is None else classes()
    if known is not None and known > 2:
        raise HeadNotFound(
            f"the model returns one number per row, and the data have {known} classes; needed is "
            "one logit for each"
        )


def check_one_number(value: Tensor) -> None:
    """Refuse one number per row where it is not known what decides.

    Raises
    ------
    HeadNotFound
        If all lie on one side of 0 without a sigmoid that is seen: they may be probabilities, their
        logarithms or distances, which 0 does not divide.
    """
    finite = value[torch.isfinite(value)]
    if len(finite) and bool((finite >= 0).all() or (finite <= 0).all()):
        where = "between 0 and 1" if bool(((finite >= 0) & (finite <= 1)).all()) else "of one sign"
        raise HeadNotFound(
            f"the model returns one number per row, all of them {where}: a probability p "
            "decides at 1/2, a logit z at 0. Say which: return torch.stack([1 - p, p], 1), or "
            "torch.stack([0 * z, z], 1), with p or z of shape (n,)"
        )


def check_width(found: FoundHead, width: int, classes: int) -> None:
    """Refuse outputs that may be features: not named, no probabilities, not one for each class.

    Raises
    ------
    HeadNotFound
        Saying how to name them.
    """
    if found.named or found.binary or width == classes:
        return
    raise HeadNotFound(
        f"no linear head was found, and the model returns {width} numbers per row where the labels "
        f"name {classes} classes: they may be features. If they are the logits, return them by "
        "that name: {'logits': z}, or say that there are more classes than the data show "
        f"(classes={width} of nb.predict)"
    )


def _probabilities(value: Tensor) -> bool:
    finite = value[torch.isfinite(value).all(1)].double()
    sums = (finite.sum(1) - 1).abs() < 1e-2
    return len(finite) > 0 and value.shape[1] > 1 and bool((finite >= 0).all() and sums.all())
