"""Things that are found by name: those that are shipped, and those that a user adds."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from ncbounds.errors import NameTaken, UnknownName, suggest

T = TypeVar("T")

_REGISTRIES: "list[Registry[Any]]" = []


class Registry(Generic[T]):
    """Things of one type by name, the shipped ones first.

    Parameters
    ----------
    kind : type
        What is registered; :func:`register` finds the registry by it.
    what : str
        Its name in messages, e.g. ``"bound"``.
    name : callable
        Name of a thing.
    shipped : callable
        Returns what is shipped; called when it is first asked for.
    """

    def __init__(
        self,
        kind: type[T],
        what: str,
        name: Callable[[T], str],
        shipped: Callable[[], Iterable[T]],
    ) -> None:
        self.kind, self.what, self._name, self._load = kind, what, name, shipped
        self._shipped: dict[str, T] | None = None
        self._own: dict[str, T] = {}
        _REGISTRIES.append(self)

    @property
    def shipped(self) -> dict[str, T]:
        """What is shipped, by name."""
        if self._shipped is None:
            self._shipped = {self._name(thing): thing for thing in self._load()}
        return self._shipped

    def add(self, thing: T) -> None:
        """Add a thing of one's own; one of the same name that was added before is replaced.

        Raises
        ------
        NameTaken
            If something shipped has this name.
        """
        name = self._name(thing)
        if name in self.shipped:
            raise NameTaken(f"there is a {self.what} {name!r} already; choose another name")
        self._own[name] = thing

    def find(self, name: str) -> T | None:
        """Return the thing of that name, or None."""
        return self.shipped.get(name) or self._own.get(name)

    def __getitem__(self, name: str) -> T:
        found = self.find(name)
        if found is None:
            known = [*self.shipped, *self._own]
            raise UnknownName(f"no {self.what} {name!r}; {suggest(name, known)}")
        return found

    def __iter__(self) -> Iterator[T]:
        yield from self.shipped.values()
        yield from self._own.values()


def register(*things: Any) -> None:
    """Make a bound, a view, a column, a table format or a reference known in this process.

    A registered bound is found by its id, is part of ``"all"`` (and of ``"default"`` if it says
    so), and its column, references and restatement are used in every table; a view is a file of
    every run folder; a column is in every table of rows; a table format is one that tables can be
    written in; a reference is cited by its key. What was
    registered before under the same name is replaced.

    Raises
    ------
    NameTaken
        If something shipped has this name.
    TypeError
        If a thing is of no type that is registered.
    """
    for thing in things:
        found = next((r for r in _REGISTRIES if isinstance(thing, r.kind)), None)
        if found is None:
            kinds = ", ".join(f"{r.what} ({r.kind.__name__})" for r in _REGISTRIES)
            raise TypeError(f"cannot register a {type(thing).__name__}; needed one of: {kinds}")
        found.add(thing)
