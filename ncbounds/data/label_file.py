"""A file of labels that grows: rows in the order in which they are labelled."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.arrays import Bools
from ncbounds.data.label_sets import is_list, written_list
from ncbounds.data.prediction_file import NAMES, TABLES, read_frame
from ncbounds.errors import DataError, few, shown

#: A column that says whether the classifier errs, in place of a label and a prediction.
WRONG = ("wrong", "error", "errs")


@dataclass(frozen=True, eq=False)
class Labelled:
    """Rows labelled so far.

    Attributes
    ----------
    wrong : bool array of shape (n,)
    against : bool array of shape (n,) or None
        Errors of another classifier, whose predictions stand in a column of their own. A row that
        was passed over is none, so that no label which comes late is held against it.
    passed_over : int
        Rows without a label that stand before one with a label: they count as errors.
    waiting : int
        Rows at the end that have no label yet.
    ids : array of texts of shape (n,) or None
        What the rows are called, where there is a column of ids.
    """

    wrong: Bools
    against: Bools | None
    passed_over: int
    waiting: int
    ids: NDArray[np.str_] | None = None


def read_labelled(path: "str | Path", against: str | None = None) -> Labelled:
    """Read a csv, tsv or parquet file with columns ``label`` and ``predicted``, or ``wrong``.

    Rows stand in the order in which they are labelled; a label that is empty is still to come, or,
    with labelled rows behind it, an error. ``against`` names the column of another classifier's
    predictions. Labels and predictions are compared as they are written, lists of labels in any
    order. A column ``id``, where
    there is one, names the rows.

    Raises
    ------
    DataError
        If the file cannot be read, or lacks a column.
    MissingExtra
        If pandas needs another package for such a file.
    """
    path = Path(path)
    if path.suffix.lower() not in TABLES:
        raise DataError(f"{path}: rows in the order of labelling are read from {', '.join(TABLES)}")
    frame = read_frame(path, dtype=str)
    columns = {str(c): _texts(frame[c]) for c in frame.columns}
    own = next((c for c in columns if c.lower() in WRONG), None)
    if own is not None:
        labels = columns[own]
        if odd := {*labels[labels != ""].tolist()} - {"0", "1", "True", "False"}:
            raise DataError(f"{path}: {own} is 0 or 1, empty if not labelled; found {few(odd)}")
        wrong = np.isin(labels, ["1", "True"])
    else:
        labels = _sorted(columns[_one(path, columns, "labels", "label")])
        wrong = _sorted(columns[_one(path, columns, "predicted", "predicted")]) != labels
    if against is not None and (against not in columns or own is not None):
        raise DataError(
            f"{path}: no column of predictions is called {shown(against)}; there are "
            f"{few(columns)}, and needed are label, predicted and {shown(against)}"
        )
    there = labels != ""
    n = int(np.flatnonzero(there)[-1]) + 1 if there.any() else 0
    skipped = ~there[:n]
    ids = _ids(path, columns)
    return Labelled(
        wrong=wrong[:n] | skipped,
        against=None if against is None else (_sorted(columns[against]) != labels)[:n] & ~skipped,
        passed_over=int(skipped.sum()),
        waiting=len(there) - n,
        ids=None if ids is None else ids[:n],
    )


def _ids(path: Path, columns: dict[str, NDArray[np.str_]]) -> NDArray[np.str_] | None:
    """Names of all rows, labelled or not; None without a column of them."""
    there = [c for c in columns if c.lower() in NAMES["ids"]]
    if not there:
        return None
    if len(there) > 1:
        raise DataError(f"{path}: {few(there)} could all be ids; keep one of them")
    ids = columns[there[0]]
    if nameless := int((ids == "").sum()):
        raise DataError(
            f"{path}: {nameless:,} of {len(ids):,} rows have no {shown(there[0])}; needed is one "
            "for each row, or no such column"
        )
    return ids


def _one(path: Path, columns: dict[str, NDArray[np.str_]], what: str, call_it: str) -> str:
    there = [c for c in columns if c.lower() in NAMES[what]]
    if len(there) != 1:
        raise DataError(
            f"{path} holds {few(columns) or 'nothing'}; needed is one column '{call_it}' (columns "
            "'label' and 'predicted', or one 'wrong')"
        )
    return there[0]


def _texts(column: "object") -> NDArray[np.str_]:
    """Values as they are written; empty where there is none, whole numbers without a point."""
    import pandas as pd

    return np.array([_text(value) for value in pd.Series(column).tolist()], dtype=str)


def _text(value: Any) -> str:
    import pandas as pd

    if is_list(value):
        return str(np.asarray(value).tolist())
    if pd.isna(value):
        return ""
    text = str(value).strip()
    return text[:-2] if text.endswith(".0") and text[:-2].isdecimal() else text


def _sorted(texts: NDArray[np.str_]) -> NDArray[np.str_]:
    """Lists of labels in one order, whatever order they are written in."""
    read = [(text, written_list(text)) for text in texts.tolist()]
    return np.array([text if x is None else str(sorted({*x})) for text, x in read], dtype=str)
