"""What a network was trained with, as it is declared."""

from typing import NamedTuple

from ncbounds.errors import InvalidArgument, UnknownName, shown, suggest

#: Losses that can be declared. Label smoothing is cross-entropy with its share behind a colon.
DECLARABLE = ("cross-entropy", "label-smoothing:0.1", "pick-all-label", "binary", "mse")
#: What is assumed of a network of which nothing is declared.
ASSUMED = "cross-entropy"


class Loss(NamedTuple):
    """A loss by name, and the share of label smoothing (of the cross-entropy alone)."""

    name: str
    smoothing: float = 0.0

    def __str__(self) -> str:
        more = f" with label smoothing {self.smoothing:g}" if self.smoothing else ""
        return self.name + more


def declared_loss(text: str) -> Loss:
    """Read a declared loss: ``"mse"``, ``"label-smoothing:0.1"``; ``_`` does for ``-``.

    Raises
    ------
    UnknownName
        For a loss that is not one of :data:`DECLARABLE`.
    InvalidArgument
        If the share of label smoothing is no number in [0, 1).
    """
    if not isinstance(text, str):
        raise InvalidArgument(f"a loss is a name such as {ASSUMED!r}, found {shown(repr(text))}")
    name, colon, number = text.strip().replace("_", "-").partition(":")
    if name == "label-smoothing":
        return Loss("cross-entropy", _share(number, text))
    if name not in DECLARABLE or colon:
        raise UnknownName(f"no loss {shown(text)!r}; {suggest(text, list(DECLARABLE))}")
    return Loss(name)


def _share(number: str, text: str) -> float:
    try:
        share = float(number)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise InvalidArgument(
            f"label smoothing has a share in [0, 1) behind a colon, as in 'label-smoothing:0.1'; "
            f"found {shown(text)!r}"
        )
    return share
