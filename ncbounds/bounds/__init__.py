"""The catalogue of bounds, family by family."""

from functools import cache

from ncbounds.bounds.bound import Bound, bound
from ncbounds.bounds.view import Outcome, View
from ncbounds.errors import UnknownName, suggest

__all__ = ["Bound", "Outcome", "View", "bound", "catalogue", "get"]


@cache
def catalogue() -> tuple[Bound, ...]:
    """Return all bounds, family by family, in the order of tables."""
    from ncbounds.bounds import collapse, distribution, holdout, margin, network

    families = (holdout, margin, collapse, distribution, network)
    return tuple(b for family in families for b in family.BOUNDS)


def get(name: str) -> Bound:
    """Return the bound with id ``name``.

    Raises
    ------
    UnknownName
        With the nearest known id.
    """
    known = {b.id: b for b in catalogue()}
    if name not in known:
        raise UnknownName(f"no bound {name!r}; {suggest(name, list(known))}")
    return known[name]
