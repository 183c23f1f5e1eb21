"""Which bounds of the catalogue a word or a list stands for."""

from collections.abc import Iterable

from ncbounds.bounds import catalogue, get
from ncbounds.bounds.bound import Bound
from ncbounds.errors import UnknownName
from ncbounds.evidence.asked import NOTHING, Asked


def select(
    bounds: "str | Iterable[str | Bound] | None" = None, asked: Asked = NOTHING
) -> tuple[Bound, ...]:
    """Return the bounds of a selection.

    Parameters
    ----------
    bounds : str, iterable of str or Bound, or None
        ``None`` or ``"default"``: the bounds that say so themselves; ``"all"``: the catalogue; a
        family's name: that family; otherwise ids (a string may hold several, separated by commas).
    asked : Asked
        What is asked beside the error: bounds that answer it are default ones.

    Raises
    ------
    UnknownName
        With the nearest known id.
    """
    if bounds is None:
        bounds = "default"
    listed = bounds.split(",") if isinstance(bounds, str) else list(bounds)
    names = [name.strip() if isinstance(name, str) else name for name in listed]
    families = {b.family for b in catalogue()}
    chosen: dict[str, Bound] = {}
    for name in names:
        if isinstance(name, Bound):
            found: Iterable[Bound] = [name]
        elif name == "all":
            found = catalogue()
        elif name == "default":
            found = [b for b in catalogue() if b.default or (asked.means and "means" in b.answers)]
        elif name in families:
            found = [b for b in catalogue() if b.family == name]
        else:
            found = [get(name)]
        chosen.update({b.id: b for b in found})
    if not chosen:
        raise UnknownName("no bound was selected; see `ncbounds list`")
    return tuple(chosen.values())
