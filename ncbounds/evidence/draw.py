"""How points came about: declared once, where the data is declared, and carried by the sample."""

import operator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ncbounds.arrays import Ints
from ncbounds.errors import InvalidSample, RoleError
from ncbounds.evidence.roles import (
    ROLES,
    SAMPLINGS,
    Repeats,
    Role,
    Sampling,
    check_repeats,
    check_role,
)

#: Roles that part of a sample may have; fresh points may become anything, the test sample nothing.
PARTS: dict[Role, frozenset[str]] = {
    "fit": frozenset({"fit"}),
    "head": frozenset({"fit", "head"}),
    "holdout": frozenset(ROLES),
    "unlabelled": frozenset({"unlabelled"}),
    "target": frozenset({"target"}),
    "test": frozenset({"test"}),
}


@dataclass(frozen=True, eq=False)
class Draw:
    """What is declared about the rows of one sample.

    Attributes
    ----------
    role : {"fit", "head", "holdout", "unlabelled", "target", "test"}
        What the rows were used for.
    sampling : {"iid", "stratified", "unknown"}
        How they were drawn. ``"unknown"`` makes every certificate a plug-in.
    selected_among : int or None
        Number of candidates that could have been chosen by comparing them on these rows (1: none);
        None if unknown. All that could have been chosen count, tried or not, and they have to be
        fixed before the rows are looked at: a search whose next candidate depends on the rows (hill
        climbing, a scheduler or early stopping on the held-out loss) is not covered by the number
        of its looks. Declare None for it.
    label_noise : float
        Probability with which a label was replaced by a uniform draw from all classes.
    rows : integer array of shape (n,) or None
        Source row ids, by which overlap between roles is found.
    groups : integer array of shape (n,) or None
        Ids of units that share rows (a patient, a writer).
    repeats : {"by chance", "copies"} or None
        Why points stand more than once. ``"by chance"``: the law has atoms, and every row counts.
        ``"copies"``: rows were copied, and an :class:`~ncbounds.Evidence` counts each point once,
        in the first role that has it. Undeclared, a share above 1 % makes a plug-in, and so do
        points that also stand where the head was fitted, if they are more than chance gives.
    limit : int or None
        Only the first so many rows were asked for, in the order of the data, which may be sorted.

    Raises
    ------
    RoleError
        If the role is unknown.
    InvalidSample
        If a declaration is impossible.
    """

    role: Role
    sampling: Sampling = "unknown"
    selected_among: int | None = 1
    label_noise: float = 0.0
    rows: Ints | None = None
    groups: Ints | None = None
    repeats: Repeats | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        check_role(self.role)
        if self.sampling not in SAMPLINGS:
            raise InvalidSample(
                f"sampling is one of {', '.join(SAMPLINGS)}, found {self.sampling!r}"
            )
        object.__setattr__(self, "selected_among", _candidates(self.selected_among))
        if not 0.0 <= self.label_noise <= 1.0:
            raise InvalidSample(f"label_noise is a probability, found {self.label_noise}")
        object.__setattr__(self, "label_noise", float(self.label_noise))
        check_repeats(self.repeats)
        for name in ("rows", "groups"):
            object.__setattr__(self, name, _ids(getattr(self, name), name))

    @classmethod
    def of(cls, role: "str | Draw", **declared: Any) -> "Draw":
        """Return a draw as it is, or make one of a role and the other declarations.

        Raises
        ------
        InvalidSample
            If something is declared beside a draw, which declares it already.
        """
        if not isinstance(role, Draw):
            return cls(check_role(role), **declared)
        if declared:
            raise InvalidSample(
                f"{', '.join(declared)} beside a Draw, which declares it already: use "
                "dataclasses.replace(draw, ...)"
            )
        return role

    def check_length(self, n: int) -> None:
        """Raise InvalidSample unless the ids are those of n rows."""
        for name in ("rows", "groups"):
            ids = getattr(self, name)
            if ids is not None and len(ids) != n:
                raise InvalidSample(f"{name} needs {n} integers, found shape {ids.shape}")

    def take(self, index: Ints, role: str | None = None) -> "Draw":
        """Draw of the rows ``index``, with a weaker role if one is given.

        How they were chosen is not known here, so ``sampling`` is ``"unknown"``.

        Raises
        ------
        RoleError
            If ``role`` is stronger than the draw's own.
        """
        self.check_part(role)
        return replace(
            self.rows_only(index),
            role=self.role if role is None else check_role(role),
            sampling="unknown",
        )

    def rows_only(self, index: Ints) -> "Draw":
        """Return the same draw for the rows ``index``: the others were no part of it."""
        return replace(
            self,
            rows=None if self.rows is None else self.rows[index],
            groups=None if self.groups is None else self.groups[index],
        )

    def first(self, limit: int | None) -> "Draw":
        """Draw of which only the first rows are looked at; None leaves it as it is."""
        if limit is None:
            return self
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise InvalidSample(f"limit is a number of rows from 1 on, found {limit!r}")
        cut = {
            name: ids[:limit]
            for name in ("rows", "groups")
            if (ids := getattr(self, name)) is not None
        }
        return replace(self, limit=limit, **cut)

    def check_part(self, role: str | None) -> None:
        """Raise RoleError if ``role`` is one that part of these rows may not have."""
        if role is not None and check_role(role) not in PARTS[self.role]:
            raise RoleError(
                f"a {self.role} sample cannot become {role}, only "
                f"{' or '.join(sorted(PARTS[self.role]))}: only data that nothing was fitted on "
                "can; declare role='holdout' if that is what it is"
            )


def _candidates(count: object) -> int | None:
    if count is None:
        return None
    try:
        found = 0 if isinstance(count, bool | np.bool_) else operator.index(count)  # type: ignore[arg-type]
    except TypeError:
        found = 0
    if found < 1:
        raise InvalidSample(
            "selected_among counts candidates: a whole number that is at least 1, or None if it is "
            f"unknown; found {count!r}"
        )
    return found


def _ids(ids: object | None, name: str) -> Ints | None:
    if ids is None:
        return None
    a = np.asarray(ids)
    if a.ndim != 1 or a.dtype.kind not in "iu":
        raise InvalidSample(f"{name} are integers, one a row, found shape {a.shape} of {a.dtype}")
    return a.astype(np.int64)
