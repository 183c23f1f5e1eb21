"""What each role of a checkpoint holds, whatever its data were declared as."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Ints
from ncbounds.data.batched import LABELS
from ncbounds.data.given import UserData, user_samples
from ncbounds.data.manifest import Entry, Task, entry_rows
from ncbounds.data.task import task_arrays
from ncbounds.evidence.roles import Role

#: How many data sets may stand around one another where the names of classes are looked for.
DEEPEST = 8


class Points(NamedTuple):
    """Points of one role.

    ``loader`` is a pair of arrays (n, ...), (n,) or an iterable of batches; ``rows`` and ``groups``
    (n,) are their numbers in a task's file, ``images`` (n, height, width) the 8-bit images that
    inputs were made of, if a code word reads them: None where there are none. ``classes`` are the
    names that the data set has for its classes, in the order of their numbers.
    """

    loader: Any
    rows: Ints | None = None
    groups: Any = None
    images: NDArray[np.uint8] | None = None
    classes: tuple[str, ...] = ()


def entry_points(entry: Entry, task: Task) -> dict[Role, Points]:
    """Points of each role of a checkpoint.

    Raises
    ------
    NcboundsError
        If the data cannot be read, or rows do not fit them.
    """
    if isinstance(task.data, UserData):
        return {role: own_points(value) for role, value in user_samples(task.data).items()}
    arrays = task_arrays(task)
    images = None if entry.code_word is None else arrays.images
    return {
        role: Points(
            (arrays.inputs[rows], arrays.labels[rows]),
            rows,
            None if arrays.groups is None else arrays.groups[rows],
            None if images is None else images[rows],
        )
        for role, rows in entry_rows(entry, arrays.labels, arrays.kept).items()
    }


def own_points(value: Any) -> Points:
    """A person's loader or pair of arrays, or a triple whose third array numbers groups."""
    if isinstance(value, tuple) and len(value) == 3 and hasattr(value[2], "shape"):
        return Points(value[:2], groups=value[2])
    return Points(value, classes=_class_names(value))


def _class_names(loader: Any) -> tuple[str, ...]:
    """Names of the classes of the data set in a loader, as an ImageFolder has them.

    They are decoration: what is not a name for each number is passed over, and so are names beside
    a ``target_transform``, which may number the classes anew.
    """
    dataset = loader
    for _ in range(DEEPEST):  # a loader, a subset of a subset, ...
        dataset = getattr(dataset, "dataset", dataset)
    if getattr(dataset, "target_transform", None) is not None:
        return ()
    numbers = getattr(dataset, "class_to_idx", None)
    names = getattr(dataset, "classes", None)
    features = getattr(dataset, "features", None)  # of the library datasets
    if isinstance(features, Mapping):
        names = next((_names_of(features[n]) for n in LABELS if n in features), None)
    if isinstance(numbers, Mapping):
        if set(numbers.values()) != set(range(len(numbers))):
            return ()
        names = sorted(numbers, key=numbers.__getitem__)
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
        return ()
    return tuple(names)


def _names_of(feature: Any) -> Any:
    """Names of a column of the library datasets, of one class or of a list of labels."""
    return getattr(feature, "names", getattr(getattr(feature, "feature", None), "names", None))
