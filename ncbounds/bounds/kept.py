"""What several rows read of one sample: computed once, kept as long as the sample is."""

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from ncbounds.evidence.sample import Sample

T = TypeVar("T")


class Kept(Generic[T]):
    """One value for each sample, that of the last objects with which it was asked for."""

    def __init__(self) -> None:
        self._values: WeakKeyDictionary[Sample, tuple[tuple[object, ...], T]] = WeakKeyDictionary()

    def get(self, sample: Sample, *others: object, make: Callable[[], T]) -> T:
        """Return the value of ``sample`` with these very ``others``, made if it is not there."""
        found = self._values.get(sample)
        if found is None or any(a is not b for a, b in zip(found[0], others, strict=True)):
            found = (others, make())
            self._values[sample] = found
        return found[1]
