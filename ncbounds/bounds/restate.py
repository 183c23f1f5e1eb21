"""What a row would be at another number of points or another delta: what bounds share."""

from collections.abc import Callable

from ncbounds.results import BoundResult

#: Value of a row at another n and delta, its measured quantities kept.
Restated = Callable[[BoundResult, int, float], float]

CLASS_SUM = "it adds up class bounds, whose numbers of points differ"


class NotExplicit(Exception):
    """A row whose value at another n or delta depends on what would be measured then."""


def errors_at(row: BoundResult, n: int) -> int:
    """Errors among n points at the rate that a row counted, rounded up."""
    if "errors" not in row.details:
        raise NotExplicit(CLASS_SUM)
    return -(-int(row.details["errors"]) * n // row.n)
