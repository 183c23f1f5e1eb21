"""What a training loop wrote down: losses, learning rates and other numbers by step, as CSV."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ncbounds.arrays import Floats
from ncbounds.budgets import LOG_BYTES
from ncbounds.data.unpacking import said
from ncbounds.errors import DataError, few, shown
from ncbounds.files import read_bounded

#: Columns that may count the steps.
COUNTERS = ("step", "epoch")


@dataclass(frozen=True, eq=False)
class RunLog:
    """Numbers of a run by step; columns of words are left out.

    Attributes
    ----------
    columns : mapping from str to array of shape (n,)
        One of :data:`COUNTERS` at least; nan where a line has no number.
    """

    columns: Mapping[str, Floats]

    def at(
        self, steps: Mapping[str, float], last: Iterable[str] = ()
    ) -> dict[str, dict[str, float]]:
        """Numbers at the steps of checkpoints.

        Parameters
        ----------
        steps : mapping from name to float
            Steps of checkpoints, in the unit of a column ``step`` or ``epoch``: of two such columns
            that is taken which has more of them.
        last : iterable of str
            Checkpoints without a step that are the run's last one: they have the last numbers.

        Returns
        -------
        dict from name to dict
            Of a step that stands in several lines the last number of each column; checkpoints whose
            step is in no line are left out.
        """
        counters = [c for c in COUNTERS if c in self.columns]
        of = max(counters, key=lambda c: int(np.isin([*steps.values()], self.columns[c]).sum()))
        counted = self.columns[of]
        wanted = {name: float(step) for name, step in steps.items() if step in counted}
        if wanted or not steps:
            wanted |= dict.fromkeys(last, float(np.nanmax(counted)))
        others = {c: x for c, x in self.columns.items() if c != of}
        return {name: _numbers(others, counted == step) for name, step in wanted.items()}


def _numbers(columns: Mapping[str, Floats], lines: np.ndarray) -> dict[str, float]:
    """The last finite number of each column in some lines; columns without one are left out."""
    found = {name: x[lines & np.isfinite(x)] for name, x in columns.items()}
    return {name: float(x[-1]) for name, x in found.items() if len(x)}


def read_log(path: Path) -> RunLog:
    """Read a CSV file with a column ``step`` or ``epoch`` and any other numbers.

    Raises
    ------
    DataError
        If it cannot be read, or has no such column.
    """
    import pandas as pd

    try:
        table = pd.read_csv(io.BytesIO(read_bounded(path, LOG_BYTES)), skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise DataError(f"log {path} cannot be read: {shown(said(error))}") from None
    table.columns = [str(name).strip() for name in table.columns]
    numbers = table.select_dtypes(include="number")
    columns = {
        str(name): numbers[name].to_numpy(dtype=np.float64)
        for name in numbers
        if not str(name).startswith("Unnamed: ")  # the index that pandas writes
    }
    counted = [c for c in COUNTERS if c in columns and np.isfinite(columns[c]).any()]
    if not counted:
        raise DataError(
            f"log {path} has no column of numbers called step (or epoch), which says where its "
            f"other numbers belong; found {few(map(repr, table.columns)) or 'nothing'}"
        )
    return RunLog(columns)
