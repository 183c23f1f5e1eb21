"""What a comparison holds, and its frames."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ncbounds.arrays import Bools, Floats, Ints
from ncbounds.comparison.candidates import Candidate
from ncbounds.results import Kind

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class ComparisonData:
    """What held-out rows say of several classifiers; words and frames read this.

    Attributes
    ----------
    candidates : tuple of Candidate
        T of them, on the same rows in the same order.
    n : int
        Rows.
    delta : float
        Probability with which each of the four statements may fail.
    among : int
        Number of classifiers that could have been compared, at least T.
    beside : int
        Others of the same run. Where ``among`` is less than T and these, it was declared that they
        could not have been compared.
    only : integer array of shape (T, T)
        Rows on which the first errs and the second does not.
    limits : array of shape (T, T)
        Lower limits of error(second) - error(first), valid for all pairs at once; nan where none
        was looked for. Above 0: the first beats the second.
    best : bool array of shape (T,)
        Which may be the best of all: each best one is among them.
    chosen : int
        Of the fewest errors, or the one that was named.
    regret : float
        Upper limit of error(chosen) - least error of the T.
    requirement : float or None
        Error rate asked for, fixed before the rows were looked at.
    listed : bool array of shape (T,) or None
        Which are shown to err at most so often, all of them at once.
    in_order : bool
        Whether the list followed the order of the candidates, fixed before too.
    form : str
        Of the paired limits: ``"exact"``, ``"two-step"`` or ``"stratified"``.
    """

    candidates: tuple[Candidate, ...]
    n: int
    delta: float
    among: int
    beside: int
    only: Ints
    limits: Floats
    best: Bools
    chosen: int
    regret: float
    requirement: float | None
    listed: Bools | None
    in_order: bool
    form: str

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the candidates."""
        return tuple(c.name for c in self.candidates)

    @property
    def errors(self) -> Ints:
        """Errors of each candidate, shape (T,)."""
        return np.array([int(c.wrong.sum()) for c in self.candidates])

    @property
    def kind(self) -> Kind:
        """What statements about all candidates are worth."""
        certified = all(c.kind == "certificate" for c in self.candidates)
        return "certificate" if certified else "plug-in"

    def kind_of(self, i: int, j: int) -> Kind:
        """What the limit of one pair is worth."""
        both = {self.candidates[i].kind, self.candidates[j].kind}
        return "certificate" if both == {"certificate"} else "plug-in"

    def cheapest_first(self) -> list[int]:
        """Listed candidates by cost; by their order where costs are not known."""
        found = [] if self.listed is None else np.flatnonzero(self.listed).tolist()
        return sorted(found, key=lambda t: np.nan_to_num(self.candidates[t].cost, nan=np.inf))

    def to_frame(self) -> "pd.DataFrame":
        """Ordered pairs: the limit of how much less often the one errs than the other.

        Columns ``better, worse, at_least, shown, only_worse, only_better, n, delta, kind, claim``;
        ``shown`` says whether the limit is above 0, ``delta`` holds for all pairs together.
        """
        import pandas as pd

        names = self.names
        return pd.DataFrame.from_records(
            [
                {
                    "better": names[i],
                    "worse": names[j],
                    "at_least": self.limits[i, j],
                    "shown": bool(self.limits[i, j] > 0),
                    "only_worse": int(self.only[j, i]),
                    "only_better": int(self.only[i, j]),
                    "n": self.n,
                    "delta": self.delta,
                    "kind": self.kind_of(i, j),
                    "claim": "error(worse) - error(better) >= at_least",
                }
                for i in range(len(names))
                for j in range(len(names))
                if i != j
            ],
            columns=[
                *("better", "worse", "at_least", "shown", "only_worse", "only_better"),
                *("n", "delta", "kind", "claim"),
            ],
        )

    def matrix(self) -> "pd.DataFrame":
        """The limits, (T, T): how much less often the row errs than the column at least."""
        import pandas as pd

        return pd.DataFrame(self.limits, index=list(self.names), columns=list(self.names))

    def to_candidates(self) -> "pd.DataFrame":
        """Candidates, one a row.

        Columns ``candidate, errors, n, may_be_best, listed, cost, role, sampling, selected_among,
        kind, reasons``.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "candidate": self.names,
                "errors": self.errors,
                "n": self.n,
                "may_be_best": self.best,
                "listed": None if self.listed is None else self.listed,
                "cost": [c.cost for c in self.candidates],
                "role": [c.role for c in self.candidates],
                "sampling": [c.sampling for c in self.candidates],
                "selected_among": pd.array([c.selected_among for c in self.candidates], "Int64"),
                "kind": [c.kind for c in self.candidates],
                "reasons": ["; ".join(c.reasons) for c in self.candidates],
            }
        )
