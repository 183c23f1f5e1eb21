"""What each class is taken for and how classes lie to each other, small enough to keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from ncbounds.arrays import Floats, Ints
from ncbounds.errors import InvalidSample, RoleError, shown
from ncbounds.evidence.roles import Role, check_role
from ncbounds.results import MARK, Kind

#: Classes up to which all cells that were seen, and all cosines, are kept.
CLASSES = 100
#: Of more classes, the cells of wrong answers that are kept, those with most points first.
WORST = 200
#: Decimals of a cosine.
DECIMALS = 3


@dataclass(frozen=True, eq=False)
class Confusions:
    """Answers on one sample by class; a point without a single answer has answer -1.

    Attributes
    ----------
    shape : (int, int)
        Classes of labels, and answers with "none" among them.
    cells : int array of shape (m, 4)
        Label, answer, points with both, points with the label; cells without points are left out.
    seen : int
        Cells of wrong answers with points; more than are there if only the worst are kept.
    delta : float
        What is left, of all limits together, where classifiers were compared on this sample.
    kind : str
        What the limits are worth, and ``reasons`` why not more.
    reasons : tuple of str
    """

    shape: tuple[int, int]
    cells: Ints
    seen: int
    delta: float
    kind: Kind = "plug-in"
    reasons: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        labels: Ints,
        answers: Ints,
        shape: tuple[int, int],
        *,
        delta: float,
        kind: Kind,
        reasons: Sequence[str] = (),
    ) -> Self:
        """Count points with labels and answers, both (n,), -1 for no single answer."""
        pairs, count = np.unique(np.stack([labels, answers], axis=1), axis=0, return_counts=True)
        n = np.bincount(labels, minlength=shape[0])[pairs[:, 0]]
        cells = np.column_stack([pairs, count, n]).astype(np.int64)
        wrong = int((pairs[:, 0] != pairs[:, 1]).sum())
        found = cls(shape, cells, wrong, delta, kind, tuple(reasons))
        return found if found.complete else replace(found, cells=cells[found.worst()[:WORST]])

    @property
    def complete(self) -> bool:
        """Whether there are few enough classes for every cell that was seen to be kept."""
        return self.shape[0] <= CLASSES and self.shape[1] <= CLASSES + 1

    def table(self) -> tuple[Ints, Ints]:
        """Counts of shape ``shape``, no answer last, and points of each label; of a complete one.

        Raises
        ------
        InvalidSample
            If only the worst cells are kept.
        """
        if not self.complete:
            raise InvalidSample(
                f"of more than {CLASSES} classes only the {WORST} worst pairs are kept; "
                "nb.confusion(evidence) has all"
            )
        counts = np.zeros(self.shape, dtype=np.int64)
        counts[self.cells[:, 0], self.cells[:, 1]] = self.cells[:, 2]  # -1 is the last column
        return counts, counts.sum(axis=1)

    def worst(self) -> Ints:
        """Places in ``cells`` of wrong answers, most points first."""
        wrong = np.flatnonzero(self.cells[:, 0] != self.cells[:, 1])
        return wrong[np.argsort(-self.cells[wrong, 2], kind="stable")]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able fields."""
        return {
            **vars(self),
            "shape": list(self.shape),
            "cells": self.cells.tolist(),
            "reasons": list(self.reasons),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Rebuild it from :meth:`to_dict`; raises as :meth:`ClassPairs.from_dict` says."""
        labels, answers = stored["shape"]
        cells = np.array(stored["cells"], dtype=np.int64).reshape(-1, 4)
        kind, delta = stored["kind"], float(stored["delta"])
        at, answer, count, n = cells.T
        if not ((at >= 0) & (at < labels) & (answer >= -1) & (answer < answers - 1)).all():
            raise ValueError(f"a cell lies outside {labels} classes and {answers} answers")
        if not ((count > 0) & (count <= n)).all() or kind not in MARK or not 0 < delta < 1:
            raise ValueError(f"kind {shown(kind)}, delta {delta}, or a count that is none")
        reasons = tuple(map(str, stored["reasons"]))
        return cls((labels, answers), cells, int(stored["seen"]), delta, kind, reasons)


@dataclass(frozen=True, eq=False)
class ClassPairs:
    """What is kept of the pairs of classes of one classifier.

    Attributes
    ----------
    confusions : dict from role to Confusions
    cosines : dict from str to array of shape (C, C)
        Of ``"class means"`` around the mean of all training points, and of ``"head rows"`` around
        their mean; empty for more than :data:`CLASSES` classes. -1/(C-1) everywhere is collapse.
    """

    confusions: Mapping[Role, Confusions] = field(default_factory=dict)
    cosines: Mapping[str, Floats] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able fields, of cosines what is above the diagonal, row by row."""
        return {
            "confusions": {role: c.to_dict() for role, c in self.confusions.items()},
            "cosines": {
                what: [None if np.isnan(x) else round(float(x), DECIMALS) for x in _above(c)]
                for what, c in self.cosines.items()
            },
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Rebuild it from :meth:`to_dict`.

        Raises
        ------
        InvalidSample
            If that is not what is there.
        """
        try:
            tables = {
                check_role(str(role)): Confusions.from_dict(c)
                for role, c in stored["confusions"].items()
            }
            cosines = {str(what): _square(c) for what, c in stored["cosines"].items()}
        except (KeyError, TypeError, ValueError, AttributeError, RoleError) as error:
            raise InvalidSample(f"stored pairs of classes are damaged: {error}") from None
        return cls(tables, cosines)


def _above(square: Floats) -> Floats:
    found: Floats = square[np.triu_indices(len(square), 1)]
    return found


def _square(above: Sequence[float | None]) -> Floats:
    """Symmetric matrix with 1 on the diagonal from what stands above it."""
    classes = round((1 + np.sqrt(1 + 8 * len(above))) / 2)
    at = np.triu_indices(classes, 1)
    if len(at[0]) != len(above):
        raise ValueError(f"{len(above)} cosines are not those of all pairs of any number")
    out = np.eye(classes)
    out[at] = [np.nan if x is None else float(x) for x in above]
    out.T[at] = out[at]
    return out
