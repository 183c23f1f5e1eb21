"""Evidence of classifiers whose answers stand in files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ncbounds.data.prediction_file import TABLES, read_labels, read_predictions
from ncbounds.errors import DataError, InvalidSample, few
from ncbounds.evidence.decision import MultiClass, MultiLabel
from ncbounds.evidence.evidence import Evidence


def is_predictions(path: Path) -> bool:
    """Whether a file is a table of predictions by its name."""
    return path.suffix.lower() in (*TABLES, ".npz")


def of_prediction_file(
    path: Path,
    *,
    name: str = "",
    role: list[str] | None = None,
    roles: Mapping[str, str] | None = None,
    use: str | None = None,
    labels_of: Any = None,
    decision: str | None = None,
    thresholds: float | tuple[float, ...] | None = None,
    ranked: bool = False,
    classes: int | None = None,
    **declared: Any,
) -> Evidence:
    """Evidence of one classifier from a table of its predictions.

    Parameters
    ----------
    path : path
    name : str
        Of the classifier; that of the file unless given.
    role, roles
        See :meth:`~ncbounds.data.prediction_file.Predictions.by_role`.
    use, labels_of, decision
        See :func:`ncbounds.data.prediction_file.read_predictions`.
    thresholds : float or tuple of L floats, optional
        Of one number per row, or of several labels: one, or one for each. They are in the unit of
        what the file holds, logits or probabilities.
    ranked : bool
        Whether several labels are only ranked.
    classes : int, optional
        How many classes, or labels, there are.
    **declared
        Of :meth:`ncbounds.Evidence.from_predictions`.

    Raises
    ------
    DataError
        If the file cannot be read.
    InvalidSample
        If ``ranked`` or a threshold for each label is said of rows that have one label.
    """
    found = read_predictions(path, use, labels_of, decision=decision, count=classes)
    if found.several:
        judged: dict[str, Any] = {
            "decision": MultiLabel(found.names, threshold=thresholds, ranked=ranked),
            # scores say it themselves
            "classes": classes if found.kind == "predicted" else None,
        }
    elif ranked or isinstance(thresholds, tuple):
        raise InvalidSample(
            f"{path}: --ranked, and a threshold for each label, are of rows with several labels, "
            "and these have one each; type --decision multi-label if their labels are sets"
        )
    else:
        named = MultiClass(found.names) if found.names else None
        judged = {"decision": named, "threshold": thresholds, "classes": classes}
    return Evidence.from_predictions(
        **found.by_role(role, roles),
        **judged,
        checkpoint=name or path.stem,
        provenance={"predictions": path.name, "columns": found.said},
        **declared,
    )


def of_prediction_files(
    paths: Sequence[Path],
    *,
    labels: Path | None = None,
    names: Sequence[str] | None = None,
    **how: Any,
) -> dict[str, Evidence]:
    """Evidence of one classifier a file, by name.

    Parameters
    ----------
    paths : sequence of path
    labels : path, optional
        File of ids and labels, for files that have ids and no labels.
    names : sequence of str, optional
        In place of the names of the files.
    **how
        Of :func:`of_prediction_file`.

    Raises
    ------
    DataError
        If a file cannot be read, or names are too few or repeat.
    """
    called = list(names or (path.stem for path in paths))
    if len(called) != len(paths) or len({*called}) < len(called):
        raise DataError(
            f"{len(paths)} files need a name each, all different; found {few(called)}: --name, "
            "once for each"
        )
    known = None if labels is None else read_labels(labels)
    return {
        name: of_prediction_file(path, name=name, labels_of=known, **how)
        for name, path in zip(called, paths, strict=True)
    }
