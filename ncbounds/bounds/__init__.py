"""The catalogue of bounds, family by family, and those of one's own."""

from ncbounds.bounds.bound import Bound, bound
from ncbounds.bounds.column import ScreenColumn
from ncbounds.bounds.references import Reference
from ncbounds.bounds.restate import NotExplicit
from ncbounds.bounds.view import Outcome, View
from ncbounds.registry import Registry

__all__ = [
    "Bound",
    "NotExplicit",
    "Outcome",
    "Reference",
    "ScreenColumn",
    "View",
    "bound",
    "catalogue",
    "find",
    "get",
]


def _shipped() -> tuple[Bound, ...]:
    from ncbounds.bounds import collapse, distribution, holdout, margin, network

    families = (holdout, margin, collapse, distribution, network)
    return tuple(b for family in families for b in family.BOUNDS)


_BOUNDS: Registry[Bound] = Registry(Bound, "bound", lambda b: b.id, _shipped)


def catalogue() -> tuple[Bound, ...]:
    """Return all bounds in the order of tables: family by family, then registered ones."""
    return tuple(_BOUNDS)


def find(name: str) -> Bound | None:
    """Return the bound with id ``name``, or None if it is not known in this process."""
    return _BOUNDS.find(name)


def get(name: str) -> Bound:
    """Return the bound with id ``name``.

    Raises
    ------
    UnknownName
        With the nearest known id.
    """
    return _BOUNDS[name]
