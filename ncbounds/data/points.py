"""What each role of a checkpoint holds, whatever its data were declared as."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Ints
from ncbounds.data.manifest import Entry, Task, entry_rows
from ncbounds.data.task import task_arrays
from ncbounds.data.user import UserData, user_samples
from ncbounds.evidence.roles import Role


class Points(NamedTuple):
    """Points of one role.

    ``loader`` is a pair of arrays (n, ...), (n,) or an iterable of batches; ``rows`` and ``groups``
    (n,) are their numbers in a task's file, ``images`` (n, height, width) the 8-bit images that
    inputs were made of, if a code word reads them: None where there are none.
    """

    loader: Any
    rows: Ints | None = None
    groups: Any = None
    images: NDArray[np.uint8] | None = None


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
        for role, rows in entry_rows(entry, arrays.labels).items()
    }


def own_points(value: Any) -> Points:
    """A person's loader or pair of arrays, or a triple whose third array numbers groups."""
    if isinstance(value, tuple) and len(value) == 3 and hasattr(value[2], "shape"):
        return Points(value[:2], groups=value[2])
    return Points(value)
