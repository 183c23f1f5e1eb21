"""What a network was trained with, as it is declared."""

from typing import NamedTuple

from ncbounds.errors import InvalidArgument, UnknownName, shown, suggest
from ncbounds.evidence.decision import Decision, MultiLabel

#: Losses that can be declared; a number that one needs stands behind a colon.
DECLARABLE = (
    *("cross-entropy", "label-smoothing:0.1", "focal:2"),
    *("pick-all-label", "binary", "mse"),
)
#: Largest exponent of a focal loss.
LARGEST_GAMMA = 100.0
#: What is assumed of a network of which nothing is declared: of one class a point, of several
#: labels, and of labels that are only ranked.
ASSUMED, ASSUMED_OF_LABELS, ASSUMED_OF_RANKS = "cross-entropy", "binary", "pick-all-label"


class Loss(NamedTuple):
    """A loss by name; the share of label smoothing of cross-entropy, the exponent of focal."""

    name: str
    smoothing: float = 0.0
    gamma: float = 0.0

    def __str__(self) -> str:
        if self.name == "focal":
            return f"focal with gamma {self.gamma:g}"
        more = f" with label smoothing {self.smoothing:g}" if self.smoothing else ""
        return self.name + more


def declared_loss(text: str) -> Loss:
    """Read a declared loss: ``"mse"``, ``"label-smoothing:0.1"``, ``"focal:2"``; ``_`` is ``-``.

    Raises
    ------
    UnknownName
        For a loss that is not one of :data:`DECLARABLE`.
    InvalidArgument
        If the share of label smoothing is no number in [0, 1), or the exponent of focal none from
        0 to :data:`LARGEST_GAMMA`.
    """
    if not isinstance(text, str):
        raise InvalidArgument(f"a loss is a name such as {ASSUMED!r}, found {shown(repr(text))}")
    name, colon, number = text.strip().replace("_", "-").partition(":")
    if name == "label-smoothing":
        share = _number(number)
        if not 0 <= share < 1:
            raise InvalidArgument(
                "label smoothing has a share in [0, 1) behind a colon, as in "
                f"'label-smoothing:0.1'; found {shown(text)!r}"
            )
        return Loss("cross-entropy", smoothing=share)
    if name == "focal":
        gamma = _number(number)
        if not 0 <= gamma <= LARGEST_GAMMA:
            raise InvalidArgument(
                "focal has its exponent gamma behind a colon, as in 'focal:2', since a loss means "
                f"nothing without it: a number from 0 to {LARGEST_GAMMA:g}; found {shown(text)!r}"
            )
        return Loss("focal", gamma=gamma)
    if name not in DECLARABLE or colon:
        raise UnknownName(f"no loss {shown(text)!r}; {suggest(text, list(DECLARABLE))}")
    return Loss(name)


def assumed_loss(decision: Decision) -> str:
    """Name of the loss that is assumed of a network of which none is declared."""
    if not decision.several:
        return ASSUMED
    ranked = isinstance(decision, MultiLabel) and decision.ranked
    return ASSUMED_OF_RANKS if ranked else ASSUMED_OF_LABELS


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
