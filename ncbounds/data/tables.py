"""Named arrays from npz, npy, csv and parquet files; nothing is unpickled."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncbounds.data.batched import LABELS
from ncbounds.data.label_sets import holds_lists, is_list, reads_as_lists, written_list
from ncbounds.data.npz import load_npz
from ncbounds.data.unpacking import said
from ncbounds.errors import DataError, few, shown

#: File names that are read as arrays.
TABLES = (".npz", ".npy", ".csv", ".parquet")
#: Where inputs, or features, stand among named arrays.
INPUTS = ("inputs", "images", "features", "embeddings", "x", "X")
#: Columns of a table that are no input.
BESIDE = ("groups",)
HOW_TO_READ_PARQUET = "pip install pyarrow"

Arrays = dict[str, NDArray[Any]]


def read_table(path: "str | os.PathLike[str]") -> Arrays:
    """Read the arrays of a file by name.

    An npz file gives its arrays; an npy file ``inputs`` (n, ...); of a csv or parquet file the
    column of labels gives ``labels``, a column ``groups`` itself, and all others together
    ``inputs`` (n, d), in float64. A column of lists counts as that many columns. Several labels a
    row are columns ``label_0``, ``label_1``, ... (or ``label_NAME``) of 0 and 1, in the order of
    the network's outputs, or one column of lists of these, ``[0, 1, 1]`` in the text of a csv file.

    Raises
    ------
    DataError
        If the file cannot be read, or a column holds no numbers.
    """
    path = Path(path)
    if path.suffix == ".npz":
        return load_npz(path, ())
    try:
        if path.suffix == ".npy":
            return {"inputs": np.load(path, mmap_mode="r", allow_pickle=False)}
        return _columns(_frame(path), path)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except ImportError:
        raise DataError(
            f"{path} needs a library that reads parquet: {HOW_TO_READ_PARQUET}, or save it as npz "
            "or csv"
        ) from None
    except (OSError, ValueError, EOFError) as error:  # what damaged files raise
        raise DataError(f"{path} cannot be read: {shown(said(error))}") from None


def named(arrays: Mapping[str, Any], names: Sequence[str], what: str, path: object) -> Any:
    """Return the array that stands under one of ``names``.

    Raises
    ------
    DataError
        If there is none, or several.
    """
    found = [name for name in names if name in arrays]
    if len(found) == 1:
        return arrays[found[0]]
    holds = few(map(repr, sorted(arrays)))
    raise DataError(
        f"{path} holds [{holds}]; needed {what} under one of {', '.join(names)}"
        + (f", found {' and '.join(found)}" if found else "")
    )


def inputs_and_labels(path: "str | os.PathLike[str]") -> tuple[Any, ...]:
    """Inputs (n, ...), labels (n,) or (n, L) or None, and groups (n,) if the file has any."""
    arrays = read_table(path)
    inputs = named(arrays, INPUTS, "inputs", path)
    labels = named(arrays, LABELS, "labels", path) if {*LABELS} & {*arrays} else None
    several = labels is not None and labels.ndim == 2 and labels.shape[1] > 1
    shape = None if labels is None else labels.shape[: 1 if several else None]
    if inputs.ndim == 0 or (shape is not None and shape != inputs.shape[:1]):
        shape = None if labels is None else labels.shape
        raise DataError(f"{path}: inputs of shape {inputs.shape} and labels of shape {shape}")
    return (inputs, labels, arrays["groups"]) if "groups" in arrays else (inputs, labels)


def exact_numbers() -> dict[str, Any]:
    """What makes pandas read numbers of a text to the last bit, which a tie may hang on."""
    import pandas as pd

    major, minor = map(int, pd.__version__.split(".")[:2])
    # later versions always do, and warn of the argument
    return {} if (major, minor) >= (3, 1) else {"float_precision": "round_trip"}


def _frame(path: Path) -> Any:
    import pandas as pd

    if path.suffix == ".csv":
        return pd.read_csv(path, **exact_numbers())
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    raise DataError(f"{path}: arrays are read from {', '.join(TABLES)}")


def _columns(frame: Any, path: Path) -> Arrays:
    names = [str(name) for name in frame.columns]
    if unnamed := [n for n in names if n.startswith(("Unnamed: ", "__index_level_"))]:
        raise DataError(
            f"{path}: column {unnamed[0]!r} has no name, as the index that pandas writes; save "
            "with index=False, or give it a name"
        )
    frame.columns = names
    per_label = _per_label(names)
    beside = [n for n in names if n in (*LABELS, *BESIDE)]
    inputs = [_numbers(frame[n], n, path) for n in names if n not in (*beside, *per_label)]
    if not inputs:
        raise DataError(f"{path} has no column of inputs, only {few(map(repr, names))}")
    found: Arrays = {"inputs": np.hstack(inputs)}
    if per_label:
        found["labels"] = frame[per_label].to_numpy()
    for name in beside:
        found[name] = frame[name].to_numpy()
        if name in LABELS and (holds_lists(found[name]) or reads_as_lists(found[name])):
            found[name] = _indicators(found[name], name, path)
        elif name in LABELS and found[name].dtype.kind not in "iub":
            raise DataError(
                f"{path}: column {name!r} holds {shown(frame[name].iloc[:1].tolist())} where class "
                "numbers 0, 1, ... are needed, in the order of the network's outputs; several "
                "labels a row are columns label_0, label_1, ... of 0 and 1"
            )
    return found


def _indicators(column: NDArray[Any], name: str, path: Path) -> NDArray[np.float64]:
    """Lists of 0 and 1, one for each label, as (n, L); the texts of a csv file are read as such."""
    lists = [x if is_list(x) else written_list(str(x)) for x in column]
    try:
        found = np.array(lists, dtype=np.float64)
    except (TypeError, ValueError):  # of names, of several lengths, or none
        found = np.empty(0)
    if found.ndim != 2 or not ((found == 0) | (found == 1)).all():
        raise DataError(
            f"{path}: column {shown(name)!r} has lists, such as {shown(str(column[0]), 60)}, that "
            "are not 0 or 1 for each label in the order of the network's outputs, all of one "
            "length; write them so, or as columns label_0, label_1, ... of 0 and 1"
        )
    return found


def _per_label(names: Sequence[str]) -> list[str]:
    """Columns ``label_0``, ``label_1``, ..., by their numbers, or ``label_NAME`` as they stand."""
    if {*LABELS} & {*names}:
        return []
    found = {n: m[1] for n in names if (m := re.fullmatch(r"labels?[_.\- ](.+)", n))}
    if len(found) < 2:
        return []
    numbered = sorted(found.values()) == sorted(map(str, range(len(found))))
    return sorted(found, key=lambda n: int(found[n])) if numbered else [*found]


def _numbers(column: Any, name: str, path: Path) -> NDArray[np.float64]:
    """A column as (n, 1), one of lists as (n, k)."""
    try:
        if column.dtype == object:
            wide: NDArray[np.float64] = np.stack(
                [np.asarray(v, dtype=np.float64).ravel() for v in column]
            )
            return wide
        return np.asarray(column.to_numpy(dtype=np.float64)).reshape(-1, 1)
    except (TypeError, ValueError):
        raise DataError(
            f"{path}: column {shown(name)!r} holds no numbers, such as {shown(column.iloc[0])!r}; "
            f"leave it out, or call the labels one of {', '.join(LABELS)}"
        ) from None
